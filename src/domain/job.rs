//! Work on a domain that takes its time: a save, a dump, a snapshot. It has a worker, which may die in the middle of it,
//! and leaves a file.

use std::path::PathBuf;

use super::event::{Begin, Process, Timestamp, Verb};
use super::intent::Progress;

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
    pub job: Job,
}

impl PendingJob {
    /// Whether there is no way back.
    pub fn is_committed(&self) -> bool {
        self.progress != Progress::Asked
    }
}

/// Whether the process that does a job is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    Lives,
    Gone,
}
