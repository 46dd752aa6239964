//! The whole fold as JSON, for checkpoints. What is null or false is left out: every query reads one of these.
//! A field that is there and cannot be read makes the whole checkpoint one that is not believed, and the journal is
//! folded from further back instead.

use serde_json::{Map, Value, json};

use super::fields::{optional, time, time_from};
use super::launch_json::{launch_from_list, launch_to_list};
use super::parse::text;
use super::request_json::{
    intent_from_json, intent_to_json, job_to_json, pending_job_from_json, transfer_from,
    transfer_word,
};
use super::trace_json::{
    exited_from_json, exited_to_json, panic_from_json, panic_to_json, restart_from_json,
    restart_to_json, shutdown_from_json, shutdown_to_json, stop_cause_from_json,
    stop_cause_to_json,
};
use crate::domain::{
    Fold, Intents, Machine, PassedPanic, Process, Reboot, Rules, State, Timestamp, Verb,
    WatchdogEnd,
};

/// The version of what a checkpoint holds. It changes with what an older domstate would read wrongly: that refuses it then.
pub const FOLD_FORMAT: u64 = 3;

/// By which rules a fold was made, as a checkpoint has it (`build.rs`).
const RULES: &str = env!("DOMSTATE_RULES");

/// By whose rules the fold of a checkpoint was made.
pub fn rules_from_json(value: Option<&Value>) -> Rules {
    match value.and_then(Value::as_str) {
        Some(RULES) => Rules::Ours,
        Some(_) | None => Rules::Others,
    }
}

/// What is written of that. Whose others were is not kept.
pub fn rules_to_json(rules: Rules) -> Value {
    match rules {
        Rules::Ours => json!(RULES),
        Rules::Others => Value::Null,
    }
}

/// The fold as JSON.
pub fn fold_to_json(fold: &Fold) -> Value {
    let mut value = all_fields(fold);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !matches!(value, Value::Null | Value::Bool(false)));
    }
    value
}

fn all_fields(fold: &Fold) -> Value {
    json!({
        "launch": fold.launch.as_ref().map(launch_to_list),
        "launched_at": time(fold.launched_at),
        "launcher": fold.launcher.map(process_to_list),
        "qemu": fold.qemu.map(process_to_list),
        "began": time(fold.began),
        "live": fold.live.to_string(),
        "since": time(fold.since),
        "resumed": time(fold.resumed),
        "moved": fold.moved,
        "transfer": transfer_word(fold.transfer),
        "suspended": fold.suspended,
        "stopped_asleep": fold.stopped_asleep,
        "stop_cause": fold.stop_cause.as_ref().map(stop_cause_to_json),
        "panic": fold.panic.as_ref().map(panic_to_json),
        "passed_panic": fold.passed_panic.map(|passed| match passed {
            PassedPanic::CrashLoaded => "crash-loaded",
            PassedPanic::Ignored => "ignored",
            PassedPanic::Lost => "lost",
        }),
        "shutdown": fold.shutdown.as_ref().map(shutdown_to_json),
        "watchdog": fold.watchdog.map(|end| match end {
            WatchdogEnd::PoweredOff => "poweroff",
            WatchdogEnd::Reset => "reset",
        }),
        "intents": fold.intents.0.iter().map(intent_to_json).collect::<Vec<_>>(),
        "job": fold.job.as_ref().map(job_to_json),
        "loaded": fold.loaded,
        "restart": fold.restart.map(restart_to_json),
        "reboot": fold.reboot.map(|reboot| match reboot {
            Reboot::Armed => "armed",
            Reboot::Restarted => "restarted",
        }),
        "restarts": match fold.restarts.as_slice() {
            [] => Value::Null,
            times => times.iter().map(|at| json!(at.0)).collect(),
        },
        "launcher_exit": fold.launcher_exit.as_ref().map(exited_to_json),
        "qemu_exit": fold.qemu_exit.as_ref().map(exited_to_json),
        "outlived": fold.outlived,
        "refusal": fold.refusal,
        "gap": fold.gap,
    })
}

/// The fold from JSON; `None` if anything is missing or strange.
pub fn fold_from_json(value: &Value) -> Option<Fold> {
    let data = value.as_object()?;
    let flag = |key| data.get(key).map_or(Some(false), Value::as_bool);
    let mut shutdown = optional(data, "shutdown", shutdown_from_json)?;
    let intents = data.get("intents")?.as_array()?.iter();
    let intents: Vec<_> = intents.map(intent_from_json).collect::<Option<_>>()?;
    if let Some(shutdown) = shutdown.as_mut().filter(|_| stopped_as_of_old(data))
        && intents.iter().any(|intent| intent.verb == Verb::Suspend)
    {
        shutdown.machine = Machine::JustSuspended;
    }
    let transfer = optional(data, "transfer", |v| transfer_from(v.as_str()?))?.unwrap_or_default();
    Some(Fold {
        launch: optional(data, "launch", launch_from_list)?,
        launched_at: time_from(data, "launched_at")?,
        launcher: optional(data, "launcher", process_from_list)?,
        qemu: optional(data, "qemu", process_from_list)?,
        began: time_from(data, "began")?,
        // What a guest is while QEMU lives is never an end.
        live: text(data, "live")?
            .parse::<State>()
            .ok()
            .filter(|state| state.is_active())?,
        since: time_from(data, "since")?,
        resumed: time_from(data, "resumed")?,
        moved: flag("moved")?,
        transfer,
        suspended: flag("suspended")?,
        stopped_asleep: flag("stopped_asleep")?,
        stop_cause: optional(data, "stop_cause", stop_cause_from_json)?,
        panic: optional(data, "panic", panic_from_json)?,
        passed_panic: optional(data, "passed_panic", |v| match v.as_str()? {
            "crash-loaded" => Some(PassedPanic::CrashLoaded),
            "ignored" => Some(PassedPanic::Ignored),
            "lost" => Some(PassedPanic::Lost),
            _ => None,
        })?,
        shutdown,
        watchdog: optional(data, "watchdog", |v| match v.as_str()? {
            "poweroff" => Some(WatchdogEnd::PoweredOff),
            "reset" => Some(WatchdogEnd::Reset),
            _ => None,
        })?,
        intents: Intents(intents),
        job: optional(data, "job", |v| pending_job_from_json(v, transfer))?,
        loaded: flag("loaded")?,
        restart: optional(data, "restart", restart_from_json)?,
        reboot: optional(data, "reboot", |v| match v.as_str()? {
            "armed" => Some(Reboot::Armed),
            "restarted" => Some(Reboot::Restarted),
            _ => None,
        })?,
        restarts: optional(data, "restarts", |v| {
            let times = v.as_array()?.iter();
            times.map(|at| at.as_u64().map(Timestamp)).collect()
        })?
        .unwrap_or_default(),
        launcher_exit: optional(data, "launcher_exit", exited_from_json)?,
        qemu_exit: optional(data, "qemu_exit", exited_from_json)?,
        outlived: flag("outlived")?,
        refusal: optional(data, "refusal", |v| Some(v.as_str()?.to_owned()))?,
        gap: flag("gap")?,
    })
}

/// An older domstate did not tell a `suspend`, which may only have been asked for, from all else that stops a guest.
fn stopped_as_of_old(data: &Map<String, Value>) -> bool {
    let machine = data.get("shutdown").and_then(|it| it.get("machine"));
    machine.and_then(Value::as_str) == Some("just-stopped")
}

fn process_to_list(process: Process) -> Value {
    json!([process.pid, process.start_ticks])
}

fn process_from_list(value: &Value) -> Option<Process> {
    let list = value.as_array()?;
    Some(Process {
        pid: u32::try_from(list.first()?.as_u64()?).ok()?,
        start_ticks: list.get(1)?.as_u64()?,
    })
}

#[cfg(test)]
#[path = "fold_json_tests.rs"]
mod tests;
