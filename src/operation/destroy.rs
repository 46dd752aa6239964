//! Ending a guest without asking it.

use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, bail};

use super::adopt::adopt_and_wait;
use super::asking::{Asking, one_line};
use super::settle::{NOT_RUNNING, connect};
use super::ward::{Delivery, Ward};
use crate::domain::{Certainty, Exit, Life, Process, Verb};
use crate::observe::{
    Observation, ProcessState, Reach, Watcher, find_qemu, is_of_run, look_at_run, process_state,
    reach,
};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, RunFolder};

/// Whether QEMU is killed if it does not end when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mercy {
    Graceful,
    None,
}

/// How long QEMU gets to end by itself, to flush its disks; libvirt gives as much (`virProcessKillPainfully`).
const TERM_GRACE: Duration = Duration::from_secs(10);

/// After this long without an end it is looked again whether QEMU is stopped, and obeys nothing.
const STOP_WAIT: Duration = Duration::from_millis(200);

/// How long a killed process may take to be gone: the kernel has its memory to free.
const KILL_GRACE: Duration = Duration::from_secs(30);

/// How long the supervisor may take to write down an end that is there for all to see.
const RECORD_GRACE: Duration = Duration::from_secs(2);

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

/// How far QEMU came.
enum Ended {
    Over,
    /// It was sent SIGKILL, which nobody takes back, and nobody has seen it gone; with why.
    Doomed(Error),
}

/// Whether the guest came to its own end between our look and our line in the journal: the fold then takes no account
/// of the line, and what is answered from now on is the guest's end.
fn was_overtaken(domain: &DomainFolder, run: &RunFolder) -> Result<bool> {
    let seen = look_at_run(domain, run)?;
    let pid = std::process::id();
    let mut intents = seen.fold.intents.0.iter();
    let counts = intents.any(|intent| intent.verb == Verb::Destroy && intent.actor.pid == pid);
    // A damaged journal may have lost the line; then it proves nothing.
    Ok(!counts && seen.answer.certainty == Certainty::Witnessed)
}

fn end(
    domain: &DomainFolder,
    seen: &Observation,
    run: &RunFolder,
    asking: &Asking,
    mercy: Mercy,
) -> Result<Ended> {
    if seen.fold.launch.as_ref().map(reach).transpose()? == Some(Reach::OtherNamespace) {
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

/// The run's QEMU, once it can be told.
fn qemu_of(run: &RunFolder, seen: &Observation) -> Option<Process> {
    let is_it = |qemu: &Process| Ward::of(*qemu).has_ended() || is_of_run(run, *qemu);
    let named = seen.fold.qemu.filter(is_it);
    named.or_else(|| find_qemu(run))
}

/// The run that is to be ended.
struct Target<'a> {
    domain: &'a DomainFolder,
    run: &'a RunFolder,
    asking: &'a Asking,
    mercy: Mercy,
}

impl Target<'_> {
    fn end(&self, qemu: Process) -> Result<Ended> {
        let ward = Ward::of(qemu);
        // A stopped process obeys nothing else.
        let kills = self.mercy == Mercy::None && is_stopped(qemu);
        let first = self.signal(&ward, kills)?;
        if first == Delivery::Late || !kills && ward.has_ended() {
            let seen = self.wait(TERM_GRACE)?;
            if first == Delivery::Late || was_killed_by_another(&seen) {
                bail!(NOT_RUNNING);
            }
        }
        self.asking.sent();
        if kills {
            return Ok(await_death(self.domain, self.run));
        }
        self.await_end(qemu, &ward)
    }

    /// Waits for the end of one that was asked for it, and kills it if it does not come.
    fn await_end(&self, qemu: Process, ward: &Ward) -> Result<Ended> {
        let mut seen = self.wait(STOP_WAIT)?;
        // Whoever stopped it may have done so in the same moment.
        if seen.is_active() && (self.mercy == Mercy::Graceful || !is_stopped(qemu)) {
            seen = self.wait(TERM_GRACE.saturating_sub(STOP_WAIT))?;
        }
        if seen.is_active() && self.mercy == Mercy::Graceful {
            bail!(it_did_not_end());
        }
        if seen.is_active() {
            ward.kill(self.run)?;
            return Ok(await_death(self.domain, self.run));
        }
        Ok(Ended::Over)
    }

    /// Ends what was spawned for a run whose QEMU cannot be told yet: a wrapper, or QEMU itself, which has not come so far.
    /// So is a QEMU that a wrapper leaves behind: of a guest that begins to run nobody has been the end.
    fn end_launcher(&self, launcher: Process) -> Result<Ended> {
        let ward = Ward::of(launcher);
        let mut kills = self.mercy == Mercy::None && is_stopped(launcher);
        let mut is_asked = false;
        loop {
            let delivery = self.signal(&ward, kills)?;
            let is_gone = delivery == Delivery::Late || !kills && ward.has_ended();
            if !is_gone {
                self.asking.sent();
            }
            // What comes too late after that comes behind our own.
            let is_anothers = !is_asked && delivery == Delivery::Late;
            is_asked |= delivery == Delivery::Made;
            let mut seen = self.wait_for_qemu(STOP_WAIT)?;
            let limit = if kills { KILL_GRACE } else { TERM_GRACE };
            let is_known = |seen: &Observation| qemu_of(self.run, seen).is_some();
            let is_hopeless = !kills && self.mercy == Mercy::None && is_stopped(launcher);
            if seen.is_active() && !is_known(&seen) && !is_hopeless {
                seen = self.wait_for_qemu(limit.saturating_sub(STOP_WAIT))?;
            }
            if !seen.is_active() {
                if is_anothers || is_gone && was_killed_by_another(&seen) {
                    bail!(NOT_RUNNING);
                }
                self.asking.sent();
                return Ok(Ended::Over);
            }
            if let Some(qemu) = qemu_of(self.run, &seen) {
                return self.end_behind(launcher, qemu, is_asked);
            }
            if ward.has_ended() {
                bail!("its QEMU cannot be found");
            }
            if kills || self.mercy == Mercy::Graceful {
                bail!(it_did_not_end());
            }
            kills = true;
        }
    }

    /// Ends a QEMU that could be told only after its launcher was asked to end: it may be on its way out for that.
    fn end_behind(&self, launcher: Process, qemu: Process, is_asked: bool) -> Result<Ended> {
        if !is_asked {
            return self.end(qemu);
        }
        let ward = Ward::of(qemu);
        let kills = self.mercy == Mercy::None && is_stopped(qemu);
        if kills || qemu != launcher {
            match self.signal(&ward, kills) {
                Ok(_) => {}
                // It was asked by its monitor, say, and does not listen any more.
                Err(_) if !self.wait(TERM_GRACE)?.is_active() => {}
                Err(error) => return Err(error),
            }
        }
        self.asking.sent();
        match kills {
            true => Ok(await_death(self.domain, self.run)),
            false => self.await_end(qemu, &ward),
        }
    }

    fn signal(&self, ward: &Ward, kills: bool) -> Result<Delivery> {
        if kills {
            return Ok(ward.kill(self.run)?);
        }
        Ok(ward.terminate(self.run).or_else(|error| {
            let quits = quit(self.run).map(|()| Delivery::Made);
            quits.map_err(|_| error)
        })?)
    }

    fn wait(&self, limit: Duration) -> Result<Observation> {
        wait_for_end(self.domain, self.run, Instant::now() + limit)
    }

    /// The same, or until it can be told which process is QEMU.
    fn wait_for_qemu(&self, limit: Duration) -> Result<Observation> {
        let is_known = |seen: &Observation| qemu_of(self.run, seen).is_some();
        wait_for_end_or(self.domain, self.run, Instant::now() + limit, &is_known)
    }
}

fn is_stopped(process: Process) -> bool {
    process_state(process) == ProcessState::Stopped
}

fn it_did_not_end() -> Error {
    anyhow!("QEMU did not end within {} s", TERM_GRACE.as_secs())
}

/// Whether what is dead by now was so before our SIGTERM, which a zombie takes, too: whoever obeys that says so first, and
/// dies of no other signal.
fn was_killed_by_another(seen: &Observation) -> bool {
    let zombie = match &seen.life {
        Life::Gone(seen) => seen.exit,
        Life::Lives | Life::MayLive => None,
    };
    let exit = seen.fold.end().and_then(|end| end.exit).or(zombie);
    let by_another = matches!(exit, Some(Exit::Signal { signal, .. }) if signal != 15);
    by_another && seen.fold.shutdown.is_none()
}

/// Waits until a process that was sent SIGKILL is gone.
fn await_death(domain: &DomainFolder, run: &RunFolder) -> Ended {
    match wait_for_end(domain, run, Instant::now() + KILL_GRACE) {
        Ok(seen) if !seen.is_active() => Ended::Over,
        Ok(_) => {
            let limit = KILL_GRACE.as_secs();
            Ended::Doomed(anyhow!("QEMU is still there {limit} s after SIGKILL"))
        }
        Err(error) => Ended::Doomed(error),
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

/// For a QEMU of another user, behind sudo: its monitor obeys where the kernel refuses the signal.
fn quit(run: &RunFolder) -> Result<()> {
    Ok(connect(run)?.quit()?)
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

/// Waits until the QEMU of `run` is gone and its end written down, by whoever does that; without a supervisor nobody
/// does.
fn wait_for_end(domain: &DomainFolder, run: &RunFolder, deadline: Instant) -> Result<Observation> {
    wait_for_end_or(domain, run, deadline, &|_| false)
}

/// The same, or until what is seen of it is enough.
fn wait_for_end_or(
    domain: &DomainFolder,
    run: &RunFolder,
    deadline: Instant,
    is_enough: &dyn Fn(&Observation) -> bool,
) -> Result<Observation> {
    let mut watcher = Watcher::new();
    let mut seen = look_at_run(domain, run)?;
    let mut gone_at: Option<Instant> = None;
    loop {
        watcher.watch(domain, &seen);
        seen = look_at_run(domain, run)?;
        let limit = if seen.is_active() {
            deadline
        } else {
            *gone_at.get_or_insert_with(Instant::now) + RECORD_GRACE
        };
        let is_over = !seen.is_active() && (seen.is_settled() || seen.supervised.is_nobody());
        if is_over || Instant::now() >= limit || seen.is_active() && is_enough(&seen) {
            return Ok(seen);
        }
        watcher.sleep_on(domain, &seen, Some(limit))?;
    }
}
