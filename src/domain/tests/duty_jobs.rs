//! What is left to do of a job, and who does it.

use super::*;

/// Asserts what is to be done after each of these where no worker lives.
fn assert_due(life: &Life, cases: &[(&[Event], Option<Duty>)]) {
    for (then, duty) in cases {
        assert_eq!(booted(then).duty(life, Worker::Gone), *duty, "{then:?}");
    }
}

#[test]
fn a_job_belongs_to_its_worker() {
    let fold = booted(&[begun(Verb::Save)]);
    assert_eq!(fold.duty(&Life::Lives, Worker::Lives), None);
}

#[test]
fn a_save_or_dump_without_its_worker_is_undone_or_finished() {
    use Event::*;
    assert_due(
        &Life::Lives,
        &[
            (&[], None),
            (&[begun(Verb::Save)], Some(Duty::UndoJob)),
            (&[begun(Verb::Save), Stopped, failed(Verb::Save)], None),
            (
                &[begun(Verb::Save), Stopped, sent(Verb::Save)],
                Some(Duty::PlaceFile),
            ),
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    sent(Verb::Save),
                    done(Verb::Save),
                ],
                Some(Duty::EndAfterJob),
            ),
            // Said to be carried out of a guest that runs, or only to be done: it was not.
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    Resumed,
                    sent(Verb::Save),
                    done(Verb::Save),
                ],
                Some(Duty::UndoJob),
            ),
            // Somebody let the guest go on: what was saved is not what it is any more.
            (
                &[begun(Verb::Save), Stopped, sent(Verb::Save), Resumed],
                Some(Duty::UndoJob),
            ),
            // Or there was no place to put it in. It cannot be done by who died before that.
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    sent(Verb::Save),
                    taken_back(Verb::Save),
                    done(Verb::Save),
                ],
                Some(Duty::UndoJob),
            ),
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    sent(Verb::Save),
                    TakenBack {
                        verb: Verb::Save,
                        pid: USER + 1,
                    },
                ],
                Some(Duty::PlaceFile),
            ),
            (&[begun(Verb::Dump), Stopped, Resumed], Some(Duty::UndoJob)),
            (
                &[
                    begun(Verb::Dump),
                    Stopped,
                    Resumed,
                    sent(Verb::Dump),
                    done(Verb::Dump),
                ],
                None,
            ),
            (
                &[begun(Verb::DumpCrash), Stopped, sent(Verb::DumpCrash)],
                Some(Duty::PlaceFile),
            ),
        ],
    );
}

#[test]
fn a_migration_without_its_worker_is_undone_unless_the_guest_may_have_gone() {
    use Event::*;
    let due = |then: &[Event], wanted| {
        let begun = [
            begun(Verb::Migrate),
            writes(Verb::Migrate),
            status("setup"),
            taken(Verb::Migrate),
        ];
        let events = [&begun[..], then].concat();
        assert_due(&Life::Lives, &[(&events, wanted)]);
    };
    let let_go = || [Stopped, sent(Verb::Migrate)];
    let then = |events: &[Event]| [&let_go()[..], events].concat();
    let handed_over = || status("postcopy-active");
    due(&[], Some(Duty::UndoJob));
    // Handed over: there is nothing that could be undone.
    due(&[handed_over()], None);
    due(&then(&[handed_over()]), None);
    // Nor once that was cancelled, or has failed.
    due(&then(&[handed_over(), status("cancelled")]), None);
    // Somebody let it run here all the same.
    due(
        &then(&[handed_over(), status("failed"), Resumed]),
        Some(Duty::UndoJob),
    );
    // It may have gone: it is let go, and must not run here.
    due(&let_go(), Some(Duty::PlaceFile));
    // Also one that was not stopped yet.
    due(&[sent(Verb::Migrate)], Some(Duty::PlaceFile));
    // Somebody let it run here: it has gone nowhere, whatever is said of it later.
    due(
        &[Stopped, status("completed"), Resumed, done(Verb::Migrate)],
        Some(Duty::UndoJob),
    );
    due(&then(&[status("failed")]), Some(Duty::UndoJob));
    // QEMU's own word carries it out.
    due(&[status("completed")], Some(Duty::PlaceFile));
    due(
        &[
            status("completed"),
            failed(Verb::Migrate),
            done(Verb::Migrate),
        ],
        Some(Duty::EndAfterJob),
    );
}

#[test]
fn a_snapshot_without_its_worker_is_finished() {
    assert_due(
        &Life::Lives,
        &[
            // A snapshot that is loaded is finished, and only where there is a guest.
            (
                &[begun(Verb::SnapshotRevert), sent(Verb::SnapshotRevert)],
                Some(Duty::FinishRevert),
            ),
            (
                &[begun(Verb::SnapshotCreate), sent(Verb::SnapshotCreate)],
                Some(Duty::PlaceFile),
            ),
        ],
    );
}

#[test]
fn of_a_job_whose_qemu_is_gone_the_file_is_left_to_do() {
    use Event::*;
    assert_due(
        &gone("b"),
        &[
            (&[begun(Verb::Save), Stopped], Some(Duty::UndoJob)),
            (
                &[begun(Verb::Save), Stopped, sent(Verb::Save)],
                Some(Duty::PlaceFile),
            ),
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    sent(Verb::Save),
                    done(Verb::Save),
                ],
                None,
            ),
            (
                &[begun(Verb::SnapshotRevert), sent(Verb::SnapshotRevert)],
                None,
            ),
            // That a migration is done, nobody can say any more.
            (
                &[
                    begun(Verb::Migrate),
                    writes(Verb::Migrate),
                    status("setup"),
                    taken(Verb::Migrate),
                    sent(Verb::Migrate),
                ],
                Some(Duty::UndoJob),
            ),
        ],
    );
}

#[test]
fn a_restored_guest_that_was_let_go_may_have_run_before_qemu_says_so() {
    let restored = |further: &[Event]| {
        let mut fold = Fold::default();
        let events = [status("completed")]
            .into_iter()
            .chain(further.iter().cloned());
        for event in events {
            fold.apply(&Record { at: None, event });
        }
        fold.may_have_run(&boot_id("b"))
    };
    assert!(!restored(&[]));
    assert!(restored(&[asked(Verb::LetGo)]));
    assert!(restored(&[asked(Verb::LetGo), Event::Resumed]));
    // QEMU would not let it run: it is as it was saved.
    assert!(!restored(&[asked(Verb::LetGo), failed(Verb::LetGo)]));
}

#[test]
fn a_guest_that_boots_may_have_run_where_that_may_be_what_is_lost() {
    let launched = || story::Story::launched(false);
    let restored = || {
        let mut story = launched();
        story.0.launch = Some(launch(LaunchKind::Restore, Begin::Running));
        story
    };
    let let_go = || restored().then(asked(Verb::LetGo));
    let failed = || Event::Exited {
        pid: Some(10),
        exit: Some(Exit::Status(1)),
        boot: boot_id("b"),
        words: LogWords::default(),
        oom: None,
    };
    let refused = || Event::ContinueRefused("why".to_owned());
    let rows = [
        (launched(), "b", false),
        (launched(), "c", true),
        (restored(), "c", false),
        (launched().then(Event::Gap), "b", true),
        (launched().then(failed()), "c", false),
        (launched().then(Event::Gap).then(failed()), "c", true),
        (launched().then(refused()), "c", false),
        // Its QEMU was seen to end, and a guest that ran has said so.
        (let_go(), "b", true),
        (let_go().then(failed()), "b", false),
        (let_go().then(Event::Gap).then(failed()), "b", true),
        // Anything that shows that it did counts.
        (let_go().then(done(Verb::LetGo)).then(failed()), "b", true),
        (
            let_go().shut(ShutdownCause::GuestShutdown).then(failed()),
            "b",
            true,
        ),
        // Not that somebody ended it.
        (
            let_go().shut(ShutdownCause::HostSignal).then(failed()),
            "b",
            false,
        ),
    ];
    for (number, (story, boot, wanted)) in rows.into_iter().enumerate() {
        assert_eq!(story.0.may_have_run(&boot_id(boot)), wanted, "row {number}");
    }
}

#[test]
fn a_restored_guest_is_let_go_once_it_is_loaded_and_meant_to_run() {
    let completed = || status("completed");
    let arriving = || Event::StatusReported(RunStatus::InMigrate);
    let paused = || Event::StatusReported(RunStatus::Paused);
    let cases: Vec<(Begin, Vec<Event>, &str, Option<Duty>)> = vec![
        (
            Begin::Running,
            vec![arriving()],
            "paused (starting up)",
            None,
        ),
        (
            Begin::Running,
            vec![arriving(), completed()],
            "paused (starting up)",
            Some(Duty::LetGo),
        ),
        // It was loaded before the recorder came to ask.
        (
            Begin::Running,
            vec![paused()],
            "paused (starting up)",
            Some(Duty::LetGo),
        ),
        (
            Begin::Running,
            vec![arriving(), completed(), Event::Resumed],
            "running (restored)",
            None,
        ),
        (
            Begin::Running,
            vec![paused(), Event::Resumed, Event::Stopped, Event::Resumed],
            "running (unpaused)",
            None,
        ),
        (
            Begin::Paused,
            vec![arriving(), completed()],
            "paused (user)",
            None,
        ),
        (Begin::Paused, vec![paused()], "paused (user)", None),
    ];
    for (begin, then, state, duty) in cases {
        let mut events = vec![launched(LaunchKind::Restore, begin)];
        events.extend(then.clone());
        let fold = fold_of(&events);
        assert_eq!(fold.live.to_string(), state, "{begin:?} {then:?}");
        assert_eq!(
            fold.duty(&Life::Lives, Worker::Gone),
            duty,
            "{begin:?} {then:?}"
        );
    }
}

#[test]
fn a_qemu_that_begins_with_a_snapshot_may_have_taken_the_disks_back_unless_it_was_never_spawned() {
    use super::story::Story;
    let of = |kind| Story::booted_with(|l| l.kind = kind).0;
    assert!(of(LaunchKind::Snapshot).may_have_gone_back());
    assert!(!of(LaunchKind::Boot).may_have_gone_back());
    let launch = launch(LaunchKind::Snapshot, Begin::Running);
    let launched = || Story(Fold::default(), 0).then(Event::Launched(Box::new(launch.clone())));
    // Who has spawned it may have died before he said so.
    assert!(launched().0.may_have_gone_back());
    let message = "no such program".to_owned();
    let refused = launched().then(Event::SpawnFailed { message });
    assert!(!refused.0.may_have_gone_back());
}
