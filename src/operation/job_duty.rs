//! What is to be done about a job whose worker died: it is undone, or its file gets its name.

use std::io::ErrorKind;

use anyhow::{Context, Result};
use serde_json::Value;

use super::dump::{is_dump, is_save};
use super::fulfil::append;
use super::settle::answer_by;
use super::snapshot_duty::{is_snapshot, place_snapshot, remove_snapshot, undo_snapshot};
use super::undo::{Undone, is_stopped, undo};
use crate::domain::{Before, Duty, Event, PendingJob, Transfer};
use crate::journal::Journal;
use crate::observe::{Origin, look_at_run};
use crate::qemu::{Control, ControlError};
use crate::store::{
    DomainFolder, Owner, Placed, RunFolder, discard, discard_dump, put_dump_in_place, put_in_place,
};

/// Writes down that a job is not carried out any more, before anything of it is undone.
pub(super) fn take_back(run: &RunFolder, pending: &PendingJob) -> Result<()> {
    let (verb, pid) = (pending.verb, pending.job.worker.pid);
    append(run, &Event::TakenBack { verb, pid })
}

/// What QEMU says of a guest that a job has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// It stands as the job has left it.
    Stands,
    StandsOtherwise,
    Runs,
    /// QEMU hangs.
    Untold,
}

fn taken(control: &mut Control, pending: &PendingJob) -> Result<Taken, ControlError> {
    control.set_deadline(answer_by());
    let status = control.execute("query-status", None)?;
    if status.get("running").and_then(Value::as_bool) == Some(true) {
        return Ok(Taken::Runs);
    }
    let word = status.get("status").and_then(Value::as_str);
    let stands = match pending.job.before {
        _ if is_save(pending.verb) => word == Some("postmigrate"),
        // Whatever it stood for it stands for.
        Before::Stood => true,
        Before::Ran => word.is_some_and(is_stopped),
    };
    Ok(match stands {
        true => Taken::Stands,
        false => Taken::StandsOtherwise,
    })
}

/// Asks, before QEMU is told to end for a job, whether the guest that this has taken is still as it was left: there may have
/// been no room for the word that somebody has let it go on. `control`: if its monitor answers. Whether it stands; else that is on record, and the job taken back.
///
/// # Errors
/// It runs, and that cannot be written down: then nothing may be told to have ended by the job, and QEMU must not be ended for it.
pub(super) fn stands_still(
    domain: &DomainFolder,
    run: &RunFolder,
    control: Option<&mut Control>,
    pending: &PendingJob,
) -> Result<bool> {
    let taken = control.and_then(|control| taken(control, pending).ok());
    let taken = taken.unwrap_or(Taken::Untold);
    let seen = look_at_run(domain, run)?;
    let is_it = |job: &&PendingJob| {
        (job.verb, job.job.worker) == (pending.verb, pending.job.worker) && job.has_taken_guest()
    };
    let Some(pending) = seen.fold.job.as_ref().filter(is_it) else {
        // QEMU has said so.
        return Ok(false);
    };
    let may_lack_lines = seen.may_lack_lines || seen.fold.gap;
    match taken {
        Taken::Runs => {
            Journal::open(run.path())?.ensure_line_room()?;
            append(run, &Event::Gap)?;
            take_back(run, pending)?;
            return Ok(false);
        }
        // It may have run in lines that are lost.
        Taken::StandsOtherwise => append(run, &Event::Gap)?,
        Taken::Untold if may_lack_lines => append(run, &Event::Gap)?,
        Taken::Stands | Taken::Untold => {}
    }
    Ok(true)
}

/// The end of a job of a QEMU that is gone: only its file is left.
pub(super) fn without_qemu(
    domain: &DomainFolder,
    run: &RunFolder,
    pending: &PendingJob,
    duty: Duty,
    origin: Origin,
) -> Result<()> {
    if duty == Duty::PlaceFile {
        return match place(domain, run, pending)? {
            Placed::Durably => tell_done(run, pending),
            Placed::Unsynced(error) => Err(error).with_context(|| {
                format!("cannot sync the folder of {}", pending.job.file.display())
            }),
        };
    }
    if may_be_finished_elsewhere(pending, origin) {
        let why = "it ended before that was done; this may be a copy of its record, so what was written stays";
        return tell_failed(run, pending, why);
    }
    remove(domain, run, pending)?;
    tell_failed(run, pending, "it ended before that was done")
}

/// Whether it may have been finished by the journal that this may be a copy of. A file that is finished loses the name that is
/// removed here, unless its worker is still at it.
fn may_be_finished_elsewhere(pending: &PendingJob, origin: Origin) -> bool {
    match origin {
        Origin::OtherDevice => true,
        Origin::OtherFile => is_snapshot(pending.verb),
        Origin::Untold | Origin::Own | Origin::Copy => false,
    }
}

pub(super) fn undo_for(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    pending: &PendingJob,
) -> Result<()> {
    // That it is not carried out must not be news that a power cut takes back. Where nothing can be written any more, that
    // is all that can be done.
    match Journal::open_read_only(run.path())?.sync() {
        Err(error) if error.kind() != ErrorKind::ReadOnlyFilesystem => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    if is_snapshot(pending.verb) {
        return undo_snapshot(domain, run, control, pending);
    }
    let undone = undo(domain, run, control, pending.job.before, pending.verb)?;
    // Else QEMU's word is of an earlier one: of a dump, or of the guest's own arrival.
    if undone == Undone::TooLate && look_at_run(domain, run)?.fold.transfer == Transfer::Left {
        return Ok(());
    }
    remove(domain, run, pending)?;
    tell_failed(run, pending, "the process died before it was done")
}

/// Gives the file of a job that was carried out its name.
pub(super) fn place(
    domain: &DomainFolder,
    run: &RunFolder,
    pending: &PendingJob,
) -> Result<Placed> {
    let file = &pending.job.file;
    let owner = Owner::new(domain, run, &pending.job);
    let placed = if is_dump(pending.verb) {
        put_dump_in_place(file, &owner).map_err(anyhow::Error::from)
    } else if is_save(pending.verb) {
        put_in_place(file, &owner)
    } else if is_snapshot(pending.verb) {
        place_snapshot(domain, pending, &owner)
    } else {
        Ok(Placed::Durably)
    };
    placed.with_context(|| format!("cannot write {}", file.display()))
}

pub(super) fn tell_done(run: &RunFolder, pending: &PendingJob) -> Result<()> {
    append(
        run,
        &Event::Done {
            verb: pending.verb,
            pid: pending.job.worker.pid,
        },
    )
}

fn remove(domain: &DomainFolder, run: &RunFolder, pending: &PendingJob) -> Result<()> {
    let file = &pending.job.file;
    let owner = Owner::new(domain, run, &pending.job);
    if is_snapshot(pending.verb) {
        return remove_snapshot(domain, pending, &owner);
    }
    let removed = if is_dump(pending.verb) {
        discard_dump(file, &owner)
    } else if is_save(pending.verb) {
        discard(file, &owner)
    } else {
        Ok(())
    };
    removed.with_context(|| format!("cannot remove what is left of {}", file.display()))
}

pub(super) fn tell_failed(run: &RunFolder, pending: &PendingJob, why: &str) -> Result<()> {
    append(
        run,
        &Event::Failed {
            verb: pending.verb,
            pid: pending.job.worker.pid,
            message: why.to_owned(),
        },
    )
}
