//! Looking at the job that somebody else's verb is doing, and ending it.

use anyhow::{Result, bail};
use serde_json::Value;

use super::asking::Asking;
use super::pump::Cancelled;
use super::settle::{NOT_RUNNING, connect, settled_active};
use super::snapshot_duty::is_snapshot;
use super::stream::SENT_BY_ANOTHER;
use crate::domain::{Copying, Life, PendingJob, Timestamp, Transfer, Verb, Worker};
use crate::observe::{Observation, look_at_run};
use crate::store::{DomainFolder, RunFolder};

/// How far a job is, in bytes, as QEMU counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobProgress {
    pub processed: u64,
    pub remaining: u64,
    pub total: u64,
}

impl JobProgress {
    /// What is done of it, in percent; less than 100 until it is over, as virsh shows it.
    pub fn percent(self) -> u8 {
        let left = self.remaining.saturating_mul(100).checked_div(self.total);
        let done = 100_u64.saturating_sub(left.unwrap_or(100));
        u8::try_from(done.min(99)).unwrap_or(99)
    }
}

/// A job that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobInfo {
    pub verb: Verb,
    pub began: Option<Timestamp>,
    /// `None`: QEMU does not say, or is not to be asked, as while it makes a snapshot.
    pub progress: Option<JobProgress>,
}

/// The job that is under way, if there is one.
///
/// # Errors
/// In virsh's words where the domain is not running.
pub fn job_info(domain: &DomainFolder, seen: Observation) -> Result<Option<JobInfo>> {
    let seen = settled_active(domain, seen)?;
    let (Some(pending), Some(run)) = (&seen.fold.job, &seen.run) else {
        return Ok(None);
    };
    let asked = seen.fold.intents.newest(pending.verb);
    let tells = !is_snapshot(pending.verb);
    let progress = tells.then(|| job_progress(run).ok()).flatten();
    // It may have come to its end meanwhile.
    let later = look_at_run(domain, run)?.fold.job;
    let is_under_way = later.is_some_and(|later| later.job.worker == pending.job.worker);
    Ok(is_under_way.then(|| JobInfo {
        verb: pending.verb,
        began: asked.map(|intent| intent.at),
        progress,
    }))
}

/// How far QEMU is with what it writes.
pub fn job_progress(run: &RunFolder) -> Result<JobProgress> {
    let mut control = connect(run)?;
    let dump = control.execute("query-dump", None)?;
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    if dump.get("status").and_then(Value::as_str) == Some("active") {
        let (processed, total) = (number(&dump, "completed"), number(&dump, "total"));
        return Ok(JobProgress {
            processed,
            remaining: total.saturating_sub(processed),
            total,
        });
    }
    let migration = control.execute("query-migrate", None)?;
    let ram = migration.get("ram").unwrap_or(&Value::Null);
    Ok(JobProgress {
        processed: number(ram, "transferred"),
        remaining: number(ram, "remaining"),
        total: number(ram, "total"),
    })
}

/// Looks whether there is any use in going on with the job that this process does.
///
/// # Errors
/// [`Cancelled`] if somebody has aborted it; in virsh's words if the guest is gone.
pub(super) fn look_after(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    let seen = look_at_run(domain, run)?;
    if matches!(seen.life, Life::Gone(_)) {
        bail!(NOT_RUNNING);
    }
    if seen.fold.is_job_aborted() {
        return Err(Cancelled.into());
    }
    Ok(())
}

/// Ends the job that is under way; whoever does it then takes it back.
///
/// # Errors
/// In libvirt's words where there is none, or one that QEMU cannot be kept from.
pub fn abort_job(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled_active(domain, seen)?;
    let (Some(pending), Some(run)) = (&seen.fold.job, &seen.run) else {
        bail!("Requested operation is not valid: no job is active on the domain");
    };
    if seen.worker == Worker::Gone {
        bail!(NOT_RUNNING);
    }
    if let Transfer::Leaving(Copying::PostCopy | Copying::Broken) = seen.fold.transfer {
        bail!("Requested operation is not valid: cannot abort migration in post-copy mode");
    }
    if pending.is_committed() {
        bail!("Requested operation is not valid: the job is carried out already");
    }
    if is_snapshot(pending.verb) {
        // QEMU answers nobody until it is done.
        bail!("Requested operation is not valid: cannot abort a job on a snapshot");
    }
    let mut control = connect(run)?;
    // Nobody commits it while we have the monitor.
    let seen = look_at_run(domain, run)?;
    if seen.fold.job.as_ref().is_none_or(PendingJob::is_committed) {
        bail!("Requested operation is not valid: the job is carried out already");
    }
    if seen.fold.is_sent_by_another() {
        bail!("Requested operation is not valid: {SENT_BY_ANOTHER}");
    }
    let dump = control.execute("query-dump", None)?;
    if dump.get("status").and_then(Value::as_str) == Some("active") {
        bail!("Requested operation is not valid: cannot abort memory-only dump");
    }
    let asking = Asking::begin(run, Verb::JobAbort)?;
    control.execute("migrate_cancel", None)?;
    asking.done();
    Ok(())
}
