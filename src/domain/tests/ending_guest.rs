//! Ends of the guest's own doing.

use super::story::*;
use super::*;

#[test]
fn a_guest_that_shuts_itself_down_has_shut_down() {
    use ShutdownCause::*;
    assert_witnessed([
        (
            Story::booted().shut(GuestShutdown).ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            Story::booted().shut(GuestReset).ends(STATUS_0),
            "shutdown",
            Cause::GuestReset,
        ),
        // It shut down first; how QEMU then fell over does not change that.
        (
            Story::booted().shut(GuestShutdown).ends(KILLED),
            "shutdown",
            Cause::GuestShutdown,
        ),
        // Pending ends that something restarted the guest from.
        (
            Story::booted()
                .then(panicked(PanicAction::Pause))
                .then(reset())
                .then(Event::Resumed)
                .shut(GuestShutdown)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            Story::booted()
                .shut(GuestShutdown)
                .then(Event::Stopped)
                .then(reset())
                .then(Event::Resumed)
                .ends(KILLED),
            "crashed",
            SIGKILL,
        ),
        // -no-shutdown, then the host's signal: the first SHUTDOWN is the truth.
        (
            Story::booted()
                .shut(GuestShutdown)
                .then(Event::Stopped)
                .shut(HostSignal)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
    ]);
}

#[test]
fn a_guest_that_panicked_has_crashed() {
    use ShutdownCause::*;
    let guest_panic = || Cause::GuestPanic {
        info: None,
        kept: None,
    };
    assert_witnessed([
        (
            Story::booted()
                .then(panicked(PanicAction::Pause))
                .shut(GuestPanic)
                .ends(STATUS_0),
            "crashed",
            guest_panic(),
        ),
        (
            Story::booted().shut(GuestPanic).ends(status_of(1)),
            "crashed",
            guest_panic(),
        ),
    ]);
}

#[test]
fn a_guest_whose_crash_kernel_shut_it_down_has_crashed() {
    use ShutdownCause::*;
    let crashed = || Cause::GuestPanic {
        info: None,
        kept: None,
    };
    let ignored = || Story::booted().then(panicked(PanicAction::Run));
    let loaded = || Story::booted().then(Event::CrashLoaded);
    let shut_down = || ("shutdown", Cause::GuestShutdown);
    for (story, cause, (answer, why)) in [
        // kdump, which then reboots or powers off.
        (loaded(), GuestReset, ("crashed", crashed())),
        (loaded(), GuestShutdown, ("crashed", crashed())),
        // Somebody has looked at it meanwhile.
        (
            loaded().then(Event::Stopped).then(Event::Resumed),
            GuestReset,
            ("crashed", crashed()),
        ),
        // It booted again behind that.
        (loaded().then(reset()), GuestShutdown, shut_down()),
        // `panic=N`, where QEMU is not to heed that.
        (ignored(), GuestReset, ("crashed", crashed())),
        (ignored(), GuestShutdown, shut_down()),
        (
            ignored().then(reset()),
            GuestReset,
            ("shutdown", Cause::GuestReset),
        ),
        (
            ignored().then(Event::CrashLoaded),
            GuestShutdown,
            ("crashed", crashed()),
        ),
    ] {
        assert_witnessed([(story.shut(cause).ends(STATUS_0), answer, why)]);
    }
    // Where lines are lost in front of its shutdown, it may be in them.
    let lost = || Story::booted().then(Event::Gap);
    let by_itself = lost().shut(GuestShutdown).ends(STATUS_0);
    assert_ends(
        Certainty::Inferred,
        [(by_itself, "shutdown", Cause::GuestShutdown)],
    );
    let anew = lost().then(reset()).shut(GuestShutdown).ends(STATUS_0);
    assert_witnessed([(anew, "shutdown", Cause::GuestShutdown)]);
    // That lines may be lost is said when it can be; by their bytes they are known where they are.
    let behind = || Story::booted().shut(GuestShutdown);
    let feared = behind().then(Event::Gap).ends(STATUS_0);
    let shut_down = (feared, "shutdown", Cause::GuestShutdown);
    assert_ends(Certainty::Inferred, [shut_down]);
    let mut found = behind();
    found.0.apply(&Record {
        at: None,
        event: Event::Gap,
    });
    assert_witnessed([(found.ends(STATUS_0), "shutdown", Cause::GuestShutdown)]);
    let lost = loaded().then(Event::Gap).shut(GuestShutdown).ends(STATUS_0);
    assert_eq!(
        (lost.0.as_str(), lost.2),
        ("shut off (unknown)", Certainty::Unknown)
    );
}

#[test]
fn a_guest_that_may_have_panicked_before_it_was_saved_may_have_panicked_behind_that() {
    use ShutdownCause::*;
    let restored = || {
        let launch = Launch {
            may_have_panicked: true,
            ..launch(LaunchKind::Restore, Begin::Running)
        };
        Story::launched_as(launch).then(Event::Resumed)
    };
    // Whoever takes it back to a snapshot of which that is so says so first.
    let revert = Verb::SnapshotRevert;
    let reverted = || {
        let asked = Story::booted().then(begun(revert)).then(Event::Gap);
        let loaded = asked.then(Event::Stopped).then(sent(revert));
        loaded.then(Event::Resumed).then(done(revert))
    };
    assert_witnessed([(restored().ends(KILLED), "crashed", SIGKILL)]);
    for begin in [&restored as &dyn Fn() -> Story, &reverted] {
        let by_itself = begin().shut(GuestShutdown).ends(STATUS_0);
        let shut_down = (by_itself, "shutdown", Cause::GuestShutdown);
        // Its crash kernel may have panicked, too.
        let panics = begin().then(panicked(PanicAction::Run));
        let panics = panics.shut(GuestShutdown).ends(STATUS_0);
        let panics = (panics, "shutdown", Cause::GuestShutdown);
        assert_ends(Certainty::Inferred, [shut_down, panics]);
        // Most of them end by a reset.
        let (end, _, certainty) = begin().shut(GuestReset).ends(STATUS_0);
        assert_eq!(
            (end.as_str(), certainty),
            ("shut off (unknown)", Certainty::Unknown)
        );
        // It booted again.
        let anew = begin().then(reset()).shut(GuestShutdown).ends(STATUS_0);
        assert_witnessed([(anew, "shutdown", Cause::GuestShutdown)]);
    }
}

#[test]
fn gdbs_kill_is_no_shutdown_although_qemu_says_so() {
    use ShutdownCause::*;
    assert_witnessed([
        // As QEMU 11 and as 7.2 tell it; a guest that writes the same words while it runs.
        (
            Story::booted_with(|launch| launch.debugger = true)
                .then(Event::Stopped)
                .shut(GuestShutdown)
                .ends_with(STATUS_0, gdb()),
            "destroyed",
            Cause::HostUi,
        ),
        (
            Story::booted()
                .shut(GuestShutdown)
                .ends_with(STATUS_0, gdb()),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            Story::booted()
                .then(Event::Stopped)
                .ends_with(STATUS_0, gdb()),
            "destroyed",
            Cause::HostUi,
        ),
    ]);
}

#[test]
fn a_watchdogs_reset_or_power_off_is_no_shutdown() {
    use ShutdownCause::*;
    assert_witnessed([
        // The guest's own reset is one, once the watchdog's was survived.
        (
            Story::booted()
                .then(Event::WatchdogFired(WatchdogAction::Reset))
                .shut(GuestReset)
                .ends(STATUS_0),
            "crashed",
            Cause::Watchdog {
                action: "reset".into(),
            },
        ),
        (
            Story::booted()
                .then(Event::WatchdogFired(WatchdogAction::Reset))
                .then(reset())
                .shut(GuestReset)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestReset,
        ),
        (
            Story::booted()
                .then(Event::WatchdogFired(WatchdogAction::Poweroff))
                .ends(STATUS_0),
            "crashed",
            Cause::Watchdog {
                action: "poweroff".into(),
            },
        ),
    ]);
}

#[test]
fn what_a_watchdog_of_the_board_does_is_not_taken_for_the_guests_own_reset() {
    let shut = |cause| Story::booted_with(|launch| launch.bmc = Bmc::Resets).shut(cause);
    let why = "it says the same if a watchdog of its board resets one that hangs".to_owned();
    let reset = shut(ShutdownCause::GuestReset).ends(STATUS_0);
    let doubt = Cause::Unattributed { why };
    assert_ends(Certainty::Unknown, [(reset, "unknown", doubt)]);
    let off = shut(ShutdownCause::GuestShutdown).ends(STATUS_0);
    assert_witnessed([(off, "shutdown", Cause::GuestShutdown)]);
}

#[test]
fn a_guest_that_was_stopped_or_fell_asleep_in_the_moment_of_its_shutdown_did_shut_down() {
    let shut_down = ("shut off (shutdown)".to_owned(), Cause::GuestShutdown);
    let killed = ("shut off (destroyed)".to_owned(), Cause::HostUi);
    let unknown = |why: &str| {
        let why = why.to_owned();
        ("shut off (unknown)".to_owned(), Cause::Unattributed { why })
    };
    let told = |(state, cause, _)| (state, cause);
    let by_somebody =
        "somebody had just stopped the guest, and it says the same if a debugger kills it";
    // As QEMU may say it within the same moment, whoever asked for it.
    let to_suspend = [asked(Verb::Suspend), Event::Stopped];
    // Who only asked is not why, where a job stops it.
    let to_save = [asked(Verb::Suspend), begun(Verb::Save), Event::Stopped];
    for (stands, is_named) in [
        (&to_suspend[..], false),
        (&to_save, true),
        (&[Event::Suspended], true),
        // HMP lets a debugger in at any time.
        (&[Event::Stopped], false),
    ] {
        let stopped = |debugger: bool, micros: u64| {
            let story = Story::booted_with(|launch| launch.debugger = debugger);
            let mut story = stands.iter().cloned().fold(story, Story::then);
            story.1 = story.1 + micros - 1_000_000;
            story.shut(ShutdownCause::GuestShutdown)
        };
        for debugger in [false, true] {
            let by_gdb = stopped(debugger, 300).ends_with(STATUS_0, gdb());
            assert_eq!(told(by_gdb), killed);
        }
        let just_then = match is_named {
            true => shut_down.clone(),
            false => unknown(by_somebody),
        };
        assert_eq!(told(stopped(false, 300).ends(STATUS_0)), just_then);
        if stands == to_suspend {
            // Who asked for it says so behind that.
            let end = stopped(false, 300).then(done(Verb::Suspend)).ends(STATUS_0);
            assert_eq!(told(end), shut_down);
            // Or that he has not done it.
            let end = stopped(false, 300)
                .then(failed(Verb::Suspend))
                .ends(STATUS_0);
            assert_eq!(told(end), unknown(by_somebody));
        }
        // Where a debugger may attach its words may have gone elsewhere.
        let why = "it says the same if a debugger kills it";
        assert_eq!(told(stopped(true, 300).ends(STATUS_0)), unknown(why));
        assert_eq!(told(stopped(true, 2_000_000).ends(STATUS_0)), unknown(why));
        let lost = Story::booted_with(|launch| launch.debugger = true).then(Event::Gap);
        let lost = lost.shut(ShutdownCause::GuestShutdown).ends(STATUS_0);
        assert_eq!(told(lost), unknown(why));
        // A disk may take its time to be flushed between the two; or who knows.
        let why = "the guest stood still just then";
        assert_eq!(told(stopped(false, 2_000_000).ends(STATUS_0)), unknown(why));
    }
    // Whose request was recent as it stopped the guest is why, half a second later, too.
    let mut late = Story::booted().then(asked(Verb::Suspend));
    late.1 += 28_700_000;
    let mut late = late.then(Event::Stopped);
    late.1 -= 500_000;
    let late = late.shut(ShutdownCause::GuestShutdown);
    let end = late.then(sent(Verb::Suspend)).ends(STATUS_0);
    assert_eq!(told(end), shut_down);
    // One that sleeps does not shut down when it is stopped.
    let mut asleep = Story::booted().then(Event::Suspended);
    asleep.1 -= 999_000;
    let mut stopped = asleep.then(Event::Stopped);
    stopped.1 -= 999_000;
    let end = stopped.shut(ShutdownCause::GuestShutdown).ends(STATUS_0);
    assert_eq!(told(end), unknown(by_somebody));
}

#[test]
fn what_a_bmc_does_is_not_taken_for_the_guests_own_shutdown() {
    let why = "it says the same if a BMC cuts the power of one that hangs".to_owned();
    for cause in [ShutdownCause::GuestShutdown, ShutdownCause::GuestReset] {
        let story = Story::booted_with(|launch| launch.bmc = Bmc::CutsPower).shut(cause);
        let end = (
            "shut off (unknown)".to_owned(),
            Cause::Unattributed { why: why.clone() },
            Certainty::Unknown,
        );
        assert_eq!(story.ends(STATUS_0), end);
    }
}

#[test]
fn a_guest_that_was_woken_is_not_the_one_that_shut_down_or_panicked() {
    // -no-shutdown, and what it wrote last it did just before it slept.
    let asleep = || Story::booted().then(Event::Suspended);
    assert_witnessed([
        (
            asleep()
                .shut(ShutdownCause::GuestShutdown)
                .then(Event::Woken)
                .ends(KILLED),
            "crashed",
            SIGKILL,
        ),
        (
            Story::booted()
                .then(panicked(PanicAction::Pause))
                .then(Event::Suspended)
                .then(Event::Woken)
                .shut(ShutdownCause::GuestShutdown)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
    ]);
}

#[test]
fn lines_that_are_lost_may_have_been_a_restart_or_a_watchdogs() {
    let unknown = |story: End| assert_eq!(story.0, "shut off (unknown)", "{story:?}");
    let shut = |cause| Story::booted().shut(cause).then(Event::Gap);
    unknown(shut(ShutdownCause::GuestShutdown).ends(KILLED));
    unknown(shut(ShutdownCause::GuestReset).ends(STATUS_0));
    assert_eq!(
        shut(ShutdownCause::GuestShutdown).ends(STATUS_0).0,
        "shut off (shutdown)"
    );
    // gdb's STOP.
    let gone = Story::booted().then(Event::Gap);
    let killed = gone.shut(ShutdownCause::GuestShutdown);
    assert_eq!(killed.ends_with(STATUS_0, gdb()).0, "shut off (destroyed)");
}
