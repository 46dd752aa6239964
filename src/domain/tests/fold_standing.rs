//! Why a guest stands: what is known of it, and what was only asked for.

use super::*;

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

/// What is told of a guest behind these events.
fn told(then: &[Event]) -> (String, Certainty) {
    let answer = booted(then).answer(&Life::Lives);
    (answer.state.to_string(), answer.certainty)
}

fn failed_by(pid: u32, verb: Verb) -> Event {
    let message = "no".to_owned();
    Event::Failed { verb, pid, message }
}

#[test]
fn a_suspend_that_failed_or_is_forgotten_is_not_why_a_guest_stands() {
    use Event::*;
    let (a, b) = (11, 12);
    let unknown = ("paused (unknown)".to_owned(), Certainty::Witnessed);
    let asks = |pid| asked_by(pid, Verb::Suspend);
    let failed = [asks(a), Stopped, failed_by(a, Verb::Suspend)];
    assert_eq!(told(&failed), unknown);
    // Whoever asks when it stands already is no witness.
    let late = [asks(a), Stopped, asks(b), failed_by(a, Verb::Suspend)];
    assert_eq!(told(&late), unknown);
    let late = [&late[..], &[sent_by(b, Verb::Suspend)]].concat();
    assert_eq!(told(&late), unknown);
    // Another may have stopped it.
    let another = [asks(a), asks(b), Stopped, failed_by(a, Verb::Suspend)];
    let user = |certainty| ("paused (user)".to_owned(), certainty);
    assert_eq!(told(&another), user(Certainty::Inferred));
    let another = [&another[..], &[sent_by(b, Verb::Suspend)]].concat();
    assert_eq!(told(&another), user(Certainty::Witnessed));
    // One that was refused behind the other's, which acted.
    let second = [
        asks(b),
        Stopped,
        sent_by(b, Verb::Suspend),
        done_by(b, Verb::Suspend),
        asks(a),
        failed_by(a, Verb::Suspend),
    ];
    assert_eq!(told(&second), user(Certainty::Witnessed));
    let mut forgotten = vec![asks(a), Stopped];
    forgotten.extend((20..30).map(|other| asked_by(other, Verb::Monitor)));
    assert_eq!(told(&forgotten), unknown);
}

#[test]
fn why_a_guest_stands_is_told_though_the_hosts_clock_was_set_back() {
    let at = |seconds: u64| Some(Timestamp(seconds * 1_000_000));
    for (cause, told) in [
        (io_error(), "paused (I/O error)"),
        (
            Event::WatchdogFired(WatchdogAction::Pause),
            "paused (watchdog)",
        ),
    ] {
        let mut fold = Fold::default();
        for event in boot() {
            fold.apply(&Record {
                at: at(9_000),
                event,
            });
        }
        for event in [cause, Event::Stopped] {
            fold.apply(&Record {
                at: at(1_800),
                event,
            });
        }
        assert_eq!(fold.live.to_string(), told);
    }
}

#[test]
fn a_suspend_that_was_asked_for_is_there_though_the_hosts_clock_was_set_back() {
    let asks = asked_by(11, Verb::Suspend);
    let at = |seconds: u64| Some(Timestamp(seconds * 1_000_000));
    let mut fold = fold_of(&boot());
    for (event, at) in [(asks, at(200)), (Event::Stopped, at(190))] {
        fold.apply(&Record { at, event });
    }
    let answer = fold.answer(&Life::Lives);
    assert_eq!(answer.state.to_string(), "paused (user)");
    assert_eq!(answer.certainty, Certainty::Inferred);
    let event = failed_by(11, Verb::Suspend);
    fold.apply(&Record { at: at(191), event });
    assert_eq!(fold.live.to_string(), "paused (unknown)");
}
