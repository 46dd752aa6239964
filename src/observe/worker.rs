//! Whether a job still has its worker.

use std::io::ErrorKind;

use anyhow::{Context, Result};

use crate::domain::{Fold, Worker};
use crate::journal::open_to_read;
use crate::store::{RunFolder, is_held};

/// Looks whether the process that does the job of `fold` is there; where there is no job, there is no worker. The lock
/// that it holds tells, also from another pid namespace and after another boot.
///
/// # Errors
/// When the lock cannot be looked at: a job that somebody may be at must not be taken for an orphan.
pub fn worker(run: &RunFolder, fold: &Fold) -> Result<Worker> {
    if fold.job.is_none() {
        return Ok(Worker::Gone);
    }
    let held = match open_to_read(&run.job_lock()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Worker::Gone),
        opened => opened.and_then(|file| is_held(&file)),
    };
    let held = held.with_context(|| format!("cannot read {}", run.job_lock().display()))?;
    Ok(match held {
        true => Worker::Lives,
        false => Worker::Gone,
    })
}
