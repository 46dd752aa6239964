//! What is to be done about a snapshot whose worker died.
//!
//! | verb | not carried out | carried out |
//! |---|---|---|
//! | create, `--halt` | no disk holds it, and the guest goes on as before | it gets its name |
//! | revert | carried out if QEMU has loaded it by now, else the guest goes on | the guest runs, if it is to |
//! | delete | finished if a disk has lost it, else it stays | it is forgotten |
//!
//! QEMU brings a job to its end whoever began it, so that end is waited for first.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::fulfil::append;
use super::job_duty::tell_failed;
use super::snapshot::disks;
use super::snapshot_delete::{delete_from_files, delete_from_nodes};
use super::snapshot_job::{Ended, JobError, dismiss, settle_job};
use super::snapshot_revert::let_go;
use super::undo::{let_go_on, stands_for_us, tell_if_it_runs};
use crate::domain::{Before, Begin, Event, PendingJob, Verb};
use crate::observe::look_at_run;
use crate::qemu::{Control, ControlError, Disk};
use crate::store::{
    DomainFolder, Owner, Placed, RunFolder, Snapshot, discard_snapshot, forget_snapshot,
    put_snapshot_in_place, tag_of,
};

/// What a job says that found a snapshot of the same name: that one is somebody else's.
const ALREADY_THERE: &str = "already exists";

/// What QEMU says before it has touched a disk or the guest's memory (`load_snapshot`, 7.2 to 11.1).
pub(super) const UNTOUCHED: &[&str] = &[
    "does not exist in one or more devices",
    "does not support snapshots",
    "disk-only snapshot",
    "No block device",
];

/// Why a job is told to have failed.
const DIED: &str = "the process died before it was done";

/// Whether the verb is one of those here.
pub(super) fn is_snapshot(verb: Verb) -> bool {
    is_create(verb) || matches!(verb, Verb::SnapshotRevert | Verb::SnapshotDelete)
}

fn is_create(verb: Verb) -> bool {
    matches!(verb, Verb::SnapshotCreate | Verb::SnapshotHalt)
}

/// Where the snapshot is kept now: the domain may have another name by now than its journal knows. Never anywhere but in
/// the domain's own folder: a guest that broke out of QEMU may have written that line.
fn place(domain: &DomainFolder, pending: &PendingJob) -> PathBuf {
    let file = &pending.job.file;
    let name = file.file_name().unwrap_or_default();
    tag_of(file).map_or_else(
        || domain.snapshots().join(name),
        |tag| domain.snapshot(&tag),
    )
}

/// Undoes what was not carried out, or finishes it where QEMU did.
pub(super) fn undo_snapshot(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    pending: &PendingJob,
) -> Result<()> {
    let place = place(domain, pending);
    if pending.verb == Verb::SnapshotRevert {
        return undo_revert(domain, run, control, pending);
    }
    if pending.verb == Verb::SnapshotDelete {
        return settle_delete(&place, run, control, pending);
    }
    let owner = Owner::new(domain, run, &pending.job);
    undo_create(domain, run, control, &place, &owner, pending.job.before)?;
    tell_failed(run, pending, DIED)
}

/// Takes back a snapshot that was not carried out: the guest goes on, and no disk holds it.
pub(super) fn undo_create(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    place: &Path,
    owner: &Owner<'_>,
    before: Before,
) -> Result<()> {
    let ended = settle_job(control)?;
    let error = ended.and_then(|ended| ended.error);
    let is_ours = !error.is_some_and(|why| why.contains(ALREADY_THERE));
    go_on(domain, run, control, before)?;
    if !is_ours {
        // Before the job is forgotten, and with it whose the name is.
        discard_snapshot(place, owner).with_context(|| cannot_remove(place))?;
    }
    dismiss(control);
    if let Some(snapshot) = Snapshot::load_announced(place, owner)? {
        // Another disk may have one of that name which is somebody else's.
        let is_in = |disk: &Disk| snapshot.disks.iter().any(|of| of.node == disk.node);
        match delete_from_nodes(control, snapshot.name.as_str(), is_in) {
            // What QEMU cannot delete must not keep the guest from everything else.
            Ok(()) | Err(JobError::Failed(_)) => {}
            Err(error @ JobError::Control(_)) => return Err(error.known()),
        }
        dismiss(control);
    }
    discard_snapshot(place, owner).with_context(|| cannot_remove(place))
}

fn cannot_remove(place: &Path) -> String {
    format!("cannot remove {}", place.display())
}

/// The same once QEMU is gone. What `qemu-img` cannot delete stays in the disks, and is no snapshot to us.
pub(super) fn clean_without_qemu(place: &Path, owner: &Owner<'_>) -> Result<()> {
    if let Some(snapshot) = Snapshot::load_announced(place, owner)? {
        let _ = delete_from_files(&snapshot);
    }
    discard_snapshot(place, owner).with_context(|| cannot_remove(place))
}

/// What is left of a job whose QEMU is gone too.
pub(super) fn remove_snapshot(
    domain: &DomainFolder,
    pending: &PendingJob,
    owner: &Owner<'_>,
) -> Result<()> {
    match is_create(pending.verb) {
        true => clean_without_qemu(&place(domain, pending), owner),
        // The disks hold what they hold, and whoever deletes it again finishes that.
        false => Ok(()),
    }
}

/// Finishes what was carried out.
pub(super) fn place_snapshot(
    domain: &DomainFolder,
    pending: &PendingJob,
    owner: &Owner<'_>,
) -> Result<Placed> {
    let place = place(domain, pending);
    match is_create(pending.verb) {
        true => put_snapshot_in_place(&place, owner),
        false => Ok(forget_snapshot(&place).map(|()| Placed::Durably)?),
    }
}

fn undo_revert(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    pending: &PendingJob,
) -> Result<()> {
    let error = match settle_job(control)? {
        Some(Ended { error: None }) => {
            // Loaded: the next duty is to finish it. The job's id is freed only then.
            let (verb, pid) = (pending.verb, pending.job.worker.pid);
            return append(run, &Event::Sent { verb, pid });
        }
        Some(Ended { error }) => error,
        None => None,
    };
    go_on_unless_touched(domain, run, control, pending.job.before, error.as_deref())?;
    tell_failed(run, pending, error.as_deref().unwrap_or(DIED))?;
    dismiss(control);
    Ok(())
}

/// A snapshot is loaded: has the guest do what it is to do.
pub(super) fn finish_revert(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    pending: &PendingJob,
) -> Result<()> {
    dismiss(control);
    match let_go(
        domain,
        run,
        control,
        pending.job.then.unwrap_or(Begin::Paused),
    ) {
        Err(error) if error.is::<ControlError>() => return Err(error),
        // It stands, and says so.
        Ok(()) | Err(_) => {}
    }
    let (verb, pid) = (pending.verb, pending.job.worker.pid);
    append(run, &Event::Done { verb, pid })
}

/// Has a guest go on that was stopped for a snapshot which could not be loaded, as long as it is the same guest. One of
/// which QEMU has loaded a part stands: it would write to disks that its memory knows nothing of.
pub(super) fn go_on_unless_touched(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    before: Before,
    why: Option<&str>,
) -> Result<()> {
    let is_whole = why.is_none_or(|why| UNTOUCHED.iter().any(|words| why.contains(words)));
    match is_whole {
        true => go_on(domain, run, control, before),
        false => Ok(()),
    }
}

/// One that somebody else sends away is left as it stands.
fn go_on(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    before: Before,
) -> Result<()> {
    let fold = look_at_run(domain, run)?.fold;
    if fold.is_sent_by_another() {
        return Ok(());
    }
    if before == Before::Ran && stands_for_us(&fold, control)? {
        let_go_on(control)?;
    }
    tell_if_it_runs(domain, run, control)
}

fn settle_delete(
    place: &Path,
    run: &RunFolder,
    control: &mut Control,
    pending: &PendingJob,
) -> Result<()> {
    settle_job(control)?;
    dismiss(control);
    let Some(snapshot) = Snapshot::load(place)? else {
        return tell_failed(run, pending, DIED);
    };
    let tag = snapshot.name.as_str();
    if disks(control)?.iter().all(|disk| disk.tag(tag).is_some()) {
        return tell_failed(run, pending, DIED);
    }
    let deleted = delete_from_nodes(control, tag, |_| true);
    dismiss(control);
    match deleted {
        Ok(()) => {}
        Err(JobError::Failed(why)) => return tell_failed(run, pending, &why),
        Err(error @ JobError::Control(_)) => return Err(error.known()),
    }
    let (verb, pid) = (pending.verb, pending.job.worker.pid);
    append(run, &Event::Sent { verb, pid })
}
