//! Having done what is to be done about the run, by a process of its own: so the watcher stays small, and hears what
//! happens meanwhile.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::domain::{Fold, Life, Process, Worker};
use crate::observe::{process, worker};
use crate::operation::{Ward, servant};
use crate::store::RunFolder;
use crate::sys;

/// How long after a servant that could not do it the next is started.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Who is at it.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// The worker of the job that the fold knows of, whose end is to be noticed.
    worker: Option<Ward>,
    servant: Option<Ward>,
    retry_at: Option<Instant>,
}

impl Service {
    /// Starts a servant if something is to be done about a run whose QEMU lives, and nobody does it.
    pub(super) fn attend(&mut self, run: &RunFolder, fold: &Fold) -> Result<()> {
        let had_servant = self.servant.is_some();
        if let Some(servant) = self.servant.take_if(|servant| servant.has_ended()) {
            servant.reap();
        }
        let of_job = fold.job.as_ref().map(|pending| pending.job.worker);
        if self.worker.as_ref().map(Ward::process) != of_job {
            self.worker = of_job.map(Ward::of);
        }
        let duty = match &fold.job {
            None => fold.duty(&Life::Lives, Worker::Gone),
            Some(_) => fold.duty(&Life::Lives, worker(run, fold)?),
        };
        if duty.is_none() {
            self.retry_at = None;
            return Ok(());
        }
        if self.servant.is_some() {
            return Ok(());
        }
        if had_servant && self.retry_at.is_none() {
            self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
        }
        if self.retry_at.is_none_or(|at| at <= Instant::now()) {
            self.retry_at = None;
            match spawn(run) {
                Some(process) => self.servant = Some(Ward::of(process)),
                None => self.retry_at = Some(Instant::now() + RETRY_INTERVAL),
            }
        }
        Ok(())
    }

    /// What to poll.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let both = self.worker.iter().chain(&self.servant);
        // One that is dead already would keep us awake.
        both.filter(|ward| !ward.has_ended())
            .filter_map(Ward::descriptor)
    }

    /// When to look again although nothing happened.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }
}

fn spawn(run: &RunFolder) -> Option<Process> {
    let mut command = servant(run);
    sys::spawn_with_no_signal_blocked(&mut command);
    let child = command.spawn().ok()?;
    process(child.id())
}
