//! A fold comes back from its JSON as it went, or not at all.

use super::*;
use crate::domain::{
    Actor, Before, Begin, Bmc, BootId, Copying, Core, Exit, ExitDevice, Exited, FileId, Intent,
    IoError, Job, Launch, LaunchKind, Lifecycle, LogWords, Machine, OnPoweroff, OomKill, OomScope,
    Panic, PassedPanic, Paused, PendingJob, Progress, Restart, Running, Shutdown, ShutdownCause,
    StopCause, Stream, Transfer, Verb,
};

fn launch() -> Launch {
    Launch {
        run: 7,
        kind: LaunchKind::Snapshot,
        begin: Begin::Paused,
        boot: BootId("b".into()),
        pid_namespace: 5,
        journal: Some(FileId {
            device: 8,
            inode: 9,
            born: Timestamp(10),
        }),
        exit_device: ExitDevice::Own,
        may_have_panicked: true,
        debugger: true,
        bmc: Bmc::Resets,
        lifecycle: Lifecycle {
            on_poweroff: OnPoweroff::Restart,
            ..Lifecycle::default()
        },
        actor: Actor {
            uid: 1,
            pid: 2,
            command: "c".into(),
        },
    }
}

#[test]
fn a_launch_that_ends_with_its_bmc_has_one_that_cuts_the_power() {
    let mut launch = launch_to_list(&launch());
    let entries = launch.as_array_mut().expect("a list");
    entries.truncate(14);
    entries[13] = json!(true);
    let bmc = launch_from_list(&launch).map(|launch| launch.bmc);
    assert_eq!(bmc, Some(Bmc::CutsPower));
}

#[test]
fn who_stopped_a_guest_an_older_domstate_did_not_tell() {
    let suspend = Intent {
        verb: Verb::Suspend,
        actor: Actor {
            uid: 0,
            pid: 7,
            command: "domstate".into(),
        },
        at: Timestamp(1),
        progress: Progress::Asked,
        cut: false,
    };
    for (intents, machine) in [
        (vec![], Machine::JustStopped),
        (vec![suspend], Machine::JustSuspended),
    ] {
        let fold = Fold {
            intents: Intents(intents),
            shutdown: Some(Shutdown {
                cause: ShutdownCause::GuestShutdown,
                machine: Machine::JustStopped,
                at: None,
                stayed: false,
                cut: false,
            }),
            ..Fold::default()
        };
        let mut older = fold_to_json(&fold);
        older["shutdown"]["machine"] = json!("just-stopped");
        let shutdown = fold_from_json(&older).and_then(|fold| fold.shutdown);
        assert_eq!(shutdown.map(|shutdown| shutdown.machine), Some(machine));
    }
}

#[test]
fn a_fold_comes_back_as_it_went() {
    let mut fold = Fold::default();
    assert_eq!(fold_from_json(&fold_to_json(&fold)), Some(fold.clone()));
    fold.live = State::Paused(Paused::IoError);
    fold.began = Some(Timestamp(5));
    fold.resumed = Some(Timestamp(4));
    fold.stopped_asleep = true;
    fold.watchdog = Some(WatchdogEnd::Reset);
    fold.qemu = Some(Process {
        pid: 3,
        start_ticks: 4,
    });
    fold.launch = Some(launch());
    fold.job = Some(PendingJob {
        verb: Verb::ManagedSave,
        progress: Progress::Sent,
        stream: Stream::BrokenOff,
        is_taken: false,
        job: Job {
            worker: Process {
                pid: 8,
                start_ticks: 9,
            },
            began: Timestamp(5),
            file: "/f".into(),
            before: Before::Stood,
            then: Some(Begin::Paused),
            announces: true,
        },
    });
    fold.transfer = Transfer::Leaving(Copying::Broken);
    fold.loaded = true;
    fold.outlived = true;
    fold.passed_panic = Some(PassedPanic::CrashLoaded);
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
        cut: true,
    });
    fold.shutdown = Some(Shutdown {
        cause: ShutdownCause::HostUi,
        machine: Machine::Stood,
        at: Some(Timestamp(6)),
        stayed: true,
        cut: true,
    });
    let actor = Actor {
        uid: 1,
        pid: 2,
        command: "c".into(),
    };
    fold.intents.ask(Verb::Suspend, actor, Timestamp(3), None);
    fold.intents.advance(Verb::Suspend, 2, Progress::Sent);
    fold.intents.lose_lines();
    fold.qemu_exit = Some(Exited {
        exit: Some(Exit::Status(3)),
        boot: BootId("b".into()),
        words: LogWords::default(),
        oom: Some(Box::new(OomKill::Logged {
            scope: OomScope::Host,
            evidence: "killed".into(),
        })),
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
    // An end that no line of the journal tells of.
    let mut ended = whole;
    ended["live"] = json!("shut off (shutdown)");
    assert_eq!(fold_from_json(&ended), None);
}

#[test]
fn of_a_job_in_a_checkpoint_of_an_older_domstate_all_that_qemu_writes_is_taken_for_its_own() {
    let job = Job {
        worker: Process {
            pid: 8,
            start_ticks: 9,
        },
        began: Timestamp(5),
        file: "/f".into(),
        before: Before::Ran,
        then: None,
        announces: false,
    };
    let cases = [
        (Transfer::None, Stream::NotBegun),
        (Transfer::Leaving(Copying::PreCopy), Stream::Begun),
        (Transfer::Left, Stream::Begun),
        (Transfer::Failed, Stream::BrokenOff),
    ];
    for (transfer, stream) in cases {
        let fold = Fold {
            transfer,
            job: Some(PendingJob {
                verb: Verb::Save,
                progress: Progress::Asked,
                stream,
                is_taken: true,
                job: job.clone(),
            }),
            ..Fold::default()
        };
        let mut older = fold_to_json(&fold);
        for key in ["stream", "taken"] {
            older["job"].as_object_mut().unwrap().remove(key);
        }
        assert_eq!(fold_from_json(&older), Some(fold), "{transfer:?}");
    }
}
