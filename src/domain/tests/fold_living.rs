//! What a guest that lives is doing.

use super::story::Story;
use super::*;

#[test]
fn where_lines_may_be_lost_qemus_own_word_outweighs_what_is_on_record() {
    let told = |state: &str| Answer {
        state: state.parse().unwrap(),
        since: Some(Timestamp(5)),
        cause: None,
        certainty: Certainty::Inferred,
    };
    let fold = Fold {
        began: Some(Timestamp(1)),
        ..Fold::default()
    };
    for (state, doing, wanted) in [
        ("running (booted)", Doing::Runs, "running (booted)"),
        ("running (booted)", Doing::Stands, "paused (unknown)"),
        (
            "running (booted)",
            Doing::StandsForIoError,
            "paused (I/O error)",
        ),
        (
            "running (booted)",
            Doing::StandsForWatchdog,
            "paused (watchdog)",
        ),
        ("running (booted)", Doing::Panicked, "crashed (panicked)"),
        (
            "running (booted)",
            Doing::HasShutDown,
            "in shutdown (unknown)",
        ),
        ("running (booted)", Doing::Sleeps, "pmsuspended (unknown)"),
        ("paused (user)", Doing::Stands, "paused (user)"),
        ("paused (user)", Doing::Runs, "running (unknown)"),
        ("crashed (panicked)", Doing::Runs, "running (unknown)"),
        (
            "crashed (panicked)",
            Doing::HasShutDown,
            "crashed (panicked)",
        ),
        ("crashed (panicked)", Doing::Stands, "crashed (panicked)"),
        (
            "in shutdown (unknown)",
            Doing::Stands,
            "in shutdown (unknown)",
        ),
        (
            "pmsuspended (unknown)",
            Doing::Stands,
            "pmsuspended (unknown)",
        ),
        ("crashed (panicked)", Doing::WasReset, "paused (unknown)"),
    ] {
        let answer = fold.answer_as_told(&told(state), doing);
        assert_eq!(answer.state.to_string(), wanted, "{state}, {doing:?}");
        // What it is by its own word alone nobody has seen begin.
        assert_eq!(
            answer.since.is_some(),
            state == wanted,
            "{state}, {doing:?}"
        );
        assert_eq!(answer.certainty, Certainty::Inferred);
    }
    let starting = |doing| Fold::default().answer_as_told(&told("paused (starting up)"), doing);
    assert_eq!(starting(Doing::WasReset), told("paused (starting up)"));
    let panicked = starting(Doing::Panicked);
    assert_eq!(panicked.state.to_string(), "crashed (panicked)");
}

#[test]
fn a_guest_that_begins_is_told_in_libvirts_words() {
    use Event::*;
    assert_told(
        &[],
        &[
            (
                &[launched(LaunchKind::Boot, Begin::Running)],
                "paused (starting up)",
            ),
            (
                &[
                    launched(LaunchKind::Boot, Begin::Paused),
                    StatusReported(RunStatus::Prelaunch),
                ],
                "paused (user)",
            ),
            (
                &[
                    launched(LaunchKind::Boot, Begin::Paused),
                    StatusReported(RunStatus::Prelaunch),
                    Resumed,
                ],
                "running (unpaused)",
            ),
            (
                &[launched(LaunchKind::Snapshot, Begin::Running), Resumed],
                "running (from snapshot)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_is_stopped_resumed_or_reset_is_told_in_libvirts_words() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (&[], "running (booted)"),
            (&[Stopped], "paused (unknown)"),
            (&[asked(Verb::Suspend), Stopped], "paused (user)"),
            (&[Stopped, Resumed], "running (unpaused)"),
            (&[Resumed], "running (booted)"),
            (&[reset()], "running (booted)"),
            (&[asked(Verb::Suspend), Stopped, reset()], "paused (user)"),
            (
                &[ShutDown(ShutdownCause::GuestShutdown), Stopped],
                "in shutdown (unknown)",
            ),
            (
                &[ShutDown(ShutdownCause::GuestShutdown), Stopped, reset()],
                "paused (user)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_qemu_stops_says_why() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (&[io_error(), Stopped], "paused (I/O error)"),
            (&[Stopped, io_error()], "paused (I/O error)"),
            (&[Stopped, io_error(), Resumed], "running (unpaused)"),
            (
                &[Stopped, io_error(), Resumed, asked(Verb::Suspend), Stopped],
                "paused (user)",
            ),
            // Who asked is overtaken by what QEMU itself says.
            (
                &[asked(Verb::Suspend), io_error(), Stopped],
                "paused (I/O error)",
            ),
            (
                &[IoFailed {
                    error: IoError::default(),
                    stops_guest: false,
                }],
                "running (booted)",
            ),
            (
                &[WatchdogFired(WatchdogAction::Pause), Stopped],
                "paused (watchdog)",
            ),
            (
                &[Stopped, WatchdogFired(WatchdogAction::Pause)],
                "paused (watchdog)",
            ),
            (&[WatchdogFired(WatchdogAction::Other)], "running (booted)"),
        ],
    );
}

#[test]
fn a_cause_that_came_too_late_does_not_explain_a_stop_of_much_later() {
    let mut events = vec![Event::Stopped, Event::Resumed, io_error()];
    events.extend(std::iter::repeat_n(Event::Other, 20));
    events.push(Event::Stopped);
    assert_eq!(booted(&events).live.to_string(), "paused (unknown)");
}

#[test]
fn a_cause_of_before_the_guest_ran_again_does_not_explain_its_next_stop() {
    let cause = Event::WatchdogFired(WatchdogAction::Pause);
    let mut story = Story::booted().then(Event::Stopped).then(Event::Resumed);
    // QEMU 7.2 holds a second WATCHDOG back for a second; it has the time at which it was due.
    story.1 -= 2_500_000;
    let mut story = story.then(cause.clone());
    story.1 += 2_000_000;
    let late = story.then(Event::Stopped).0;
    assert_eq!(late.live.to_string(), "paused (unknown)");
    let story = Story::booted().then(cause).then(Event::Stopped);
    assert_eq!(story.0.live.to_string(), "paused (watchdog)");
}

#[test]
fn a_cause_that_comes_late_explains_the_stop_of_its_own_time_and_no_later_one() {
    // QEMU 10 holds a second BLOCK_IO_ERROR back for a second; it has the time at which it was due.
    let stopped = || {
        let first = Story::booted().then(io_error()).then(Event::Stopped);
        first.then(Event::Resumed).then(Event::Stopped)
    };
    let mut story = stopped();
    story.1 -= 1_500_000;
    let own = story.then(io_error()).0;
    assert_eq!(own.live.to_string(), "paused (I/O error)");
    // Resumed, and stopped by somebody else.
    let mut story = stopped().then(Event::Resumed).then(Event::Stopped);
    story.1 -= 3_500_000;
    let older = story.then(io_error()).0;
    assert_eq!(older.live.to_string(), "paused (unknown)");
    assert_eq!(older.stop_cause, None);
}

#[test]
fn the_reset_of_a_guest_that_stands_is_not_the_end_of_it_while_qemu_lives() {
    let stands = Story::booted().then(Event::Stopped);
    let reset = stands.shut(ShutdownCause::HostQmpSystemReset);
    assert_eq!(reset.0.live.to_string(), "paused (unknown)");
}

#[test]
fn a_guest_that_panics_is_crashed_while_it_stands() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (
                &[panicked(PanicAction::Pause), Stopped],
                "crashed (panicked)",
            ),
            (&[panicked(PanicAction::Poweroff)], "in shutdown (unknown)"),
            (
                &[
                    panicked(PanicAction::Poweroff),
                    ShutDown(ShutdownCause::GuestPanic),
                    Stopped,
                ],
                "crashed (panicked)",
            ),
            (&[panicked(PanicAction::Run)], "running (booted)"),
            (&[CrashLoaded], "running (booted)"),
            (
                &[panicked(PanicAction::Pause), Stopped, reset()],
                "paused (crashed)",
            ),
            (
                &[panicked(PanicAction::Pause), Stopped, Resumed],
                "running (unpaused)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_sleeps_is_pmsuspended_until_it_wakes_or_is_reset() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (&[Suspended], "pmsuspended (unknown)"),
            (&[Suspended, Woken, reset()], "running (event wakeup)"),
            (&[Suspended, Stopped, Resumed], "pmsuspended (unknown)"),
            // loadvm on 7.2, of a state that was awake.
            (&[Suspended, Resumed], "running (unpaused)"),
            (&[Suspended, reset()], "paused (user)"),
            (&[Woken], "running (booted)"),
            // QEMU 7.2 wakes a guest that it migrates, and stops it.
            (&[Suspended, Stopped, Woken], "paused (unknown)"),
            (&[Suspended, Stopped, Woken, Resumed], "running (unpaused)"),
        ],
    );
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
    // A policy, or a `reboot`, has it stay.
    for policy in [OnPoweroff::Restart, OnPoweroff::Preserve] {
        let mut launch = launch(LaunchKind::Boot, Begin::Running);
        launch.lifecycle.on_poweroff = policy;
        let stays = |cause| fold_of(&[boot_of(launch.clone()), vec![shut(cause)]].concat());
        assert!(!stays(ShutdownCause::GuestShutdown).is_leaving());
        assert!(stays(ShutdownCause::HostSignal).is_leaving());
    }
    assert!(!leaves(&[
        asked(Verb::Reboot),
        shut(ShutdownCause::GuestShutdown)
    ]));
    assert!(leaves(&[panicked(PanicAction::Poweroff)]));
    assert!(!leaves(&[panicked(PanicAction::Pause), Event::Stopped]));
    assert!(leaves(&[Event::WatchdogFired(WatchdogAction::Poweroff)]));
    // -no-shutdown -no-reboot, reset while the guest stands: no STOP comes, and QEMU stays for ever.
    assert!(!leaves(&[
        Event::Stopped,
        shut(ShutdownCause::HostQmpSystemReset)
    ]));
    assert!(leaves(&[Event::Stopped, shut(ShutdownCause::HostSignal)]));
}
