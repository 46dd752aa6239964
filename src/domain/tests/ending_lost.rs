//! Ends that nobody saw, or of which a part of the record is lost or may be.

use super::story::*;
use super::*;

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
