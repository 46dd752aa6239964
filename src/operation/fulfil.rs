//! Doing what is to be done about a run: what its policies ask for, and the ends of jobs whose worker died.
//!
//! Several may be at it at once, the supervisor's servant and the next verb. Who has QEMU's monitor looks again first, so
//! that nothing is done twice; all that counts is in the journal by then, because QEMU writes it before it answers.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::asking::{Asking, one_line};
use super::destroy::{end_qemu, end_qemu_by};
use super::dump::{dump_core, is_save};
use super::job_duty::{place, stands_still, take_back, tell_done, undo_for, without_qemu};
use super::migrate::switch_over;
use super::settle::connect;
use super::snapshot_duty::finish_revert;
use crate::domain::{Duty, Event, Life, OnPoweroff, PendingJob, Transfer, Verb};
use crate::journal::Journal;
use crate::observe::{Observation, Watcher, look_at_run, now};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, Placed, RunFolder};

/// How long QEMU may take to say what became of a guest that was let go.
const DEPARTURE_TIMEOUT: Duration = Duration::from_secs(10);

/// More duties than can follow each other.
const DUTIES_MAX: usize = 8;

/// Does what is to be done about `run`, one thing after the other, until nothing is left.
///
/// # Errors
/// What could not be done; it is left for the next who looks.
pub fn fulfil(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    for _ in 0..DUTIES_MAX {
        let seen = look_at_run(domain, run)?;
        let Some(duty) = seen.duty() else {
            return Ok(());
        };
        let verb = duty.of_standing_guest();
        if verb.is_some() && seen.may_lack_lines && !seen.fold.gap {
            // On record first: nobody does anything to a guest that may run, and cannot say so.
            append(run, &Event::Gap)?;
            continue;
        }
        match verb.filter(|_| seen.fold.gap) {
            // In lines that are lost it may have been reset, and run.
            Some(verb) if !stands_for(run, verb)? => tell_that_it_may_run(run, verb)?,
            _ => do_duty(domain, run, &seen, duty)?,
        }
    }
    bail!("there is always something left to be done")
}

/// Whether QEMU keeps a guest that panicked, or has shut down, by its own word.
fn stands_for(run: &RunFolder, verb: Verb) -> Result<bool> {
    let status = connect(run)?.execute("query-status", None)?;
    let word = status.get("status").and_then(Value::as_str);
    let awaited = match verb == Verb::PoweroffRestart {
        true => "shutdown",
        false => "guest-panicked",
    };
    Ok(word == Some(awaited))
}

/// So that nobody tries again.
fn tell_that_it_may_run(run: &RunFolder, verb: Verb) -> Result<()> {
    let message = "lines of the record are lost, and QEMU has the guest in another state";
    let pid = std::process::id();
    let message = message.to_owned();
    append(run, &Event::Failed { verb, pid, message })
}

fn do_duty(domain: &DomainFolder, run: &RunFolder, seen: &Observation, duty: Duty) -> Result<()> {
    if matches!(seen.life, Life::Gone(_)) {
        return match &seen.fold.job {
            Some(pending) => without_qemu(domain, run, pending, duty, seen.origin),
            None => Ok(()),
        };
    }
    match duty {
        // These speak to QEMU on their own.
        Duty::DumpCore => return dump_core(domain, run),
        Duty::EndAfterJob | Duty::EndAfterPanic | Duty::EndAfterPoweroff => {
            return end_for(domain, run, duty);
        }
        Duty::UndoJob
        | Duty::PlaceFile
        | Duty::FinishRevert
        | Duty::LetGo
        | Duty::RestartAfterPanic
        | Duty::ContinueAfterPanic
        | Duty::GiveUpRestarting
        | Duty::RestartAfterPoweroff
        | Duty::DisarmReboot => {}
    }
    let mut control = connect(run)?;
    let seen = look_at_run(domain, run)?;
    if seen.duty() != Some(duty) {
        return Ok(());
    }
    match (duty, &seen.fold.job) {
        (Duty::UndoJob, Some(pending)) => undo_for(domain, run, &mut control, pending),
        (Duty::PlaceFile, Some(pending))
            if pending.verb == Verb::Migrate && seen.fold.transfer != Transfer::Left =>
        {
            switch_over(&mut control)?;
            drop(control);
            await_departure(domain, run)
        }
        (Duty::PlaceFile, Some(pending))
            if pending.has_taken_guest()
                && !stands_still(domain, run, Some(&mut control), pending)? =>
        {
            Ok(())
        }
        (Duty::PlaceFile, Some(pending)) => match place(domain, run, pending) {
            Ok(Placed::Durably) => tell_done(run, pending),
            // The image has its name, and the guest must not be there twice. Its folder is synced when QEMU is gone.
            Ok(Placed::Unsynced(_)) if is_save(pending.verb) => {
                drop(control);
                end_qemu(domain, run)
            }
            Ok(Placed::Unsynced(_)) => tell_done(run, pending),
            Err(error) if pending.verb == Verb::SnapshotDelete => Err(error),
            // There is no place for it: the guest goes on instead, if there is one still.
            Err(_) => {
                control.execute("query-status", None)?;
                take_back(run, pending)?;
                undo_for(domain, run, &mut control, pending)
            }
        },
        (Duty::FinishRevert, Some(pending)) => finish_revert(domain, run, &mut control, pending),
        (Duty::LetGo, _) => let_go(run, &mut control),
        (Duty::RestartAfterPanic, _) => restart_for(run, &mut control, Verb::CrashRestart),
        // That was asked for, and is on record.
        (Duty::RestartAfterPoweroff, _) if seen.fold.reboot.is_some() => restart(&mut control),
        (Duty::RestartAfterPoweroff, _) => restart_for(run, &mut control, Verb::PoweroffRestart),
        (Duty::ContinueAfterPanic, _) => go_on(&mut control),
        (Duty::GiveUpRestarting, _) => give_up(run),
        (Duty::DisarmReboot, _) => disarm(run, &mut control, &seen),
        _ => Ok(()),
    }
}

/// Waits until QEMU says what became of a guest that was let go, or for as long as that may take.
fn await_departure(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    let deadline = Instant::now() + DEPARTURE_TIMEOUT;
    let mut watcher = Watcher::new();
    let mut seen = look_at_run(domain, run)?;
    while matches!(seen.fold.transfer, Transfer::Leaving(_)) && seen.is_active() {
        if Instant::now() >= deadline {
            bail!("QEMU does not say whether the guest has arrived");
        }
        watcher.watch(domain, &seen);
        seen = look_at_run(domain, run)?;
        if matches!(seen.fold.transfer, Transfer::Leaving(_)) {
            watcher.sleep_on(domain, &seen, Some(deadline))?;
        }
    }
    Ok(())
}

fn go_on(control: &mut Control) -> Result<()> {
    control.execute("cont", None)?;
    Ok(())
}

pub(super) fn append(run: &RunFolder, event: &Event) -> Result<()> {
    let journal = Journal::open(run.path())?;
    journal.append(now(), event)?;
    Ok(journal.sync()?)
}

/// Lets a restored guest run. If QEMU will not (another one has its disk), the run has failed: the supervisor ends it.
fn let_go(run: &RunFolder, control: &mut Control) -> Result<()> {
    // On the disk before the guest can write to its own disks: what it was saved in must not be taken up after that.
    let asking = Asking::begin_durably(run, Verb::LetGo)?;
    match control.execute("cont", None) {
        Ok(_) => asking.done(),
        Err(ControlError::Refused { desc, .. }) => asking.failed(&desc),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn restart_for(run: &RunFolder, control: &mut Control, verb: Verb) -> Result<()> {
    let asking = Asking::begin(run, verb)?;
    restart(control)?;
    asking.done();
    Ok(())
}

fn restart(control: &mut Control) -> Result<()> {
    // In this order: a `cont` first would let the dead kernel run.
    control.execute("system_reset", None)?;
    go_on(control)
}

fn give_up(run: &RunFolder) -> Result<()> {
    let asking = Asking::begin(run, Verb::CrashRestart)?;
    asking.failed("restarted 5 times in 60 s already");
    Ok(())
}

/// The guest was started again: its next power-off is an end, unless the policy or the command line says otherwise.
fn disarm(run: &RunFolder, control: &mut Control, seen: &Observation) -> Result<()> {
    set_poweroff_ends(control, seen)?;
    append(
        run,
        &Event::Done {
            verb: Verb::Reboot,
            pid: std::process::id(),
        },
    )
}

/// Has QEMU end at the guest's next power-off again, where that was so before a `reboot`.
pub(super) fn set_poweroff_ends(control: &mut Control, seen: &Observation) -> Result<()> {
    let policy = seen.fold.launch.as_ref().map(|l| l.lifecycle.on_poweroff);
    if policy.is_none_or(|policy| policy == OnPoweroff::Destroy) {
        control.execute("set-action", Some(json!({"shutdown": "poweroff"})))?;
    }
    Ok(())
}

/// Ends QEMU, also one whose monitor does not answer, unless somebody has reset the guest meanwhile: then there is no reason.
fn end_for(domain: &DomainFolder, run: &RunFolder, duty: Duty) -> Result<()> {
    let mut control = connect(run);
    let seen = look_at_run(domain, run)?;
    if seen.duty() != Some(duty) {
        return Ok(());
    }
    if let Some(pending) = seen.fold.job.filter(PendingJob::has_taken_guest)
        && !stands_still(domain, run, control.as_mut().ok(), &pending)?
    {
        return Ok(());
    }
    if duty != Duty::EndAfterPanic {
        return end_qemu_by(domain, run, control);
    }
    let asking = Asking::begin(run, Verb::CrashDestroy)?;
    let ended = end_qemu_by(domain, run, control);
    match &ended {
        Ok(()) => asking.done(),
        Err(error) => asking.failed(&one_line(error)),
    }
    ended
}

/// Ends QEMU for a job of this process, which has taken its guest. One that somebody has let go on meanwhile goes on.
///
/// # Errors
/// It goes on; or QEMU cannot be ended.
pub(super) fn end_after_job(domain: &DomainFolder, run: &RunFolder, verb: Verb) -> Result<()> {
    let mut control = connect(run);
    let seen = look_at_run(domain, run)?;
    let ours = |job: &&PendingJob| job.verb == verb && job.job.worker.pid == std::process::id();
    let stands = match seen.fold.job.as_ref().filter(ours) {
        Some(pending) => stands_still(domain, run, control.as_mut().ok(), pending)?,
        None => false,
    };
    if stands || !seen.is_active() {
        return end_qemu_by(domain, run, control);
    }
    drop(control);
    fulfil(domain, run)?;
    bail!("the domain is {}", look_at_run(domain, run)?.answer.state)
}
