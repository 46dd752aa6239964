//! The fold: from the records of one run to what is known of it. [`Fold::apply`] is the table of what each
//! event means while QEMU lives; [`Fold::answer`] closes it with whether QEMU still does.
//!
//! The rules are libvirt's (`src/qemu/qemu_process.c`, 11.3) where libvirt has them. What restarts the
//! guest, RESET, RESUME or WAKEUP, clears every pending end: a panic that was survived is no longer why it ended.

use super::ending::ENDING_VERBS;
use super::event::{
    Begin, Checkpoint, Event, Exit, Launch, LaunchKind, Process, Record, Rules, RunStatus,
    Timestamp,
};
use super::intent::{Intents, Progress};
use super::job::PendingJob;
use super::policy::{OnPoweroff, OnReboot};
use super::state::{Paused, Running, State};
use super::trace::{
    Exited, Machine, Panic, PassedPanic, Reboot, Restart, Shutdown, StopCause, WatchdogEnd,
};
use super::transfer::{Copying, Transfer};

/// Everything that an answer may depend on, of one run, up to some line of its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    pub launch: Option<Launch>,
    pub launched_at: Option<Timestamp>,
    /// What was spawned: QEMU, or a wrapper round it.
    pub launcher: Option<Process>,
    /// QEMU itself, once the control socket has named it.
    pub qemu: Option<Process>,
    /// When the run began: the first RESUME, or stopped and meant to be.
    pub began: Option<Timestamp>,
    /// The state as long as QEMU lives.
    pub live: State,
    pub since: Option<Timestamp>,
    /// The last RESUME.
    pub resumed: Option<Timestamp>,
    /// STOP, RESUME or another change was seen: QEMU's first status reply is no news any more.
    pub moved: bool,
    /// Whether the guest is on its way from or to somewhere else.
    pub transfer: Transfer,
    /// Suspended to RAM, even if stopped on top of it.
    pub suspended: bool,
    /// Stopped on top of that: RESUME leads back into sleep.
    pub stopped_asleep: bool,
    /// Why the last or the next STOP came, where something said so, and when it said so.
    pub stop_cause: Option<(StopCause, Option<Timestamp>)>,
    /// A panic that nothing has restarted the guest from; `info` is JSON text.
    pub panic: Option<Panic>,
    /// Until a reset, it is this guest's.
    pub passed_panic: Option<PassedPanic>,
    pub shutdown: Option<Shutdown>,
    /// The watchdog fired, and what it did may end the run.
    pub watchdog: Option<WatchdogEnd>,
    pub intents: Intents,
    /// A save or dump that is under way, or was when its worker died.
    pub job: Option<PendingJob>,
    /// A restored guest is in memory, and stands.
    pub loaded: bool,
    /// The guest is being started afresh.
    pub restart: Option<Restart>,
    pub reboot: Option<Reboot>,
    /// When the guest was last restarted after a panic: the last few times, oldest first.
    pub restarts: Vec<Timestamp>,
    pub launcher_exit: Option<Exited>,
    pub qemu_exit: Option<Exited>,
    /// Its QEMU has outlived a shutdown of its guest, and ends with the status that was given with that, whatever comes then (8.2
    /// to 11: `shutdown_exit_code` is never reset).
    pub outlived: bool,
    /// Why QEMU would not let the guest run.
    pub refusal: Option<String>,
    /// Lines were lost since the run began.
    pub gap: bool,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            launch: None,
            launched_at: None,
            launcher: None,
            qemu: None,
            began: None,
            live: State::Paused(Paused::StartingUp),
            since: None,
            resumed: None,
            moved: false,
            transfer: Transfer::None,
            suspended: false,
            stopped_asleep: false,
            stop_cause: None,
            panic: None,
            passed_panic: None,
            shutdown: None,
            watchdog: None,
            intents: Intents::default(),
            job: None,
            loaded: false,
            restart: None,
            reboot: None,
            restarts: Vec::new(),
            launcher_exit: None,
            qemu_exit: None,
            outlived: false,
            refusal: None,
            gap: false,
        }
    }
}

impl Fold {
    /// Takes one more record into account.
    pub fn apply(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::Launched(launch) => self.launched(launch, at),
            Event::Spawned(process) => self.launcher = Some(*process),
            Event::Identified(process) => self.qemu = Some(*process),
            Event::StatusReported(status) => self.status_reported(*status),
            Event::ContinueRefused(why) => self.refusal = Some(why.clone()),
            Event::Stopped => self.stopped(at),
            Event::Resumed => self.resumed(at),
            Event::Reset(by) => self.reset(*by, at),
            Event::ShutDown(cause) => self.shut_down(*cause, at),
            Event::Suspended => {
                self.moved = true;
                self.suspended = true;
                if !self.is_written_for_job() {
                    // No STOP tells when the last of a guest goes that sleeps.
                    self.may_leave();
                }
                self.enter(State::PmSuspended, at);
            }
            Event::Woken => {
                let stands = std::mem::take(&mut self.stopped_asleep);
                if std::mem::take(&mut self.suspended) {
                    // It may have been asleep when it panicked or shut down, and QEMU was told to stay.
                    self.clear_ends();
                    self.restart = None;
                    self.enter(
                        match stands {
                            // QEMU 7.2 wakes a guest that it saves, and stops it.
                            true => State::Paused(Paused::Unknown),
                            false => State::Running(Running::EventWakeup),
                        },
                        at,
                    );
                    if !stands {
                        self.take_back_job();
                    }
                }
            }
            Event::WatchdogFired(action) => self.watchdog_fired(*action, at),
            Event::Panicked { action, info } => self.panicked(*action, info.as_ref(), at),
            Event::IoFailed { error, stops_guest } => {
                if *stops_guest {
                    self.stop_explained(StopCause::IoError(error.clone()), at);
                }
            }
            Event::MigrationChanged(status) => self.migration_changed(status, at),
            Event::Asked { verb, actor, job } => self.asked(*verb, actor, job.as_deref(), at),
            Event::StreamAsked { verb, pid } => self.stream_asked(*verb, *pid),
            Event::StreamAnswered { verb, pid, answer } => {
                self.stream_answered(*verb, *pid, *answer);
            }
            Event::Sent { verb, pid } => self.advanced(*verb, *pid, Progress::Sent, at),
            Event::TakenBack { verb, pid } => self.taken_back(*verb, *pid),
            Event::Done { verb, pid } => self.advanced(*verb, *pid, Progress::Done, at),
            Event::Failed { verb, pid, message } => self.failed(*verb, *pid, message, at),
            Event::Exited {
                pid,
                exit,
                boot,
                words,
                oom,
            } => {
                let exited = Exited {
                    exit: *exit,
                    boot: boot.clone(),
                    words: words.clone(),
                    oom: oom.clone(),
                    at,
                };
                self.exited(*pid, exited);
            }
            Event::Checkpoint(checkpoint) => self.summed_up(checkpoint),
            Event::SpawnFailed { message } => self.refusal = Some(message.clone()),
            // One that was found by its bytes stands where they are lost. What is only feared to be lost may be so in front.
            Event::Gap => self.lines_lost(at.is_none()),
            Event::CrashLoaded => self.passed_panic = Some(PassedPanic::CrashLoaded),
            Event::SuspendedToDisk | Event::Other => {}
        }
    }

    /// Whether the end of QEMU itself is on record.
    pub fn has_end(&self) -> bool {
        self.end().is_some()
    }

    /// How QEMU ended, as recorded. A wrapper's end counts for QEMU's only where nothing tells them apart.
    pub fn end(&self) -> Option<&Exited> {
        match self.qemu {
            Some(_) => self.qemu_exit.as_ref(),
            None => self.qemu_exit.as_ref().or(self.launcher_exit.as_ref()),
        }
    }

    /// Whether QEMU ended by a signal that was no SIGTERM, or by itself, by the record or as `seen` just now: who obeys that says
    /// so first, and ends with status 0.
    pub fn was_ended_by_another(&self, seen: Option<Exit>) -> bool {
        let exit = self.end().and_then(|end| end.exit).or(seen);
        let is_killed = matches!(exit, Some(Exit::Signal { signal, .. }) if signal != 15);
        is_killed && self.shutdown.is_none() || self.ended_by_itself(seen)
    }

    /// Whether QEMU ended with a status that nobody's signal makes it end with, and said nothing. A wrapper's tells nothing.
    pub fn ended_by_itself(&self, seen: Option<Exit>) -> bool {
        let exit = self.end().and_then(|end| end.exit).or(seen);
        let failed = matches!(exit, Some(Exit::Status(status)) if status != 0);
        let is_silent = self.shutdown.is_none() && !self.may_keep_status();
        failed && is_silent && self.qemu.is_some()
    }

    pub(super) fn has_exit_device(&self) -> bool {
        let launch = self.launch.as_ref();
        launch.is_some_and(|launch| launch.exit_device.is_there())
    }

    /// Whether a status without a word may be that of an earlier shutdown. Where no line is lost QEMU went by another way than
    /// that which has it end with the one that it has kept.
    pub(super) fn may_keep_status(&self) -> bool {
        self.gap && (self.outlived || self.outlives_power_off())
    }

    /// QEMU announced its end and was not told to stay: it is on its way out.
    pub fn is_leaving(&self) -> bool {
        let shut_down = self.shutdown.as_ref().is_some_and(|shutdown| {
            // Where the guest stood already no STOP tells whether QEMU stays.
            let tells = shutdown.machine == Machine::Ran || shutdown.is_obeyed();
            tells && !self.may_outlive(shutdown)
        });
        let powered_off = self.watchdog == Some(WatchdogEnd::PoweredOff);
        let panicked = self.panic.is_some() && self.live == State::InShutdown;
        shut_down || powered_off || panicked
    }

    /// Whether a reset is the end of the run (`-no-reboot`).
    pub fn resets_end_it(&self) -> bool {
        let launch = self.launch.as_ref();
        launch.is_some_and(|launch| launch.lifecycle.on_reboot == OnReboot::Destroy)
    }

    /// Whether QEMU may have stayed after this: then somebody may have started the guest again.
    pub(super) fn may_outlive(&self, shutdown: &Shutdown) -> bool {
        shutdown.stayed || self.outlives_power_off() && !shutdown.is_obeyed()
    }

    /// Whether QEMU is to stay when its guest shuts down.
    fn outlives_power_off(&self) -> bool {
        let policy = self.launch.as_ref().map(|l| l.lifecycle.on_poweroff);
        self.reboot.is_some() || policy.is_some_and(|policy| policy != OnPoweroff::Destroy)
    }

    pub(super) fn enter(&mut self, state: State, at: Option<Timestamp>) {
        if self.live != state {
            self.live = state;
            self.since = at;
        }
    }

    fn launched(&mut self, launch: &Launch, at: Option<Timestamp>) {
        *self = Self {
            launch: Some(launch.clone()),
            launched_at: at,
            since: at,
            gap: self.gap,
            passed_panic: launch.may_have_panicked.then_some(PassedPanic::Lost),
            ..Self::default()
        };
    }

    fn status_reported(&mut self, status: RunStatus) {
        // QEMU 11.1 with -incoming answers after its first RESUME: by then the reply is old.
        if self.moved {
            return;
        }
        // The reply carries no time; the run's own beginning is the nearest that is known.
        let at = self.since;
        match status {
            RunStatus::Running => self.begin_running(at),
            RunStatus::InMigrate => {
                self.transfer = Transfer::Arriving(Copying::PreCopy);
                if self.kind() != LaunchKind::Restore {
                    self.enter(State::Paused(Paused::Migrating), at);
                }
            }
            // It would be inmigrate still; prelaunch is what a guest is in that was saved between its reset and its start.
            RunStatus::Paused | RunStatus::Prelaunch if self.kind() == LaunchKind::Restore => {
                self.loaded(at);
            }
            // With `cont` behind it in the recorder, prelaunch is only the last step of starting.
            RunStatus::Prelaunch | RunStatus::Paused => {
                let begin = self.launch.as_ref().map_or(Begin::Running, |l| l.begin);
                if begin == Begin::Paused {
                    self.begins(at);
                    let reason = match self.kind() {
                        LaunchKind::Snapshot => Paused::FromSnapshot,
                        LaunchKind::Boot | LaunchKind::Incoming | LaunchKind::Restore => {
                            Paused::User
                        }
                    };
                    self.enter(State::Paused(reason), at);
                }
            }
            RunStatus::Other => {}
        }
    }

    /// The guest is there. Whoever has ended what was spawned for it, a wrapper, say, has not ended it.
    pub(super) fn begins(&mut self, at: Option<Timestamp>) {
        self.began = at;
        self.intents.unsend(ENDING_VERBS);
    }

    pub(super) fn begin_running(&mut self, at: Option<Timestamp>) {
        let arriving = match self.transfer {
            Transfer::Arriving(copying) => Some(copying),
            Transfer::None | Transfer::Leaving(_) | Transfer::Left | Transfer::Failed => None,
        };
        let reason = match self.kind() {
            LaunchKind::Restore => Running::Restored,
            LaunchKind::Boot | LaunchKind::Incoming if arriving.is_some() => {
                arriving.unwrap_or(Copying::PreCopy).runs()
            }
            LaunchKind::Boot => Running::Booted,
            LaunchKind::Incoming => Running::Migrated,
            LaunchKind::Snapshot => Running::FromSnapshot,
        };
        self.begins(at);
        self.enter(State::Running(reason), at);
    }

    pub(super) fn kind(&self) -> LaunchKind {
        self.launch.as_ref().map_or(LaunchKind::Boot, |l| l.kind)
    }

    /// A saved guest is back in memory.
    pub(super) fn loaded(&mut self, at: Option<Timestamp>) {
        self.loaded = true;
        self.transfer = Transfer::None;
        let begin = self.launch.as_ref().map_or(Begin::Running, |l| l.begin);
        if begin == Begin::Paused {
            self.begins(at);
            self.enter(State::Paused(Paused::User), at);
        }
    }

    fn exited(&mut self, pid: Option<u32>, exited: Exited) {
        let is_launcher = match (pid, self.qemu, self.launcher) {
            (Some(pid), Some(qemu), _) => pid != qemu.pid,
            (Some(pid), None, Some(launcher)) => pid == launcher.pid,
            (_, None, _) | (None, Some(_), _) => false,
        };
        // The first account of an end is the one that was there to see it.
        let slot = if is_launcher {
            &mut self.launcher_exit
        } else {
            &mut self.qemu_exit
        };
        let known = slot.as_ref().is_some_and(|e| e.exit.is_some());
        if !known {
            *slot = Some(exited);
        }
    }

    /// One that was made by other rules counts only where what it sums up is gone.
    fn summed_up(&mut self, checkpoint: &Checkpoint) {
        match checkpoint.rules {
            Rules::Ours => *self = checkpoint.fold.clone(),
            Rules::Others if self.launch.is_none() => *self = checkpoint.fold.of_others(),
            Rules::Others => {}
        }
    }

    /// What this is worth if it was made by other rules. An end is what it was when it was told; of a run that goes on as
    /// little is sure as where lines were lost. Its job is what it was: what a guest was saved in must not be thrown away.
    pub fn of_others(&self) -> Self {
        let mut fold = self.clone();
        if !fold.has_end() {
            fold.lines_lost(false);
        }
        fold
    }

    fn lines_lost(&mut self, is_here: bool) {
        if self.end().is_some_and(|end| end.exit.is_some()) {
            // QEMU said all that it had to say before that was written down.
            return;
        }
        self.gap = true;
        self.intents.lose_lines();
        if self.is_written_for_job() {
            self.goes_away();
        } else if self.transfer == Transfer::Leaving(Copying::Undecided) {
            self.may_leave();
        }
        let may_stay = self.outlives_power_off();
        // The same holds for one that panicked and stands.
        let stands = self.live == State::Crashed;
        if let Some(panic) = &mut self.panic {
            panic.cut |= stands || may_stay;
        }
        // A guest that shut down and stayed may have been reset and resumed in the lines that are gone. That it stayed may
        // itself be gone with them.
        let is_past = |s: &Shutdown| s.stayed || may_stay && !s.is_obeyed();
        // And one that it is to outlive may be among them.
        self.outlived |= self.shutdown.take_if(|s| is_past(s)).is_some() || self.reboot.is_some();
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.cut = true;
        }
        if self.shutdown.is_none() || !is_here {
            self.passed_panic.get_or_insert(PassedPanic::Lost);
        }
    }
}
