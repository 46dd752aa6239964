//! Ending a guest without asking it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::adopt::adopt_and_wait;
use super::asking::{Asking, one_line};
use super::settle::{NOT_RUNNING, connect};
use super::target::{Ended, KILL_GRACE, Mercy, TERM_GRACE, Target, qemu_of, quit, wait_for_end};
use super::ward::Ward;
use crate::domain::{Cause, Certainty, ShutOff, State, Verb};
use crate::observe::{Observation, Reach, Watcher, find_qemu, look_at_run, reach};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, RunFolder};

/// How long a guest that is on its way out already is given to be gone.
const LEAVE_WAIT: Duration = Duration::from_secs(2);

/// How long somebody who is just starting the domain may take until there is a process to end.
const SPAWN_WAIT: Duration = Duration::from_secs(2);

/// Ends the guest that `seen` shows. On return it is over, and its end is on the disk as far as there is room.
///
/// # Errors
/// In virsh's words if it is not running; otherwise why QEMU could not be ended.
pub fn destroy(domain: &DomainFolder, seen: Observation, mercy: Mercy) -> Result<()> {
    let seen = adopt_and_wait(domain, seen)?;
    let (true, Some(run)) = (seen.is_active(), seen.run.clone()) else {
        bail!(NOT_RUNNING);
    };
    let mut seen = wait_for_spawn(domain, &run, seen)?;
    if seen.fold.is_leaving() {
        // It announced its own end: who asks now is too late to be the cause.
        seen = wait_for_end(domain, &run, Instant::now() + LEAVE_WAIT)?;
    }
    if !seen.is_active() {
        bail!(NOT_RUNNING);
    }
    let asking = Asking::begin(&run, Verb::Destroy)?;
    let ended = end(domain, &seen, &run, &asking, mercy).and_then(|ended| match ended {
        // What we could not write down nobody can take account of.
        Ended::Over if asking.is_written() && was_overtaken(domain, &run)? => bail!(NOT_RUNNING),
        Ended::Over | Ended::Doomed(_) => Ok(ended),
    });
    match ended {
        Ok(Ended::Over) => {
            asking.done_durably();
            Ok(())
        }
        // It is us whom it will have been ended by.
        Ok(Ended::Doomed(error)) => Err(error),
        Err(error) => {
            asking.failed(&one_line(&error));
            Err(error)
        }
    }
}

/// Whether the guest came to its own end between our look and our line in the journal, or its QEMU was dying by then and heard
/// no signal any more: the fold then takes no account of the line, and what is answered from now on is that end.
fn was_overtaken(domain: &DomainFolder, run: &RunFolder) -> Result<bool> {
    let seen = look_at_run(domain, run)?;
    let pid = std::process::id();
    let mut intents = seen.fold.intents.0.iter();
    let counts = intents.any(|intent| intent.verb == Verb::Destroy && intent.actor.pid == pid);
    // By itself, or by a reset that somebody asked for before us.
    let ends = [ShutOff::Crashed, ShutOff::Shutdown].map(State::ShutOff);
    let was_dying = ends.contains(&seen.answer.state) || seen.fold.ended_by_itself(None);
    // A damaged journal may have lost the line; then it proves nothing.
    let is_whole = seen.answer.certainty == Certainty::Witnessed;
    // A guest's own end, as far as QEMU tells it from others', is on record all the same.
    let is_own = seen.answer.state == State::ShutOff(ShutOff::Shutdown)
        || matches!(seen.answer.cause, Some(Cause::Unattributed { .. }));
    Ok((!counts || was_dying) && is_whole || !counts && is_own)
}

fn end(
    domain: &DomainFolder,
    seen: &Observation,
    run: &RunFolder,
    asking: &Asking,
    mercy: Mercy,
) -> Result<Ended> {
    let reach = seen.fold.launch.as_ref().map(reach).transpose()?;
    // It lives by another boot id: that of a container.
    if let Some(Reach::OtherNamespace | Reach::OtherBoot) = reach {
        // No signal reaches it from here, and its pid is somebody else's; its monitor obeys everybody.
        quit(run)?;
        asking.sent();
        if wait_for_end(domain, run, Instant::now() + TERM_GRACE)?.is_active() {
            let limit = TERM_GRACE.as_secs();
            bail!(
                "QEMU did not end within {limit} s, and cannot be killed from another pid namespace"
            );
        }
        return Ok(Ended::Over);
    }
    let target = Target {
        domain,
        run,
        asking,
        mercy,
    };
    match (qemu_of(run, seen), seen.fold.launcher) {
        (Some(qemu), _) => target.end(qemu),
        (None, Some(launcher)) => target.end_launcher(launcher),
        (None, None) => bail!("QEMU has not been started yet"),
    }
}

/// Ends a QEMU whose reason to end is on record already: what it calls it does not count any more.
pub(super) fn end_qemu(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    end_qemu_by(domain, run, connect(run))
}

/// The same by a monitor that is held already, or could not be had: then by force.
pub(super) fn end_qemu_by(
    domain: &DomainFolder,
    run: &RunFolder,
    control: Result<Control, ControlError>,
) -> Result<()> {
    let asked = control.and_then(Control::quit);
    let seen = wait_for_end(domain, run, Instant::now() + TERM_GRACE)?;
    if !seen.is_active() {
        return Ok(());
    }
    let Some(qemu) = seen.fold.qemu.or_else(|| find_qemu(run)) else {
        asked?;
        bail!("QEMU does not end");
    };
    Ward::of(qemu).kill(run)?;
    if wait_for_end(domain, run, Instant::now() + KILL_GRACE)?.is_active() {
        bail!(
            "QEMU is still there {} s after SIGKILL",
            KILL_GRACE.as_secs()
        );
    }
    Ok(())
}

/// Waits, where a run has been announced and nothing spawned for it yet, until that has happened or never will.
fn wait_for_spawn(
    domain: &DomainFolder,
    run: &RunFolder,
    seen: Observation,
) -> Result<Observation> {
    let mut watcher = Watcher::new();
    let mut seen = seen;
    let deadline = Instant::now() + SPAWN_WAIT;
    while seen.is_active() && seen.fold.launcher.is_none() && Instant::now() < deadline {
        watcher.watch(domain, &seen);
        seen = look_at_run(domain, run)?;
        if seen.is_active() && seen.fold.launcher.is_none() {
            watcher.sleep_on(domain, &seen, Some(deadline))?;
        }
    }
    Ok(seen)
}
