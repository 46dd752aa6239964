//! What led to an end, and the end itself (`domain::trace`), as JSON.

use serde_json::{Value, json};

use super::encode::{exit_fields, oom_to_json, words_to_json};
use super::fields::{optional, time, time_from};
use super::parse::{exit_from_json, oom_from_json, owned, text, words_from_json};
use crate::domain::{
    BootId, Core, Exited, IoError, Machine, Panic, Restart, Running, Shutdown, ShutdownCause,
    StopCause, Timestamp,
};

pub(super) fn stop_cause_to_json((cause, at): &(StopCause, Option<Timestamp>)) -> Value {
    match cause {
        StopCause::Watchdog => json!({"kind": "watchdog", "at": time(*at)}),
        StopCause::IoError(e) => json!({
            "kind": "io-error",
            "at": time(*at),
            "device": e.device,
            "node-name": e.node,
            "operation": e.operation,
            "nospace": e.nospace,
            "reason": e.error,
        }),
    }
}

pub(super) fn stop_cause_from_json(value: &Value) -> Option<(StopCause, Option<Timestamp>)> {
    let data = value.as_object()?;
    let at = time_from(data, "at")?;
    let cause = match text(data, "kind")? {
        "watchdog" => StopCause::Watchdog,
        "io-error" => StopCause::IoError(IoError {
            device: owned(data, "device"),
            node: owned(data, "node-name"),
            operation: owned(data, "operation"),
            nospace: data.get("nospace")?.as_bool()?,
            error: owned(data, "reason"),
        }),
        _ => return None,
    };
    Some((cause, at))
}

/// QEMU's own words for the causes, so that both directions share one table.
const SHUTDOWN_WORDS: &[(ShutdownCause, &str)] = &[
    (ShutdownCause::GuestShutdown, "guest-shutdown"),
    (ShutdownCause::GuestReset, "guest-reset"),
    (ShutdownCause::GuestPanic, "guest-panic"),
    (ShutdownCause::HostError, "host-error"),
    (ShutdownCause::HostQmpQuit, "host-qmp-quit"),
    (ShutdownCause::HostQmpSystemReset, "host-qmp-system-reset"),
    (ShutdownCause::HostSignal, "host-signal"),
    (ShutdownCause::HostUi, "host-ui"),
    (ShutdownCause::Unknown, "unknown"),
];

/// The cause that QEMU's word stands for.
pub(super) fn shutdown_cause(word: Option<&str>) -> ShutdownCause {
    let row = SHUTDOWN_WORDS.iter().find(|(_, w)| Some(*w) == word);
    row.map_or(ShutdownCause::Unknown, |(cause, _)| *cause)
}

pub(super) fn shutdown_to_json(shutdown: &Shutdown) -> Value {
    let row = SHUTDOWN_WORDS.iter().find(|(c, _)| *c == shutdown.cause);
    json!({
        "cause": row.map(|(_, word)| *word),
        "machine": match shutdown.machine {
            Machine::Ran => "ran",
            Machine::JustStopped => "just-stopped-for-known",
            Machine::JustSuspended => "just-suspended",
            Machine::JustStoppedByAnother => "just-stopped-by-another",
            Machine::Stood => "stood",
        },
        "at": time(shutdown.at),
        "stayed": shutdown.stayed,
        "cut": shutdown.cut,
    })
}

pub(super) fn shutdown_from_json(value: &Value) -> Option<Shutdown> {
    let data = value.as_object()?;
    Some(Shutdown {
        cause: shutdown_cause(Some(text(data, "cause")?)),
        machine: match text(data, "machine")? {
            "ran" => Machine::Ran,
            // An older domstate did not tell by whom.
            "just-stopped-for-known" | "just-stopped" => Machine::JustStopped,
            "just-suspended" => Machine::JustSuspended,
            "just-stopped-by-another" => Machine::JustStoppedByAnother,
            "stood" => Machine::Stood,
            _ => return None,
        },
        at: time_from(data, "at")?,
        stayed: data.get("stayed")?.as_bool()?,
        cut: optional(data, "cut", Value::as_bool)?.unwrap_or(false),
    })
}

pub(super) fn panic_to_json(panic: &Panic) -> Value {
    json!({
        "info": panic.info,
        "at": time(panic.at),
        "stands": panic.stands,
        "core": match panic.core {
            Core::Untried => "untried",
            Core::Dumped => "dumped",
            Core::Failed => "failed",
        },
        "kept": panic.kept,
        "cut": panic.cut,
    })
}

pub(super) fn panic_from_json(value: &Value) -> Option<Panic> {
    let data = value.as_object()?;
    let words = |key| optional(data, key, |v| Some(v.as_str()?.to_owned()));
    Some(Panic {
        info: words("info")?,
        at: time_from(data, "at")?,
        stands: optional(data, "stands", Value::as_bool)?.unwrap_or(false),
        core: match data.get("core").map_or(Some("untried"), Value::as_str)? {
            "untried" => Core::Untried,
            "dumped" => Core::Dumped,
            "failed" => Core::Failed,
            _ => return None,
        },
        kept: words("kept")?,
        cut: optional(data, "cut", Value::as_bool)?.unwrap_or(false),
    })
}

pub(super) fn restart_to_json(restart: Restart) -> Value {
    match restart {
        Restart::AfterPanic => json!("after panic"),
        Restart::AfterPoweroff(before) => json!({"ran": before.map(Running::word)}),
    }
}

pub(super) fn restart_from_json(value: &Value) -> Option<Restart> {
    if let Some(word) = value.as_str() {
        return (word == "after panic").then_some(Restart::AfterPanic);
    }
    let before = optional(value.as_object()?, "ran", |v| {
        let word = v.as_str()?;
        let mut all = Running::ALL.iter().copied();
        all.find(|reason| reason.word() == word)
    })?;
    Some(Restart::AfterPoweroff(before))
}

pub(super) fn exited_to_json(exited: &Exited) -> Value {
    let mut fields = exit_fields(exited.exit);
    fields.insert("boot".to_owned(), json!(exited.boot.0));
    fields.insert("at".to_owned(), time(exited.at));
    fields.insert("log".to_owned(), words_to_json(&exited.words));
    let oom = exited.oom.as_deref().map(oom_to_json);
    fields.extend(oom.map(|oom| ("oom".to_owned(), oom)));
    Value::Object(fields)
}

pub(super) fn exited_from_json(value: &Value) -> Option<Exited> {
    let data = value.as_object()?;
    Some(Exited {
        exit: exit_from_json(data),
        boot: BootId(owned(data, "boot")?),
        words: words_from_json(data.get("log")),
        oom: oom_from_json(data.get("oom")),
        at: time_from(data, "at")?,
    })
}
