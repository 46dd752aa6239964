//! The model: what is true of a domain, from libvirt's rules and domstate's list of differences, by somebody who has not
//! seen the fold.
//!
//! Simple rather than complete. It leaves out: causes and certainty (the properties look at those), jobs whose worker
//! died (what is done about them is events again), damaged files, and orders of events that no QEMU sends.

use domstate::domain::{
    Begin, BootId, Event, Exit, LaunchKind, LogWords, OnPoweroff, PanicAction, Paused, Record,
    RunStatus, Running, ShutdownCause, State, Verb, WatchdogAction,
};

/// For how long a request can be why something happens.
const ASKED_MICROS: u64 = 30_000_000;

/// How the process ended, as far as anybody knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct End {
    pub(crate) exit: Option<Exit>,
    pub(crate) boot: BootId,
    pub(crate) words: LogWords,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    pid: u32,
    at: u64,
    /// SENT or DONE was written.
    pub(crate) acted: bool,
    /// The guest ran on: whatever was made of it, it is not that any more.
    void: bool,
}

/// Where a guest is that is sent to another QEMU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outgoing {
    No,
    /// Its memory is copied while it runs here.
    Copied,
    /// It runs there, and fetches from here.
    HandedOver,
    HandedOverAlone,
    Arrived,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Watchdog {
    PoweredOff,
    Reset,
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
    pub(crate) asked: Vec<Asked>,
    pub(crate) panicked: bool,
    /// The first one, and whether the machine ran then.
    pub(crate) shutdown: Option<(ShutdownCause, bool)>,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) outgoing: Outgoing,
    /// An incoming guest runs already, and the rest of it is fetched.
    post_copy: bool,
    reboot: bool,
    launcher: Option<u32>,
    qemu: Option<u32>,
    pub(crate) end: Option<End>,
    pub(crate) gap: bool,
    /// After its power-off QEMU stopped it: it stays.
    stays: bool,
    all_here: bool,
    shut_down_stopped: bool,
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
            exit_device: launch.exit_device,
            on_poweroff: launch.lifecycle.on_poweroff,
            began: false,
            state: State::Paused(Paused::StartingUp),
            ran: Running::Unknown,
            asleep: false,
            stopped_asleep: false,
            announced: None,
            unexplained: false,
            asked: Vec::new(),
            panicked: false,
            shutdown: None,
            watchdog: None,
            outgoing: Outgoing::No,
            post_copy: false,
            reboot: false,
            launcher: None,
            qemu: None,
            end: None,
            gap: false,
            stays: false,
            all_here: false,
            shut_down_stopped: false,
            stopped_at: 0,
            now: record.at.unwrap_or_default().0,
        }
    }

    pub(crate) fn see(&mut self, record: &Record) {
        self.now = record.at.map_or(self.now, |at| at.0);
        match &record.event {
            Event::Spawned(process) => self.launcher = Some(process.pid),
            Event::Identified(process) => self.qemu = Some(process.pid),
            Event::StatusReported(status) => self.status(*status),
            Event::Stopped => self.stopped(),
            Event::Resumed => self.resumed(),
            Event::Reset(_) => self.reset(),
            Event::ShutDown(cause) => self.shut_down(*cause),
            Event::Suspended => {
                if self.runs() {
                    self.asleep = true;
                    self.state = State::PmSuspended;
                }
            }
            Event::Woken => {
                if self.state == State::PmSuspended {
                    self.run(Running::EventWakeup);
                }
                self.asleep = false;
            }
            Event::WatchdogFired(action) => self.watchdog(*action),
            Event::Panicked { action, .. } => self.panicked(*action),
            Event::IoFailed { stops_guest, .. } => {
                if *stops_guest {
                    self.announce(Paused::IoError);
                }
            }
            Event::MigrationChanged(word) => self.migration(word),
            Event::Asked { verb, actor, .. } => self.ask(*verb, actor.pid),
            Event::Sent { verb, pid } => {
                self.acted(*verb, *pid);
                if *verb == Verb::SnapshotRevert {
                    self.reverted();
                }
            }
            Event::Done { verb, pid } => {
                self.acted(*verb, *pid);
                self.done(*verb);
            }
            Event::Failed { verb, pid, .. } => {
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
                // A wrapper's end is not QEMU's.
                if *pid == self.qemu.or(self.launcher) {
                    self.end = Some(End {
                        exit: *exit,
                        boot: boot.clone(),
                        words: words.clone(),
                    });
                }
            }
            Event::Gap => {
                self.gap = true;
                if self.stays || self.restarts_by_policy() {
                    // It may have been started afresh since.
                    self.shutdown = None;
                }
            }
            Event::Launched(_)
            | Event::ContinueRefused(_)
            | Event::SuspendedToDisk
            | Event::CrashLoaded
            | Event::Checkpoint(_)
            | Event::SpawnFailed { .. }
            | Event::Other => {}
        }
    }

    fn runs(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    fn run(&mut self, reason: Running) {
        self.began = true;
        self.state = State::Running(reason);
    }

    fn stand(&mut self, reason: Paused) {
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
                self.began = true;
                self.stand(Paused::FromSnapshot);
            }
            (RunStatus::Prelaunch | RunStatus::Paused, _) if stays => self.arrived_standing(),
            _ => {}
        }
    }

    fn arrived_standing(&mut self) {
        self.began = true;
        self.stand(Paused::User);
    }

    fn stopped(&mut self) {
        if self.shutdown.is_some() {
            self.stays = true;
            return;
        }
        self.stopped_asleep = self.asleep;
        if !self.runs() {
            return;
        }
        let announced = self.announced.take();
        let why = self.reason_asked().or(announced).or(self.reason_outgoing());
        self.unexplained = why.is_none();
        self.stand(why.unwrap_or(Paused::Unknown));
        self.stopped_at = self.now;
    }

    /// What the guest is stopped for, of what was asked.
    fn reason_asked(&self) -> Option<Paused> {
        self.newest().find_map(|asked| match asked.verb {
            Verb::Suspend => Some(Paused::User),
            Verb::Save | Verb::ManagedSave => Some(Paused::Saving),
            Verb::Dump | Verb::DumpCrash | Verb::DumpReset | Verb::CrashDump => {
                Some(Paused::Dumping)
            }
            Verb::SnapshotCreate | Verb::SnapshotHalt => Some(Paused::CreatingSnapshot),
            Verb::SnapshotRevert => Some(Paused::FromSnapshot),
            _ => None,
        })
    }

    fn reason_outgoing(&self) -> Option<Paused> {
        match self.outgoing {
            Outgoing::No | Outgoing::Arrived => None,
            Outgoing::HandedOver => Some(Paused::PostCopy),
            Outgoing::HandedOverAlone => Some(Paused::PostCopyFailed),
            Outgoing::Copied => Some(Paused::Migrating),
        }
    }

    fn resumed(&mut self) {
        if self.runs() {
            return;
        }
        if self.asleep && self.stopped_asleep {
            self.stopped_asleep = false;
            self.state = State::PmSuspended;
            return;
        }
        let asked = |verb| self.newest().any(|asked| asked.verb == verb);
        let reverted = || {
            self.newest()
                .any(|asked| asked.verb == Verb::SnapshotRevert && asked.acted)
        };
        let reason = match self.state {
            _ if !self.began => match self.kind {
                LaunchKind::Boot => Running::Booted,
                LaunchKind::Incoming if self.post_copy => Running::PostCopy,
                LaunchKind::Incoming => Running::Migrated,
                LaunchKind::Restore => Running::Restored,
                LaunchKind::Snapshot => Running::FromSnapshot,
            },
            State::Crashed | State::Paused(Paused::Crashed) if asked(Verb::CrashRestart) => {
                Running::Crashed
            }
            State::Paused(Paused::ShuttingDown) => self.ran,
            // Whoever lets it go on: a save of it comes to nothing.
            _ if asked(Verb::Save) => Running::SaveCanceled,
            State::Paused(Paused::Migrating) if self.outgoing != Outgoing::Arrived => {
                Running::MigrationCanceled
            }
            State::Paused(Paused::FromSnapshot) if reverted() => Running::FromSnapshot,
            _ => Running::Unpaused,
        };
        self.reboot &= self.state != State::Paused(Paused::ShuttingDown);
        self.afresh();
        self.asked
            .retain(|asked| !matches!(asked.verb, Verb::Suspend | Verb::Resume));
        // Where it was to go, or what was written of it, is not what it is any more.
        for asked in self.asked.iter_mut().filter(|asked| ends_guest(asked.verb)) {
            (asked.acted, asked.void) = (false, true);
        }
        if self.outgoing != Outgoing::Copied {
            self.outgoing = Outgoing::No;
        }
        self.run(reason);
    }

    /// Nothing that was to end it counts any more.
    fn afresh(&mut self) {
        self.announced = None;
        self.unexplained = false;
        self.panicked = false;
        self.shutdown = None;
        self.stays = false;
        self.watchdog = None;
        self.asleep = false;
        self.stopped_asleep = false;
    }

    /// Who resets does not matter; the firmware does, again and again.
    fn reset(&mut self) {
        let state = self.state;
        if self.asleep {
            self.afresh();
            self.stand(Paused::User);
            return;
        }
        self.afresh();
        match state {
            State::Crashed => self.stand(Paused::Crashed),
            // It stayed, and was reset by a third party.
            State::InShutdown => self.stand(Paused::User),
            _ => {}
        }
    }

    /// Its power-off need not be the end of QEMU.
    fn restarts_by_policy(&self) -> bool {
        self.reboot || self.on_poweroff != OnPoweroff::Destroy
    }

    /// Another state was loaded into it.
    fn reverted(&mut self) {
        if self.is_on_its_way_out() {
            return;
        }
        self.afresh();
        match self.runs() {
            true => self.run(Running::FromSnapshot),
            false => self.stand(Paused::FromSnapshot),
        }
    }

    fn starts_again(&self) -> bool {
        self.reboot || self.on_poweroff == OnPoweroff::Restart
    }

    fn shut_down(&mut self, cause: ShutdownCause) {
        if let Some((first, ran)) = self.shutdown {
            // QEMU stayed, and is ended: the first one tells. But a reset of a guest that stood ended nothing.
            if ran || first != ShutdownCause::HostQmpSystemReset {
                return;
            }
        }
        // QEMU stops the processors before it comes to what they asked of it last.
        let just_stopped = self.now - self.stopped_at < 1_000_000;
        let stands = matches!(self.state, State::Paused(_));
        let ran = self.runs() || stands && just_stopped;
        self.shutdown = Some((cause, ran));
        self.shut_down_stopped = stands;
        if cause == ShutdownCause::GuestShutdown && ran && self.starts_again() {
            self.ran = match self.state {
                State::Running(reason) => reason,
                // libvirt's word for one that did not run when it was started again.
                _ => Running::Booted,
            };
            self.stand(Paused::ShuttingDown);
        } else if self.began && self.state != State::Crashed {
            // One that panicked stays so until QEMU is gone.
            self.state = State::InShutdown;
        }
    }

    fn watchdog(&mut self, action: WatchdogAction) {
        match action {
            WatchdogAction::Pause => self.announce(Paused::Watchdog),
            WatchdogAction::Poweroff => {
                self.watchdog = Some(Watchdog::PoweredOff);
                self.state = State::InShutdown;
            }
            WatchdogAction::Reset => self.watchdog = Some(Watchdog::Reset),
            WatchdogAction::Other => {}
        }
    }

    /// Before its STOP, or late: QEMU limits how often it says such things.
    fn announce(&mut self, reason: Paused) {
        if self.runs() {
            self.announced = Some(reason);
        } else if self.unexplained {
            self.unexplained = false;
            self.stand(reason);
        }
    }

    fn panicked(&mut self, action: PanicAction) {
        match action {
            PanicAction::Run => return,
            PanicAction::Pause => self.state = State::Crashed,
            PanicAction::Poweroff => self.state = State::InShutdown,
        }
        self.panicked = true;
    }

    fn migration(&mut self, word: &str) {
        // A file, or the guest's own disks, are where it goes.
        let is_elsewhere = |asked: &Asked| is_job(asked.verb) && asked.verb != Verb::Migrate;
        if self.asked.iter().any(is_elsewhere) {
            return;
        }
        match self.kind {
            LaunchKind::Incoming if !self.all_here => self.incoming(word),
            LaunchKind::Restore if !self.began => self.loading(word),
            _ => self.outgoing(word),
        }
    }

    fn loading(&mut self, word: &str) {
        if word == "completed" && self.begin == Begin::Paused {
            self.arrived_standing();
        }
    }

    fn incoming(&mut self, word: &str) {
        match word {
            "postcopy-active" => {
                self.post_copy = true;
                if self.runs() {
                    self.run(Running::PostCopy);
                }
            }
            "postcopy-paused" if self.runs() => self.run(Running::PostCopyFailed),
            "completed" => {
                self.all_here = true;
                match self.state {
                    State::Running(Running::PostCopy | Running::PostCopyFailed) => {
                        self.run(Running::Migrated);
                    }
                    _ if !self.began => self.arrived_standing(),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn outgoing(&mut self, word: &str) {
        self.outgoing = match word {
            "setup" | "active" => Outgoing::Copied,
            "postcopy-active" | "postcopy-device" => Outgoing::HandedOver,
            "postcopy-paused" => Outgoing::HandedOverAlone,
            "completed" => Outgoing::Arrived,
            "failed" | "cancelled" => Outgoing::No,
            _ => self.outgoing,
        };
        let is_for_it = matches!(
            self.state,
            State::Paused(Paused::Migrating | Paused::PostCopy | Paused::PostCopyFailed)
        );
        if is_for_it {
            match self.outgoing {
                Outgoing::HandedOver => self.stand(Paused::PostCopy),
                Outgoing::HandedOverAlone => self.stand(Paused::PostCopyFailed),
                _ => {}
            }
        }
    }

    pub(crate) fn destroy_announced(&self) -> bool {
        self.newest().any(|asked| is_destroy(asked.verb))
    }

    pub(crate) fn reset_asked(&self) -> bool {
        self.newest().any(|asked| asked.verb == Verb::Reset)
    }

    /// It stood, if only for a moment, when it shut down.
    pub(crate) fn stopped_first(&self) -> bool {
        self.shut_down_stopped
    }

    /// Requests that count still, the newest first.
    fn newest(&self) -> impl Iterator<Item = &Asked> {
        // A job is under way until it is over, however long it takes.
        let is_young = |asked: &Asked| self.now.abs_diff(asked.at) <= ASKED_MICROS;
        let counts = move |asked: &&Asked| is_young(asked) || is_job(asked.verb);
        self.asked.iter().rev().filter(counts)
    }

    fn ask(&mut self, verb: Verb, pid: u32) {
        if is_destroy(verb) && self.is_on_its_way_out() {
            // It is not why.
            return;
        }
        if verb == Verb::Reboot && !self.is_on_its_way_out() {
            self.reboot = true;
        }
        self.asked.push(Asked {
            verb,
            pid,
            at: self.now,
            acted: false,
            void: false,
        });
    }

    fn is_on_its_way_out(&self) -> bool {
        let shut_down = match self.shutdown {
            Some((ShutdownCause::HostSignal | ShutdownCause::HostQmpQuit, _)) => true,
            Some((_, ran)) => ran && !self.shut_down_stopped,
            None => false,
        };
        let shut_down = shut_down && !self.stays;
        let panicked = self.panicked && self.state == State::InShutdown;
        shut_down || panicked || self.watchdog == Some(Watchdog::PoweredOff) || self.end.is_some()
    }

    fn acted(&mut self, verb: Verb, pid: u32) {
        let mut asked = self.asked.iter_mut().rev();
        if let Some(asked) = asked.find(|asked| (asked.verb, asked.pid) == (verb, pid)) {
            asked.acted = !asked.void;
        }
    }

    /// Jobs that leave the guest here are over and done with.
    fn done(&mut self, verb: Verb) {
        if matches!(verb, Verb::Shutdown | Verb::Reboot) {
            self.reboot = false;
        }
        let over = matches!(
            verb,
            Verb::Dump | Verb::DumpReset | Verb::SnapshotCreate | Verb::SnapshotRevert
        );
        if over {
            self.asked.retain(|asked| asked.verb != verb);
        }
    }
}

/// Requests that end the guest when they are carried out, and leave something of it.
fn ends_guest(verb: Verb) -> bool {
    use Verb::{DumpCrash, ManagedSave, Migrate, Save, SnapshotHalt};
    matches!(
        verb,
        Save | ManagedSave | DumpCrash | SnapshotHalt | Migrate
    )
}

pub(crate) fn is_destroy(verb: Verb) -> bool {
    matches!(verb, Verb::Destroy | Verb::Run | Verb::RunTimeout)
}

/// Requests that take their time.
fn is_job(verb: Verb) -> bool {
    use Verb::{Dump, DumpReset, SnapshotCreate, SnapshotRevert};
    ends_guest(verb) || matches!(verb, Dump | DumpReset | SnapshotCreate | SnapshotRevert)
}
