//! What somebody else does with a guest while a job of ours is at it.

use super::story::*;
use super::*;

/// A guest that stands for its save, which QEMU is writing.
fn saving() -> Vec<Event> {
    let asked = [
        begun(Verb::Save),
        Event::Stopped,
        status("setup"),
        status("active"),
    ];
    [&boot()[..], &asked].concat()
}

/// A guest that runs while its memory is sent where we have it sent.
fn going() -> Vec<Event> {
    let asked = [begun(Verb::Migrate), status("setup"), status("active")];
    [&boot()[..], &asked].concat()
}

/// Somebody cancels what QEMU is at and has it send the guest elsewhere.
fn another(then: &[Event]) -> Vec<Event> {
    let words = ["cancelling", "cancelled", "setup", "active"].map(status);
    [&words[..], then].concat()
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
fn what_is_written_for_a_job_is_what_was_begun_for_it() {
    use Event::*;
    let ours = |events: &[Event]| booted(events).is_written_for_job();
    let save = || [begun(Verb::Save), Stopped, status("setup")];
    assert!(ours(&save()));
    assert!(ours(
        &[&save()[..], &[status("active"), status("completed")]].concat()
    ));
    assert!(ours(&[begun(Verb::Migrate), status("setup")]));
    // The line before it was lost.
    assert!(ours(&[begun(Verb::Save), Stopped, Gap, status("active")]));
    // Somebody lets it run: QEMU goes on writing, and stops it for the last of it.
    assert!(ours(&[&save()[..], &[Stopped, Resumed, Stopped]].concat()));
    let anothers: [&[Event]; 6] = [
        &[begun(Verb::Save)],
        // A guest is stopped before it is saved.
        &[begun(Verb::Save), status("setup"), Stopped],
        &[
            status("setup"),
            begun(Verb::Save),
            Stopped,
            status("active"),
        ],
        &[begun(Verb::Save), Stopped, status("setup"), status("setup")],
        &[
            begun(Verb::Save),
            Stopped,
            status("setup"),
            status("cancelled"),
        ],
        // It ran behind what was written.
        &[
            begun(Verb::Save),
            Stopped,
            status("setup"),
            status("completed"),
            Resumed,
            Stopped,
        ],
    ];
    for events in anothers {
        assert!(!ours(events), "{events:?}");
    }
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
        status("setup"),
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

#[test]
fn a_guest_that_stands_when_its_job_is_over_does_not_stand_for_that() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            // QEMU says why, before it is dumped or behind it.
            (
                &[begun(Verb::Dump), io_error(), Stopped],
                "paused (I/O error)",
            ),
            (
                &[begun(Verb::Dump), Stopped, io_error()],
                "paused (dumping)",
            ),
            (
                &[
                    begun(Verb::Dump),
                    Stopped,
                    io_error(),
                    sent(Verb::Dump),
                    done(Verb::Dump),
                ],
                "paused (I/O error)",
            ),
            // Somebody else stopped it.
            (
                &[
                    begun(Verb::Dump),
                    Stopped,
                    sent(Verb::Dump),
                    done(Verb::Dump),
                ],
                "paused (unknown)",
            ),
            (
                &[
                    begun(Verb::SnapshotCreate),
                    Stopped,
                    done(Verb::SnapshotCreate),
                ],
                "paused (unknown)",
            ),
            // What it stands as that was taken back to a snapshot.
            (
                &[
                    begun(Verb::SnapshotRevert),
                    Stopped,
                    sent(Verb::SnapshotRevert),
                    done(Verb::SnapshotRevert),
                ],
                "paused (from snapshot)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_stands_because_somebody_may_have_asked_for_it_is_inferred_to_until_he_says_so() {
    use Event::*;
    let (a, b) = (11, 12);
    let told = |then: &[Event]| {
        let answer = booted(then).answer(&Life::Lives);
        (answer.state.to_string(), answer.certainty)
    };
    let user = |certainty| ("paused (user)".to_owned(), certainty);
    let asks = asked_by(a, Verb::Suspend);
    assert_eq!(told(&[asks.clone(), Stopped]), user(Certainty::Inferred));
    let acted = [asks.clone(), Stopped, sent_by(a, Verb::Suspend)];
    assert_eq!(told(&acted), user(Certainty::Witnessed));
    // Who asks when it stands changes nothing.
    let mut again = acted.to_vec();
    again.push(asked_by(b, Verb::Suspend));
    assert_eq!(told(&again), user(Certainty::Witnessed));
    // Another's suspend and resume come between.
    let late = [
        asks.clone(),
        asked_by(b, Verb::Suspend),
        Stopped,
        sent_by(b, Verb::Suspend),
        done_by(b, Verb::Suspend),
        Resumed,
        Stopped,
    ];
    assert_eq!(told(&late), user(Certainty::Inferred));
    let late = [&late[..], &[sent_by(a, Verb::Suspend)]].concat();
    assert_eq!(told(&late), user(Certainty::Witnessed));
    // It was let run again before he could say so: the next stop is not his.
    let unknown = ("paused (unknown)".to_owned(), Certainty::Witnessed);
    let overtaken = [asks.clone(), Stopped, Resumed, Stopped];
    assert_eq!(told(&overtaken), unknown);
    let overtaken = [asks, Stopped, Resumed, done_by(a, Verb::Suspend), Stopped];
    assert_eq!(told(&overtaken), unknown);
}
