//! Before a verb acts: the domain as it is once everything is done that was left undone.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::adopt::adopt_and_wait;
use super::fulfil::fulfil;
use super::stream::SENT_BY_ANOTHER;
use crate::domain::{Paused, State, Transfer, Worker};
use crate::observe::{Observation, Watcher, look, look_at_run};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, RunFolder};

/// What virsh says of a domain that has ended.
pub const NOT_RUNNING: &str = "Requested operation is not valid: domain is not running";

/// How long QEMU may take to answer. Its main loop is busy for longer only if its disks hang.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a guest that is just being started is waited for: its recorder still has a `cont` to come.
const START_WAIT: Duration = Duration::from_secs(10);

/// How often a job may be found broken off by whoever had the monitor before.
const HOLDS_MAX: usize = 8;

/// A connection to the monitor of the run's QEMU. As long as it is held, nobody else has one.
pub(super) fn connect(run: &RunFolder) -> Result<Control, ControlError> {
    let folder = File::open(run.path()).map_err(ControlError::Unreachable)?;
    Control::connect(folder.as_fd(), answer_by())
}

/// When an answer that is waited for from now on is too late.
pub(super) fn answer_by() -> Instant {
    Instant::now() + ANSWER_TIMEOUT
}

/// What the domain is, once it was started and nothing of an earlier verb is left half done. The control socket works
/// before the recorder has come to its `cont`, which would undo what is done too early.
pub(super) fn settled(domain: &DomainFolder, seen: Observation) -> Result<Observation> {
    let mut seen = adopt_and_wait(domain, seen)?;
    let deadline = Instant::now() + START_WAIT;
    let mut watcher = Watcher::new();
    loop {
        if let Some(run) = seen.run.as_ref().filter(|_| seen.duty().is_some()) {
            fulfil(domain, run)?;
            seen = look(domain)?;
        }
        if seen.answer.state != State::Paused(Paused::StartingUp) {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            bail!("QEMU is still starting up");
        }
        watcher.watch(domain, &seen);
        seen = look(domain)?;
        if seen.answer.state == State::Paused(Paused::StartingUp) && seen.duty().is_none() {
            watcher.sleep_on(domain, &seen, Some(deadline))?;
        }
    }
}

/// The same for a domain that must be active, and of which nobody else is making a save or a dump.
///
/// # Errors
/// In virsh's words where it is not running.
pub(super) fn settled_active(domain: &DomainFolder, seen: Observation) -> Result<Observation> {
    let seen = settled(domain, seen)?;
    if !seen.is_active() {
        bail!(NOT_RUNNING);
    }
    Ok(seen)
}

/// A domain whose QEMU listens to nobody else.
pub(super) struct Held {
    pub(super) run: RunFolder,
    pub(super) control: Control,
    /// The domain as it is since then: nobody else begins a job.
    pub(super) seen: Observation,
}

/// Takes the monitor of a domain that is active, all there, and that nobody is busy with.
///
/// # Errors
/// In virsh's words where it is not running.
pub(super) fn hold(domain: &DomainFolder, seen: Observation) -> Result<Held> {
    let mut seen = seen;
    for _ in 0..HOLDS_MAX {
        seen = settled_active(domain, seen)?;
        let Some(run) = seen.run.clone() else {
            bail!(NOT_RUNNING);
        };
        let control = connect(&run)?;
        seen = look_at_run(domain, &run)?;
        refuse_unless_whole(&seen)?;
        refuse_while_sent(&seen)?;
        // Who had it before may have died in the middle of his job: that is undone first, and not overwritten.
        if seen.duty().is_none() {
            return Ok(Held { run, control, seen });
        }
    }
    bail!("there is always something left to be done")
}

/// Refuses to have QEMU write a guest that it is sending away for somebody else.
fn refuse_while_sent(seen: &Observation) -> Result<()> {
    let goes = matches!(seen.fold.transfer, Transfer::Leaving(_));
    if goes && seen.fold.is_sent_by_another() {
        bail!("Requested operation is not valid: {SENT_BY_ANOTHER}");
    }
    Ok(())
}

/// Refuses to touch a guest while somebody else's job is under way: what it writes would be of no moment, or of two. Also
/// one that runs at its destination while a part of it is still here, whoever sends it.
pub(super) fn refuse_while_busy(seen: &Observation) -> Result<()> {
    match &seen.fold.job {
        Some(pending) if seen.worker == Worker::Lives => bail!(
            "Requested operation is not valid: process {} is at it: {}",
            pending.job.worker.pid,
            pending.verb.word()
        ),
        Some(_) | None if seen.is_active() && seen.fold.is_handed_over() => {
            bail!(
                "Requested operation is not valid: the guest has been handed over to another QEMU"
            )
        }
        // What is done to it now would be undone when it arrives, or be done to half of it.
        Some(_) | None if seen.is_active() && seen.fold.is_awaited() => {
            bail!("Requested operation is not valid: the guest has not arrived yet")
        }
        Some(_) | None => Ok(()),
    }
}

/// The same for what needs all of the guest: what is missing of one that was handed over to here, QEMU would wait for.
pub(super) fn refuse_unless_whole(seen: &Observation) -> Result<()> {
    refuse_while_busy(seen)?;
    if seen.is_active() && seen.fold.is_incomplete() {
        bail!("Requested operation is not valid: the guest has not arrived yet");
    }
    Ok(())
}
