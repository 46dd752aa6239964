//! The whole fold as JSON, for checkpoints. What is null or false is left out: every query reads one of these.
//! A field that is there and cannot be read makes the whole checkpoint one that is not believed, and the journal is
//! folded from further back instead.

use serde_json::{Map, Value, json};

use super::encode::{asked_data, exit_fields, job_fields, launch_to_json, words_to_json};
use super::parse::{
    actor_from_json, begin, exit_from_json, job_from_json, launch_kind, lifecycle_from, owned,
    text, verb, words_from_json,
};
use crate::domain::{
    Actor, BootId, Copying, Core, Exited, Fold, Intent, Intents, IoError, Launch, Machine, Panic,
    PendingJob, Process, Progress, Reboot, Restart, Running, Shutdown, ShutdownCause, State,
    StopCause, Timestamp, Transfer, WatchdogEnd,
};

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
        "moved": fold.moved,
        "transfer": transfer_word(fold.transfer),
        "suspended": fold.suspended,
        "stopped_asleep": fold.stopped_asleep,
        "stop_cause": fold.stop_cause.as_ref().map(stop_cause_to_json),
        "panic": fold.panic.as_ref().map(panic_to_json),
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
        "refusal": fold.refusal,
        "gap": fold.gap,
    })
}

/// The fold from JSON; `None` if anything is missing or strange.
pub fn fold_from_json(value: &Value) -> Option<Fold> {
    let data = value.as_object()?;
    let flag = |key| data.get(key).map_or(Some(false), Value::as_bool);
    Some(Fold {
        launch: optional(data, "launch", launch_from_list)?,
        launched_at: time_from(data, "launched_at")?,
        launcher: optional(data, "launcher", process_from_list)?,
        qemu: optional(data, "qemu", process_from_list)?,
        began: time_from(data, "began")?,
        live: text(data, "live")?.parse::<State>().ok()?,
        since: time_from(data, "since")?,
        moved: flag("moved")?,
        transfer: optional(data, "transfer", |v| transfer_from(v.as_str()?))?.unwrap_or_default(),
        suspended: flag("suspended")?,
        stopped_asleep: flag("stopped_asleep")?,
        stop_cause: optional(data, "stop_cause", stop_cause_from_json)?,
        panic: optional(data, "panic", panic_from_json)?,
        shutdown: optional(data, "shutdown", shutdown_from_json)?,
        watchdog: optional(data, "watchdog", |v| match v.as_str()? {
            "poweroff" => Some(WatchdogEnd::PoweredOff),
            "reset" => Some(WatchdogEnd::Reset),
            _ => None,
        })?,
        intents: Intents(
            data.get("intents")?
                .as_array()?
                .iter()
                .map(intent_from_json)
                .collect::<Option<_>>()?,
        ),
        job: optional(data, "job", pending_job_from_json)?,
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
        refusal: optional(data, "refusal", |v| Some(v.as_str()?.to_owned()))?,
        gap: flag("gap")?,
    })
}

/// What every checkpoint holds goes into lists: a quarter of what a query costs is reading keys.
const LAUNCH_KEYS: [&str; 12] = [
    "run",
    "kind",
    "begin",
    "boot",
    "pid_namespace",
    "exit_device",
    "uid",
    "pid",
    "command",
    "on_crash",
    "on_poweroff",
    "on_reboot",
];

fn launch_to_list(launch: &Launch) -> Value {
    let fields = launch_to_json(launch);
    json!(LAUNCH_KEYS.map(|key| fields.get(key).cloned()))
}

fn launch_from_list(value: &Value) -> Option<Launch> {
    let mut field = value.as_array()?.iter();
    let mut number = || field.next()?.as_u64();
    let run = u32::try_from(number()?).ok()?;
    let mut word = || field.next()?.as_str();
    Some(Launch {
        run,
        kind: launch_kind(word()?)?,
        begin: begin(word()?)?,
        boot: BootId(word()?.to_owned()),
        pid_namespace: field.next()?.as_u64()?,
        exit_device: field.next()?.as_bool()?,
        actor: Actor {
            uid: u32::try_from(field.next()?.as_u64()?).ok()?,
            pid: u32::try_from(field.next()?.as_u64()?).ok()?,
            command: field.next()?.as_str()?.to_owned(),
        },
        lifecycle: lifecycle_from(&mut |_| field.next())?,
    })
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

fn time(at: Option<Timestamp>) -> Value {
    json!(at.map(|at| at.0))
}

fn time_from(data: &Map<String, Value>, key: &str) -> Option<Option<Timestamp>> {
    optional(data, key, |value| value.as_u64().map(Timestamp))
}

/// A field that may be missing; `None` for one that cannot be read.
fn optional<T>(
    data: &Map<String, Value>,
    key: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<Option<T>> {
    match data.get(key).filter(|value| !value.is_null()) {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

fn stop_cause_to_json((cause, at): &(StopCause, Option<Timestamp>)) -> Value {
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

fn stop_cause_from_json(value: &Value) -> Option<(StopCause, Option<Timestamp>)> {
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

fn shutdown_to_json(shutdown: &Shutdown) -> Value {
    let row = SHUTDOWN_WORDS.iter().find(|(c, _)| *c == shutdown.cause);
    json!({
        "cause": row.map(|(_, word)| *word),
        "machine": match shutdown.machine {
            Machine::Ran => "ran",
            Machine::JustStopped => "just-stopped",
            Machine::Stood => "stood",
        },
        "at": time(shutdown.at),
        "stayed": shutdown.stayed,
    })
}

fn shutdown_from_json(value: &Value) -> Option<Shutdown> {
    let data = value.as_object()?;
    Some(Shutdown {
        cause: shutdown_cause(Some(text(data, "cause")?)),
        machine: match text(data, "machine")? {
            "ran" => Machine::Ran,
            "just-stopped" => Machine::JustStopped,
            "stood" => Machine::Stood,
            _ => return None,
        },
        at: time_from(data, "at")?,
        stayed: data.get("stayed")?.as_bool()?,
    })
}

fn intent_to_json(intent: &Intent) -> Value {
    let mut value = asked_data(intent.verb, &intent.actor);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("at".to_owned(), json!(intent.at.0));
        fields.insert("progress".to_owned(), json!(progress_word(intent.progress)));
    }
    value
}

fn progress_word(progress: Progress) -> &'static str {
    match progress {
        Progress::Asked => "asked",
        Progress::Sent => "sent",
        Progress::Done => "done",
    }
}

fn progress_from(word: &str) -> Option<Progress> {
    let all = [Progress::Asked, Progress::Sent, Progress::Done];
    all.into_iter().find(|p| progress_word(*p) == word)
}

fn intent_from_json(value: &Value) -> Option<Intent> {
    let data = value.as_object()?;
    Some(Intent {
        verb: verb(data)?,
        actor: actor_from_json(data)?,
        at: Timestamp(data.get("at")?.as_u64()?),
        progress: progress_from(text(data, "progress")?)?,
    })
}

fn panic_to_json(panic: &Panic) -> Value {
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
    })
}

fn panic_from_json(value: &Value) -> Option<Panic> {
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
    })
}

fn job_to_json(pending: &PendingJob) -> Value {
    let mut fields = job_fields(&pending.job);
    fields.insert("verb".to_owned(), json!(pending.verb.word()));
    fields.insert("pid".to_owned(), json!(pending.job.worker.pid));
    let progress = progress_word(pending.progress);
    fields.insert("progress".to_owned(), json!(progress));
    Value::Object(fields)
}

fn pending_job_from_json(value: &Value) -> Option<PendingJob> {
    let data = value.as_object()?;
    Some(PendingJob {
        verb: verb(data)?,
        progress: progress_from(text(data, "progress")?)?,
        job: job_from_json(data)?,
    })
}

/// The words for a guest on its way; none for one that goes nowhere.
const TRANSFERS: &[(Transfer, &str)] = &[
    (Transfer::Arriving(Copying::PreCopy), "arriving"),
    (Transfer::Arriving(Copying::Last), "arriving at last"),
    (Transfer::Arriving(Copying::PostCopy), "arriving post-copy"),
    (Transfer::Arriving(Copying::Broken), "arriving broken"),
    (Transfer::Leaving(Copying::PreCopy), "leaving"),
    (Transfer::Leaving(Copying::Last), "leaving at last"),
    (Transfer::Leaving(Copying::PostCopy), "leaving post-copy"),
    (Transfer::Leaving(Copying::Broken), "leaving broken"),
    (Transfer::Left, "left"),
    (Transfer::Failed, "failed"),
];

fn transfer_word(transfer: Transfer) -> Option<&'static str> {
    let row = TRANSFERS.iter().find(|(known, _)| *known == transfer);
    row.map(|(_, word)| *word)
}

fn transfer_from(word: &str) -> Option<Transfer> {
    let row = TRANSFERS.iter().find(|(_, known)| *known == word);
    row.map(|(transfer, _)| *transfer)
}

fn restart_to_json(restart: Restart) -> Value {
    match restart {
        Restart::AfterPanic => json!("after panic"),
        Restart::AfterPoweroff(before) => json!({"ran": before.map(Running::word)}),
    }
}

fn restart_from_json(value: &Value) -> Option<Restart> {
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

fn exited_to_json(exited: &Exited) -> Value {
    let mut fields = exit_fields(exited.exit);
    fields.insert("boot".to_owned(), json!(exited.boot.0));
    fields.insert("at".to_owned(), time(exited.at));
    fields.insert("log".to_owned(), words_to_json(&exited.words));
    Value::Object(fields)
}

fn exited_from_json(value: &Value) -> Option<Exited> {
    let data = value.as_object()?;
    Some(Exited {
        exit: exit_from_json(data),
        boot: BootId(owned(data, "boot")?),
        words: words_from_json(data.get("log")),
        at: time_from(data, "at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Before, Begin, Exit, Job, LaunchKind, Lifecycle, LogWords, OnPoweroff, Paused, Running,
        Verb,
    };

    #[test]
    fn a_fold_comes_back_as_it_went() {
        let mut fold = Fold::default();
        assert_eq!(fold_from_json(&fold_to_json(&fold)), Some(fold.clone()));
        fold.live = State::Paused(Paused::IoError);
        fold.began = Some(Timestamp(5));
        fold.stopped_asleep = true;
        fold.watchdog = Some(WatchdogEnd::Reset);
        fold.qemu = Some(Process {
            pid: 3,
            start_ticks: 4,
        });
        fold.launch = Some(Launch {
            run: 7,
            kind: LaunchKind::Snapshot,
            begin: Begin::Paused,
            boot: BootId("b".into()),
            pid_namespace: 5,
            exit_device: true,
            lifecycle: Lifecycle {
                on_poweroff: OnPoweroff::Restart,
                ..Lifecycle::default()
            },
            actor: Actor {
                uid: 1,
                pid: 2,
                command: "c".into(),
            },
        });
        fold.job = Some(PendingJob {
            verb: Verb::ManagedSave,
            progress: Progress::Sent,
            job: Job {
                worker: Process {
                    pid: 8,
                    start_ticks: 9,
                },
                began: Timestamp(5),
                file: "/f".into(),
                before: Before::Stood,
                then: Some(Begin::Paused),
            },
        });
        fold.transfer = Transfer::Leaving(Copying::Broken);
        fold.loaded = true;
        fold.restart = Some(Restart::AfterPoweroff(Some(Running::Unpaused)));
        fold.reboot = Some(Reboot::Restarted);
        fold.restarts = vec![Timestamp(1), Timestamp(2)];
        fold.stop_cause = Some((StopCause::IoError(IoError::default()), None));
        fold.panic = Some(Panic {
            info: Some("{}".into()),
            at: None,
            stands: true,
            core: Core::Failed,
            kept: Some("why".into()),
        });
        fold.shutdown = Some(Shutdown {
            cause: ShutdownCause::HostUi,
            machine: Machine::Stood,
            at: Some(Timestamp(6)),
            stayed: true,
        });
        let actor = Actor {
            uid: 1,
            pid: 2,
            command: "c".into(),
        };
        fold.intents.ask(Verb::Suspend, actor, Timestamp(3));
        fold.qemu_exit = Some(Exited {
            exit: Some(Exit::Status(3)),
            boot: BootId("b".into()),
            words: LogWords::default(),
            at: Some(Timestamp(9)),
        });
        assert_eq!(fold_from_json(&fold_to_json(&fold)), Some(fold));
    }

    #[test]
    fn a_checkpoint_with_a_field_that_cannot_be_read_is_not_believed() {
        let whole = all_fields(&Fold {
            live: State::Running(Running::Booted),
            ..Fold::default()
        });
        for key in whole.as_object().unwrap().keys() {
            let mut strange = whole.clone();
            strange[key] = json!("strange");
            let text = matches!(key.as_str(), "refusal");
            assert_eq!(fold_from_json(&strange).is_some(), text, "{key}");
        }
        assert_eq!(fold_from_json(&json!({})), None);
    }
}
