//! Whether a job still has its worker.

use anyhow::Result;

use super::host::{Reach, pid_namespace, reach};
use super::process::{ProcessState, process_state};
use crate::domain::{Fold, Worker};

/// Looks whether the process that does the job of `fold` is there; where there is no job, there is no worker.
///
/// # Errors
/// When the host's boot id or our pid namespace cannot be read.
pub fn worker(fold: &Fold) -> Result<Worker> {
    let Some(pending) = &fold.job else {
        return Ok(Worker::Gone);
    };
    if let Some(launch) = &fold.launch
        && reach(launch)? == Reach::OtherBoot
    {
        return Ok(Worker::Gone);
    }
    if pending.job.pid_namespace != pid_namespace()? {
        // Who cannot be seen from here may be at it.
        return Ok(Worker::Lives);
    }
    Ok(match process_state(pending.job.worker) {
        ProcessState::Absent | ProcessState::Zombie(_) => Worker::Gone,
        ProcessState::Alive | ProcessState::Stopped | ProcessState::Unseen => Worker::Lives,
    })
}
