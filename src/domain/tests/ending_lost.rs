//! Ends that nobody saw, or of which a part of the record is lost or may be.

use super::story::*;
use super::*;

#[test]
fn a_debuggers_kill_behind_a_wrapper_that_takes_the_status_is_inferred() {
    let wrapped = || {
        let mut story = Story::booted();
        story.0.launcher = Some(Process {
            pid: 9,
            start_ticks: 4,
        });
        story
    };
    let rows = [
        (
            wrapped().then(Event::Stopped).ends_with(None, gdb()),
            "destroyed",
            Cause::HostUi,
        ),
        // Else a guest may have written those words.
        (
            wrapped().ends_with(None, gdb()),
            "crashed",
            Cause::StatusLost,
        ),
        (
            Story::booted().then(Event::Stopped).ends_with(None, gdb()),
            "crashed",
            Cause::StatusLost,
        ),
    ];
    assert_ends(Certainty::Inferred, rows);
}

#[test]
fn what_nobody_saw_is_inferred_or_unknown_and_never_success() {
    let (state, cause, certainty) = Story::booted().then(asked(Verb::Destroy)).ends(KILLED);
    assert_eq!(state, "shut off (destroyed)");
    assert!(matches!(cause, Cause::Asked { .. }));
    assert_eq!(certainty, Certainty::Inferred);

    let rows = [
        (Story::booted().ends(None), "crashed", Cause::StatusLost),
        (
            Story::booted().found_gone("b"),
            "crashed",
            Cause::StatusLost,
        ),
        (
            Story::booted().found_gone("c"),
            "crashed",
            Cause::HostRestart,
        ),
        (
            Story::launched(false).found_gone("c"),
            "crashed",
            Cause::HostRestart,
        ),
        (
            Story::booted().ends(STATUS_0),
            "crashed",
            Cause::ExitStatus { status: 0 },
        ),
    ];
    assert_ends(Certainty::Inferred, rows);

    // One that was refused has not run, whatever became of the host.
    let why = "why".to_owned();
    let refused = Story::launched(false).then(Event::ContinueRefused(why.clone()));
    let cause = Cause::StartFailure {
        exit: None,
        message: Some(why),
    };
    assert_witnessed([(refused.found_gone("c"), "failed", cause)]);

    // A guest that may end QEMU by a status alone may have done so.
    let may_exit = || Story::launched(true).then(Event::Resumed);
    let unknown = [may_exit().ends(None), may_exit().found_gone("b")];
    assert_ends(
        Certainty::Unknown,
        unknown.map(|end| (end, "unknown", Cause::StatusLost)),
    );
    let down = may_exit().found_gone("c");
    assert_ends(Certainty::Inferred, [(down, "crashed", Cause::HostRestart)]);

    let stayed = Story::booted()
        .shut(ShutdownCause::GuestShutdown)
        .then(Event::Stopped)
        .then(Event::Gap);
    let rebooting = Story::booted()
        .then(asked(Verb::Reboot))
        .shut(ShutdownCause::GuestShutdown)
        .then(Event::Gap);
    let mut no_shutdown = launch(LaunchKind::Boot, Begin::Running);
    no_shutdown.lifecycle.on_poweroff = OnPoweroff::Preserve;
    let kept = Story(Fold::default(), 0)
        .then(Event::Launched(Box::new(no_shutdown)))
        .then(Event::Resumed)
        .shut(ShutdownCause::GuestShutdown)
        .then(Event::Gap);
    for (number, (state, cause, certainty)) in [
        Story::booted().then(Event::Gap).ends(STATUS_0),
        Story::booted().then(Event::Gap).found_gone("b"),
        Story::launched(false).then(Event::Gap).ends(STATUS_0),
        Story::booted().shut(ShutdownCause::Unknown).ends(STATUS_0),
        stayed.ends(STATUS_0),
        // That it stayed may have been said in what was lost, and that it was started again.
        rebooting.ends(STATUS_0),
        kept.ends(STATUS_0),
        // It stood when it shut down, or had been let go on in what was lost.
        Story::booted()
            .then(Event::Stopped)
            .then(Event::Gap)
            .shut(ShutdownCause::GuestShutdown)
            .ends(STATUS_0),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(state, "shut off (unknown)", "row {number}");
        assert!(
            matches!(cause, Cause::JournalDamaged { .. }),
            "row {number}"
        );
        assert_eq!(certainty, Certainty::Unknown, "row {number}");
    }
}

#[test]
fn of_a_qemu_that_outlived_a_shutdown_in_lines_that_are_lost_the_second_tells() {
    use ShutdownCause::*;
    let twice = |second| {
        let story = Story::booted().shut(GuestShutdown).then(Event::Gap);
        story.shut(second).ends(STATUS_0)
    };
    let (state, _, certainty) = twice(GuestShutdown);
    assert_eq!(
        (state.as_str(), certainty),
        ("shut off (unknown)", Certainty::Unknown)
    );
    assert_witnessed([
        (twice(HostQmpQuit), "destroyed", Cause::QmpQuit),
        // Nothing is lost between the two: the guest has shut down, and QEMU is told to go.
        (
            Story::booted()
                .shut(GuestShutdown)
                .shut(HostQmpQuit)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
    ]);
}

#[test]
fn what_is_lost_behind_an_end_on_record_takes_nothing_from_it() {
    // The end was written down, but not for sure: that is tried again.
    let exited = || exited(Some(10), STATUS_0);
    let panicked = Story::booted().then(panicked(PanicAction::Pause));
    let quit = panicked
        .then(Event::Stopped)
        .shut(ShutdownCause::HostQmpQuit);
    let shut_down = Story::booted().shut(ShutdownCause::GuestReset);
    for (story, reason) in [(quit, "crashed"), (shut_down, "shutdown")] {
        let again = story.then(exited()).then(Event::Gap).then(exited());
        let (state, _, certainty) = again.found_gone("b");
        assert_eq!(state, format!("shut off ({reason})"));
        assert_eq!(certainty, Certainty::Witnessed);
    }
}

#[test]
fn where_lines_may_be_lost_a_signal_that_a_verb_sends_and_a_start_that_failed_are_doubted() {
    let segfault = Some(Exit::Signal {
        signal: 11,
        core_dumped: false,
    });
    for (exit, certainty) in [
        (KILLED, Certainty::Inferred),
        (segfault, Certainty::Witnessed),
    ] {
        let seen = Life::Gone(Exited {
            exit,
            boot: boot_id("b"),
            ..Exited::default()
        });
        for (story, certainty) in [
            (Story::booted(), Certainty::Witnessed),
            (Story::booted().then(Event::Gap), certainty),
        ] {
            let answer = story.0.answer(&seen);
            assert_eq!(answer.state, State::ShutOff(ShutOff::Crashed));
            assert_eq!(answer.certainty, certainty);
        }
        let failed = Story::launched(false).then(Event::Gap).0.answer(&seen);
        let unknown = (State::ShutOff(ShutOff::Unknown), Certainty::Unknown);
        assert_eq!((failed.state, failed.certainty), unknown);
    }
}

#[test]
fn a_guest_that_panicked_and_stood_may_have_run_in_lines_that_are_lost() {
    let stood = || {
        let story = Story::booted().then(panicked(PanicAction::Pause));
        story.then(Event::Stopped)
    };
    let cut = || stood().then(Event::Gap);
    // A policy may have had it end, or somebody the guest that ran on.
    for said in [ShutdownCause::GuestShutdown, ShutdownCause::HostQmpQuit] {
        let (state, cause, certainty) = cut().shut(said).ends(STATUS_0);
        assert_eq!(
            (state.as_str(), certainty),
            ("shut off (unknown)", Certainty::Unknown)
        );
        assert!(matches!(cause, Cause::JournalDamaged { .. }));
    }
    let panic = || Cause::GuestPanic {
        info: None,
        kept: None,
    };
    assert_ends(
        Certainty::Inferred,
        [
            (cut().ends(KILLED), "crashed", SIGKILL),
            // A power cut takes lines, too.
            (stood().found_gone("c"), "crashed", panic()),
            (cut().found_gone("c"), "crashed", panic()),
        ],
    );
    // QEMU itself says that it ends for a panic; or nothing is lost behind it.
    assert_witnessed([
        (
            cut().shut(ShutdownCause::GuestPanic).ends(STATUS_0),
            "crashed",
            panic(),
        ),
        (stood().ends(KILLED), "crashed", panic()),
        (
            Story::booted()
                .then(panicked(PanicAction::Poweroff))
                .then(Event::Gap)
                .ends(STATUS_0),
            "crashed",
            panic(),
        ),
    ]);
}

/// A guest that powers itself off, launched so, and whether QEMU is seen to stay.
fn powered_off(change: impl Fn(&mut Launch), before: &[Event], then: &[Event]) -> Story {
    let story = Story::booted_with(change);
    let before = before.iter().cloned();
    let story = before.fold(story, Story::then);
    let story = story.shut(ShutdownCause::GuestShutdown);
    then.iter().cloned().fold(story, Story::then)
}

#[test]
fn a_guest_that_may_have_been_started_again_after_the_last_line_did_not_shut_down_for_sure() {
    let policy = |policy| move |launch: &mut Launch| launch.lifecycle.on_poweroff = policy;
    let destroy = || policy(OnPoweroff::Destroy);
    let restart = || policy(OnPoweroff::Restart);
    let preserve = || policy(OnPoweroff::Preserve);
    let reboot = [asked(Verb::Reboot), sent(Verb::Reboot)];
    let restarted = [
        asked(Verb::Reboot),
        sent(Verb::Reboot),
        Event::ShutDown(ShutdownCause::GuestShutdown),
        Event::Stopped,
        reset(),
        Event::Resumed,
    ];
    let stories: [&dyn Fn() -> Story; 7] = [
        &|| powered_off(restart(), &[], &[]),
        &|| powered_off(restart(), &[], &[Event::Stopped]),
        &|| powered_off(preserve(), &[], &[]),
        &|| powered_off(preserve(), &[], &[Event::Stopped]),
        // Somebody has told QEMU to stay.
        &|| powered_off(destroy(), &[], &[Event::Stopped]),
        &|| powered_off(destroy(), &reboot, &[]),
        // It was started again, and QEMU was not told yet that the next one is an end.
        &|| powered_off(destroy(), &restarted, &[]),
    ];
    for story in stories {
        // The power went, and took what was not on the disk.
        // Whoever finds that may write it down.
        let noted = story().then(Event::Exited {
            pid: Some(10),
            exit: None,
            boot: boot_id("c"),
            words: LogWords::default(),
            oom: None,
        });
        let ends = [story(), noted].map(|story| story.found_gone("c"));
        let ends = ends.map(|end| (end, "crashed", Cause::HostRestart));
        assert_ends(Certainty::Inferred, ends);
        // Its file system had gone read-only; a zombie's status tells nothing of that.
        let zombie = Exited {
            exit: KILLED,
            boot: boot_id("b"),
            ..Exited::default()
        };
        let zombie = story().0.answer(&Life::Gone(zombie));
        assert_eq!(zombie.cause, Some(Cause::StatusLost));
        assert_eq!(zombie.certainty, Certainty::Unknown);
        let ends = [story().found_gone("b"), story().ends(None)];
        let ends = ends.map(|end| (end, "unknown", Cause::StatusLost));
        assert_ends(Certainty::Unknown, ends);
        // Whoever was there at the end has read all that was said before.
        let end = story().ends(KILLED);
        assert_witnessed([(end, "shutdown", Cause::GuestShutdown)]);
    }
    // A QEMU that was to end with its guest has done so.
    let default = || powered_off(destroy(), &[], &[]);
    let ends = [
        default().found_gone("b"),
        default().found_gone("c"),
        default().ends(None),
    ];
    assert_witnessed(ends.map(|end| (end, "shutdown", Cause::GuestShutdown)));
}

#[test]
fn what_a_user_reset_may_have_gone_on_too_where_qemu_stays() {
    let reset = Story::booted_with(|launch| launch.lifecycle.on_poweroff = OnPoweroff::Preserve)
        .then(asked(Verb::Reset))
        .shut(ShutdownCause::HostQmpSystemReset)
        .then(sent(Verb::Reset));
    let end = reset.found_gone("c");
    assert_ends(Certainty::Inferred, [(end, "crashed", Cause::HostRestart)]);
}

#[test]
fn who_sent_a_signal_is_not_known_where_lines_are_lost() {
    let killed_by = |signal| {
        Some(Exit::Signal {
            signal,
            core_dumped: false,
        })
    };
    let gap = || Story::booted().then(Event::Gap);
    for signal in [9, 15] {
        let cause = Cause::Signal {
            signal,
            core_dumped: false,
        };
        let end = gap().ends(killed_by(signal));
        assert_ends(Certainty::Inferred, [(end, "crashed", cause)]);
    }
    // No verb sends that.
    let segv = Cause::Signal {
        signal: 11,
        core_dumped: false,
    };
    assert_witnessed([(gap().ends(killed_by(11)), "crashed", segv)]);
}
