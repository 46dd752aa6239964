//! One line of a journal -> one [`Record`]. QEMU's names and fields are those of `qapi/*.json`, 7.2 to 11.1.
//!
//! Unknown events and unknown fields are nothing special: a QEMU newer than this program must not blind it.

use serde_json::{Map, Value};

use super::fold_json::{FOLD_FORMAT, fold_from_json, rules_from_json};
use super::launch_json::launch_from_json;
use super::os_text::os_from_json;
use super::trace_json::shutdown_cause;
use crate::domain::{
    Actor, Before, Begin, BootId, Checkpoint, Count, Event, Exit, IoError, Job, LogWords,
    OomCounts, OomKill, OomScope, PanicAction, Process, Record, ResetBy, RunStatus, SignalSender,
    StreamAnswer, Timestamp, Verb, WatchdogAction,
};

/// The ids of the recorder's own commands, whose replies tell something.
pub(super) const STATUS_ID: &str = "domstate-status";
pub(super) const CONTINUE_ID: &str = "domstate-cont";

/// What is kept of a text: more than QEMU or domstate ever says. A checkpoint holds several, and a QEMU that a guest broke out of
/// writes what it likes.
const TEXT_BYTES_MAX: usize = 1024;

/// The longest path (PATH_MAX in Linux).
const PATH_BYTES_MAX: usize = 4096;

/// Reads one line, without its line ends. `None`: this is no line that QEMU or domstate wrote whole.
pub fn parse_line(line: &[u8]) -> Option<Record> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let object = value.as_object()?;
    if let Some(name) = object.get("event") {
        let at = timestamp(object.get("timestamp")?)?;
        let empty = Map::new();
        let data = object.get("data").and_then(Value::as_object);
        let event = event(name.as_str()?, data.unwrap_or(&empty))?;
        return Some(Record { at, event });
    }
    let event = if object.contains_key("return") || object.contains_key("error") {
        reply(object)
    } else if object.contains_key("QMP") {
        Event::Other
    } else {
        return None;
    };
    Some(Record { at: None, event })
}

/// QEMU reports -1 where the host's clock cannot be read: a time that is not there, not a damaged line.
fn timestamp(value: &Value) -> Option<Option<Timestamp>> {
    let seconds = value.get("seconds")?.as_i64()?;
    let micros = value.get("microseconds")?.as_i64()?;
    let time = u64::try_from(seconds)
        .ok()
        .zip(u64::try_from(micros).ok())
        .and_then(|(s, us)| s.checked_mul(1_000_000)?.checked_add(us));
    Some(time.map(Timestamp))
}

fn reply(object: &Map<String, Value>) -> Event {
    let id = text(object, "id");
    if let Some(error) = object.get("error").and_then(Value::as_object) {
        return match id {
            Some(CONTINUE_ID) => Event::ContinueRefused(owned(error, "desc").unwrap_or_default()),
            _ => Event::Other,
        };
    }
    let status = object.get("return").and_then(|r| r.get("status"));
    match (id, status.and_then(Value::as_str)) {
        (Some(STATUS_ID), Some(status)) => Event::StatusReported(match status {
            "running" => RunStatus::Running,
            "prelaunch" => RunStatus::Prelaunch,
            "paused" => RunStatus::Paused,
            "inmigrate" => RunStatus::InMigrate,
            _ => RunStatus::Other,
        }),
        _ => Event::Other,
    }
}

fn event(name: &str, data: &Map<String, Value>) -> Option<Event> {
    Some(match name {
        "STOP" => Event::Stopped,
        "RESUME" => Event::Resumed,
        "RESET" => Event::Reset(match data.get("guest").and_then(Value::as_bool) {
            Some(true) => ResetBy::Guest,
            Some(false) | None => ResetBy::Host,
        }),
        "SHUTDOWN" => Event::ShutDown(shutdown_cause(text(data, "reason"))),
        "SUSPEND" => Event::Suspended,
        "SUSPEND_DISK" => Event::SuspendedToDisk,
        "WAKEUP" => Event::Woken,
        "WATCHDOG" => Event::WatchdogFired(match text(data, "action") {
            Some("pause") => WatchdogAction::Pause,
            Some("poweroff") => WatchdogAction::Poweroff,
            Some("reset") => WatchdogAction::Reset,
            _ => WatchdogAction::Other,
        }),
        "GUEST_PANICKED" => Event::Panicked {
            action: match text(data, "action") {
                Some("pause") => PanicAction::Pause,
                Some("run") => PanicAction::Run,
                _ => PanicAction::Poweroff,
            },
            info: data
                .get("info")
                .map(Value::to_string)
                .filter(|info| info.len() <= TEXT_BYTES_MAX),
        },
        "GUEST_CRASHLOADED" => Event::CrashLoaded,
        "BLOCK_IO_ERROR" => Event::IoFailed {
            error: io_error(data),
            stops_guest: text(data, "action") == Some("stop"),
        },
        "MIGRATION" => Event::MigrationChanged(owned(data, "status")?),
        _ => match name.strip_prefix("DOMSTATE_") {
            Some(name) => own_event(name, data)?,
            None => Event::Other,
        },
    })
}

/// A line of ours. One that lacks a field was not written by this program: damage, not news.
fn own_event(name: &str, data: &Map<String, Value>) -> Option<Event> {
    Some(match name {
        "LAUNCHED" => Event::Launched(Box::new(launch_from_json(data)?)),
        "SPAWNED" => Event::Spawned(process_from_json(data)?),
        "QEMU" => Event::Identified(process_from_json(data)?),
        "ASKED" => Event::Asked {
            verb: verb(data)?,
            actor: actor_from_json(data)?,
            job: match data.contains_key("file") {
                true => Some(Box::new(job_from_json(data)?)),
                false => None,
            },
        },
        "STREAM_ASKED" => Event::StreamAsked {
            verb: verb(data)?,
            pid: unsigned(data, "pid")?,
        },
        "STREAM_ANSWERED" => Event::StreamAnswered {
            verb: verb(data)?,
            pid: unsigned(data, "pid")?,
            answer: match data.get("taken")?.as_bool()? {
                true => StreamAnswer::Taken,
                false => StreamAnswer::Refused,
            },
        },
        "SENT" => Event::Sent {
            verb: verb(data)?,
            pid: unsigned(data, "pid")?,
        },
        "DONE" => Event::Done {
            verb: verb(data)?,
            pid: unsigned(data, "pid")?,
        },
        "FAILED" if data.get("taken_back") == Some(&Value::Bool(true)) => Event::TakenBack {
            verb: verb(data)?,
            pid: unsigned(data, "pid")?,
        },
        "FAILED" => Event::Failed {
            verb: verb(data)?,
            pid: unsigned(data, "pid")?,
            message: owned(data, "message").unwrap_or_default(),
        },
        "EXITED" => Event::Exited {
            pid: unsigned(data, "pid"),
            exit: exit_from_json(data),
            boot: BootId(owned(data, "boot")?),
            words: words_from_json(data.get("log")),
            oom: oom_from_json(data.get("oom")),
        },
        "SPAWN_FAILED" => Event::SpawnFailed {
            message: owned(data, "message")?,
        },
        "GAP" => Event::Gap,
        "CHECKPOINT" => Event::Checkpoint(Box::new(Checkpoint {
            // A newer one may hold what would be overlooked here. The first had no number.
            fold: match data.get("format").map(Value::as_u64) {
                None => fold_from_json(data.get("fold")?)?,
                Some(Some(format)) if format <= FOLD_FORMAT => fold_from_json(data.get("fold")?)?,
                Some(_) => return None,
            },
            rules: rules_from_json(data.get("rules")),
            offset: data.get("offset")?.as_u64()?,
        })),
        // A newer domstate's line: it says nothing that this one could use.
        _ => Event::Other,
    })
}

pub(super) fn io_error(data: &Map<String, Value>) -> IoError {
    IoError {
        device: owned(data, "device"),
        node: owned(data, "node-name"),
        operation: owned(data, "operation"),
        nospace: data.get("nospace").and_then(Value::as_bool) == Some(true),
        error: owned(data, "reason"),
    }
}

/// The job of a request, whose worker is the process that asked.
pub(super) fn job_from_json(data: &Map<String, Value>) -> Option<Job> {
    Some(Job {
        worker: process_from_json(data)?,
        began: Timestamp(data.get("began")?.as_u64()?),
        file: os_from_json(data.get("file")?)
            .filter(|file| file.len() <= PATH_BYTES_MAX)?
            .into(),
        before: match data.get("ran")?.as_bool()? {
            true => Before::Ran,
            false => Before::Stood,
        },
        then: match data.get("then").and_then(Value::as_str) {
            Some(word) => Some(begin(word)?),
            None => None,
        },
        announces: data.get("announces").and_then(Value::as_bool) == Some(true),
    })
}

pub(super) fn begin(word: &str) -> Option<Begin> {
    match word {
        "running" => Some(Begin::Running),
        "paused" => Some(Begin::Paused),
        _ => None,
    }
}

fn process_from_json(data: &Map<String, Value>) -> Option<Process> {
    Some(Process {
        pid: unsigned(data, "pid")?,
        start_ticks: data.get("start_ticks")?.as_u64()?,
    })
}

pub(super) fn actor_from_json(data: &Map<String, Value>) -> Option<Actor> {
    Some(Actor {
        uid: unsigned(data, "uid")?,
        pid: unsigned(data, "pid")?,
        command: owned(data, "command").unwrap_or_default(),
    })
}

pub(super) fn exit_from_json(data: &Map<String, Value>) -> Option<Exit> {
    let number = |key| data.get(key)?.as_i64()?.try_into().ok();
    if let Some(signal) = number("signal") {
        let core_dumped = data.get("core_dumped").and_then(Value::as_bool) == Some(true);
        return Some(Exit::Signal {
            signal,
            core_dumped,
        });
    }
    number("status").map(Exit::Status)
}

pub(super) fn words_from_json(log: Option<&Value>) -> LogWords {
    let Some(log) = log.and_then(Value::as_object) else {
        return LogWords::default();
    };
    let sender = |from: &Map<String, Value>| SignalSender {
        signal: from
            .get("signal")
            .and_then(Value::as_i64)
            .and_then(|n| n.try_into().ok()),
        pid: unsigned(from, "pid"),
        command: owned(from, "command"),
    };
    LogWords {
        terminated: log.get("terminated").and_then(Value::as_object).map(sender),
        gdb_killed: log.get("gdb_killed").and_then(Value::as_bool) == Some(true),
        last_line: owned(log, "last_line"),
    }
}

/// A scope of a newer domstate's is as good as none: then it is a signal like any other. So are figures that cannot be read.
pub(super) fn oom_from_json(oom: Option<&Value>) -> Option<Box<OomKill>> {
    let oom = oom?.as_object()?;
    let count = |value: &Value| match value.as_array()?.as_slice() {
        [before, after] => Some(Count {
            before: before.as_u64()?,
            after: after.as_u64()?,
        }),
        _ => None,
    };
    Some(Box::new(match text(oom, "scope") {
        Some(word) => {
            let scope = OomScope::ALL.iter().find(|scope| scope.word() == word);
            OomKill::Logged {
                scope: *scope?,
                evidence: owned(oom, "evidence")?,
            }
        }
        None => OomKill::Counted(OomCounts {
            kills: count(oom.get("kills")?)?,
            group_kills: oom.get("group_kills").and_then(count),
        }),
    }))
}

pub(super) fn verb(data: &Map<String, Value>) -> Option<Verb> {
    let word = text(data, "verb")?;
    Verb::ALL.iter().copied().find(|verb| verb.word() == word)
}

pub(super) fn text<'a>(data: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    data.get(key)?.as_str()
}

pub(super) fn owned(data: &Map<String, Value>, key: &str) -> Option<String> {
    text(data, key).map(|text| {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        text.get(..end).unwrap_or_default().to_owned()
    })
}

pub(super) fn unsigned(data: &Map<String, Value>, key: &str) -> Option<u32> {
    data.get(key)?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ShutdownCause;

    fn event_of(line: &str) -> Event {
        parse_line(line.as_bytes()).expect(line).event
    }

    #[test]
    fn qemus_lines_are_read_as_it_writes_them() {
        let line = br#"{"timestamp": {"seconds": 1763866800, "microseconds": 104513}, "event": "SHUTDOWN", "data": {"guest": false, "reason": "host-signal"}}"#;
        let record = parse_line(line).unwrap();
        assert_eq!(record.at, Some(Timestamp(1_763_866_800_104_513)));
        assert_eq!(record.event, Event::ShutDown(ShutdownCause::HostSignal));
        assert_eq!(
            event_of(
                r#"{"return": {"status": "prelaunch", "singlestep": false, "running": false}, "id": "domstate-status"}"#
            ),
            Event::StatusReported(RunStatus::Prelaunch)
        );
        assert_eq!(
            event_of(
                r#"{"id": "domstate-cont", "error": {"class": "GenericError", "desc": "no"}}"#
            ),
            Event::ContinueRefused("no".into())
        );
        assert_eq!(event_of(r#"{"QMP": {"version": {}}}"#), Event::Other);
        assert_eq!(
            event_of(r#"{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "NEW_IN_12"}"#),
            Event::Other
        );
    }

    #[test]
    fn a_reply_to_somebody_elses_question_is_no_news() {
        assert_eq!(
            event_of(r#"{"return": {"status": "paused", "running": false}}"#),
            Event::Other
        );
    }

    #[test]
    fn what_is_no_whole_line_is_not_read_as_one() {
        let deep = "[".repeat(10_000);
        for line in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            "junk",
            "{\"event\":\"STOP\"}",
            deep.as_str(),
            r#"{"timestamp":{"seconds":1,"microseconds":2},"event":"DOMSTATE_ASKED","data":{}}"#,
        ] {
            assert_eq!(parse_line(line.as_bytes()), None, "{line:.40}");
        }
    }
}
