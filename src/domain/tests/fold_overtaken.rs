//! What somebody else does with a guest while a job of ours is at it.

use super::story::*;
use super::*;

/// A guest that runs while its memory is sent where we have it sent.
fn going() -> Vec<Event> {
    let asked = [
        begun(Verb::Migrate),
        writes(Verb::Migrate),
        status("setup"),
        taken(Verb::Migrate),
        status("active"),
    ];
    [&boot()[..], &asked].concat()
}

/// Somebody cancels what QEMU is at and has it send the guest elsewhere.
fn another(then: &[Event]) -> Vec<Event> {
    let words = ["cancelling", "cancelled", "setup", "active"].map(status);
    [&words[..], then].concat()
}

#[test]
fn a_guest_is_restarted_only_by_a_reset_and_as_what_it_is_by_then() {
    use Event::*;
    let panics = [panicked(PanicAction::Pause), Stopped];
    let restarts = [&panics[..], &[asked(Verb::CrashRestart)]].concat();
    let reverted = [
        begun(Verb::SnapshotRevert),
        ShutDown(ShutdownCause::GuestShutdown),
        Stopped,
        sent(Verb::SnapshotRevert),
        Resumed,
    ];
    let late: Vec<Event> = std::iter::repeat_n(Other, 60).collect();
    let cases = [
        (vec![reset(), Resumed], "running (crashed)"),
        // Whoever reset it died, and another lets it run.
        (
            [&[reset()], &late[..], &[Resumed]].concat(),
            "running (crashed)",
        ),
        // QEMU's clock may be another: when that was asked for tells nothing.
        (
            [&late[..], &[reset(), Resumed]].concat(),
            "running (crashed)",
        ),
        (vec![Resumed], "running (unpaused)"),
    ];
    for (then, told) in cases {
        let fold = booted(&[&restarts[..], &then].concat());
        assert_eq!(fold.live.to_string(), told, "{then:?}");
    }
    let mut restarting = boot();
    for event in &mut restarting {
        if let Launched(launch) = event {
            launch.lifecycle.on_poweroff = OnPoweroff::Restart;
        }
    }
    let fold = fold_of(&[&restarting[..], &reverted].concat());
    assert_eq!(fold.live.to_string(), "running (from snapshot)");
}

#[test]
fn gdb_kills_what_is_left_of_a_guest_that_was_sent_away() {
    let away = ["setup", "active", "completed"].map(status);
    let fold = booted(&[&[Event::Stopped][..], &away].concat());
    let words = LogWords {
        gdb_killed: true,
        ..LogWords::default()
    };
    let (state, cause, _) = Story(fold, 60_000_000).ends_with(STATUS_0, words);
    assert_eq!(
        (state.as_str(), cause),
        ("shut off (unknown)", Cause::MaybeMigrated)
    );
}

fn quits(events: &[Event]) -> End {
    let story = Story(fold_of(events), events.len() as u64 * 1_000_000);
    story.shut(ShutdownCause::HostQmpQuit).ends(STATUS_0)
}

#[test]
fn a_job_is_not_carried_out_by_what_somebody_else_has_sent() {
    let cases = [
        (saving(), Verb::Save, vec![status("completed")]),
        (
            going(),
            Verb::Migrate,
            vec![Event::Stopped, status("completed")],
        ),
    ];
    for (first, verb, arrives) in cases {
        let sent_away = [first, another(&arrives)].concat();
        for then in [
            vec![],
            vec![sent(verb)],
            vec![sent(verb), done(verb)],
            vec![sent(verb), failed(verb)],
            vec![failed(verb)],
        ] {
            let events = [sent_away.clone(), then.clone()].concat();
            let fold = fold_of(&events);
            assert!(fold.is_sent_by_another(), "{verb:?} {then:?}");
            assert!(
                fold.job.as_ref().is_none_or(|job| !job.is_committed()),
                "{verb:?} {then:?}"
            );
            let (state, cause, certainty) = quits(&events);
            assert_eq!(state, "shut off (unknown)", "{verb:?} {then:?}");
            assert_eq!(cause, Cause::MaybeMigrated);
            assert_eq!(certainty, Certainty::Unknown);
        }
    }
}

#[test]
fn a_guest_may_not_be_let_go_to_where_somebody_else_sends_it() {
    let before_switchover = [Event::Stopped, status("pre-switchover")];
    let events = [going(), another(&before_switchover)].concat();
    let fold = fold_of(&[events.clone(), vec![sent(Verb::Migrate)]].concat());
    assert!(!fold.job.as_ref().unwrap().is_committed());
    let due = fold.duty(&Life::Lives, Worker::Gone);
    assert_eq!(due, Some(Duty::UndoJob));
    // Also where it was said before.
    let mut events = going();
    events.extend([
        Event::Stopped,
        status("pre-switchover"),
        sent(Verb::Migrate),
    ]);
    events.extend(another(&[]));
    let due = fold_of(&events).duty(&Life::Lives, Worker::Gone);
    assert_eq!(due, Some(Duty::UndoJob));
}

#[test]
fn a_guest_whose_job_came_to_nothing_stands_for_what_somebody_else_does_with_it() {
    assert_told(
        &saving(),
        &[
            (&another(&[]), "paused (saving)"),
            (&another(&[failed(Verb::Save)]), "paused (migrating)"),
            (
                &another(&[status("completed"), failed(Verb::Save)]),
                "paused (migrating)",
            ),
            // Nor did that arrive.
            (
                &another(&[status("failed"), failed(Verb::Save)]),
                "paused (api error)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_somebody_lets_run_while_it_is_written_is_saved_or_migrated_all_the_same() {
    use Event::*;
    let arrives = [Resumed, Stopped, status("completed")];
    let save = [&saving()[..], &arrives, &[sent(Verb::Save)]].concat();
    let migrate = [&going()[..], &[Stopped], &arrives].concat();
    let dumping = [
        begun(Verb::DumpCrash),
        Stopped,
        writes(Verb::DumpCrash),
        status("setup"),
        taken(Verb::DumpCrash),
        status("active"),
    ];
    let dump = [&boot()[..], &dumping, &arrives, &[sent(Verb::DumpCrash)]].concat();
    assert_witnessed([
        (quits(&save), "saved", asked_for(Verb::Save)),
        (quits(&migrate), "migrated", asked_for(Verb::Migrate)),
        (quits(&dump), "crashed", asked_for(Verb::DumpCrash)),
    ]);
    // Nobody may call it saved that ran on behind the last of it.
    let behind = [
        &saving()[..],
        &[status("completed"), Resumed, Stopped, sent(Verb::Save)],
    ]
    .concat();
    assert_witnessed([(quits(&behind), "destroyed", Cause::QmpQuit)]);
}

#[test]
fn a_guest_that_somebody_lets_run_while_it_is_written_is_not_said_to_be_canceled() {
    use Event::*;
    assert_told(
        &saving(),
        &[
            (&[Resumed], "running (unpaused)"),
            (&[Resumed, Stopped], "paused (saving)"),
            (&[status("cancelled"), Resumed], "running (save canceled)"),
            (&[status("completed"), Resumed], "running (save canceled)"),
        ],
    );
    assert_told(
        &going(),
        &[
            (&[Stopped, Resumed], "running (unpaused)"),
            (
                &[Stopped, sent(Verb::Migrate), Resumed],
                "running (migration canceled)",
            ),
            // QEMU 10 and 11 say so behind it, in no time.
            (
                &[Stopped, Resumed, Other, status("failed")],
                "running (unpaused)",
            ),
        ],
    );
    let story = [&going()[..], &[Stopped, Resumed]].concat();
    let mut story = Story(fold_of(&story), story.len() as u64 * 1_000_000);
    story.1 -= 1_999_000;
    let fold = story.then(status("failed")).0;
    assert_eq!(fold.live.to_string(), "running (migration canceled)");
}

#[test]
fn that_a_guest_stands_for_its_migration_is_inferred_until_the_last_of_it_may_go() {
    let certainty = |then: &[Event]| {
        let fold = fold_of(&[&going()[..], then].concat());
        assert_eq!(fold.live.to_string(), "paused (migrating)");
        fold.answer(&Life::Lives).certainty
    };
    // Somebody may have stopped it.
    assert_eq!(certainty(&[Event::Stopped]), Certainty::Inferred);
    let last = [Event::Stopped, sent(Verb::Migrate)];
    assert_eq!(certainty(&last), Certainty::Witnessed);
    let left = [Event::Stopped, status("completed")];
    assert_eq!(certainty(&left), Certainty::Witnessed);
}
