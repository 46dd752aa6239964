//! What is to be done about a domain that nobody is doing: what the policies ask for, and the ends of jobs whose worker
//! died. Whoever finds a duty does it: the supervisor, the one that adopts, or the next verb.
//!
//! Each duty may be done twice, or by two at once, without harm; what was done already is seen in the journal.

use super::answer::Life;
use super::event::{Begin, LaunchKind, Timestamp, Verb};
use super::fold::Fold;
use super::intent::Progress;
use super::job::Worker;
use super::policy::{OnCrash, OnPoweroff};
use super::state::{Paused, ShutOff, State};
use super::trace::{Core, Panic, Reboot, Restart};
use super::transfer::Transfer;

/// As many restarts in [`CRASH_LOOP_MICROS`] are a crash loop (libvirt knows no bound).
pub(super) const CRASH_LOOP_RESTARTS: usize = 5;

/// See [`CRASH_LOOP_RESTARTS`].
pub(super) const CRASH_LOOP_MICROS: u64 = 60_000_000;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// A job lost its worker before it was carried out: the guest goes on as before, and no file stays.
    UndoJob,
    /// It was carried out: its file is to get its name. A guest that is sent away is to be let go.
    PlaceFile,
    /// A snapshot is loaded: the guest is to run, if it is meant to.
    FinishRevert,
    /// A save, a migration, `dump --crash` or `--halt` is complete and QEMU still there.
    EndAfterJob,
    /// A restored guest is loaded and meant to run.
    LetGo,
    /// Dump the memory of a guest that panicked.
    DumpCore,
    /// Reset it and let it run.
    RestartAfterPanic,
    /// It was reset for that; let it run.
    ContinueAfterPanic,
    /// It was restarted too often: say so, and leave it.
    GiveUpRestarting,
    /// End QEMU, which stays after the panic.
    EndAfterPanic,
    /// Reset a guest that powered itself off and let it run.
    RestartAfterPoweroff,
    /// A `reboot` is over: the next power-off is an end again.
    DisarmReboot,
    /// QEMU stays after a power-off that is an end.
    EndAfterPoweroff,
}

impl Duty {
    /// By which verb it is about a guest that panicked or has shut down, and stands: one that runs, in spite of the record, it
    /// would harm.
    pub fn of_standing_guest(self) -> Option<Verb> {
        match self {
            Self::DumpCore => Some(Verb::CrashDump),
            Self::RestartAfterPanic => Some(Verb::CrashRestart),
            Self::EndAfterPanic => Some(Verb::CrashDestroy),
            Self::RestartAfterPoweroff => Some(Verb::PoweroffRestart),
            Self::EndAfterPoweroff
            | Self::UndoJob
            | Self::PlaceFile
            | Self::FinishRevert
            | Self::EndAfterJob
            | Self::LetGo
            | Self::ContinueAfterPanic
            | Self::GiveUpRestarting
            | Self::DisarmReboot => None,
        }
    }
}

impl Fold {
    /// What is to be done, given whether QEMU lives and, if there is a job, whether its worker does.
    pub fn duty(&self, life: &Life, worker: Worker) -> Option<Duty> {
        let lives = matches!(life, Life::Lives | Life::MayLive);
        if let Some(pending) = &self.job {
            return match (worker, pending.progress) {
                // A job goes first, and is somebody's.
                (Worker::Lives, _) => None,
                // Handed over: QEMU brings it to its end, or nobody can.
                (Worker::Gone, Progress::Asked | Progress::Sent) if self.is_handed_over() => None,
                (Worker::Gone, Progress::Asked) => Some(Duty::UndoJob),
                // It may go, and did not; or nobody will ever say.
                (Worker::Gone, Progress::Sent)
                    if pending.verb == Verb::Migrate
                        && (matches!(self.transfer, Transfer::None | Transfer::Failed)
                            || !lives && self.transfer != Transfer::Left) =>
                {
                    Some(Duty::UndoJob)
                }
                (Worker::Gone, Progress::Sent) if pending.verb == Verb::SnapshotRevert => {
                    lives.then_some(Duty::FinishRevert)
                }
                (Worker::Gone, Progress::Sent) => Some(Duty::PlaceFile),
                (Worker::Gone, Progress::Done) => lives.then_some(Duty::EndAfterJob),
            };
        }
        let launch = self.launch.as_ref().filter(|_| lives)?;
        if self.may_run_there() {
            // Sent away by somebody else: what runs is not here.
            return None;
        }
        let policy = launch.lifecycle;
        match self.live {
            State::Paused(Paused::StartingUp) => {
                let is_due = launch.kind == LaunchKind::Restore && launch.begin == Begin::Running;
                let is_due = is_due && self.loaded && self.refusal.is_none();
                is_due.then_some(Duty::LetGo)
            }
            State::Crashed => self.duty_after_panic(policy.on_crash),
            State::Paused(Paused::Crashed) => {
                (self.restart == Some(Restart::AfterPanic)).then_some(Duty::ContinueAfterPanic)
            }
            State::Paused(Paused::ShuttingDown) => Some(Duty::RestartAfterPoweroff),
            State::InShutdown => {
                let stays = self.shutdown.as_ref().is_some_and(|s| s.stayed);
                // A `reboot` had QEMU stay, and was overtaken by a `shutdown`, say.
                let is_end = policy.on_poweroff == OnPoweroff::Destroy;
                let powered_off = self.panic.is_none();
                (stays && is_end && powered_off).then_some(Duty::EndAfterPoweroff)
            }
            State::Running(_) => {
                (self.reboot == Some(Reboot::Restarted)).then_some(Duty::DisarmReboot)
            }
            State::Paused(_) | State::ShutOff(_) | State::PmSuspended => None,
        }
    }

    /// Whether the guest crashed and stays so until somebody else does something: no policy is still to be carried out,
    /// and no job is under way.
    pub fn rests_crashed(&self) -> bool {
        let policy = self.launch.as_ref().map(|launch| launch.lifecycle.on_crash);
        let panic = self.panic.as_ref();
        let duty = policy
            .zip(panic)
            .and_then(|(policy, panic)| self.duty_of(policy, panic));
        self.live == State::Crashed && self.job.is_none() && duty.is_none()
    }

    fn duty_after_panic(&self, policy: OnCrash) -> Option<Duty> {
        let panic = self.panic.as_ref().filter(|panic| panic.stands)?;
        self.duty_of(policy, panic)
    }

    fn duty_of(&self, policy: OnCrash, panic: &Panic) -> Option<Duty> {
        if panic.kept.is_some() {
            return None;
        }
        let restart = || match self.is_crash_loop(panic.at) {
            true => Duty::GiveUpRestarting,
            false => Duty::RestartAfterPanic,
        };
        match (policy, panic.core) {
            (OnCrash::Preserve, _) => None,
            (OnCrash::Destroy, _) | (OnCrash::CoredumpDestroy, Core::Dumped) => {
                Some(Duty::EndAfterPanic)
            }
            // libvirt: what could not be dumped is kept.
            (OnCrash::CoredumpDestroy, Core::Failed) => None,
            (OnCrash::CoredumpDestroy, Core::Untried) => Some(Duty::DumpCore),
            (OnCrash::CoredumpRestart, Core::Untried) if restart() == Duty::RestartAfterPanic => {
                Some(Duty::DumpCore)
            }
            (OnCrash::Restart | OnCrash::CoredumpRestart, _) => Some(restart()),
        }
    }

    /// Whether the guest was restarted so often, so shortly before this panic, that another restart is of no use.
    fn is_crash_loop(&self, panicked_at: Option<Timestamp>) -> bool {
        let first = match self.restarts.as_slice() {
            [first, rest @ ..] if rest.len() + 1 >= CRASH_LOOP_RESTARTS => *first,
            _ => return false,
        };
        panicked_at.is_none_or(|at| at.0.abs_diff(first.0) <= CRASH_LOOP_MICROS)
    }
}

/// Whether the job of this verb ends the guest once it was carried out.
pub(super) fn ends_guest(verb: Verb) -> bool {
    ENDING_JOBS.iter().any(|(ending, _)| *ending == verb)
}

/// The verbs whose job ends the guest once it was carried out, and what the end is called.
pub(super) const ENDING_JOBS: &[(Verb, ShutOff)] = &[
    (Verb::Save, ShutOff::Saved),
    (Verb::ManagedSave, ShutOff::Saved),
    (Verb::DumpCrash, ShutOff::Crashed),
    (Verb::Migrate, ShutOff::Migrated),
    (Verb::SnapshotHalt, ShutOff::FromSnapshot),
];
