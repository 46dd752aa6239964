//! What a guest is doing on its way from one QEMU to another.

use super::story::*;
use super::*;

/// A guest that runs, and for which that was asked.
fn going() -> Vec<Event> {
    let asked = [
        begun(Verb::Migrate),
        writes(Verb::Migrate),
        status("setup"),
        taken(Verb::Migrate),
    ];
    [&boot()[..], &asked].concat()
}

#[test]
fn a_guest_that_goes_is_told_in_libvirts_words() {
    use Event::*;
    assert_told(
        &going(),
        &[
            (&[], "running (booted)"),
            (&[status("active"), Stopped], "paused (migrating)"),
            (&[Stopped, status("completed")], "paused (migrating)"),
            // 7.2: it was cancelled before it was stopped, and runs on as it did.
            (
                &[
                    status("cancelling"),
                    status("cancelled"),
                    failed(Verb::Migrate),
                ],
                "running (booted)",
            ),
            (
                &[Stopped, status("failed"), Resumed, failed(Verb::Migrate)],
                "running (migration canceled)",
            ),
            (
                &[Stopped, status("failed"), failed(Verb::Migrate)],
                "paused (api error)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_is_handed_over_is_told_in_libvirts_words() {
    use Event::*;
    assert_told(
        &going(),
        &[
            (&[status("postcopy-active"), Stopped], "paused (post-copy)"),
            // 10: the guest stands before it is said to be handed over.
            (
                &[Stopped, status("device"), status("postcopy-active")],
                "paused (post-copy)",
            ),
            (
                &[
                    status("postcopy-active"),
                    Stopped,
                    status("postcopy-paused"),
                ],
                "paused (post-copy failed)",
            ),
            (
                &[
                    status("postcopy-active"),
                    Stopped,
                    status("postcopy-paused"),
                    status("postcopy-active"),
                ],
                "paused (post-copy)",
            ),
            // Cancelled by somebody else: it runs at its destination all the same, and must not run here.
            (
                &[
                    Stopped,
                    status("postcopy-active"),
                    status("cancelling"),
                    status("cancelled"),
                ],
                "paused (post-copy failed)",
            ),
            (
                &[
                    Stopped,
                    status("postcopy-active"),
                    status("failed"),
                    failed(Verb::Migrate),
                ],
                "paused (post-copy failed)",
            ),
            // 11.1 lets go on here what it could not hand over.
            (
                &[Stopped, status("postcopy-active"), Resumed],
                "running (migration canceled)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_goes_although_nobody_of_ours_asked_for_it_is_told_so_too() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (&[status("setup"), Stopped], "paused (migrating)"),
            (&[status("active"), Stopped], "paused (migrating)"),
            // A copy that is made while it runs (background-snapshot): nothing is canceled.
            (
                &[status("setup"), Stopped, status("active"), Resumed],
                "running (unpaused)",
            ),
            (
                &[
                    status("setup"),
                    Stopped,
                    status("active"),
                    Resumed,
                    status("completed"),
                ],
                "running (unpaused)",
            ),
            (
                &[
                    status("setup"),
                    status("active"),
                    Stopped,
                    status("failed"),
                    Resumed,
                ],
                "running (migration canceled)",
            ),
            // It ran all the time.
            (&[status("active"), status("cancelled")], "running (booted)"),
        ],
    );
}

#[test]
fn a_guest_that_comes_is_told_in_libvirts_words() {
    use Event::*;
    assert_told(
        &[launched(LaunchKind::Incoming, Begin::Running)],
        &[
            (&[status("setup")], "paused (starting up)"),
            (
                &[status("setup"), StatusReported(RunStatus::InMigrate)],
                "paused (migrating)",
            ),
            (
                &[
                    StatusReported(RunStatus::InMigrate),
                    status("active"),
                    Resumed,
                ],
                "running (migrated)",
            ),
            (
                &[
                    StatusReported(RunStatus::InMigrate),
                    status("active"),
                    status("postcopy-active"),
                    Resumed,
                ],
                "running (post-copy)",
            ),
            // 10 and 11: it runs before the word.
            (
                &[
                    StatusReported(RunStatus::InMigrate),
                    status("active"),
                    Resumed,
                    status("postcopy-active"),
                ],
                "running (post-copy)",
            ),
            (
                &[
                    StatusReported(RunStatus::InMigrate),
                    status("active"),
                    status("postcopy-active"),
                    Resumed,
                    status("completed"),
                ],
                "running (migrated)",
            ),
            (
                &[
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
                &[
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
                &[
                    StatusReported(RunStatus::InMigrate),
                    status("active"),
                    Resumed,
                    status("completed"),
                    Stopped,
                    Resumed,
                ],
                "running (unpaused)",
            ),
            (
                &[StatusReported(RunStatus::InMigrate)],
                "paused (migrating)",
            ),
            // QEMU 11.1: the reply comes after the RESUME and is old by then.
            (
                &[Resumed, StatusReported(RunStatus::InMigrate)],
                "running (migrated)",
            ),
            (
                &[StatusReported(RunStatus::InMigrate), status("completed")],
                "paused (user)",
            ),
        ],
    );
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

/// What is told of a guest of which QEMU 7.2 says that all of it came before it runs, after these, at their milliseconds.
fn told_after_arrival(begin: Begin, then: &[(u64, Event)]) -> String {
    use Event::*;
    let came = [
        launched(LaunchKind::Incoming, begin),
        StatusReported(RunStatus::InMigrate),
        status("active"),
        status("postcopy-active"),
        status("completed"),
    ];
    let mut fold = fold_of(&came);
    let completed = fold.since.unwrap().0;
    for (millis, event) in then {
        fold.apply(&Record {
            at: Some(Timestamp(completed + millis * 1000)),
            event: event.clone(),
        });
    }
    fold.answer(&Life::Lives).state.to_string()
}

#[test]
fn a_guest_that_is_let_run_as_soon_as_it_came_was_not_unpaused_by_anybody() {
    use Event::*;
    let told = |then: &[(u64, Event)]| told_after_arrival(Begin::Running, then);
    assert_eq!(told(&[]), "paused (user)");
    assert_eq!(told(&[(0, Resumed)]), "running (migrated)");
    assert_eq!(told(&[(999, Resumed)]), "running (migrated)");
    assert_eq!(told(&[(1000, Resumed)]), "running (unpaused)");
}

#[test]
fn a_guest_that_came_and_is_resumed_by_a_user_is_told_so() {
    use Event::*;
    let told = |then: &[(u64, Event)]| told_after_arrival(Begin::Running, then);
    // One that stood at its source.
    let resumed = [(100, asked(Verb::Resume)), (101, Resumed)];
    assert_eq!(told(&resumed), "running (unpaused)");
    // A RESUME of later is of a later stop, however soon after the arrival.
    let again = [(10, Resumed), (20, Stopped), (30, Resumed)];
    assert_eq!(told(&again), "running (unpaused)");
    let suspended = [
        (10, Resumed),
        (15, asked(Verb::Suspend)),
        (20, Stopped),
        (30, Resumed),
    ];
    assert_eq!(told(&suspended), "running (unpaused)");
    // One that was to be left standing QEMU does not let run.
    let left_standing = told_after_arrival(Begin::Paused, &[(100, Resumed)]);
    assert_eq!(left_standing, "running (unpaused)");
}

#[test]
fn the_end_of_what_is_left_of_a_guest_that_was_handed_over_is_not_its_own() {
    use Event::*;
    let [setup, active] = ["setup", "active"].map(status);
    let begun = [setup, active, status("postcopy-active")];
    let unknown = ("shut off (unknown)", Cause::MaybeMigrated);
    for broken in [
        vec![],
        vec![status("postcopy-paused")],
        vec![status("failed")],
    ] {
        let goes = [&begun[..], &[Stopped], &broken].concat();
        let shut = |cause| Story(booted(&goes), 60_000_000).shut(cause).ends(STATUS_0);
        let ends = [
            Story(booted(&goes), 60_000_000).ends(KILLED),
            shut(ShutdownCause::HostQmpQuit),
            shut(ShutdownCause::GuestShutdown),
        ];
        // Whoever sent it says that it failed.
        let sent = [&going()[..], &begun[1..], &[Stopped], &broken].concat();
        let undone = Story(fold_of(&sent), 60_000_000).then(exited(Some(10), KILLED));
        let undone = undone.then(failed(Verb::Migrate)).found_gone("b");
        for (state, cause, _) in ends.into_iter().chain([undone]) {
            assert_eq!((state.as_str(), cause), unknown, "{broken:?}");
        }
    }
}

#[test]
fn a_guest_that_somebody_else_sends_and_qemu_lets_go_on_says_why_once_qemu_does() {
    use Event::*;
    for (before, word) in [
        (
            vec![Stopped, status("pre-switchover"), status("cancelling")],
            "cancelled",
        ),
        (vec![Stopped, status("device")], "failed"),
    ] {
        let story = [
            &boot()[..],
            &[status("setup"), status("active")],
            &before,
            &[Resumed],
        ]
        .concat();
        let mut story = Story(fold_of(&story), story.len() as u64 * 1_000_000);
        assert_eq!(story.0.live.to_string(), "running (unpaused)");
        story.1 -= 1_999_000;
        let fold = story.then(status(word)).0;
        assert_eq!(
            fold.live.to_string(),
            "running (migration canceled)",
            "{word}"
        );
    }
}
