//! What every job does: it says who is at it, stops the guest, and says that it is carried out.

use std::path::Path;

use anyhow::{Result, anyhow, bail};

use super::asking::{Asking, actor};
use super::jobs::look_after;
use super::pump::cancelled_or;
use super::settle::connect;
use crate::domain::{Before, Fold, Job, PendingJob, Process};
use crate::observe::{look_at_run, now, start_ticks};
use crate::qemu::Control;
use crate::store::{DomainFolder, RunFolder};

/// A job of this process.
pub(super) fn job(place: &Path, before: Before) -> Result<Job> {
    let pid = actor().pid;
    let start_ticks = start_ticks(pid).ok_or_else(|| anyhow!("cannot read /proc/self/stat"))?;
    Ok(Job {
        worker: Process { pid, start_ticks },
        began: now(),
        file: place.to_owned(),
        before,
        then: None,
    })
}

/// Stops a guest that ran when it was looked at, for it to be `done` something.
///
/// # Errors
/// It did not wait for that.
pub(super) fn stop_for(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    done: &str,
) -> Result<()> {
    control.execute("stop", None)?;
    let seen = look_at_run(domain, run)?;
    if came_to_an_end(&seen.fold) {
        bail!("the guest came to an end of its own, or fell asleep, before it could be {done}");
    }
    Ok(())
}

/// Whether a guest stands for a reason of its own: it would be the same at its destination, and nobody told.
pub(super) fn came_to_an_end(fold: &Fold) -> bool {
    fold.panic.is_some() || fold.shutdown.is_some() || fold.suspended
}

/// Writes down that a job is carried out that ends the guest, unless it was overtaken. While we have the monitor, no verb
/// lets the guest go on or aborts the job.
pub(super) fn commit(
    domain: &DomainFolder,
    run: &RunFolder,
    asking: &Asking,
    job: &str,
) -> Result<()> {
    let _control = connect(run)?;
    look_after(domain, run).map_err(|error| cancelled_or(error, job))?;
    tell_carried_out(domain, run, asking)
}

/// The same for whoever has the monitor.
pub(super) fn tell_carried_out(
    domain: &DomainFolder,
    run: &RunFolder,
    asking: &Asking,
) -> Result<()> {
    asking.carried_out()?;
    let seen = look_at_run(domain, run)?;
    let is_committed = seen.fold.job.as_ref().is_some_and(PendingJob::is_committed);
    if !is_committed {
        bail!("the guest was let run on or sent elsewhere meanwhile, or has ended");
    }
    Ok(())
}
