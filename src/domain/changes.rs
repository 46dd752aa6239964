//! What QEMU announces while it lives, and what it makes of the state: the guest stops, goes on, is reset, comes to an
//! end. A part of the fold's table.

use super::duty::CRASH_LOOP_RESTARTS;
use super::event::{PanicAction, ResetBy, ShutdownCause, Timestamp, Verb, WatchdogAction};
use super::fold::Fold;
use super::job::{PendingJob, is_save, stands_for};
use super::policy::OnPoweroff;
use super::state::{Paused, Running, State};
use super::trace::{
    Core, Machine, Panic, PassedPanic, Reboot, Restart, Shutdown, StopCause, WatchdogEnd,
};
use super::transfer::{Copying, Transfer};

/// How long after it was told a cause may still explain a STOP. QEMU tells at most a second late.
const STOP_CAUSE_EXPIRES_MICROS: u64 = 10_000_000;

/// How much older than what stands before it a line may be that comes late: QEMU holds one back for a second. Where time has
/// gone back further, the clock was set.
const LATE_MICROS: u64 = 2_000_000;

/// How long after a STOP the guest's own shutdown may still be told: QEMU stops the processors before it comes to what
/// they asked of it last.
pub(super) const STOPPING_MICROS: u64 = 1_000_000;

impl Fold {
    pub(super) fn resumed(&mut self, at: Option<Timestamp>) {
        self.moved = true;
        // Else somebody lets the kernel that panicked run.
        let is_restarted = self.live == State::Paused(Paused::Crashed);
        let restart = self.restart.take();
        let restart = restart.filter(|it| match it {
            Restart::AfterPanic => is_restarted,
            // Else it is another guest by now, of a snapshot.
            Restart::AfterPoweroff(_) => self.live == State::Paused(Paused::ShuttingDown),
        });
        if restart == Some(Restart::AfterPanic) {
            let surplus = (self.restarts.len() + 1).saturating_sub(CRASH_LOOP_RESTARTS);
            self.restarts.drain(..surplus);
            self.restarts.extend(at);
        }
        if let Some(Restart::AfterPoweroff(_)) = restart
            && self.reboot == Some(Reboot::Armed)
        {
            self.reboot = Some(Reboot::Restarted);
            self.intents.settle_acted(Verb::Reboot);
        }
        let reason = self.goes_on_as(restart, at);
        let stood_since = self.since;
        let is_used_up = self.live == State::Paused(Paused::User)
            && self.intents.is_only_asked(Verb::Suspend, stood_since);
        self.clear_ends();
        self.take_back_job();
        self.stop_cause = None;
        self.resumed = at;
        if std::mem::take(&mut self.stopped_asleep) {
            // QEMU 10 and 11: STOP and RESUME on top of S3 lead back into it.
            if !self.is_written_for_job() {
                self.may_leave();
            }
            self.enter(State::PmSuspended, at);
        } else if std::mem::take(&mut self.suspended) {
            // Without a STOP before it: another state was loaded (loadvm on 7.2).
            self.enter(State::Running(Running::Unpaused), at);
        } else if self.began.is_none() {
            self.begin_running(at);
        } else if !matches!(self.live, State::Running(_)) {
            self.enter(State::Running(reason), at);
        }
        // A policy that was just about to end a guest which panicked may be no slower than who lets it run: see `ending`.
        self.intents.settle(&[Verb::Resume]);
        self.intents.settle_acted(Verb::Suspend);
        if is_used_up {
            self.intents.settle_oldest(Verb::Suspend, stood_since);
        }
    }

    /// Why a guest that stood runs again.
    fn goes_on_as(&self, restart: Option<Restart>, at: Option<Timestamp>) -> Running {
        let job = self.job.as_ref();
        let is_reverted = |job: &PendingJob| job.verb == Verb::SnapshotRevert && job.is_committed();
        let stands_for_snapshot = self.live == State::Paused(Paused::FromSnapshot);
        // Somebody lets it go on, and QEMU goes on writing: nothing is canceled.
        let is_written = self.is_written_for_job()
            && matches!(
                self.transfer,
                Transfer::Leaving(Copying::Undecided | Copying::PreCopy | Copying::Last)
            );
        match restart {
            Some(Restart::AfterPanic) => Running::Crashed,
            // libvirt hides that it stood: it goes on telling why it ran before.
            Some(Restart::AfterPoweroff(before)) => before.unwrap_or(Running::Booted),
            None if job.is_some_and(|job| is_save(job.verb)) && is_written => Running::Unpaused,
            None if job.is_some_and(|job| is_save(job.verb)) => Running::SaveCanceled,
            None if stands_for_snapshot && job.is_some_and(is_reverted) => Running::FromSnapshot,
            // On its last step only QEMU lets it go on: 10 and 11 do, and say only then that the migration has failed.
            None if is_written && !self.may_have_left() => Running::Unpaused,
            // One that somebody else has QEMU copy while it runs (background-snapshot) stands for a moment before that.
            None if self.job.is_none() && self.is_under_way() && !self.is_handed_over() => {
                Running::Unpaused
            }
            // Also out of the hand-over: 11 lets a guest go on of which nothing came there.
            None if self.stands_for_its_way() && self.transfer != Transfer::Left => {
                Running::MigrationCanceled
            }
            None if self.has_just_arrived(at) => Running::Migrated,
            None => Running::Unpaused,
        }
    }

    fn stands_for_its_way(&self) -> bool {
        let way = [Paused::Migrating, Paused::PostCopy, Paused::PostCopyFailed];
        way.iter().any(|reason| self.live == State::Paused(*reason))
    }

    pub(super) fn stopped(&mut self, at: Option<Timestamp>) {
        self.moved = true;
        if let Some(panic) = &mut self.panic {
            panic.stands = true;
        }
        if !self.is_written_for_job() {
            // If somebody else sends it nothing holds the last of it back, whatever it was stopped for.
            self.may_leave();
        }
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
        let by_job = self.job.as_ref().and_then(|job| stands_for(job.verb));
        let reason = match self.pending_stop_cause(at) {
            // QEMU said why; whoever only asked to suspend it, or is about to stop it for his job, came too late.
            Some(cause) => cause.stands(),
            None if by_job.is_some() => by_job.unwrap_or(Paused::Unknown),
            None if self.intents.recent(&[Verb::Suspend], at).is_some() => Paused::User,
            None => match self.transfer {
                Transfer::Leaving(copying) => copying.stands(),
                Transfer::None | Transfer::Arriving(_) | Transfer::Left | Transfer::Failed => {
                    Paused::Unknown
                }
            },
        };
        if reason == Paused::User {
            self.intents.were_there(Verb::Suspend, at);
        }
        self.enter(State::Paused(reason), at);
    }

    /// What may have caused a STOP at `at`. A cause that came late, after the RESUME that undid its STOP,
    /// must not explain a stop of much later.
    pub(super) fn pending_stop_cause(&self, at: Option<Timestamp>) -> Option<&StopCause> {
        let (cause, told) = self.stop_cause.as_ref()?;
        let age = match (at, told) {
            (Some(at), Some(told)) => at.0.saturating_sub(told.0),
            _ => 0,
        };
        (age <= STOP_CAUSE_EXPIRES_MICROS).then_some(cause)
    }

    /// A reason for the guest to stop. QEMU 10 limits the rate of BLOCK_IO_ERROR and 7.2 that of WATCHDOG,
    /// so it may come after the STOP that it explains.
    pub(super) fn stop_explained(&mut self, cause: StopCause, at: Option<Timestamp>) {
        let is_over = |ran: Option<Timestamp>| {
            let times = ran.zip(at);
            times.is_some_and(|(ran, at)| at < ran && ran.0 - at.0 <= LATE_MICROS)
        };
        let runs = matches!(self.live, State::Running(_));
        if is_over(self.resumed) || runs && is_over(self.since) {
            // It has run again since: the line of that STOP comes late, and must not explain the next.
            return;
        }
        if self.live == State::Paused(Paused::Unknown) {
            self.live = State::Paused(cause.stands());
        }
        self.stop_cause = Some((cause, at));
    }

    pub(super) fn reset(&mut self, by: ResetBy, at: Option<Timestamp>) {
        self.clear_ends();
        self.passed_panic = None;
        if by == ResetBy::Host {
            // That was it: of a later one it is not why.
            self.intents.settle_oldest(Verb::Reset, at);
        }
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
    pub(super) fn clear_ends(&mut self) {
        self.outlived |= self.shutdown.is_some();
        if let Some(reset) = &self.shutdown
            && reset.cause == ShutdownCause::HostQmpSystemReset
        {
            // It did not end it, and of a later one it is not why.
            let resets = [Verb::Reset, Verb::DumpReset];
            self.intents.settle_oldest_acted(&resets, reset.at);
        }
        self.panic = None;
        self.shutdown = None;
        self.watchdog = None;
    }

    /// Whether QEMU stays when its guest has shut down (`-no-shutdown`).
    fn shutdown_pauses(&self) -> bool {
        let launch = self.launch.as_ref();
        launch.is_some_and(|launch| launch.lifecycle.on_poweroff == OnPoweroff::Preserve)
    }

    pub(super) fn shut_down(&mut self, cause: ShutdownCause, at: Option<Timestamp>) {
        self.moved = true;
        // QEMU outlived the reset of a guest that stood, or the shutdown behind which lines are lost: what it announces now is
        // how it ends.
        let is_past = |first: &Shutdown| first.cut || self.may_be_reset_of_standing_guest(first);
        if self.shutdown.as_ref().is_some_and(|first| !is_past(first)) {
            return;
        }
        if self.shutdown.as_ref().is_some_and(|first| first.cut) {
            // It may have been started again in between, and have panicked.
            self.passed_panic.get_or_insert(PassedPanic::Lost);
        }
        let machine = self.machine(at);
        let shutdown = Shutdown {
            cause,
            machine,
            at,
            stayed: false,
            cut: false,
        };
        if shutdown.is_reset_of_standing_guest() && self.shutdown_pauses() {
            // -no-reboot -no-shutdown: QEMU has nothing to stop, and the guest stands as it stood.
            return;
        }
        self.shutdown = Some(shutdown);
        if let Some(job) = &self.job {
            self.intents.renew(job, at);
        }
        let starts_again = self.reboot == Some(Reboot::Armed)
            || self
                .launch
                .as_ref()
                .is_some_and(|l| l.lifecycle.on_poweroff == OnPoweroff::Restart);
        if cause == ShutdownCause::GuestShutdown && machine != Machine::Stood && starts_again {
            let before = match self.live {
                State::Running(reason) => Some(reason),
                State::Paused(_)
                | State::Crashed
                | State::InShutdown
                | State::ShutOff(_)
                | State::PmSuspended => None,
            };
            self.restart = Some(Restart::AfterPoweroff(before));
            self.enter(State::Paused(Paused::ShuttingDown), at);
        } else if self.began.is_some()
            && self.live != State::Crashed
            && !self
                .shutdown
                .as_ref()
                .is_some_and(Shutdown::is_reset_of_standing_guest)
        {
            self.enter(State::InShutdown, at);
        }
    }

    /// Whether that was the reset button of a guest that stood; that it did may be what is lost.
    pub(super) fn may_be_reset_of_standing_guest(&self, shutdown: &Shutdown) -> bool {
        let is_reset = shutdown.cause == ShutdownCause::HostQmpSystemReset;
        shutdown.is_reset_of_standing_guest() || is_reset && self.gap && !shutdown.stayed
    }

    /// What the processors were at as QEMU announced that its guest shuts down.
    fn machine(&self, at: Option<Timestamp>) -> Machine {
        let just = self.is_younger(STOPPING_MICROS, at);
        match self.live {
            State::Running(_) => Machine::Ran,
            // Nobody has said that it is he who stopped it.
            State::Paused(Paused::Unknown) if just => Machine::JustStoppedByAnother,
            State::PmSuspended if just && self.stopped_asleep => Machine::JustStoppedByAnother,
            State::Paused(Paused::User) if just => Machine::JustSuspended,
            State::Paused(_) | State::PmSuspended if just => Machine::JustStopped,
            State::Paused(_)
            | State::Crashed
            | State::InShutdown
            | State::ShutOff(_)
            | State::PmSuspended => Machine::Stood,
        }
    }

    /// Whether the state began less than this before `at`.
    pub(super) fn is_younger(&self, micros: u64, at: Option<Timestamp>) -> bool {
        let times = self.since.zip(at);
        times.is_some_and(|(since, at)| at.0.abs_diff(since.0) < micros)
    }

    pub(super) fn watchdog_fired(&mut self, action: WatchdogAction, at: Option<Timestamp>) {
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

    pub(super) fn panicked(
        &mut self,
        action: PanicAction,
        info: Option<&String>,
        at: Option<Timestamp>,
    ) {
        let state = match action {
            // The guest goes on: a later power-off is an ordinary one, and a reset what its kernel does about the panic.
            PanicAction::Run => {
                // It may be its crash kernel that panics.
                self.passed_panic.get_or_insert(PassedPanic::Ignored);
                return;
            }
            PanicAction::Pause => State::Crashed,
            // QEMU is leaving, so it is not over yet: `wait` would return, and `start` after it be refused.
            PanicAction::Poweroff => State::InShutdown,
        };
        self.moved = true;
        let info = info.cloned();
        self.panic = Some(Panic {
            info,
            at,
            stands: false,
            core: Core::Untried,
            kept: None,
            cut: false,
        });
        self.enter(state, at);
    }
}
