//! Taking back a job: QEMU lets go of what it was writing, and the guest goes on as before.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::asking::Asking;
use super::fulfil::append;
use super::limits::restore_limit;
use super::migrate::{forget_capabilities, migration_status, release_cancelled};
use super::settle::{answer_by, connect};
use crate::domain::{Before, Duty, Event, Fold, Life, State, Transfer, Verb, Worker};
use crate::journal::Journal;
use crate::observe::{Observation, look_at_run};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, RunFolder};

/// How long QEMU may take to let go of a stream that was cancelled.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for one that was not begun.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often it is asked meanwhile: there is no event for the end of a dump that was cut off, on any version.
const CANCEL_INTERVAL: Duration = Duration::from_millis(5);

/// Whether a job could be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undone {
    Yes,
    /// The guest has arrived where it was sent.
    TooLate,
}

/// Has QEMU let go of what it was writing, and the guest go on as before. One that cannot go on (somebody else has its
/// disk), or that somebody else sends away meanwhile, is left as it stands.
pub(super) fn undo(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    before: Before,
    verb: Verb,
) -> Result<Undone> {
    let handed_over = is_handed_over(control)?;
    let fold = look_at_run(domain, run)?.fold;
    if fold.is_sent_by_another() {
        // Not ours to cancel.
        await_release(control, &[Written::Dump])?;
    } else {
        if verb == Verb::Migrate && (handed_over || fold.is_handed_over()) {
            bail!("the guest runs at its destination, or part of it is there");
        }
        if fold.is_cancelled_with_job() {
            match control.execute("migrate_cancel", None) {
                // Refused: there was nothing to cancel.
                Ok(_) | Err(ControlError::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // What QEMU was not told to write, or has given up: what it may be at by now is somebody else's.
        match fold.may_be_written_for_job() {
            true => await_release(control, &[Written::Dump, Written::Stream])?,
            false => await_release(control, &[Written::Dump])?,
        }
    }
    restore_limit(control)?;
    if verb == Verb::Migrate {
        forget_capabilities(control)?;
    }
    let is_completed = migration_status(control)?.as_deref() == Some("completed");
    let fold = look_at_run(domain, run)?.fold;
    if fold.is_sent_by_another() {
        // It is there, or may be before we could say a word: it must not run here.
        return Ok(Undone::Yes);
    }
    // QEMU may say so of a snapshot of somebody else's.
    if verb == Verb::Migrate && is_completed && fold.transfer == Transfer::Left {
        return Ok(Undone::TooLate);
    }
    if before == Before::Ran && stands_for_us(&fold, control)? {
        let_go_on(control)?;
    }
    tell_if_it_runs(domain, run, control)?;
    Ok(Undone::Yes)
}

/// Of a guest that runs QEMU has said so, unless nothing could be written down then: where that can be done now, it has to say it
/// again. Not while it is sent: whether it runs goes with it.
pub(super) fn tell_if_it_runs(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
) -> Result<()> {
    let is_known = || {
        let seen = look_at_run(domain, run);
        seen.is_ok_and(|seen| matches!(seen.fold.live, State::Running(_)))
    };
    if !is_running(control).unwrap_or(false) || is_known() {
        return Ok(());
    }
    let has_room = Journal::open(run.path()).and_then(|journal| journal.ensure_line_room());
    let is_told = has_room.is_ok() && append(run, &Event::Gap).is_ok();
    if is_told && writing(control, &[Written::Stream])? == Writing::Nothing {
        control.execute("stop", None)?;
        if was_stopped(control)? {
            let_go_on(control)?;
        }
    }
    Ok(())
}

/// Lets a guest go on that stands, if QEMU will.
pub(super) fn let_go_on(control: &mut Control) -> Result<(), ControlError> {
    match control.execute("cont", None) {
        Ok(_) | Err(ControlError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Lets the guest go on as if nothing had been asked.
///
/// # Errors
/// It cannot be: then the job is left for whoever looks next.
pub(super) fn take_back(
    domain: &DomainFolder,
    run: &RunFolder,
    before: Before,
    verb: Verb,
    asking: &Asking,
    why: &anyhow::Error,
) -> Result<Undone> {
    let undone = connect(run)
        .map_err(anyhow::Error::from)
        .and_then(|mut control| {
            // One that was sent away is where QEMU says.
            if verb != Verb::Migrate {
                recall(domain, run, &mut control, asking)?;
            }
            undo(domain, run, &mut control, before, verb)
        });
    let error = match undone {
        Ok(undone) => return Ok(undone),
        Err(error) => error,
    };
    let seen = look_at_run(domain, run)?;
    if is_left_to_others(&seen) {
        bail!(left_to_others(why));
    }
    if error.is::<ControlError>() && !seen.is_active() {
        return Ok(Undone::Yes);
    }
    Err(error.context(format!("{why:#}; and the guest cannot be let go on")))
}

/// Writes down that a job is not carried out any more, before anything of it is undone, as long as QEMU answers: of one that is
/// gone, what was written is all that there is.
///
/// # Errors
/// It cannot be written, or QEMU is gone or on its way out: then what was written stays what it is.
pub(super) fn recall(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    asking: &Asking,
) -> Result<()> {
    if !asking.may_be_carried_out() {
        return Ok(());
    }
    control.execute("query-status", None)?;
    if look_at_run(domain, run)?.fold.is_leaving() {
        bail!("QEMU is on its way out");
    }
    asking.taken_back()
}

/// Whether QEMU is gone, and the guest is in what we have written for a job that is carried out, and nowhere else: it is put in
/// its place by whoever looks next, once we are gone.
pub(super) fn is_left_to_others(seen: &Observation) -> bool {
    let is_gone = matches!(seen.life, Life::Gone(_));
    is_gone && seen.fold.duty(&seen.life, Worker::Gone) == Some(Duty::PlaceFile)
}

pub(super) fn left_to_others(why: &anyhow::Error) -> String {
    format!(
        "{why:#}; its QEMU is gone, and what was written is put in its place by the next command"
    )
}

/// Whether the guest may run elsewhere already. Up to there QEMU does not come without a word of ours (`migrate-continue`),
/// and nobody can say it while we have the monitor.
fn is_handed_over(control: &mut Control) -> Result<bool> {
    let status = migration_status(control)?;
    Ok(status.is_some_and(|status| status.starts_with("postcopy") || status == "device"))
}

/// What a job has QEMU write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Dump,
    Stream,
}

/// How far it is with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Nothing,
    /// It was cancelled before it has found a destination that answers.
    NotBegun,
    Something,
}

fn await_release(control: &mut Control, written: &[Written]) -> Result<()> {
    let began = Instant::now();
    loop {
        let is_late = |limit| began.elapsed() >= limit;
        match writing(control, written)? {
            Writing::Nothing => return Ok(()),
            // QEMU 7.2 goes on trying for as long as the network does. Nothing comes of it, and the guest is left alone.
            Writing::NotBegun if is_late(CONNECT_TIMEOUT) => return Ok(()),
            Writing::NotBegun | Writing::Something if is_late(CANCEL_TIMEOUT) => {
                bail!("QEMU does not let go of what it was writing")
            }
            Writing::NotBegun | Writing::Something => {}
        }
        if written.contains(&Written::Stream) {
            release_cancelled(control)?;
        }
        std::thread::sleep(CANCEL_INTERVAL);
    }
}

fn writing(control: &mut Control, written: &[Written]) -> Result<Writing> {
    control.set_deadline(answer_by());
    let dump = control.execute("query-dump", None)?;
    if dump.get("status").and_then(Value::as_str) == Some("active") {
        return Ok(Writing::Something);
    }
    if !written.contains(&Written::Stream) {
        return Ok(Writing::Nothing);
    }
    let migration = control.execute("query-migrate", None)?;
    let sent = migration.pointer("/ram/transferred");
    Ok(match migration.get("status").and_then(Value::as_str) {
        None | Some("none" | "completed" | "failed" | "cancelled") => Writing::Nothing,
        Some("cancelling") if sent.is_none_or(|sent| sent == 0) => Writing::NotBegun,
        Some(_) => Writing::Something,
    })
}

pub(super) fn is_running(control: &mut Control) -> Result<bool> {
    let status = control.execute("query-status", None)?;
    Ok(status.get("running").and_then(Value::as_bool) == Some(true))
}

/// Whether a guest that ran stands because it was stopped, by QEMU's word and the journal's: QEMU forgets over a migration why it
/// stands, and may call one `paused` that panicked or shut down just as it was stopped. One that had fallen asleep sleeps on if it
/// is let go (10 and 11, which stop it on top of that), but not behind a migration, which they do not survive.
pub(super) fn stands_for_us(fold: &Fold, control: &mut Control) -> Result<bool> {
    if fold.is_dead() {
        return Ok(false);
    }
    let status = status(control)?;
    Ok(match fold.suspended {
        true => status == "paused",
        false => is_stopped(&status),
    })
}

/// QEMU's word for how the guest stands, or runs.
fn status(control: &mut Control) -> Result<String> {
    let status = control.execute("query-status", None)?;
    let word = status.get("status").and_then(Value::as_str);
    Ok(word.unwrap_or_default().to_owned())
}

/// Whether the guest stands because it was stopped, and not for a reason of its own: a kernel that panicked must not be
/// let run.
pub(super) fn was_stopped(control: &mut Control) -> Result<bool> {
    Ok(is_stopped(&status(control)?))
}

/// The same by QEMU's word for how it stands.
pub(super) fn is_stopped(word: &str) -> bool {
    let stopped = [
        "paused",
        "postmigrate",
        "finish-migrate",
        "save-vm",
        "prelaunch",
    ];
    stopped.contains(&word)
}
