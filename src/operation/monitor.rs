//! What is done to a guest over QEMU's monitor: suspend, resume, reset and the like. The guards and their words are
//! libvirt's (9.0.0, `src/qemu/qemu_driver.c`).

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::asking::{Asking, one_line};
use super::fulfil::set_poweroff_ends;
use super::settle::{
    NOT_RUNNING, connect, refuse_unless_whole, refuse_while_busy, settled, settled_active,
};
use super::stream::SENT_BY_ANOTHER;
use super::undo::is_running;
use crate::domain::{Certainty, OnPoweroff, OnReboot, State, Transfer, Verb};
use crate::observe::{Observation, look_at_run};
use crate::qemu::{Control, ControlError};
use crate::store::DomainFolder;

/// Stops the virtual processors. A guest whose processors stand still already is left as it is.
pub fn suspend(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled(domain, seen)?;
    refuse_while_busy(&seen)?;
    match seen.answer.state {
        State::ShutOff(_) => bail!(NOT_RUNNING),
        State::PmSuspended => bail!("Requested operation is not valid: domain is pmsuspended"),
        // By what was lost of the record it may run. QEMU stops none twice.
        State::Paused(_) | State::Crashed if seen.answer.certainty == Certainty::Witnessed => {
            Ok(())
        }
        State::Paused(_) | State::Crashed | State::Running(_) | State::InShutdown => {
            execute_alone(domain, &seen, Verb::Suspend, "stop")
        }
    }
}

/// Lets them go on.
pub fn resume(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled(domain, seen)?;
    refuse_while_busy(&seen)?;
    match seen.answer.state {
        State::ShutOff(_) => bail!(NOT_RUNNING),
        State::PmSuspended => bail!("Requested operation is not valid: domain is pmsuspended"),
        // By what was lost of the record it may stand. QEMU lets none go on twice.
        State::Running(_) if seen.answer.certainty == Certainty::Witnessed => {
            bail!("Requested operation is not valid: domain is already running")
        }
        State::Running(_) | State::Paused(_) | State::Crashed | State::InShutdown => {
            execute_alone(domain, &seen, Verb::Resume, "cont")
        }
    }
}

/// Presses the reset button.
pub fn reset(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled(domain, seen)?;
    refuse_while_busy(&seen)?;
    match seen.answer.state {
        State::ShutOff(_) => bail!(NOT_RUNNING),
        State::Running(_) => execute_alone(domain, &seen, Verb::Reset, "system_reset"),
        State::Paused(_) | State::Crashed | State::InShutdown | State::PmSuspended => {
            refuse_idle_reset(&seen)?;
            execute_alone(domain, &seen, Verb::Reset, "system_reset")
        }
    }
}

/// On what it depends what a reset does.
pub(super) fn actions_at_reset(seen: &Observation) -> (OnReboot, OnPoweroff) {
    let launch = seen.fold.launch.as_ref();
    let lifecycle = launch.map(|launch| launch.lifecycle).unwrap_or_default();
    (lifecycle.on_reboot, lifecycle.on_poweroff)
}

/// Refuses to reset a guest that stands where QEMU would take no notice of it.
pub(super) fn refuse_idle_reset(seen: &Observation) -> Result<()> {
    if actions_at_reset(seen) == (OnReboot::Destroy, OnPoweroff::Preserve) {
        bail!(
            "Requested operation is not valid: QEMU would neither reset the guest nor end (reboot=shutdown with \
             shutdown=pause)"
        );
    }
    Ok(())
}

/// Presses the power button; what the guest makes of it is its own affair.
pub fn shutdown(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled(domain, seen)?;
    match seen.answer.state {
        State::Running(_) => power_down(&seen),
        State::ShutOff(_) => bail!(NOT_RUNNING),
        State::Paused(_) | State::Crashed | State::InShutdown | State::PmSuspended => {
            // By what was lost of the record it may run.
            let is_sure = seen.answer.certainty == Certainty::Witnessed;
            match seen.run.as_ref().filter(|_| !is_sure) {
                Some(run) if is_running(&mut connect(run)?)? => power_down(&seen),
                Some(_) | None => bail!(NOT_RUNNING),
            }
        }
    }
}

fn power_down(seen: &Observation) -> Result<()> {
    ask(seen, Verb::Shutdown, |control, asking| {
        // A `reboot`, of earlier or of this very moment, is not wanted any more.
        set_poweroff_ends(control, seen)?;
        control.execute("system_powerdown", None)?;
        asking.sent();
        Ok(())
    })
}

/// Presses the power button, and has the guest started again when it has powered itself off. Where a reset ends the
/// domain it is only a shutdown, as in libvirt.
pub fn reboot(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled_active(domain, seen)?;
    refuse_while_busy(&seen)?;
    let lifecycle = seen.fold.launch.as_ref().map(|launch| launch.lifecycle);
    if lifecycle.is_some_and(|lifecycle| lifecycle.on_reboot == OnReboot::Destroy) {
        return power_down(&seen);
    }
    let Some(run) = &seen.run else {
        bail!(NOT_RUNNING);
    };
    // On the disk before the guest can shut down for it: else a power cut might take it, and leave an end.
    let asking = Asking::begin_durably(run, Verb::Reboot)?;
    let mut control = match connect(run) {
        Ok(control) => control,
        Err(error) => {
            asking.failed(&error.to_string());
            return Err(error.into());
        }
    };
    let pressed = control
        .execute("set-action", Some(json!({"shutdown": "pause"})))
        .and_then(|_| control.execute("system_powerdown", None));
    match pressed {
        // Not done: it is when the guest was started again.
        Ok(_) => {
            asking.sent();
            Ok(())
        }
        Err(error) => {
            let _ = set_poweroff_ends(&mut control, &seen);
            asking.failed(&error.to_string());
            Err(error.into())
        }
    }
}

/// Sends the guest a non-maskable interrupt.
pub fn inject_nmi(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled_active(domain, seen)?;
    if seen.fold.is_awaited() {
        bail!(NOT_RUNNING);
    }
    execute(&seen, Verb::InjectNmi, "inject-nmi")
}

/// Wakes a guest that sleeps in memory. QEMU refuses where it does not.
pub fn wake_up(domain: &DomainFolder, seen: Observation) -> Result<()> {
    let seen = settled_active(domain, seen)?;
    // QEMU would let it run under a dump.
    refuse_while_busy(&seen)?;
    execute_alone(domain, &seen, Verb::Wakeup, "system_wakeup")
}

/// Sends QEMU a command of the user's own and returns its reply, be it a refusal.
pub fn monitor_command(domain: &DomainFolder, seen: Observation, command: &Value) -> Result<Value> {
    let seen = settled_active(domain, seen)?;
    let name = command.get("execute").and_then(Value::as_str);
    let Some(name) = name.filter(|_| command.is_object()) else {
        bail!("the command is no JSON object with \"execute\" in it");
    };
    let arguments = command.get("arguments").cloned();
    let Some(run) = &seen.run else {
        bail!(NOT_RUNNING);
    };
    let asking = Asking::begin(run, Verb::Monitor)?;
    let replied = connect(run).and_then(|mut control| control.execute(name, arguments));
    match replied {
        Ok(value) => {
            asking.done();
            Ok(json!({"return": value}))
        }
        Err(ControlError::Refused { class, desc }) => {
            asking.failed(&desc);
            Ok(json!({"error": {"class": class, "desc": desc}}))
        }
        Err(error) => {
            asking.failed(&error.to_string());
            Err(error.into())
        }
    }
}

fn execute(seen: &Observation, verb: Verb, command: &str) -> Result<()> {
    ask(seen, verb, |control, asking| {
        control.execute(command, None)?;
        asking.sent();
        Ok(())
    })
}

/// The same for what must not meet somebody else's job. One may have begun, or come to its end, since `seen`; while we
/// have the monitor, none does.
fn execute_alone(
    domain: &DomainFolder,
    seen: &Observation,
    verb: Verb,
    command: &str,
) -> Result<()> {
    ask(seen, verb, |control, asking| {
        let seen = seen.run.as_ref().map(|run| look_at_run(domain, run));
        if let Some(seen) = seen.transpose()? {
            refuse_while_busy(&seen)?;
            if verb == Verb::Reset {
                refuse_unless_whole(&seen)?;
            }
            if verb == Verb::Resume
                && seen.fold.transfer != Transfer::Left
                && seen.fold.is_sent_by_another()
            {
                // It may go at any moment.
                bail!("Requested operation is not valid: {SENT_BY_ANOTHER}");
            }
            if verb == Verb::Resume && seen.fold.transfer == Transfer::Left && has_left(control)? {
                // QEMU would obey, and the guest would run twice, on one disk.
                bail!("Requested operation is not valid: the guest has been migrated away");
            }
        }
        control.execute(command, None)?;
        asking.sent();
        Ok(())
    })
}

/// Whether what QEMU has told of as a migration was one: it says the same of a snapshot that somebody else takes. Not asked
/// where nothing was told: `postmigrate` is what a paused guest is in after a dump of ours, too.
fn has_left(control: &mut Control) -> Result<bool> {
    let status = control.execute("query-status", None)?;
    let word = status.get("status").and_then(Value::as_str);
    Ok(!word.is_some_and(|word| matches!(word, "paused" | "save-vm")))
}

/// Writes down what is asked for, does it, and writes down what came of it.
fn ask(
    seen: &Observation,
    verb: Verb,
    act: impl FnOnce(&mut Control, &Asking) -> Result<()>,
) -> Result<()> {
    let Some(run) = &seen.run else {
        bail!(NOT_RUNNING);
    };
    let asking = Asking::begin(run, verb)?;
    let acted = connect(run)
        .map_err(anyhow::Error::from)
        .and_then(|mut control| act(&mut control, &asking));
    match acted {
        Ok(()) => {
            asking.done();
            Ok(())
        }
        Err(error) => {
            asking.failed(&one_line(&error));
            Err(error)
        }
    }
}
