//! The fold's table: sequences of events and what they mean while QEMU lives, and a walk of all of them.

use super::super::answer::Life;
use super::super::cause::IoError;
use super::super::event::{Actor, Checkpoint, ResetBy};
use super::super::event::{PanicAction, Verb, WatchdogAction};
use super::super::job::Before;
use super::super::job::Job;
use super::super::policy::Lifecycle;
use super::super::state::ShutOff;
use super::*;

fn launch(kind: LaunchKind, begin: Begin) -> Event {
    Event::Launched(Box::new(Launch {
        run: 1,
        kind,
        begin,
        boot: BootId("b".into()),
        pid_namespace: 1,
        exit_device: false,
        lifecycle: Lifecycle::default(),
        actor: actor(1),
    }))
}

fn actor(pid: u32) -> Actor {
    Actor {
        uid: 0,
        pid,
        command: "domstate".into(),
    }
}

fn asked(verb: Verb) -> Event {
    Event::Asked {
        verb,
        actor: actor(7),
        job: None,
    }
}

fn begun(verb: Verb) -> Event {
    Event::Asked {
        verb,
        actor: actor(7),
        job: Some(Box::new(Job {
            worker: Process {
                pid: 7,
                start_ticks: 1,
            },
            began: Timestamp(1),
            file: "/f".into(),
            before: Before::Ran,
            then: None,
        })),
    }
}

fn failed(verb: Verb) -> Event {
    Event::Failed {
        verb,
        pid: 7,
        message: String::new(),
    }
}

fn fold_of(events: &[Event]) -> Fold {
    let mut fold = Fold::default();
    for (second, event) in events.iter().enumerate() {
        let at = Some(Timestamp(second as u64 * 1_000_000));
        fold.apply(&Record {
            at,
            event: event.clone(),
        });
    }
    fold
}

fn booted(then: &[Event]) -> Fold {
    let mut events = vec![
        launch(LaunchKind::Boot, Begin::Running),
        Event::StatusReported(RunStatus::Prelaunch),
        Event::Resumed,
    ];
    events.extend_from_slice(then);
    fold_of(&events)
}

fn io_error() -> Event {
    Event::IoFailed {
        error: IoError::default(),
        stops_guest: true,
    }
}

fn panic(action: PanicAction) -> Event {
    Event::Panicked { action, info: None }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_a_living_guest_does_is_told_in_libvirts_words() {
    use Event::*;
    let incoming = |begin| launch(LaunchKind::Incoming, begin);
    let reset = || Reset(ResetBy::Host);
    let s3 = || Suspended;
    let cases: Vec<(Fold, &str)> = vec![
        (
            fold_of(&[launch(LaunchKind::Boot, Begin::Running)]),
            "paused (starting up)",
        ),
        (booted(&[]), "running (booted)"),
        (
            fold_of(&[
                launch(LaunchKind::Boot, Begin::Paused),
                StatusReported(RunStatus::Prelaunch),
            ]),
            "paused (user)",
        ),
        (
            fold_of(&[
                launch(LaunchKind::Boot, Begin::Paused),
                StatusReported(RunStatus::Prelaunch),
                Resumed,
            ]),
            "running (unpaused)",
        ),
        (
            fold_of(&[launch(LaunchKind::Snapshot, Begin::Running), Resumed]),
            "running (from snapshot)",
        ),
        (
            fold_of(&[
                incoming(Begin::Running),
                StatusReported(RunStatus::InMigrate),
            ]),
            "paused (migrating)",
        ),
        // QEMU 11.1: the reply comes after the RESUME and is old by then.
        (
            fold_of(&[
                incoming(Begin::Running),
                Resumed,
                StatusReported(RunStatus::InMigrate),
            ]),
            "running (migrated)",
        ),
        (
            fold_of(&[
                incoming(Begin::Running),
                StatusReported(RunStatus::InMigrate),
                MigrationChanged("completed".into()),
            ]),
            "paused (user)",
        ),
        (booted(&[begun(Verb::Save)]), "running (booted)"),
        (booted(&[begun(Verb::Save), Stopped]), "paused (saving)"),
        (
            booted(&[begun(Verb::ManagedSave), Stopped]),
            "paused (saving)",
        ),
        (
            booted(&[
                begun(Verb::Save),
                Stopped,
                MigrationChanged("setup".into()),
                MigrationChanged("completed".into()),
            ]),
            "paused (saving)",
        ),
        (
            booted(&[
                begun(Verb::Save),
                Stopped,
                MigrationChanged("setup".into()),
                MigrationChanged("failed".into()),
                Resumed,
                failed(Verb::Save),
            ]),
            "running (save canceled)",
        ),
        (
            booted(&[
                begun(Verb::Save),
                Stopped,
                Resumed,
                failed(Verb::Save),
                Stopped,
            ]),
            "paused (unknown)",
        ),
        // A guest that stood before goes on standing, and why.
        (
            booted(&[asked(Verb::Suspend), Stopped, begun(Verb::Save)]),
            "paused (user)",
        ),
        // QEMU 7.2 wakes a guest that it migrates, and stops it.
        (booted(&[s3(), Stopped, Woken]), "paused (unknown)"),
        (
            booted(&[s3(), Stopped, Woken, Resumed]),
            "running (unpaused)",
        ),
        (booted(&[begun(Verb::Dump), Stopped]), "paused (dumping)"),
        (
            booted(&[begun(Verb::Dump), Stopped, Resumed]),
            "running (unpaused)",
        ),
        (
            booted(&[panic(PanicAction::Pause), Stopped, begun(Verb::Dump)]),
            "crashed (panicked)",
        ),
        (booted(&[Stopped]), "paused (unknown)"),
        (booted(&[asked(Verb::Suspend), Stopped]), "paused (user)"),
        (booted(&[Stopped, Resumed]), "running (unpaused)"),
        (booted(&[Resumed]), "running (booted)"),
        (booted(&[reset()]), "running (booted)"),
        (
            booted(&[asked(Verb::Suspend), Stopped, reset()]),
            "paused (user)",
        ),
        (booted(&[io_error(), Stopped]), "paused (I/O error)"),
        (booted(&[Stopped, io_error()]), "paused (I/O error)"),
        (
            booted(&[Stopped, io_error(), Resumed]),
            "running (unpaused)",
        ),
        (
            booted(&[Stopped, io_error(), Resumed, asked(Verb::Suspend), Stopped]),
            "paused (user)",
        ),
        (
            booted(&[IoFailed {
                error: IoError::default(),
                stops_guest: false,
            }]),
            "running (booted)",
        ),
        (
            booted(&[WatchdogFired(WatchdogAction::Pause), Stopped]),
            "paused (watchdog)",
        ),
        (
            booted(&[Stopped, WatchdogFired(WatchdogAction::Pause)]),
            "paused (watchdog)",
        ),
        (
            booted(&[WatchdogFired(WatchdogAction::Other)]),
            "running (booted)",
        ),
        (
            booted(&[panic(PanicAction::Pause), Stopped]),
            "crashed (panicked)",
        ),
        (
            booted(&[panic(PanicAction::Poweroff)]),
            "in shutdown (unknown)",
        ),
        (
            booted(&[
                panic(PanicAction::Poweroff),
                ShutDown(ShutdownCause::GuestPanic),
                Stopped,
            ]),
            "crashed (panicked)",
        ),
        (booted(&[panic(PanicAction::Run)]), "running (booted)"),
        (booted(&[CrashLoaded]), "running (booted)"),
        (
            booted(&[panic(PanicAction::Pause), Stopped, reset()]),
            "paused (crashed)",
        ),
        (
            booted(&[panic(PanicAction::Pause), Stopped, Resumed]),
            "running (unpaused)",
        ),
        (booted(&[s3()]), "pmsuspended (unknown)"),
        (booted(&[s3(), Woken, reset()]), "running (event wakeup)"),
        (booted(&[s3(), Stopped, Resumed]), "pmsuspended (unknown)"),
        // loadvm on 7.2, of a state that was awake.
        (booted(&[s3(), Resumed]), "running (unpaused)"),
        (booted(&[s3(), reset()]), "paused (user)"),
        (booted(&[Woken]), "running (booted)"),
        (
            booted(&[ShutDown(ShutdownCause::GuestShutdown), Stopped]),
            "in shutdown (unknown)",
        ),
        (
            booted(&[ShutDown(ShutdownCause::GuestShutdown), Stopped, reset()]),
            "paused (user)",
        ),
        (
            booted(&[MigrationChanged("active".into()), Stopped]),
            "paused (migrating)",
        ),
    ];
    for (fold, want) in cases {
        assert_eq!(
            fold.answer(&Life::Lives).state.to_string(),
            want,
            "{fold:?}"
        );
    }
}

#[test]
fn a_cause_that_came_too_late_does_not_explain_a_stop_of_much_later() {
    let mut events = vec![Event::Stopped, Event::Resumed, io_error()];
    events.extend(std::iter::repeat_n(Event::Other, 20));
    events.push(Event::Stopped);
    assert_eq!(booted(&events).live.to_string(), "paused (unknown)");
}

fn status(word: &str) -> Event {
    Event::MigrationChanged(word.into())
}

fn carried_out(verb: Verb) -> Event {
    Event::Sent { verb, pid: 7 }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_guest_that_goes_is_told_in_libvirts_words() {
    use Event::*;
    let migrate = || begun(Verb::Migrate);
    let cases: Vec<(Vec<Event>, &str)> = vec![
        (vec![migrate(), status("setup")], "running (booted)"),
        (
            vec![migrate(), status("setup"), status("active"), Stopped],
            "paused (migrating)",
        ),
        // Nobody of ours asked for it.
        (vec![status("setup"), Stopped], "paused (migrating)"),
        (
            vec![migrate(), status("setup"), Stopped, status("completed")],
            "paused (migrating)",
        ),
        // 7.2: it was cancelled before it was stopped, and runs on as it did.
        (
            vec![
                migrate(),
                status("setup"),
                status("cancelling"),
                status("cancelled"),
                failed(Verb::Migrate),
            ],
            "running (booted)",
        ),
        (
            vec![
                migrate(),
                status("setup"),
                Stopped,
                status("failed"),
                Resumed,
                failed(Verb::Migrate),
            ],
            "running (migration canceled)",
        ),
        // 10 and 11 let it go on before they say that it has failed.
        (
            vec![
                migrate(),
                status("setup"),
                Stopped,
                status("failing"),
                Resumed,
                status("failed"),
                failed(Verb::Migrate),
            ],
            "running (migration canceled)",
        ),
        (
            vec![
                migrate(),
                status("setup"),
                Stopped,
                status("failed"),
                failed(Verb::Migrate),
            ],
            "paused (api error)",
        ),
        (
            vec![
                migrate(),
                status("setup"),
                status("postcopy-active"),
                Stopped,
            ],
            "paused (post-copy)",
        ),
        // 10: the guest stands before it is said to be handed over.
        (
            vec![
                migrate(),
                status("setup"),
                Stopped,
                status("device"),
                status("postcopy-active"),
            ],
            "paused (post-copy)",
        ),
        (
            vec![
                migrate(),
                status("setup"),
                status("postcopy-active"),
                Stopped,
                status("postcopy-paused"),
            ],
            "paused (post-copy failed)",
        ),
        (
            vec![
                migrate(),
                status("setup"),
                status("postcopy-active"),
                Stopped,
                status("postcopy-paused"),
                status("postcopy-active"),
            ],
            "paused (post-copy)",
        ),
        (
            vec![begun(Verb::SnapshotCreate), Stopped],
            "paused (creating snapshot)",
        ),
        (
            vec![begun(Verb::SnapshotCreate), Stopped, Resumed],
            "running (unpaused)",
        ),
        (
            vec![begun(Verb::SnapshotRevert), Stopped],
            "paused (from snapshot)",
        ),
        (
            vec![
                begun(Verb::SnapshotRevert),
                Stopped,
                carried_out(Verb::SnapshotRevert),
                Resumed,
            ],
            "running (from snapshot)",
        ),
        // What was loaded is another machine: it has not panicked.
        (
            vec![
                panic(PanicAction::Pause),
                Stopped,
                begun(Verb::SnapshotRevert),
                carried_out(Verb::SnapshotRevert),
            ],
            "paused (from snapshot)",
        ),
        // Somebody else has let it run.
        (
            vec![
                begun(Verb::SnapshotRevert),
                Stopped,
                Resumed,
                carried_out(Verb::SnapshotRevert),
            ],
            "running (from snapshot)",
        ),
        (
            vec![begun(Verb::Save), Stopped, failed(Verb::Save)],
            "paused (api error)",
        ),
        (
            vec![
                begun(Verb::SnapshotRevert),
                Stopped,
                Resumed,
                failed(Verb::SnapshotRevert),
            ],
            "running (unpaused)",
        ),
    ];
    for (events, state) in cases {
        assert_eq!(booted(&events).live.to_string(), state, "{events:?}");
    }
}

#[test]
fn a_guest_that_stood_for_a_snapshot_or_a_dump_has_gone_nowhere() {
    for verb in [Verb::SnapshotCreate, Verb::Dump] {
        let fold = booted(&[
            Event::Stopped,
            begun(verb),
            status("setup"),
            status("completed"),
            carried_out(verb),
            Event::Done { verb, pid: 7 },
        ]);
        assert_eq!(fold.transfer, Transfer::None, "{verb:?}");
        assert_eq!(fold.live, State::Paused(Paused::Unknown), "{verb:?}");
    }
}

#[test]
fn a_guest_that_comes_is_told_in_libvirts_words() {
    use Event::*;
    let cases: Vec<(Vec<Event>, &str)> = vec![
        (vec![status("setup")], "paused (starting up)"),
        (
            vec![status("setup"), StatusReported(RunStatus::InMigrate)],
            "paused (migrating)",
        ),
        (
            vec![
                StatusReported(RunStatus::InMigrate),
                status("active"),
                Resumed,
            ],
            "running (migrated)",
        ),
        (
            vec![
                StatusReported(RunStatus::InMigrate),
                status("active"),
                status("postcopy-active"),
                Resumed,
            ],
            "running (post-copy)",
        ),
        // 10 and 11: it runs before the word.
        (
            vec![
                StatusReported(RunStatus::InMigrate),
                status("active"),
                Resumed,
                status("postcopy-active"),
            ],
            "running (post-copy)",
        ),
        (
            vec![
                StatusReported(RunStatus::InMigrate),
                status("active"),
                status("postcopy-active"),
                Resumed,
                status("completed"),
            ],
            "running (migrated)",
        ),
        (
            vec![
                StatusReported(RunStatus::InMigrate),
                status("active"),
                status("postcopy-active"),
                Resumed,
                status("postcopy-paused"),
            ],
            "running (post-copy failed)",
        ),
        // It goes on to a third place: that is another journey.
        (
            vec![
                StatusReported(RunStatus::InMigrate),
                status("active"),
                Resumed,
                status("completed"),
                status("setup"),
                status("active"),
                Stopped,
            ],
            "paused (migrating)",
        ),
        (
            vec![
                StatusReported(RunStatus::InMigrate),
                status("active"),
                Resumed,
                status("completed"),
                Stopped,
                Resumed,
            ],
            "running (unpaused)",
        ),
    ];
    for (then, state) in cases {
        let mut events = vec![launch(LaunchKind::Incoming, Begin::Running)];
        events.extend(then.clone());
        assert_eq!(fold_of(&events).live.to_string(), state, "{then:?}");
    }
}

#[test]
fn an_outgoing_migration_that_completed_bars_the_source() {
    let away = |events: &[Event]| booted(events).transfer == Transfer::Left;
    assert!(away(&[
        status("setup"),
        Event::Stopped,
        status("completed")
    ]));
    assert!(!away(&[status("setup"), Event::Stopped, status("failed")]));
    assert!(!away(&[
        status("setup"),
        Event::Stopped,
        status("completed"),
        Event::Resumed
    ]));
}

#[test]
fn the_stream_of_a_dump_leaves_the_guest_where_it_is() {
    let status = |word: &str| Event::MigrationChanged(word.into());
    let done = |verb| Event::Done { verb, pid: 7 };
    for (verb, is_away) in [
        (Verb::Dump, false),
        (Verb::DumpReset, false),
        (Verb::Save, true),
    ] {
        let mut events = vec![asked(Verb::Suspend), Event::Stopped, begun(verb)];
        events.extend([status("setup"), status("active"), status("completed")]);
        assert_eq!(booted(&events).transfer, Transfer::Left, "{verb:?}");
        events.push(done(verb));
        let fold = booted(&events);
        assert_eq!(fold.transfer == Transfer::Left, is_away, "{verb:?}");
        assert_eq!(fold.live.to_string(), "paused (user)", "{verb:?}");
    }
}

#[test]
fn a_job_is_aborted_by_who_asked_for_that_after_it_began_and_did_it() {
    let abort = Event::Asked {
        verb: Verb::JobAbort,
        actor: actor(8),
        job: None,
    };
    let did = Event::Done {
        verb: Verb::JobAbort,
        pid: 8,
    };
    let aborted = |events: &[Event]| booted(events).is_job_aborted();
    assert!(!aborted(&[begun(Verb::Dump)]));
    assert!(!aborted(&[begun(Verb::Dump), abort.clone()]));
    assert!(aborted(&[begun(Verb::Dump), abort.clone(), did.clone()]));
    assert!(!aborted(&[abort.clone(), did.clone(), begun(Verb::Dump)]));
    assert!(!aborted(&[
        begun(Verb::Dump),
        abort,
        did,
        failed(Verb::Dump)
    ]));
}

#[test]
fn a_checkpoint_stands_for_everything_before_it() {
    let before = booted(&[asked(Verb::Suspend), Event::Stopped]);
    let after = fold_of(&[
        Event::Gap,
        Event::Checkpoint(Box::new(Checkpoint {
            fold: before.clone(),
            offset: 0,
        })),
    ]);
    assert_eq!(after, before);
}

/// One event of each kind that can move a run.
fn alphabet() -> Vec<Event> {
    let exited = |exit| Event::Exited {
        pid: None,
        exit,
        boot: BootId("b".into()),
        words: LogWords::default(),
    };
    vec![
        Event::StatusReported(RunStatus::Prelaunch),
        Event::Stopped,
        Event::Resumed,
        Event::Reset(ResetBy::Guest),
        Event::ShutDown(ShutdownCause::GuestShutdown),
        Event::ShutDown(ShutdownCause::HostSignal),
        Event::Suspended,
        Event::Woken,
        Event::WatchdogFired(WatchdogAction::Pause),
        Event::WatchdogFired(WatchdogAction::Poweroff),
        panic(PanicAction::Pause),
        io_error(),
        asked(Verb::Destroy),
        Event::Sent {
            verb: Verb::Destroy,
            pid: 7,
        },
        exited(Some(Exit::Status(0))),
        exited(None),
        Event::Gap,
    ]
}

#[test]
fn in_every_sequence_of_events_success_has_a_guest_shutdown_on_record() {
    let gone = Life::Gone(Exited {
        exit: None,
        boot: BootId("b".into()),
        words: LogWords::default(),
        at: None,
    });
    let alphabet = alphabet();
    let mut pending: Vec<Vec<usize>> = vec![vec![]];
    let mut walked = 0_u32;
    while let Some(path) = pending.pop() {
        let events: Vec<Event> = path.iter().map(|i| alphabet[*i].clone()).collect();
        let fold = booted(&events);
        let lives = fold.answer(&Life::Lives);
        assert!(lives.state.is_active(), "{events:?}");
        let ended = fold.answer(&gone);
        assert!(!ended.state.is_active(), "{events:?}");
        if ended.state == State::ShutOff(ShutOff::Shutdown) {
            let shut = events
                .iter()
                .rposition(|e| *e == Event::ShutDown(ShutdownCause::GuestShutdown));
            let restarted = events
                .iter()
                .rposition(|e| matches!(e, Event::Resumed | Event::Reset(_)));
            assert!(shut.is_some() && shut > restarted, "{events:?}");
        }
        walked += 1;
        if path.len() < 4 {
            for next in 0..alphabet.len() {
                let mut longer = path.clone();
                longer.push(next);
                pending.push(longer);
            }
        }
    }
    assert_eq!(walked, (0..=4).map(|n| 17_u32.pow(n)).sum::<u32>());
}

#[test]
fn qemu_is_leaving_only_when_nothing_may_keep_it() {
    let shut = |cause| Event::ShutDown(cause);
    let leaves = |events: &[Event]| booted(events).is_leaving();
    assert!(leaves(&[shut(ShutdownCause::GuestShutdown)]));
    assert!(!leaves(&[
        shut(ShutdownCause::GuestShutdown),
        Event::Stopped
    ]));
    assert!(leaves(&[panic(PanicAction::Poweroff)]));
    assert!(!leaves(&[panic(PanicAction::Pause), Event::Stopped]));
    assert!(leaves(&[Event::WatchdogFired(WatchdogAction::Poweroff)]));
    // -no-shutdown -no-reboot, reset while the guest stands: no STOP comes, and QEMU stays for ever.
    assert!(!leaves(&[
        Event::Stopped,
        shut(ShutdownCause::HostQmpSystemReset)
    ]));
    assert!(leaves(&[Event::Stopped, shut(ShutdownCause::HostSignal)]));
}
