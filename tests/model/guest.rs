//! The model: what is true of a domain, from libvirt's rules and domstate's list of differences, and from no rule of the
//! fold's.
//!
//! Simple rather than complete. It leaves out: causes and certainty (the properties look at those), jobs whose worker
//! died (what is done about them is events again), damaged files, and orders of events that no QEMU sends.

/// On its way from one QEMU to another.
mod journey;
/// Panics, power-offs and resets.
mod power;
/// What was asked of domstate.
mod requests;
/// It is stopped, and goes on.
mod standing;

use domstate::domain::{
    Before, Begin, BootId, Event, Exit, LaunchKind, LogWords, OnPoweroff, Paused, Record,
    RunStatus, Running, ShutdownCause, State, Verb,
};

pub(crate) use self::journey::{Outgoing, Written};
pub(crate) use self::power::{Watchdog, WentOn};
pub(crate) use self::requests::{Asked, is_destroy};

/// How the process ended, as far as anybody knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct End {
    pub(crate) exit: Option<Exit>,
    pub(crate) boot: BootId,
    pub(crate) words: LogWords,
}

#[derive(Clone, Debug)]
pub(crate) struct Guest {
    kind: LaunchKind,
    begin: Begin,
    pub(crate) boot: BootId,
    pub(crate) exit_device: bool,
    on_poweroff: OnPoweroff,
    /// It runs, or stands ready: what ends it now is no failed start.
    pub(crate) began: bool,
    pub(crate) state: State,
    /// Why it ran before it powered itself off.
    ran: Running,
    /// In S3, and in S3 stopped on top of it.
    asleep: bool,
    stopped_asleep: bool,
    /// What the next STOP is for.
    announced: Option<Paused>,
    /// It stands, and QEMU has not said why.
    unexplained: bool,
    /// It stands for a job, and QEMU has said something else.
    said_otherwise: Option<Paused>,
    /// Since when it runs, and since when it stands as it does.
    runs_since: u64,
    stands_since: u64,
    pub(crate) asked: Vec<Asked>,
    pub(crate) panicked: bool,
    /// It may have been started afresh since.
    pub(crate) panic_is_past: bool,
    /// It panicked, and QEMU let it go on: into its crash kernel, or as if nothing had been.
    pub(crate) went_on: Option<WentOn>,
    /// It is to be reset for its panic, or was.
    pub(crate) restarting: bool,
    /// The first one, and whether the machine ran then.
    pub(crate) shutdown: Option<(ShutdownCause, bool)>,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) outgoing: Outgoing,
    pub(crate) written: Written,
    /// QEMU has said that it writes for the job.
    pub(crate) is_taken: bool,
    /// It has stood since QEMU began to write for somebody, of which nothing else was said.
    may_be_snapshot: bool,
    /// It stood before the job began.
    stood_before: bool,
    /// An incoming guest runs already, and the rest of it is fetched.
    post_copy: bool,
    reboot: bool,
    /// QEMU was told for a `reboot` to outlive a power-off, and not yet that this is over.
    held: bool,
    pub(crate) launcher: Option<u32>,
    pub(crate) qemu: Option<u32>,
    pub(crate) end: Option<End>,
    pub(crate) gap: bool,
    /// It has shut down before, and QEMU kept the status.
    pub(crate) outlived: bool,
    /// After its power-off QEMU stopped it: it stays.
    pub(crate) stays: bool,
    /// It did not run as it shut down, or was reset.
    shut_down_standing: bool,
    all_here: bool,
    shut_down_stopped: bool,
    /// By a `suspend`, as it seems.
    shut_down_suspended: bool,
    shut_down_at: u64,
    /// And nobody knows who stopped it.
    shut_down_stopped_by_another: bool,
    /// It panicked, and QEMU stopped it for that.
    panic_stands: bool,
    stopped_at: u64,
    pub(crate) now: u64,
}

impl Guest {
    /// A run that begins with this record, which is a launch.
    pub(crate) fn launched(record: &Record) -> Self {
        let Event::Launched(launch) = &record.event else {
            panic!("{record:?}");
        };
        Self {
            kind: launch.kind,
            begin: launch.begin,
            boot: launch.boot.clone(),
            exit_device: launch.exit_device.is_there(),
            on_poweroff: launch.lifecycle.on_poweroff,
            began: false,
            state: State::Paused(Paused::StartingUp),
            ran: Running::Unknown,
            asleep: false,
            stopped_asleep: false,
            announced: None,
            unexplained: false,
            said_otherwise: None,
            runs_since: 0,
            stands_since: 0,
            asked: Vec::new(),
            panicked: false,
            panic_is_past: false,
            went_on: launch.may_have_panicked.then_some(WentOn::Perhaps),
            restarting: false,
            shutdown: None,
            watchdog: None,
            outgoing: Outgoing::No,
            written: Written::Nothing,
            is_taken: false,
            may_be_snapshot: false,
            stood_before: false,
            post_copy: false,
            reboot: false,
            held: false,
            launcher: None,
            qemu: None,
            end: None,
            gap: false,
            outlived: false,
            stays: false,
            shut_down_standing: false,
            all_here: false,
            shut_down_stopped: false,
            shut_down_suspended: false,
            shut_down_at: 0,
            shut_down_stopped_by_another: false,
            panic_stands: false,
            stopped_at: 0,
            now: record.at.unwrap_or_default().0,
        }
    }

    pub(crate) fn see(&mut self, record: &Record) {
        // What is written later changes nothing of when it ended.
        if self.end.is_none() {
            self.now = record.at.map_or(self.now, |at| at.0);
        }
        match &record.event {
            Event::Spawned(process) => self.launcher = Some(process.pid),
            Event::Identified(process) => self.qemu = Some(process.pid),
            Event::StatusReported(status) => self.status(*status),
            Event::Stopped => self.stopped(),
            Event::Resumed => self.resumed(),
            Event::Reset(_) => self.reset(),
            Event::ShutDown(cause) => self.shut_down(*cause),
            Event::Suspended => self.falls_asleep(),
            Event::Woken => {
                if self.asleep {
                    // What it did just before it slept QEMU was told to outlive.
                    self.panicked = false;
                    self.shutdown = None;
                    self.stays = false;
                    self.watchdog = None;
                }
                if self.state == State::PmSuspended {
                    if !self.stopped_asleep {
                        self.goes_on();
                    }
                    self.run(Running::EventWakeup);
                }
                self.asleep = false;
            }
            Event::WatchdogFired(action) => self.watchdog(*action),
            Event::Panicked { action, .. } => self.panicked(*action),
            Event::CrashLoaded => self.went_on = Some(WentOn::IntoCrashKernel),
            Event::IoFailed { stops_guest, .. } => {
                if *stops_guest {
                    self.announce(Paused::IoError);
                }
            }
            Event::MigrationChanged(word) => self.migration(word),
            Event::Asked { verb, actor, job } => {
                self.ask(*verb, actor.pid);
                self.restarting |= *verb == Verb::CrashRestart && self.state == State::Crashed;
                if let Some(job) = job {
                    self.written = Written::Unasked;
                    self.is_taken = false;
                    self.stood_before = job.before == Before::Stood;
                }
            }
            Event::StreamAsked { verb, pid } => self.told_to_write(*verb, *pid),
            Event::StreamAnswered { verb, pid, answer } => {
                self.told_whose_it_is(*verb, *pid, *answer);
            }
            Event::Sent { verb, pid } => {
                self.acted(*verb, *pid);
                if *verb == Verb::Reboot && self.shutdown.is_none() && self.end.is_none() {
                    (self.reboot, self.held) = (true, true);
                }
                if *verb == Verb::SnapshotRevert {
                    self.reverted();
                }
            }
            Event::TakenBack { verb, pid } => self.is_undone(*verb, *pid),
            Event::Done { verb, pid } => {
                self.acted(*verb, *pid);
                self.has_answered(*verb, *pid);
                self.done(*verb);
            }
            Event::Failed { verb, pid, .. } => {
                self.failed(*verb);
                self.asked.retain(|a| (a.verb, a.pid) != (*verb, *pid));
            }
            Event::Exited {
                pid,
                exit,
                boot,
                words,
                // libvirt has no word for it.
                oom: _,
            } => {
                // A wrapper's end is not QEMU's, and who sees less later knows less.
                if *pid == self.qemu.or(self.launcher) && !self.is_end_told() {
                    self.end = Some(End {
                        exit: *exit,
                        boot: boot.clone(),
                        words: words.clone(),
                    });
                }
            }
            Event::Gap if self.end.as_ref().is_some_and(|end| end.exit.is_some()) => {}
            Event::Gap => {
                self.loses_lines();
                // By their bytes lines that are lost are known where they are.
                if self.shutdown.is_none() || record.at.is_some() {
                    self.went_on = self.went_on.or(Some(WentOn::Perhaps));
                }
            }
            Event::Launched(_)
            | Event::ContinueRefused(_)
            | Event::SuspendedToDisk
            | Event::Checkpoint(_)
            | Event::SpawnFailed { .. }
            | Event::Other => {}
        }
    }

    /// What is lost may be anything.
    fn loses_lines(&mut self) {
        self.gap = true;
        self.may_be_snapshot = false;
        if self.outgoing == Outgoing::Undecided {
            self.outgoing = Outgoing::Copied;
        }
        if self.state == State::Crashed || self.outlives_power_off() {
            self.panic_is_past = true;
        }
        // What nothing outlives is how it ends.
        let obeyed = matches!(
            self.shutdown,
            Some((ShutdownCause::HostSignal | ShutdownCause::HostQmpQuit, _))
        );
        if self.stays || self.outlives_power_off() && !obeyed {
            // It may have been started afresh since.
            self.outlived |= self.shutdown.is_some();
            self.shutdown = None;
        }
        self.outlived |= self.held;
    }

    fn falls_asleep(&mut self) {
        if self.runs() {
            self.asleep = true;
            self.state = State::PmSuspended;
            self.stopped_at = self.now;
        }
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    fn run(&mut self, reason: Running) {
        self.begins();
        if !self.runs() {
            self.runs_since = self.now;
        }
        self.state = State::Running(reason);
    }

    pub(super) fn stand(&mut self, reason: Paused) {
        if self.state != State::Paused(reason) {
            self.stands_since = self.now;
        }
        self.state = State::Paused(reason);
    }

    /// News only while QEMU has said nothing else.
    fn status(&mut self, status: RunStatus) {
        if self.began || self.state != State::Paused(Paused::StartingUp) {
            return;
        }
        let stays = self.begin == Begin::Paused;
        match (status, self.kind) {
            (RunStatus::Running, _) => self.resumed(),
            (RunStatus::InMigrate, LaunchKind::Incoming) => self.stand(Paused::Migrating),
            (RunStatus::Paused, LaunchKind::Incoming) => self.arrived_standing(),
            (RunStatus::Paused, LaunchKind::Restore) if stays => self.arrived_standing(),
            (RunStatus::Prelaunch | RunStatus::Paused, LaunchKind::Snapshot) if stays => {
                self.begins();
                self.stand(Paused::FromSnapshot);
            }
            (RunStatus::Prelaunch | RunStatus::Paused, _) if stays => self.arrived_standing(),
            _ => {}
        }
    }

    /// What was ended before was not the guest.
    fn begins(&mut self) {
        if !std::mem::replace(&mut self.began, true) {
            let sent = self.asked.iter_mut().filter(|asked| is_destroy(asked.verb));
            sent.for_each(|asked| asked.acted = false);
        }
    }

    fn arrived_standing(&mut self) {
        self.begins();
        self.stand(Paused::User);
    }
}
