//! What is done to a guest over QEMU's monitor: suspend, resume, reset and the like. The guards and their words are
//! libvirt's (9.0.0, `src/qemu/qemu_driver.c`).

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::adopt::adopt_and_wait;
use super::asking::Asking;
use crate::domain::{Paused, State, Verb};
use crate::observe::{Observation, Watcher, look};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, RunFolder};

const NOT_RUNNING: &str = "Requested operation is not valid: domain is not running";

/// How long QEMU may take to answer. Its main loop is busy for longer only if its disks hang.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a guest that is just being started is waited for: its recorder still has a `cont` to come.
const START_WAIT: Duration = Duration::from_secs(10);

/// Stops the virtual processors. A guest whose processors stand still already is left as it is.
pub fn suspend(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = once_started(domain, seen)?;
    match seen.answer.state {
        State::ShutOff(_) => bail!(NOT_RUNNING),
        State::PmSuspended => bail!("Requested operation is not valid: domain is pmsuspended"),
        State::Paused(_) | State::Crashed => Ok(()),
        State::Running(_) | State::InShutdown => execute(&seen, Verb::Suspend, "stop"),
    }
}

/// Lets them go on.
pub fn resume(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = once_started(domain, seen)?;
    if seen.is_active() && seen.fold.migrated_away {
        // QEMU would obey, and the guest would run twice, on one disk.
        bail!("Requested operation is not valid: the guest has been migrated away");
    }
    match seen.answer.state {
        State::ShutOff(_) => bail!(NOT_RUNNING),
        State::PmSuspended => bail!("Requested operation is not valid: domain is pmsuspended"),
        State::Running(_) => bail!("Requested operation is not valid: domain is already running"),
        State::Paused(_) | State::Crashed | State::InShutdown => {
            execute(&seen, Verb::Resume, "cont")
        }
    }
}

/// Presses the reset button.
pub fn reset(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = once_started(domain, seen)?;
    match seen.answer.state {
        State::ShutOff(_) => bail!(NOT_RUNNING),
        State::Running(_)
        | State::Paused(_)
        | State::Crashed
        | State::InShutdown
        | State::PmSuspended => execute(&seen, Verb::Reset, "system_reset"),
    }
}

/// Presses the power button; what the guest makes of it is its own affair.
pub fn shutdown(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = once_started(domain, seen)?;
    match seen.answer.state {
        State::Running(_) => execute(&seen, Verb::Shutdown, "system_powerdown"),
        State::ShutOff(_)
        | State::Paused(_)
        | State::Crashed
        | State::InShutdown
        | State::PmSuspended => {
            bail!(NOT_RUNNING)
        }
    }
}

/// Sends the guest a non-maskable interrupt.
pub fn inject_nmi(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = active(domain, seen)?;
    execute(&seen, Verb::InjectNmi, "inject-nmi")
}

/// Wakes a guest that sleeps in memory. QEMU refuses where it does not.
pub fn wake_up(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = active(domain, seen)?;
    execute(&seen, Verb::Wakeup, "system_wakeup")
}

/// Sends QEMU a command of the user's own and returns its reply, be it a refusal.
pub fn monitor_command(domain: &DomainFolder, seen: Observation, command: &Value) -> Result<Value> {
    let seen = active(domain, seen)?;
    let name = command.get("execute").and_then(Value::as_str);
    let Some(name) = name.filter(|_| command.is_object()) else {
        bail!("the command is no JSON object with \"execute\" in it");
    };
    let arguments = command.get("arguments").cloned();
    let Some(run) = &seen.run else {
        bail!(NOT_RUNNING);
    };
    let asking = Asking::begin(run, Verb::Monitor)?;
    let folder = File::open(run.path())?;
    let replied = Control::connect(folder.as_fd(), Instant::now() + ANSWER_TIMEOUT)
        .and_then(|mut control| control.execute(name, arguments));
    match replied {
        Ok(value) => {
            asking.done();
            Ok(json!({"return": value}))
        }
        Err(ControlError::Refused { desc }) => {
            asking.failed(&desc);
            Ok(json!({"error": {"desc": desc}}))
        }
        Err(error) => {
            asking.failed(&error.to_string());
            Err(error.into())
        }
    }
}

fn active(domain: &DomainFolder, seen: Observation) -> Result<Observation> {
    let seen = once_started(domain, seen)?;
    if !seen.is_active() {
        bail!(NOT_RUNNING);
    }
    Ok(seen)
}

/// The control socket works before the recorder has come to its `cont`, which would undo what is done too early.
fn once_started(domain: &DomainFolder, seen: Observation) -> Result<Observation> {
    let mut seen = adopt_and_wait(domain, seen)?;
    let deadline = Instant::now() + START_WAIT;
    let mut watcher = Watcher::new();
    while seen.answer.state == State::Paused(Paused::StartingUp) {
        if Instant::now() >= deadline {
            bail!("QEMU is still starting up");
        }
        watcher.watch(domain, &seen);
        seen = look(domain)?;
        if seen.answer.state == State::Paused(Paused::StartingUp) {
            watcher.sleep(Some(deadline))?;
        }
    }
    Ok(seen)
}

fn execute(seen: &Observation, verb: Verb, command: &str) -> Result<()> {
    let Some(run) = &seen.run else {
        bail!(NOT_RUNNING);
    };
    let asking = Asking::begin(run, verb)?;
    match speak(run, &asking, command) {
        Ok(()) => {
            asking.done();
            Ok(())
        }
        Err(error) => {
            asking.failed(&format!("{error:#}"));
            Err(error)
        }
    }
}

fn speak(run: &RunFolder, asking: &Asking, command: &str) -> Result<()> {
    let folder = File::open(run.path())?;
    let mut control = Control::connect(folder.as_fd(), Instant::now() + ANSWER_TIMEOUT)?;
    control.execute(command, None)?;
    asking.sent();
    Ok(())
}
