//! The domain's values as JSON: the words and fields that scripts and files rely on.
//!
//! `domain` knows no JSON, so its values are spelt here, once, for the checkpoint as for `--format json`.
//! The list of causes is closed (domstate(1)): every kind has the same fields always, null where nothing is known.
//! Pure: nothing here touches a file.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use crate::domain::{Actor, Answer, Cause, Exit, IoError, OomScope, SignalSender, Timestamp};

/// 9999-12-31T23:59:59.999999Z, the last moment that RFC 3339 can write.
const MICROS_MAX: u64 = 253_402_300_799_999_999;

/// The word for the cause in `cause.kind`.
pub fn cause_kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::GuestShutdown => "guest-shutdown",
        Cause::GuestReset => "guest-reset",
        Cause::GuestPanic { .. } => "guest-panic",
        Cause::GuestExit { .. } => "guest-exit",
        Cause::Signal { .. } => "signal",
        Cause::OomKill(_) => "oom-kill",
        Cause::ExitStatus { .. } => "exit-status",
        Cause::Watchdog { .. } => "watchdog",
        Cause::IoError(_) => "io-error",
        Cause::HostSignal(_) => "host-signal",
        Cause::QmpQuit => "qmp-quit",
        Cause::QmpReset => "qmp-reset",
        Cause::HostUi => "host-ui",
        Cause::Asked { .. } => "asked",
        Cause::StartFailure { .. } => "start-failure",
        Cause::HostRestart => "host-restart",
        Cause::NeverRun => "never-run",
        Cause::JournalDamaged { .. } => "journal-damaged",
        Cause::StatusLost => "status-lost",
        Cause::MaybeMigrated => "maybe-migrated",
        Cause::Unattributed { .. } => "unattributed",
    }
}

/// The cause's fields in the order of domstate(1), `kind` first.
pub fn cause_fields(cause: &Cause) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("kind", json!(cause_kind(cause)))];
    match cause {
        Cause::GuestPanic { info, kept } => fields.extend([
            ("info", panic_to_json(info.as_deref())),
            ("kept", json!(kept)),
        ]),
        Cause::GuestExit { status } | Cause::ExitStatus { status } => {
            fields.push(("status", json!(status)));
        }
        Cause::Signal {
            signal,
            core_dumped,
        } => {
            fields.push(("signal", json!(signal_name(*signal))));
            fields.push(("core_dumped", json!(core_dumped)));
        }
        Cause::OomKill(oom) => fields.extend([
            ("scope", json!(oom.scope().map(OomScope::word))),
            ("evidence", json!(oom.evidence())),
        ]),
        Cause::Watchdog { action } => fields.push(("action", json!(action))),
        Cause::IoError(IoError {
            device,
            node,
            operation,
            nospace,
            error,
        }) => fields.extend([
            ("device", json!(device)),
            ("node", json!(node)),
            ("operation", json!(operation)),
            ("nospace", json!(nospace)),
            ("error", json!(error)),
        ]),
        Cause::HostSignal(SignalSender {
            signal,
            pid,
            command,
        }) => fields.extend([
            ("signal", json!(signal.map(signal_name))),
            ("pid", json!(pid)),
            ("command", json!(command)),
        ]),
        Cause::Asked {
            verb,
            actor: Actor { uid, pid, command },
        } => fields.extend([
            ("verb", json!(verb.word())),
            ("uid", json!(uid)),
            ("pid", json!(pid)),
            ("command", json!(command)),
        ]),
        Cause::StartFailure { exit, message } => {
            let (status, signal) = match exit {
                Some(Exit::Status(status)) => (Some(*status), None),
                Some(Exit::Signal { signal, .. }) => (None, Some(signal_name(*signal))),
                None => (None, None),
            };
            fields.extend([
                ("status", json!(status)),
                ("signal", json!(signal)),
                ("message", json!(message)),
            ]);
        }
        Cause::JournalDamaged { file, why } => {
            fields.extend([("file", json!(file)), ("why", json!(why))]);
        }
        Cause::Unattributed { why } => fields.push(("why", json!(why))),
        Cause::GuestShutdown
        | Cause::GuestReset
        | Cause::QmpQuit
        | Cause::QmpReset
        | Cause::HostUi
        | Cause::HostRestart
        | Cause::NeverRun
        | Cause::StatusLost
        | Cause::MaybeMigrated => {}
    }
    fields
}

/// The cause as the object of domstate(1).
pub fn cause_to_json(cause: &Cause) -> Value {
    let fields = cause_fields(cause).into_iter();
    Value::Object(fields.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// `state`, `reason`, `since`, `certainty` and `cause` of an answer.
pub fn answer_fields(answer: &Answer) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("state".to_owned(), json!(answer.state.word()));
    fields.insert("reason".to_owned(), json!(answer.state.reason()));
    fields.insert("since".to_owned(), time_to_json(answer.since));
    fields.insert("certainty".to_owned(), json!(answer.certainty.word()));
    let cause = answer.cause.as_ref().map(cause_to_json);
    fields.insert("cause".to_owned(), cause.unwrap_or(Value::Null));
    fields
}

/// RFC 3339 in UTC with microseconds; null for a time that nobody knows.
pub fn time_to_json(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time_text(time)))
}

/// `2026-11-23T03:00:00.000000Z`.
pub fn time_text(time: Timestamp) -> String {
    humantime::format_rfc3339_micros(system_time(time)).to_string()
}

/// `SIGKILL`; `signal 64` for one that has no name here (the real-time signals).
pub fn signal_name(signal: i32) -> Cow<'static, str> {
    match Signal::try_from(signal) {
        Ok(signal) => Cow::Borrowed(signal.as_str()),
        Err(_) => Cow::Owned(format!("signal {signal}")),
    }
}

/// The time for the formatter, which has no word beyond the year 9999 and would fail there.
fn system_time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(time.0.min(MICROS_MAX))
}

/// QEMU's data of a panic. What cannot be read as JSON is kept as text: it is evidence all the same.
fn panic_to_json(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| json!(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Certainty, Count, OomCounts, OomKill, Running, ShutOff, State, Verb};

    fn actor() -> Actor {
        Actor {
            uid: 0,
            pid: 811,
            command: "domstate destroy v".to_owned(),
        }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn assert_json(cases: &[(Cause, Value)]) {
        for (cause, expected) in cases {
            assert_eq!(cause_to_json(cause), *expected, "{cause:?}");
        }
    }

    #[test]
    fn a_cause_within_the_guest_or_qemu_has_the_fields_of_the_contract() {
        assert_json(&[
            (Cause::GuestShutdown, json!({"kind": "guest-shutdown"})),
            (Cause::GuestReset, json!({"kind": "guest-reset"})),
            (
                Cause::GuestPanic {
                    info: text(r#"{"type":"s390","core":0}"#),
                    kept: text("5 restarts in 60 s"),
                },
                json!({"kind": "guest-panic", "info": {"type": "s390", "core": 0}, "kept": "5 restarts in 60 s"}),
            ),
            (
                Cause::GuestPanic {
                    info: text("{cut"),
                    kept: None,
                },
                json!({"kind": "guest-panic", "info": "{cut", "kept": null}),
            ),
            (
                Cause::GuestPanic {
                    info: None,
                    kept: None,
                },
                json!({"kind": "guest-panic", "info": null, "kept": null}),
            ),
            (
                Cause::GuestExit { status: 33 },
                json!({"kind": "guest-exit", "status": 33}),
            ),
            (
                Cause::Signal {
                    signal: 9,
                    core_dumped: false,
                },
                json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false}),
            ),
            (
                Cause::OomKill(OomKill::Logged {
                    scope: OomScope::Cgroup,
                    evidence: "Killed process 7 (qemu)".to_owned(),
                }),
                json!({"kind": "oom-kill", "scope": "cgroup", "evidence": "Killed process 7 (qemu)"}),
            ),
            (
                Cause::OomKill(OomKill::Counted(OomCounts {
                    kills: Count {
                        before: 3,
                        after: 4,
                    },
                    group_kills: Some(Count {
                        before: 0,
                        after: 1,
                    }),
                })),
                json!({"kind": "oom-kill", "scope": null, "evidence": "memory.events of its control \
                    group: oom_kill 3 before, 4 after, oom_group_kill 0 before, 1 after"}),
            ),
            (
                Cause::ExitStatus { status: 1 },
                json!({"kind": "exit-status", "status": 1}),
            ),
            (
                Cause::Watchdog {
                    action: "poweroff".to_owned(),
                },
                json!({"kind": "watchdog", "action": "poweroff"}),
            ),
            (
                Cause::IoError(IoError {
                    device: text("virtio0"),
                    operation: text("write"),
                    nospace: true,
                    ..IoError::default()
                }),
                json!({"kind": "io-error", "device": "virtio0", "node": null, "operation": "write",
                       "nospace": true, "error": null}),
            ),
        ]);
    }

    #[test]
    fn a_cause_outside_the_guest_has_the_fields_of_the_contract() {
        assert_json(&[
            (
                Cause::HostSignal(SignalSender {
                    signal: Some(64),
                    pid: Some(811),
                    command: None,
                }),
                json!({"kind": "host-signal", "signal": "signal 64", "pid": 811, "command": null}),
            ),
            (
                Cause::HostSignal(SignalSender::default()),
                json!({"kind": "host-signal", "signal": null, "pid": null, "command": null}),
            ),
            (Cause::QmpQuit, json!({"kind": "qmp-quit"})),
            (Cause::QmpReset, json!({"kind": "qmp-reset"})),
            (Cause::HostUi, json!({"kind": "host-ui"})),
            (
                Cause::Asked {
                    verb: Verb::Destroy,
                    actor: actor(),
                },
                json!({"kind": "asked", "verb": "destroy", "uid": 0, "pid": 811,
                       "command": "domstate destroy v"}),
            ),
            (
                Cause::StartFailure {
                    exit: Some(Exit::Status(1)),
                    message: text("qemu: no disk"),
                },
                json!({"kind": "start-failure", "status": 1, "signal": null, "message": "qemu: no disk"}),
            ),
            (
                Cause::StartFailure {
                    exit: Some(Exit::Signal {
                        signal: 11,
                        core_dumped: true,
                    }),
                    message: None,
                },
                json!({"kind": "start-failure", "status": null, "signal": "SIGSEGV", "message": null}),
            ),
            (
                Cause::StartFailure {
                    exit: None,
                    message: None,
                },
                json!({"kind": "start-failure", "status": null, "signal": null, "message": null}),
            ),
            (Cause::HostRestart, json!({"kind": "host-restart"})),
            (Cause::NeverRun, json!({"kind": "never-run"})),
            (
                Cause::JournalDamaged {
                    file: "journal".to_owned(),
                    why: "line 3".to_owned(),
                },
                json!({"kind": "journal-damaged", "file": "journal", "why": "line 3"}),
            ),
            (Cause::StatusLost, json!({"kind": "status-lost"})),
            (Cause::MaybeMigrated, json!({"kind": "maybe-migrated"})),
            (
                Cause::Unattributed {
                    why: "a word".to_owned(),
                },
                json!({"kind": "unattributed", "why": "a word"}),
            ),
        ]);
    }

    #[test]
    fn an_answer_has_null_where_nothing_is_known() {
        let answer = Answer {
            state: State::Running(Running::Booted),
            since: None,
            cause: None,
            certainty: Certainty::Witnessed,
        };
        assert_eq!(
            Value::Object(answer_fields(&answer)),
            json!({"state": "running", "reason": "booted", "since": null, "certainty": "witnessed",
                   "cause": null})
        );
        let answer = Answer {
            state: State::ShutOff(ShutOff::Crashed),
            since: Some(Timestamp(1_795_402_800_000_001)),
            cause: Some(Cause::StatusLost),
            certainty: Certainty::Inferred,
        };
        assert_eq!(
            Value::Object(answer_fields(&answer)),
            json!({"state": "shut off", "reason": "crashed", "since": "2026-11-23T03:00:00.000001Z",
                   "certainty": "inferred", "cause": {"kind": "status-lost"}})
        );
    }

    #[test]
    fn a_time_that_no_calendar_has_is_written_as_the_last_one_it_has() {
        let last = "9999-12-31T23:59:59.999999Z";
        assert_eq!(time_text(Timestamp(MICROS_MAX)), last);
        assert_eq!(time_text(Timestamp(u64::MAX)), last);
        assert_eq!(time_text(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(time_to_json(None), Value::Null);
    }
}
