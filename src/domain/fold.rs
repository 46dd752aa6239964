//! The fold: from the records of one run to what is known of it. [`Fold::apply`] is the table of what each
//! event means while QEMU lives; [`Fold::answer`] closes it with whether QEMU still does.
//!
//! The rules are libvirt's (`src/qemu/qemu_process.c`, 11.3) where libvirt has them. What restarts the
//! guest, RESET or RESUME, clears every pending end: a panic that was survived is no longer why it ended.

use super::ending;
use super::event::{
    Begin, BootId, Event, Exit, Launch, LaunchKind, LogWords, PanicAction, Process, Record,
    RunStatus, ShutdownCause, Timestamp, Verb, WatchdogAction,
};
use super::intent::{Intents, Progress};
use super::state::{Paused, Running, State};
use super::trace::{Exited, Machine, Panic, Shutdown, StopCause, WatchdogEnd};

/// How long after it was told a cause may still explain a STOP. QEMU tells at most a second late.
const STOP_CAUSE_EXPIRES_MICROS: u64 = 10_000_000;

/// How long after a STOP the guest's own shutdown may still be told: QEMU stops the processors before it comes to what
/// they asked of it last.
const STOPPING_MICROS: u64 = 1_000_000;

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
    /// STOP, RESUME or another change was seen: QEMU's first status reply is no news any more.
    pub moved: bool,
    /// QEMU waits for a migration stream.
    pub incoming: bool,
    /// QEMU sends the guest somewhere else: to another QEMU, or into a file.
    pub outgoing: bool,
    /// An outgoing migration completed: the guest lives elsewhere now.
    pub migrated_away: bool,
    /// Suspended to RAM, even if stopped on top of it.
    pub suspended: bool,
    /// Stopped on top of that: RESUME leads back into sleep.
    pub stopped_asleep: bool,
    /// Why the last or the next STOP came, where something said so, and when it said so.
    pub stop_cause: Option<(StopCause, Option<Timestamp>)>,
    /// A panic that nothing has restarted the guest from; `info` is JSON text.
    pub panic: Option<Panic>,
    pub shutdown: Option<Shutdown>,
    /// The watchdog fired, and what it did may end the run.
    pub watchdog: Option<WatchdogEnd>,
    pub intents: Intents,
    pub launcher_exit: Option<Exited>,
    pub qemu_exit: Option<Exited>,
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
            moved: false,
            incoming: false,
            outgoing: false,
            migrated_away: false,
            suspended: false,
            stopped_asleep: false,
            stop_cause: None,
            panic: None,
            shutdown: None,
            watchdog: None,
            intents: Intents::default(),
            launcher_exit: None,
            qemu_exit: None,
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
            Event::Reset(_) => self.reset(at),
            Event::ShutDown(cause) => self.shut_down(*cause, at),
            Event::Suspended => {
                self.moved = true;
                self.suspended = true;
                self.enter(State::PmSuspended, at);
            }
            Event::Woken => {
                if self.suspended {
                    self.suspended = false;
                    self.enter(State::Running(Running::EventWakeup), at);
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
            Event::Asked { verb, actor } => self.asked(*verb, actor, at),
            Event::Sent { verb, pid } => self.intents.advance(*verb, *pid, Progress::Sent),
            Event::Done { verb, pid } => self.intents.advance(*verb, *pid, Progress::Done),
            Event::Failed { verb, pid, .. } => self.intents.withdraw(*verb, *pid),
            Event::Exited {
                pid,
                exit,
                boot,
                words,
            } => self.exited(*pid, *exit, boot, words, at),
            Event::Checkpoint(checkpoint) => *self = checkpoint.fold.clone(),
            Event::SpawnFailed { message } => self.refusal = Some(message.clone()),
            Event::Gap => self.lines_lost(),
            Event::CrashLoaded | Event::SuspendedToDisk | Event::Other => {}
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

    /// QEMU announced its end and was not told to stay: it is on its way out.
    pub fn is_leaving(&self) -> bool {
        let shut_down = self.shutdown.as_ref().is_some_and(|shutdown| {
            // Where the guest stood already no STOP tells whether QEMU stays; these two it always obeys.
            let goes = matches!(
                shutdown.cause,
                ShutdownCause::HostSignal | ShutdownCause::HostQmpQuit
            );
            !shutdown.stayed && (shutdown.machine == Machine::Ran || goes)
        });
        let powered_off = self.watchdog == Some(WatchdogEnd::PoweredOff);
        let panicked = self.panic.is_some() && self.live == State::InShutdown;
        shut_down || powered_off || panicked
    }

    fn enter(&mut self, state: State, at: Option<Timestamp>) {
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
                self.incoming = true;
                self.enter(State::Paused(Paused::Migrating), at);
            }
            // With `cont` behind it in the recorder, prelaunch is only the last step of starting.
            RunStatus::Prelaunch | RunStatus::Paused => {
                let begin = self.launch.as_ref().map_or(Begin::Running, |l| l.begin);
                if begin == Begin::Paused {
                    self.began = at;
                    self.enter(State::Paused(Paused::User), at);
                }
            }
            RunStatus::Other => {}
        }
    }

    fn begin_running(&mut self, at: Option<Timestamp>) {
        let kind = self.launch.as_ref().map_or(LaunchKind::Boot, |l| l.kind);
        let reason = match kind {
            _ if self.incoming => Running::Migrated,
            LaunchKind::Boot => Running::Booted,
            LaunchKind::Incoming => Running::Migrated,
            LaunchKind::Snapshot => Running::FromSnapshot,
        };
        self.began = at;
        self.incoming = false;
        self.enter(State::Running(reason), at);
    }

    fn resumed(&mut self, at: Option<Timestamp>) {
        self.moved = true;
        self.clear_ends();
        self.stop_cause = None;
        self.migrated_away = false;
        if std::mem::take(&mut self.stopped_asleep) {
            // QEMU 10 and 11: STOP and RESUME on top of S3 lead back into it.
            self.enter(State::PmSuspended, at);
        } else if std::mem::take(&mut self.suspended) {
            // Without a STOP before it: another state was loaded (loadvm on 7.2).
            self.enter(State::Running(Running::Unpaused), at);
        } else if self.began.is_none() {
            self.begin_running(at);
        } else if !matches!(self.live, State::Running(_)) {
            self.enter(State::Running(Running::Unpaused), at);
        }
        self.intents.settle(&[Verb::Suspend, Verb::Resume]);
    }

    fn stopped(&mut self, at: Option<Timestamp>) {
        self.moved = true;
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.stayed = true;
            if self.panic.is_some() {
                // -no-shutdown: QEMU stays, as it does for panic=pause.
                self.enter(State::Crashed, at);
            }
            return;
        }
        // libvirt ignores STOP unless the domain runs: a state that is already stopped keeps its reason.
        self.stopped_asleep = self.suspended;
        if !matches!(self.live, State::Running(_)) || self.suspended {
            return;
        }
        let reason = match self.pending_stop_cause(at) {
            _ if self.intents.recent(&[Verb::Suspend], at).is_some() => Paused::User,
            Some(StopCause::IoError(_)) => Paused::IoError,
            Some(StopCause::Watchdog) => Paused::Watchdog,
            None if self.outgoing => Paused::Migrating,
            None => Paused::Unknown,
        };
        self.enter(State::Paused(reason), at);
    }

    /// What may have caused a STOP at `at`. A cause that came late, after the RESUME that undid its STOP,
    /// must not explain a stop of much later.
    fn pending_stop_cause(&self, at: Option<Timestamp>) -> Option<&StopCause> {
        let (cause, told) = self.stop_cause.as_ref()?;
        let age = match (at, told) {
            (Some(at), Some(told)) => at.0.saturating_sub(told.0),
            _ => 0,
        };
        (age <= STOP_CAUSE_EXPIRES_MICROS).then_some(cause)
    }

    /// A reason for the guest to stop. QEMU 10 limits the rate of BLOCK_IO_ERROR and 7.2 that of WATCHDOG,
    /// so it may come after the STOP that it explains.
    fn stop_explained(&mut self, cause: StopCause, at: Option<Timestamp>) {
        if self.live == State::Paused(Paused::Unknown) {
            self.live = State::Paused(match cause {
                StopCause::IoError(_) => Paused::IoError,
                StopCause::Watchdog => Paused::Watchdog,
            });
        }
        self.stop_cause = Some((cause, at));
    }

    fn reset(&mut self, at: Option<Timestamp>) {
        self.clear_ends();
        let stopped_anew = match self.live {
            State::Crashed => Some(Paused::Crashed),
            State::InShutdown | State::PmSuspended => Some(Paused::User),
            State::Running(_) | State::Paused(_) | State::ShutOff(_) => None,
        };
        self.suspended = false;
        self.stopped_asleep = false;
        if !matches!(self.live, State::Paused(Paused::IoError | Paused::Watchdog)) {
            self.stop_cause = None;
        }
        if let Some(reason) = stopped_anew {
            self.enter(State::Paused(reason), at);
        }
    }

    /// The guest was started afresh: how it might have ended before is history.
    fn clear_ends(&mut self) {
        self.panic = None;
        self.shutdown = None;
        self.watchdog = None;
    }

    fn shut_down(&mut self, cause: ShutdownCause, at: Option<Timestamp>) {
        self.moved = true;
        // QEMU outlived the reset of a guest that stood: what it announces now is how it ends.
        let first = self.shutdown.as_ref();
        if first.is_some_and(|first| !first.is_reset_of_standing_guest()) {
            return;
        }
        let machine = match self.live {
            State::Running(_) => Machine::Ran,
            State::Paused(_) if self.is_younger(STOPPING_MICROS, at) => Machine::JustStopped,
            State::Paused(_)
            | State::Crashed
            | State::InShutdown
            | State::ShutOff(_)
            | State::PmSuspended => Machine::Stood,
        };
        self.shutdown = Some(Shutdown {
            cause,
            machine,
            at,
            stayed: false,
        });
        if self.began.is_some() && self.live != State::Crashed {
            self.enter(State::InShutdown, at);
        }
    }

    /// Whether the state began less than this before `at`.
    fn is_younger(&self, micros: u64, at: Option<Timestamp>) -> bool {
        let times = self.since.zip(at);
        times.is_some_and(|(since, at)| at.0.abs_diff(since.0) < micros)
    }

    fn watchdog_fired(&mut self, action: WatchdogAction, at: Option<Timestamp>) {
        match action {
            WatchdogAction::Pause => self.stop_explained(StopCause::Watchdog, at),
            WatchdogAction::Poweroff => {
                self.watchdog = Some(WatchdogEnd::PoweredOff);
                self.enter(State::InShutdown, at);
            }
            WatchdogAction::Reset => self.watchdog = Some(WatchdogEnd::Reset),
            WatchdogAction::Other => {}
        }
    }

    fn panicked(&mut self, action: PanicAction, info: Option<&String>, at: Option<Timestamp>) {
        let state = match action {
            // The guest goes on: a later shutdown is an ordinary one.
            PanicAction::Run => return,
            PanicAction::Pause => State::Crashed,
            // QEMU is leaving, so it is not over yet: `wait` would return, and `start` after it be refused.
            PanicAction::Poweroff => State::InShutdown,
        };
        self.moved = true;
        let info = info.cloned();
        self.panic = Some(Panic { info, at });
        self.enter(state, at);
    }

    fn migration_changed(&mut self, status: &str, at: Option<Timestamp>) {
        match status {
            "completed" if self.outgoing => {
                self.outgoing = false;
                self.migrated_away = true;
            }
            "completed" if self.incoming && self.began.is_none() => {
                // A guest that was paused at the source: no RESUME will come.
                self.began = at;
                self.incoming = false;
                self.enter(State::Paused(Paused::User), at);
            }
            "failed" | "cancelled" => self.outgoing = false,
            "setup" | "active" if self.began.is_some() => self.outgoing = true,
            _ => {}
        }
    }

    fn asked(&mut self, verb: Verb, actor: &super::event::Actor, at: Option<Timestamp>) {
        // A guest that is on its way out, or gone, was not ended by who asks now.
        let is_ending = self.is_leaving() || self.has_end();
        let too_late = ending::ENDING_VERBS.contains(&verb) && is_ending;
        if !too_late {
            self.intents
                .ask(verb, actor.clone(), at.unwrap_or_default());
        }
    }

    fn exited(
        &mut self,
        pid: Option<u32>,
        exit: Option<Exit>,
        boot: &BootId,
        words: &LogWords,
        at: Option<Timestamp>,
    ) {
        let exited = Exited {
            exit,
            boot: boot.clone(),
            words: words.clone(),
            at,
        };
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

    fn lines_lost(&mut self) {
        self.gap = true;
        // A guest that shut down and stayed may have been reset and resumed in the lines that are gone.
        if self.shutdown.as_ref().is_some_and(|s| s.stayed) {
            self.shutdown = None;
        }
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
