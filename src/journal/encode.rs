//! domstate's own lines: one [`Event`] -> one line, in the shape of a QMP event.
//!
//! Each line begins with a newline: a line of QEMU's that a full disk has cut has none at its end, and ours
//! must not be glued to it.

use serde_json::{Map, Value, json};

use super::fold_json::{FOLD_FORMAT, fold_to_json, rules_to_json};
use super::launch_json::launch_to_json;
use super::os_text::os_to_json;
use crate::domain::{
    Actor, Before, Begin, Count, Event, Exit, Job, LogWords, OomCounts, OomKill, Process,
    SignalSender, StreamAnswer, Timestamp, Verb,
};

/// The bytes to append for `event`, or `None` for events that only QEMU writes.
pub fn encode(at: Timestamp, event: &Event) -> Option<Vec<u8>> {
    let (name, data) = own_event(event)?;
    let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
    // By hand: a reader finds a line of ours behind a stump by how it begins, and serde_json sorts keys.
    let line = format!(
        "\n{{\"timestamp\":{{\"seconds\":{seconds},\"microseconds\":{micros}}},\
         \"event\":\"DOMSTATE_{name}\",\"data\":{data}}}\n"
    );
    Some(line.into_bytes())
}

fn own_event(event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::Launched(launch) => ("LAUNCHED", launch_to_json(launch)),
        Event::Spawned(process) => ("SPAWNED", process_to_json(*process)),
        Event::Identified(process) => ("QEMU", process_to_json(*process)),
        Event::Asked { verb, actor, job } => {
            let mut data = asked_data(*verb, actor);
            if let (Some(data), Some(job)) = (data.as_object_mut(), job) {
                data.extend(job_fields(job));
            }
            ("ASKED", data)
        }
        Event::StreamAsked { verb, pid } => {
            ("STREAM_ASKED", json!({"verb": verb.word(), "pid": pid}))
        }
        Event::StreamAnswered { verb, pid, answer } => {
            let is_taken = *answer == StreamAnswer::Taken;
            (
                "STREAM_ANSWERED",
                json!({"verb": verb.word(), "pid": pid, "taken": is_taken}),
            )
        }
        Event::Sent { verb, pid } => ("SENT", json!({"verb": verb.word(), "pid": pid})),
        // To an older domstate it has failed, which is as good as true.
        Event::TakenBack { verb, pid } => (
            "FAILED",
            json!({
                "verb": verb.word(),
                "pid": pid,
                "message": "it is going to be undone",
                "taken_back": true,
            }),
        ),
        Event::Done { verb, pid } => ("DONE", json!({"verb": verb.word(), "pid": pid})),
        Event::Failed { verb, pid, message } => (
            "FAILED",
            json!({"verb": verb.word(), "pid": pid, "message": message}),
        ),
        Event::Exited {
            pid,
            exit,
            boot,
            words,
            oom,
        } => {
            let mut data = exit_fields(*exit);
            data.extend(oom.as_ref().map(|oom| ("oom".to_owned(), oom_to_json(oom))));
            data.insert("pid".to_owned(), json!(pid));
            data.insert("boot".to_owned(), json!(boot.0));
            data.insert("log".to_owned(), words_to_json(words));
            ("EXITED", Value::Object(data))
        }
        Event::SpawnFailed { message } => ("SPAWN_FAILED", json!({"message": message})),
        Event::Gap => ("GAP", json!({})),
        Event::Checkpoint(c) => (
            "CHECKPOINT",
            json!({
                "format": FOLD_FORMAT,
                "rules": rules_to_json(c.rules),
                "offset": c.offset,
                "fold": fold_to_json(&c.fold),
            }),
        ),
        Event::StatusReported(_)
        | Event::ContinueRefused(_)
        | Event::Stopped
        | Event::Resumed
        | Event::Reset(_)
        | Event::ShutDown(_)
        | Event::Suspended
        | Event::SuspendedToDisk
        | Event::Woken
        | Event::WatchdogFired(_)
        | Event::Panicked { .. }
        | Event::CrashLoaded
        | Event::IoFailed { .. }
        | Event::MigrationChanged(_)
        | Event::Other => return None,
    })
}

/// The fields of a request: what and who.
pub fn asked_data(verb: Verb, actor: &Actor) -> Value {
    json!({"verb": verb.word(), "uid": actor.uid, "pid": actor.pid, "command": actor.command})
}

pub(super) fn begin_word(begin: Begin) -> &'static str {
    match begin {
        Begin::Running => "running",
        Begin::Paused => "paused",
    }
}

/// What a job adds to its request.
pub(super) fn job_fields(job: &Job) -> Map<String, Value> {
    let fields = [
        ("start_ticks", json!(job.worker.start_ticks)),
        ("began", json!(job.began.0)),
        ("file", os_to_json(job.file.as_os_str())),
        ("ran", json!(job.before == Before::Ran)),
        ("then", json!(job.then.map(begin_word))),
        ("announces", json!(job.announces)),
    ];
    let fields = fields.into_iter();
    fields.map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(super) fn process_to_json(process: Process) -> Value {
    json!({"pid": process.pid, "start_ticks": process.start_ticks})
}

pub(super) fn exit_fields(exit: Option<Exit>) -> Map<String, Value> {
    let mut fields = Map::new();
    match exit {
        Some(Exit::Status(status)) => {
            fields.insert("status".to_owned(), json!(status));
        }
        Some(Exit::Signal {
            signal,
            core_dumped,
        }) => {
            fields.insert("signal".to_owned(), json!(signal));
            fields.insert("core_dumped".to_owned(), json!(core_dumped));
        }
        None => {}
    }
    fields
}

pub(super) fn words_to_json(words: &LogWords) -> Value {
    let sender = |s: &SignalSender| json!({"signal": s.signal, "pid": s.pid, "command": s.command});
    json!({
        "terminated": words.terminated.as_ref().map(sender),
        "gdb_killed": words.gdb_killed,
        "last_line": words.last_line,
    })
}

/// Figures alone have no `scope`: by that a domstate which does not know them reads a signal like any other, which it was.
pub(super) fn oom_to_json(oom: &OomKill) -> Value {
    let count = |count: Count| json!([count.before, count.after]);
    match oom {
        OomKill::Logged { scope, evidence } => json!({"scope": scope.word(), "evidence": evidence}),
        OomKill::Counted(OomCounts { kills, group_kills }) => {
            json!({"kills": count(*kills), "group_kills": group_kills.map(count)})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_line;
    use super::*;
    use crate::domain::{
        Bmc, BootId, Checkpoint, ExitDevice, FileId, Fold, Launch, LaunchKind, Lifecycle, OnCrash,
        OomScope, Record, Rules,
    };

    fn launch(actor: Actor) -> Launch {
        Launch {
            run: 7,
            kind: LaunchKind::Incoming,
            begin: Begin::Paused,
            boot: BootId("b".into()),
            pid_namespace: 5,
            journal: Some(FileId {
                device: 8,
                inode: 9,
                born: Timestamp(10),
            }),
            exit_device: ExitDevice::Unclear,
            may_have_panicked: true,
            debugger: true,
            bmc: Bmc::Resets,
            lifecycle: Lifecycle {
                on_crash: OnCrash::Preserve,
                ..Lifecycle::default()
            },
            actor,
        }
    }

    #[test]
    fn what_domstate_writes_it_reads_back() {
        let command = "a \"b\"\n".into();
        let (uid, pid) = (1, 2);
        let actor = Actor { uid, pid, command };
        let process = Process {
            pid: 3,
            start_ticks: 4,
        };
        let launch = launch(actor.clone());
        let job = Job {
            worker: Process {
                pid: 2,
                start_ticks: 6,
            },
            began: Timestamp(5),
            file: "/x/y".into(),
            before: Before::Ran,
            then: Some(Begin::Running),
            announces: true,
        };
        let verb = Verb::Destroy;
        let message = "no".to_owned();
        let words = LogWords {
            terminated: Some(SignalSender {
                signal: Some(15),
                pid: Some(9),
                command: Some("x".into()),
            }),
            gdb_killed: true,
            last_line: Some("bye".into()),
        };
        let answered = |answer| Event::StreamAnswered {
            verb,
            pid: 2,
            answer,
        };
        let exited = |exit| Event::Exited {
            pid: Some(3),
            exit,
            boot: BootId("b".into()),
            words: words.clone(),
            oom: None,
        };
        let signal = Exit::Signal {
            signal: 11,
            core_dumped: true,
        };
        for event in [
            Event::Launched(Box::new(launch)),
            Event::Spawned(process),
            Event::Identified(process),
            Event::Asked {
                verb,
                actor: actor.clone(),
                job: None,
            },
            Event::Asked {
                verb: Verb::Save,
                actor,
                job: Some(Box::new(job)),
            },
            Event::StreamAsked { verb, pid: 2 },
            answered(StreamAnswer::Taken),
            answered(StreamAnswer::Refused),
            Event::Sent { verb, pid: 2 },
            Event::TakenBack { verb, pid: 2 },
            Event::Done { verb, pid: 2 },
            Event::Failed {
                verb,
                pid: 2,
                message,
            },
            exited(Some(Exit::Status(1))),
            exited(Some(signal)),
            exited(None),
            Event::Checkpoint(Box::new(Checkpoint {
                fold: Fold::default(),
                rules: Rules::Ours,
                offset: 5,
            })),
            Event::SpawnFailed {
                message: "no".into(),
            },
            Event::Gap,
        ] {
            assert_reads_back(event);
        }
    }

    #[test]
    fn what_the_kernel_tells_of_having_killed_it_it_reads_back_too() {
        let logged = |scope: &OomScope| OomKill::Logged {
            scope: *scope,
            evidence: "Killed process 3 (\"q\")".to_owned(),
        };
        let count = |before, after| Count { before, after };
        let counted = [None, Some(count(0, 0)), Some(count(0, 1))].map(|group_kills| {
            let kills = count(3, u64::MAX);
            OomKill::Counted(OomCounts { kills, group_kills })
        });
        for oom in OomScope::ALL.iter().map(logged).chain(counted) {
            assert_reads_back(Event::Exited {
                pid: None,
                exit: None,
                boot: BootId("b".into()),
                words: LogWords::default(),
                oom: Some(Box::new(oom)),
            });
        }
    }

    #[test]
    fn what_the_kernel_tells_in_words_that_are_not_known_is_a_signal_like_any_other() {
        for oom in [
            json!({"scope": "rack", "evidence": "x"}),
            json!({"scope": "host"}),
            json!({"kills": [1], "group_kills": null}),
            json!({"kills": 2}),
            json!({}),
        ] {
            let data = json!({"pid": 3, "signal": 9, "boot": "b", "oom": oom});
            let at = json!({"seconds": 1, "microseconds": 2});
            let line = json!({"timestamp": at, "event": "DOMSTATE_EXITED", "data": data});
            let line = line.to_string();
            let record = parse_line(line.as_bytes()).unwrap();
            let is_signal = matches!(
                record.event,
                Event::Exited {
                    exit: Some(_),
                    oom: None,
                    ..
                }
            );
            assert!(is_signal, "{line}");
        }
    }

    fn assert_reads_back(event: Event) {
        let at = Timestamp(1_763_866_800_000_001);
        let line = encode(at, &event).unwrap();
        assert!(line.starts_with(b"\n{\"timestamp\""));
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 2, "one line");
        let record = parse_line(line.trim_ascii()).unwrap();
        let at = Some(at);
        assert_eq!(record, Record { at, event });
    }
}
