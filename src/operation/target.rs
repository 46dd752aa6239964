//! The processes of a run that is to be ended: QEMU, or what was spawned for it as long as QEMU cannot be told.

use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, bail};

use super::asking::Asking;
use super::settle::{NOT_RUNNING, connect};
use super::ward::{Delivery, Ward};
use crate::domain::{Life, Process};
use crate::observe::{
    Observation, ProcessState, Watcher, find_qemu, is_of_run, look_at_run, process_state,
};
use crate::store::{DomainFolder, RunFolder};

/// Whether QEMU is killed if it does not end when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mercy {
    Graceful,
    None,
}

/// How long QEMU gets to end by itself, to flush its disks; libvirt gives as much (`virProcessKillPainfully`).
pub(super) const TERM_GRACE: Duration = Duration::from_secs(10);

/// How long a killed process may take to be gone: the kernel has its memory to free.
pub(super) const KILL_GRACE: Duration = Duration::from_secs(30);

/// How long the supervisor may take to write down an end that is there for all to see.
const RECORD_GRACE: Duration = Duration::from_secs(2);

/// After this long without an end it is looked again whether QEMU is stopped, and obeys nothing.
const STOP_WAIT: Duration = Duration::from_millis(200);

/// How far QEMU came.
pub(super) enum Ended {
    Over,
    /// It was sent SIGKILL, which nobody takes back, and nobody has seen it gone; with why.
    Doomed(Error),
}

/// The run's QEMU, once it can be told.
pub(super) fn qemu_of(run: &RunFolder, seen: &Observation) -> Option<Process> {
    let is_it = |qemu: &Process| Ward::of(*qemu).has_ended() || is_of_run(run, *qemu);
    let named = seen.fold.qemu.filter(is_it);
    named.or_else(|| find_qemu(run))
}

/// The run that is to be ended.
pub(super) struct Target<'a> {
    pub(super) domain: &'a DomainFolder,
    pub(super) run: &'a RunFolder,
    pub(super) asking: &'a Asking,
    pub(super) mercy: Mercy,
}

impl Target<'_> {
    pub(super) fn end(&self, qemu: Process) -> Result<Ended> {
        let ward = Ward::of(qemu);
        // A stopped process obeys nothing else.
        let kills = self.mercy == Mercy::None && is_stopped(qemu);
        let first = self.signal(&ward, kills)?;
        if first == Delivery::Late || !kills && ward.has_ended() {
            let seen = self.wait(TERM_GRACE)?;
            if first == Delivery::Late || was_ended_by_another(&seen) {
                bail!(NOT_RUNNING);
            }
        }
        self.asking.sent();
        if kills {
            return Ok(await_death(self.domain, self.run));
        }
        self.await_end(qemu, &ward, None)
    }

    /// Waits for the end of one that was asked for it, after `launcher` was if there is one, and kills it if it does not come.
    fn await_end(&self, qemu: Process, ward: &Ward, launcher: Option<Process>) -> Result<Ended> {
        let mut seen = self.wait(STOP_WAIT)?;
        // Whoever stopped it may have done so in the same moment.
        if seen.is_active() && (self.mercy == Mercy::Graceful || !is_stopped(qemu)) {
            seen = self.wait(TERM_GRACE.saturating_sub(STOP_WAIT))?;
        }
        if seen.is_active() && self.mercy == Mercy::Graceful {
            bail!(it_did_not_end());
        }
        if seen.is_active() {
            if ward.kill(self.run)? == Delivery::Made {
                return Ok(await_death(self.domain, self.run));
            }
            seen = self.wait(KILL_GRACE)?;
        }
        // Nor did ours end one that obeyed no SIGTERM, and was sent nothing else by us. Of one whose launcher was signalled too
        // that may have been the end.
        let is_alone = launcher.is_none_or(|launcher| launcher == qemu);
        if is_alone && was_ended_by_another(&seen) {
            bail!(NOT_RUNNING);
        }
        Ok(Ended::Over)
    }

    /// Ends what was spawned for a run whose QEMU cannot be told yet: a wrapper, or QEMU itself, which has not come so far.
    /// So is a QEMU that a wrapper leaves behind: of a guest that begins to run nobody has been the end.
    pub(super) fn end_launcher(&self, launcher: Process) -> Result<Ended> {
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
                if is_anothers || is_gone && was_ended_by_another(&seen) {
                    bail!(NOT_RUNNING);
                }
                self.asking.sent();
                return Ok(Ended::Over);
            }
            if let Some(qemu) = qemu_of(self.run, &seen) {
                if kills && qemu == launcher {
                    self.asking.sent();
                    return Ok(await_death(self.domain, self.run));
                }
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
            false => self.await_end(qemu, &ward, Some(launcher)),
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

/// Whether what is dead by now was so before our SIGTERM, which a zombie takes, too.
fn was_ended_by_another(seen: &Observation) -> bool {
    let zombie = match &seen.life {
        Life::Gone(seen) => seen.exit,
        Life::Lives | Life::MayLive => None,
    };
    seen.fold.was_ended_by_another(zombie)
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

/// For a QEMU of another user, behind sudo: its monitor obeys where the kernel refuses the signal.
pub(super) fn quit(run: &RunFolder) -> Result<()> {
    Ok(connect(run)?.quit()?)
}

/// Waits until the QEMU of `run` is gone and its end written down, by whoever does that; without a supervisor nobody
/// does.
pub(super) fn wait_for_end(
    domain: &DomainFolder,
    run: &RunFolder,
    deadline: Instant,
) -> Result<Observation> {
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
