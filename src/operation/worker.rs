//! What every job does: it says who is at it, stops the guest, and says that it is carried out.

use std::path::Path;

use anyhow::{Result, anyhow, bail};

use super::asking::{Asking, actor};
use super::jobs::look_after;
use super::pump::cancelled_or;
use super::settle::connect;
use super::stream::SENT_BY_ANOTHER;
use crate::domain::{Before, Fold, Job, PassedPanic, PendingJob, Process};
use crate::observe::{Observation, look_at_run, now, start_ticks};
use crate::qemu::{Control, Disk, throwaway_option, writable_disks};
use crate::store::{Definition, DomainFolder, RunFolder};

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
        announces: true,
    })
}

/// Stops a guest that ran when it was looked at, for it to be `done` something; what is on record of it then.
///
/// # Errors
/// It did not wait for that.
pub(super) fn stop_for(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    done: &str,
) -> Result<Fold> {
    control.execute("stop", None)?;
    refuse_ended(domain, run, done)
}

/// Refuses a guest that has come to an end by itself meanwhile, or sleeps: QEMU may say so only behind its STOP. It must not
/// be let go on as if it had been stopped.
pub(super) fn refuse_ended(domain: &DomainFolder, run: &RunFolder, done: &str) -> Result<Fold> {
    let fold = look_at_run(domain, run)?.fold;
    if fold.came_to_an_end() {
        bail!("the guest came to an end of its own, or fell asleep, before it could be {done}");
    }
    Ok(fold)
}

/// Refuses a guest whose kernel has panicked, and whose crash kernel runs: where it goes on nobody would know that, and take
/// its end for one of its own.
pub(super) fn refuse_panicked(fold: &Fold) -> Result<()> {
    match fold.passed_panic {
        Some(PassedPanic::CrashLoaded) => {
            bail!("Requested operation is not valid: domain has crashed, and its crash kernel runs")
        }
        // Its reset would be told as one that nothing went before, where that ends the run: it need not be where it ends this one.
        Some(PassedPanic::Ignored) => {
            bail!("Requested operation is not valid: domain has crashed, and has yet to be reset")
        }
        // What it is saved in says so; where it is sent nobody knows what it went through.
        Some(PassedPanic::Lost) | None => Ok(()),
    }
}

/// Whether its kernel may have panicked, and its crash kernel run, in lines that are lost.
pub(super) fn may_have_panicked(seen: &Observation) -> bool {
    seen.may_lack_lines || seen.is_unread || seen.fold.passed_panic == Some(PassedPanic::Lost)
}

/// Refuses to let a guest go on that somebody else sends away, or has: it would run twice, on one disk.
pub(super) fn refuse_what_is_sent(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    if look_at_run(domain, run)?.fold.is_sent_by_another() {
        bail!(SENT_BY_ANOTHER);
    }
    Ok(())
}

/// Refuses to take away a guest whose disks do not keep what it has written: they are thrown away with this QEMU.
pub(super) fn refuse_to_leave_disks(run: &RunFolder, control: &mut Control) -> Result<()> {
    let disks = writable_disks(&control.execute("query-block", None)?);
    let option = throws_away(&Definition::of_run(run)?, &disks);
    // Without a disk nothing is lost.
    let Some(option) = option.filter(|_| !disks.is_empty()) else {
        return Ok(());
    };
    bail!(
        "Requested operation is not valid: '{option}': what the guest writes is thrown away with QEMU, and would be \
         missing where it goes on"
    )
}

/// The option that has QEMU throw away what the guest writes, if there is one.
pub(super) fn throws_away(definition: &Definition, disks: &[Disk]) -> Option<&'static str> {
    let option = throwaway_option(&definition.argv);
    option.or_else(|| disks.iter().any(is_throwaway).then_some("snapshot=on"))
}

/// Whether it is a file of QEMU's own, which it has removed already (`create_tmp_file`, 7.2 to 11.1), whatever option
/// has asked for it.
fn is_throwaway(disk: &Disk) -> bool {
    let name = disk.file.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b"vl.") && !disk.file.exists()
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
        bail!(
            "the guest was let run on or sent elsewhere meanwhile, has come to an end, or fell asleep"
        );
    }
    Ok(())
}
