//! Ends that came from outside the guest, and those that nobody saw.

use super::story::*;
use super::*;

#[test]
fn a_qemu_that_fell_over_has_crashed() {
    use ShutdownCause::*;
    assert_witnessed([
        (Story::booted().ends(KILLED), "crashed", SIGKILL),
        (
            Story::booted().ends(status_of(1)),
            "crashed",
            Cause::ExitStatus { status: 1 },
        ),
        (
            Story::booted().shut(HostError).ends(status_of(1)),
            "crashed",
            Cause::ExitStatus { status: 1 },
        ),
    ]);
}

#[test]
fn a_qemu_that_the_kernel_killed_for_want_of_memory_has_crashed_and_says_why() {
    use ShutdownCause::*;
    let oom = || Cause::OomKill(oom_kill());
    assert_witnessed([
        (Story::booted().ends_by_the_kernel(KILLED), "crashed", oom()),
        // Who only said that it would end the guest has no better claim.
        (
            Story::booted()
                .then(asked(Verb::Destroy))
                .ends_by_the_kernel(KILLED),
            "crashed",
            oom(),
        ),
        // One that frees its memory hears no signal any more; one that has heard it says so.
        (
            Story::booted().destroyed().ends_by_the_kernel(KILLED),
            "crashed",
            oom(),
        ),
        (
            Story::booted()
                .destroyed()
                .shut(HostSignal)
                .ends_by_the_kernel(KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        // The guest was through by then.
        (
            Story::booted()
                .shut(GuestShutdown)
                .ends_by_the_kernel(KILLED),
            "shutdown",
            Cause::GuestShutdown,
        ),
        // It was killed, and ended by itself all the same before that took effect.
        (
            Story::booted().ends_by_the_kernel(status_of(1)),
            "crashed",
            Cause::ExitStatus { status: 1 },
        ),
    ]);
}

#[test]
fn that_the_kernel_killed_in_the_control_group_of_a_qemu_is_no_proof_that_it_killed_that() {
    use ShutdownCause::*;
    let oom = || Cause::OomKill(kills_in_group(1));
    assert_ends(
        Certainty::Inferred,
        [
            (
                Story::booted().ends_after_kills(1, KILLED),
                "crashed",
                oom(),
            ),
            // Who only said that it would end the guest has no better claim, and the worse news is told.
            (
                Story::booted()
                    .then(asked(Verb::Destroy))
                    .ends_after_kills(1, KILLED),
                "crashed",
                oom(),
            ),
            // One that frees its memory hears no signal any more.
            (
                Story::booted()
                    .destroyed_for_sure()
                    .ends_after_kills(1, KILLED),
                "destroyed",
                asked_for(Verb::Destroy),
            ),
        ],
    );
    assert_witnessed([
        // None was killed: it is a signal like any other.
        (
            Story::booted().ends_after_kills(0, KILLED),
            "crashed",
            SIGKILL,
        ),
        (
            Story::booted()
                .destroyed_for_sure()
                .ends_after_kills(0, KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        // It said that it obeyed, or that the guest was through.
        (
            Story::booted()
                .destroyed_for_sure()
                .shut(HostSignal)
                .ends_after_kills(1, KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::booted()
                .shut(GuestShutdown)
                .ends_after_kills(1, KILLED),
            "shutdown",
            Cause::GuestShutdown,
        ),
        // Another of the group was killed: the kernel's signal is SIGKILL.
        (
            Story::booted().ends_after_kills(1, status_of(1)),
            "crashed",
            Cause::ExitStatus { status: 1 },
        ),
        (
            Story::launched(false).ends_after_kills(1, KILLED),
            "failed",
            Cause::StartFailure {
                exit: KILLED,
                message: Some(kills_in_group(1).evidence()),
            },
        ),
        (
            Story::launched(false).ends_after_kills(0, KILLED),
            "failed",
            Cause::StartFailure {
                exit: KILLED,
                message: None,
            },
        ),
    ]);
}

#[test]
fn a_qemu_that_the_host_ended_was_destroyed() {
    use ShutdownCause::*;
    assert_witnessed([
        (
            Story::booted()
                .shut(HostSignal)
                .ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            Cause::HostSignal(term_by(Some(3))),
        ),
        (
            Story::booted().shut(HostQmpQuit).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            Story::booted().shut(HostUi).ends(STATUS_0),
            "destroyed",
            Cause::HostUi,
        ),
        (
            Story::booted().shut(HostQmpSystemReset).ends(STATUS_0),
            "destroyed",
            Cause::QmpReset,
        ),
    ]);
    // The SHUTDOWN line was lost, QEMU's own words were not, if it is not the guest that has written them.
    let by_words = |words: LogWords| {
        let sender = words.terminated.clone().expect("it names somebody");
        let end = Story::booted().then(Event::Gap).ends_with(STATUS_0, words);
        (end, "destroyed", Cause::HostSignal(sender))
    };
    let words = [says(None), says(Some(3)), names_several()];
    assert_ends(Certainty::Inferred, words.map(by_words));
}

#[test]
fn what_a_policy_quits_is_not_said_to_have_been_quit_by_a_stranger() {
    // Somebody has reset it between its panic and that.
    let was_reset = || {
        Story::booted()
            .then(panicked(PanicAction::Pause))
            .then(Event::Stopped)
            .then(asked(Verb::CrashDestroy))
            .then(reset())
    };
    // Or let it run, while the policy's servant was about to send its word.
    for was_restarted in [was_reset(), was_reset().then(Event::Resumed)] {
        let asked_for = asked_for(Verb::CrashDestroy);
        let says_so = || done(Verb::CrashDestroy);
        let end =
            || Story(was_restarted.0.clone(), was_restarted.1).shut(ShutdownCause::HostQmpQuit);
        assert_ends(
            Certainty::Inferred,
            [(end().ends(STATUS_0), "destroyed", asked_for.clone())],
        );
        assert_witnessed([(end().then(says_so()).ends(STATUS_0), "destroyed", asked_for)]);
    }
}

#[test]
fn a_guest_that_never_began_has_failed() {
    use ShutdownCause::*;
    let start_failure = |exit| Cause::StartFailure {
        exit,
        message: None,
    };
    assert_witnessed([
        (
            Story::launched(false).ends(status_of(1)),
            "failed",
            start_failure(status_of(1)),
        ),
        (
            Story::launched(true).ends(status_of(3)),
            "failed",
            start_failure(status_of(3)),
        ),
        (
            Story::launched(false).shut(HostSignal).ends(STATUS_0),
            "failed",
            start_failure(STATUS_0),
        ),
    ]);
}

#[test]
fn the_end_of_a_wrapper_is_not_the_end_of_qemu() {
    let wrapper = Process {
        pid: 9,
        start_ticks: 4,
    };
    let story = Story::booted()
        .then(Event::Spawned(wrapper))
        .then(exited(Some(9), KILLED));
    assert!(!story.0.has_end());
    let (state, cause, _) = story.found_gone("b");
    assert_eq!(
        (state.as_str(), cause),
        ("shut off (crashed)", Cause::StatusLost)
    );
}

#[test]
fn an_end_on_record_outweighs_what_a_later_boot_sees() {
    let story = Story::booted().then(exited(Some(10), None));
    assert_eq!(story.found_gone("c").1, Cause::StatusLost);
}

#[test]
fn a_shutdown_on_record_outweighs_what_a_later_boot_sees() {
    let story = Story::booted().shut(ShutdownCause::GuestShutdown);
    let (state, cause, _) = story.found_gone("c");
    assert_eq!(
        (state.as_str(), cause),
        ("shut off (shutdown)", Cause::GuestShutdown)
    );
}

#[test]
fn the_status_of_a_zombie_counts_although_it_was_reaped_between_two_looks() {
    let looked = |exit| {
        Life::Gone(Exited {
            exit,
            boot: boot_id("b"),
            ..Exited::default()
        })
    };
    let (zombie, absent) = (looked(status_of(33)), looked(None));
    assert_eq!(zombie.clone().and_later(absent.clone()), zombie);
    assert_eq!(absent.clone().and_later(zombie.clone()), zombie);
    assert_eq!(Life::Lives.and_later(absent.clone()), absent);
    assert_eq!(zombie.and_later(Life::Lives), Life::Lives);
}

#[test]
fn what_ended_of_a_run_whose_qemu_nobody_has_identified_may_have_been_a_wrapper() {
    let unidentified = || {
        let mut story = Story::booted();
        story.0.qemu = None;
        story
    };
    assert_ends(
        Certainty::Inferred,
        [
            (unidentified().ends(KILLED), "crashed", SIGKILL),
            (
                unidentified().ends(status_of(1)),
                "crashed",
                Cause::ExitStatus { status: 1 },
            ),
        ],
    );
}
