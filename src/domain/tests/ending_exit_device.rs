//! Ends by a device with which a guest ends QEMU, and the statuses that it gives.

use super::story::*;
use super::*;

/// A guest that may end QEMU by its device, and runs.
fn runs() -> Story {
    Story::launched(true).then(Event::Resumed)
}

/// The same, whose QEMU has outlived such an end.
fn outlived() -> Story {
    let shut = runs().shut(ShutdownCause::GuestShutdown);
    let reset = shut.then(Event::Reset(ResetBy::Host));
    reset.then(Event::Resumed)
}

/// The same, whose policy is to start it again.
fn restarts() -> Story {
    let mut story = runs();
    let launch = story.0.launch.as_mut().expect("it was launched");
    launch.lifecycle.on_poweroff = OnPoweroff::Restart;
    story
}

#[test]
fn the_exit_device_gives_its_own_status() {
    use ShutdownCause::*;
    assert_witnessed([
        // 7.2 says nothing, 10 says guest-shutdown.
        (
            runs().ends(status_of(33)),
            "shutdown",
            Cause::GuestExit { status: 33 },
        ),
        (
            runs().shut(GuestShutdown).ends(status_of(33)),
            "shutdown",
            Cause::GuestExit { status: 33 },
        ),
        // Some boards' devices give any.
        (
            runs().shut(GuestShutdown).ends(status_of(2)),
            "shutdown",
            Cause::GuestExit { status: 2 },
        ),
        (
            Story::booted().ends(status_of(33)),
            "crashed",
            Cause::ExitStatus { status: 33 },
        ),
    ]);
    // Where nobody saw the status it may have been that of a failure.
    let shut = || runs().shut(GuestShutdown);
    let unseen = [
        shut().ends(None),
        shut().found_gone("b"),
        shut().ends(KILLED),
    ];
    let unseen = unseen.map(|end| (end, "shutdown", Cause::GuestShutdown));
    assert_ends(Certainty::Inferred, unseen);
    let seen = (shut().ends(STATUS_0), "shutdown", Cause::GuestShutdown);
    assert_witnessed([seen]);
    // Of a device that says that it failed by a status, too, none is known to be a success.
    let unclear = |status| {
        let story = Story::booted_with(|launch| launch.exit_device = ExitDevice::Unclear);
        let end = story.ends(status_of(status));
        (end, "unknown", Cause::ExitStatus { status })
    };
    assert_ends(Certainty::Unknown, [0, 1, 3, 33].map(unclear));
}

#[test]
fn a_status_that_qemu_has_kept_is_not_that_of_this_end() {
    use ShutdownCause::{GuestShutdown, HostSignal};
    let lost = || restarts().shut(GuestShutdown).then(Event::Gap);
    let rebooted = || {
        let asked = runs().then(asked(Verb::Reboot)).then(sent(Verb::Reboot));
        let lost = asked.then(Event::Gap).then(self::asked(Verb::Shutdown));
        lost.then(done(Verb::Shutdown))
    };
    // That it has outlived one is on record, or may be what is lost.
    let again = [outlived(), lost().then(Event::Resumed), rebooted()];
    let ends = again.map(|story| story.shut(GuestShutdown).ends(status_of(33)));
    let ends = ends.map(|end| (end, "shutdown", Cause::GuestShutdown));
    assert_ends(Certainty::Inferred, ends);
    // Or this end itself is, of which the status may be or not.
    let lost_with_it = [lost(), restarts().then(Event::Gap)];
    let cause = Cause::ExitStatus { status: 33 };
    let ends = lost_with_it.map(|story| (story.ends(status_of(33)), "unknown", cause.clone()));
    assert_ends(Certainty::Unknown, ends);
    // Without a word, and with none lost, it went by another way.
    let exited = outlived().ends(status_of(33));
    assert_witnessed([(exited, "shutdown", Cause::GuestExit { status: 33 })]);
    // Nobody outlives what has it obey a signal, whatever is lost behind that, and whatever status it has kept.
    let obeyed = lost().then(Event::Resumed).destroyed();
    let obeyed = obeyed.shut(HostSignal).then(Event::Gap);
    let by_verb = asked_for(Verb::Destroy);
    assert_witnessed([(obeyed.ends(status_of(33)), "destroyed", by_verb)]);
}

#[test]
fn a_status_that_may_be_the_guests_own_or_qemus_is_told_as_neither() {
    // Semihosting gives any; 0 and 1 are QEMU's own, too, and no even one is of isa-debug-exit.
    let ended = |status| {
        let guest = runs();
        let end = guest.ends(status_of(status));
        (end, "unknown", Cause::ExitStatus { status })
    };
    assert_ends(Certainty::Unknown, [0, 1, 2, 42, 254].map(ended));
    let status = 3;
    let guest = runs();
    assert_witnessed([(
        guest.ends(status_of(status)),
        "shutdown",
        Cause::GuestExit { status },
    )]);
    // Where the guest has no such way they are what they were.
    let without = |status| Story::booted().ends(status_of(status));
    assert_eq!(without(0).2, Certainty::Inferred);
    for status in [0, 1, 2] {
        assert_eq!(without(status).0, "shut off (crashed)");
    }
    // QEMU's own word outweighs it.
    let quit = runs();
    let quit = quit.shut(ShutdownCause::HostQmpQuit).ends(STATUS_0);
    assert_eq!(quit.0, "shut off (destroyed)");
}

#[test]
fn the_status_of_what_may_be_a_wrapper_is_not_taken_for_the_guests_own() {
    let unidentified = |shutdown: Option<ShutdownCause>, status| {
        let mut story = runs();
        story.0.qemu = None;
        let story = shutdown.into_iter().fold(story, Story::shut);
        let (state, cause, _) = story.ends(status_of(status));
        (state, cause)
    };
    for status in [137, 33] {
        let unknown = (
            "shut off (unknown)".to_owned(),
            Cause::ExitStatus { status },
        );
        // Nor that the guest that has shut down has succeeded.
        for says in [None, Some(ShutdownCause::GuestShutdown)] {
            assert_eq!(unidentified(says, status), unknown);
        }
    }
    let shut_down = ("shut off (shutdown)".to_owned(), Cause::GuestShutdown);
    let says_so = Some(ShutdownCause::GuestShutdown);
    assert_eq!(unidentified(says_so, 0), shut_down);
    // Nor that it gave none.
    let mut story = runs();
    story.0.qemu = None;
    let story = story.shut(ShutdownCause::GuestShutdown);
    assert_eq!(story.ends(STATUS_0).2, Certainty::Inferred);
}
