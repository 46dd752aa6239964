//! Work on a domain that takes its time: a save, a dump, a snapshot. It has a worker, which may die in the middle of it,
//! and leaves a file. With it, what a guest stands for while it is under way, and when it is over: a part of the fold's table.

use std::path::PathBuf;

use super::duty::ends_guest;
use super::event::{Begin, Process, Timestamp, Verb};
use super::fold::Fold;
use super::intent::Progress;
use super::state::{Paused, State};
use super::stream::Stream;
use super::transfer::Transfer;

/// What somebody who finds a job without its worker must know to finish or undo it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The process that does it.
    pub worker: Process,
    /// When it began: with domain and run, the name of this job in the file that it makes.
    pub began: Timestamp,
    /// Absolute path of the file that it is to leave behind.
    pub file: PathBuf,
    /// What the guest did before, and is to do again if the job comes to nothing.
    pub before: Before,
    /// What it is to do once the job is carried out; `None` where that goes without saying.
    pub then: Option<Begin>,
    /// Whether its worker writes down when it has QEMU write the guest. Those of an older domstate do not.
    pub announces: bool,
}

/// Whether the guest ran when a job began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Ran,
    Stood,
}

/// A job that is not over.
///
/// Until it is carried out (`Sent`: what it has written is whole and on the disk; of a guest that is sent away, that its
/// destination may have the rest of it) a job without a worker is undone, from then on it is finished; there is no state in
/// which both could be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingJob {
    pub verb: Verb,
    pub progress: Progress,
    pub stream: Stream,
    /// Whether QEMU has said that it writes for this job.
    pub is_taken: bool,
    pub job: Job,
}

impl PendingJob {
    /// Whether there is no way back.
    pub fn is_committed(&self) -> bool {
        self.progress != Progress::Asked
    }

    /// Whether it has taken its guest, which is to end here. One that has arrived elsewhere is there, whatever runs here.
    pub fn has_taken_guest(&self) -> bool {
        self.is_committed() && self.verb != Verb::Migrate && ends_guest(self.verb)
    }
}

/// Whether the process that does a job is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    Lives,
    Gone,
}

impl Fold {
    /// Whether somebody has aborted the job that is under way. QEMU tells only of one that it is writing a stream for.
    pub fn is_job_aborted(&self) -> bool {
        let Some(pending) = &self.job else {
            return false;
        };
        let later = self.intents.0.iter().rev();
        let later = later.take_while(|intent| {
            intent.verb != pending.verb || intent.actor.pid != pending.job.worker.pid
        });
        let mut aborts = later.filter(|intent| intent.verb == Verb::JobAbort);
        aborts.any(|intent| intent.progress == Progress::Done)
    }

    /// Whether a guest stands for a reason of its own: it would be the same at its destination, and nobody told.
    pub fn came_to_an_end(&self) -> bool {
        self.is_dead() || self.suspended
    }

    /// Whether it has panicked or shut down: it is never to be let go on as it stands.
    pub fn is_dead(&self) -> bool {
        self.panic.is_some() || self.shutdown.is_some()
    }

    /// A guest that ran, stands for a job that came to nothing, and could not be let go on.
    pub(super) fn stays_behind(&mut self, job: &PendingJob, at: Option<Timestamp>) {
        let stands = match self.live {
            State::Paused(reason) => {
                Some(reason) == stands_for(job.verb) || reason == Paused::Migrating
            }
            State::Running(_)
            | State::InShutdown
            | State::ShutOff(_)
            | State::Crashed
            | State::PmSuspended => false,
        };
        if stands && job.job.before == Before::Ran {
            self.enter(State::Paused(Paused::ApiError), at);
        } else if job.verb != Verb::SnapshotRevert {
            self.stands_no_more(job.verb, at);
        }
    }

    /// A job is not carried out any more, but is to be undone. Of a guest whose QEMU has ended there is nothing but what was
    /// written: that stays what it is.
    pub(super) fn taken_back(&mut self, verb: Verb, pid: u32) {
        if self.has_end() {
            return;
        }
        let ours = |job: &&mut PendingJob| {
            (job.verb, job.job.worker.pid) == (verb, pid) && job.is_committed()
        };
        if let Some(job) = self.job.as_mut().filter(ours) {
            job.progress = Progress::Asked;
            self.intents.advance(verb, pid, Progress::Asked);
        }
    }

    /// The job is over: a guest that still stands does not stand for that.
    pub(super) fn stands_no_more(&mut self, verb: Verb, at: Option<Timestamp>) {
        if stands_for(verb).is_some_and(|stands| self.live == State::Paused(stands)) {
            self.enter(State::Paused(self.why_it_stands()), at);
        }
    }

    /// Why a guest stands that no job holds. The cause may have come behind a STOP that the job seemed to explain.
    fn why_it_stands(&self) -> Paused {
        match (self.transfer, &self.stop_cause) {
            // Somebody else sends it away.
            (Transfer::Leaving(copying), _) => copying.stands(),
            (Transfer::Left, _) => Paused::Migrating,
            (_, Some((cause, _))) => cause.stands(),
            (Transfer::None | Transfer::Arriving(_) | Transfer::Failed, None) => Paused::Unknown,
        }
    }
}

/// Whether the verb saves the guest.
pub(super) fn is_save(verb: Verb) -> bool {
    matches!(verb, Verb::Save | Verb::ManagedSave)
}

/// Why a guest stands that was stopped for a job; `None` where that is told by something else.
pub(super) fn stands_for(verb: Verb) -> Option<Paused> {
    match verb {
        Verb::Save | Verb::ManagedSave => Some(Paused::Saving),
        Verb::Dump | Verb::DumpCrash | Verb::DumpReset | Verb::CrashDump => Some(Paused::Dumping),
        Verb::SnapshotCreate | Verb::SnapshotHalt => Some(Paused::CreatingSnapshot),
        Verb::SnapshotRevert => Some(Paused::FromSnapshot),
        Verb::Destroy
        | Verb::Run
        | Verb::RunTimeout
        | Verb::Shutdown
        | Verb::Suspend
        | Verb::Resume
        | Verb::Reset
        | Verb::InjectNmi
        | Verb::Wakeup
        | Verb::Monitor
        | Verb::Reboot
        | Verb::JobAbort
        | Verb::Migrate
        | Verb::SnapshotDelete
        | Verb::CrashRestart
        | Verb::CrashDestroy
        | Verb::PoweroffRestart
        | Verb::LetGo => None,
    }
}
