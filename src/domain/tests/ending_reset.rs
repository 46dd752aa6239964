//! Ends by the reset button, where a reset ends the run (`-no-reboot`).

use super::story::*;
use super::*;

#[test]
fn a_guest_that_may_not_reboot_was_ended_by_who_asked_for_its_reset() {
    use ShutdownCause::HostQmpSystemReset;
    for verb in [Verb::Reset, Verb::DumpReset] {
        let reset = || Story::booted().then(asked(verb)).shut(HostQmpSystemReset);
        let is_sent = reset().then(sent(verb));
        assert_witnessed([(is_sent.ends(STATUS_0), "shutdown", asked_for(verb))]);
        // Who asked may have died before that, and it was somebody else: no success.
        // Who finds that he died says that it failed, before or after QEMU's end is on record.
        let found_dead = reset().then(failed(verb));
        let ends = [reset().ends(STATUS_0), found_dead.ends(STATUS_0)];
        let ends = ends.map(|end| (end, "destroyed", asked_for(verb)));
        assert_ends(Certainty::Inferred, ends);
        // Of two at once the one that is known to have acted counts, whatever becomes of the other.
        let both = || Story::booted().then(asked(verb)).then(asked_by(9, verb));
        let both = || both().shut(HostQmpSystemReset).then(sent(verb));
        let other_failed = both().then(failed_by(9, verb)).ends(STATUS_0);
        for end in [both().ends(STATUS_0), other_failed] {
            assert_witnessed([(end, "shutdown", asked_for(verb))]);
        }
        // One that failed while the guest ran on is not what ended it later.
        let failed_before = Story::booted().then(asked(verb)).then(failed(verb));
        let ends = failed_before.shut(HostQmpSystemReset).ends(STATUS_0);
        assert_witnessed([(ends, "destroyed", Cause::QmpReset)]);
    }
}

#[test]
fn a_reset_of_a_guest_that_stood_ended_it_where_nobody_saw_its_qemu_go() {
    let verb = Verb::DumpReset;
    let reset = || {
        let stands = Story::booted().then(asked(verb)).then(Event::Stopped);
        stands.shut(ShutdownCause::HostQmpSystemReset)
    };
    let done = || reset().then(sent(verb)).then(done(verb));
    assert_witnessed([(done().ends(STATUS_0), "shutdown", asked_for(verb))]);
    let unseen = [done().ends(None), done().found_gone("b")];
    let unseen = unseen.map(|end| (end, "shutdown", asked_for(verb)));
    assert_ends(Certainty::Inferred, unseen);
    // Of what came then lines may be lost.
    let (state, _, certainty) = done().then(Event::Gap).ends(None);
    assert_eq!(
        (state.as_str(), certainty),
        ("shut off (unknown)", Certainty::Unknown)
    );
    // It may have stayed.
    let down = (done().found_gone("c"), "crashed", Cause::HostRestart);
    assert_ends(Certainty::Inferred, [down]);
    let killed = Cause::Signal {
        signal: 9,
        core_dumped: false,
    };
    assert_witnessed([(done().ends(KILLED), "crashed", killed)]);
}

#[test]
fn a_guest_that_was_reset_while_it_stood_shut_down_unless_something_else_ended_qemu() {
    use ShutdownCause::*;
    let reset_while_paused = || {
        let paused = Story::booted().then(Event::Stopped);
        let reset = paused.then(asked(Verb::Reset)).shut(HostQmpSystemReset);
        reset.then(sent(Verb::Reset))
    };
    assert_witnessed([
        // -no-reboot -no-shutdown: QEMU stays, and what ends it later is something else.
        (
            reset_while_paused().ends(STATUS_0),
            "shutdown",
            asked_for(Verb::Reset),
        ),
        (reset_while_paused().ends(KILLED), "crashed", SIGKILL),
        (
            reset_while_paused()
                .shut(HostSignal)
                .ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            Cause::HostSignal(term_by(Some(3))),
        ),
        (
            reset_while_paused()
                .destroyed()
                .shut(HostSignal)
                .ends(STATUS_0),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
    ]);
}

#[test]
fn a_reset_that_may_have_found_a_guest_that_stood_is_an_end_only_if_qemu_ended_by_itself() {
    use ShutdownCause::*;
    // That it stood may be what is lost: under -no-reboot -no-shutdown QEMU stays then.
    let was_reset = |begin: Story| {
        let reset = begin.then(Event::Gap).then(asked(Verb::Reset));
        reset.shut(HostQmpSystemReset).then(sent(Verb::Reset))
    };
    let stays = || Story::booted_with(|launch| launch.lifecycle.on_poweroff = OnPoweroff::Preserve);
    for begin in [Story::booted, stays] {
        let killed = was_reset(begin()).ends(KILLED);
        assert_ends(Certainty::Inferred, [(killed, "crashed", SIGKILL)]);
        let terminated = was_reset(begin()).shut(HostSignal);
        let by_somebody = Cause::HostSignal(term_by(Some(3)));
        assert_witnessed([(
            terminated.ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            by_somebody,
        )]);
        let by_itself = was_reset(begin()).ends(STATUS_0);
        let shut_down = (by_itself, "shutdown", asked_for(Verb::Reset));
        assert_ends(Certainty::Inferred, [shut_down]);
    }
}

#[test]
fn a_qemu_that_answers_behind_the_reset_of_a_guest_that_stood_has_outlived_it() {
    let reset = || {
        let stopped = Story::booted().then(Event::Stopped);
        let reset = stopped.then(asked(Verb::Reset));
        reset.shut(ShutdownCause::HostQmpSystemReset)
    };
    let looked = |story: Story| {
        let (asked, done) = (asked(Verb::Monitor), done(Verb::Monitor));
        story.then(asked).then(done)
    };
    let (end, _, certainty) = looked(reset().then(sent(Verb::Reset))).ends(None);
    assert_eq!(
        (end.as_str(), certainty),
        ("shut off (unknown)", Certainty::Unknown)
    );
    // Whoever had asked before it was answered before it, perhaps.
    let before = Story::booted()
        .then(Event::Stopped)
        .then(asked(Verb::Monitor));
    let before = before.then(asked(Verb::Reset));
    let before = before.shut(ShutdownCause::HostQmpSystemReset);
    let before = before.then(sent(Verb::Reset)).then(done(Verb::Monitor));
    let shut_down = (before.ends(None), "shutdown", asked_for(Verb::Reset));
    assert_ends(Certainty::Inferred, [shut_down]);
}

#[test]
fn a_reset_behind_a_long_dump_is_the_dumps() {
    use ShutdownCause::HostQmpSystemReset;
    let long = |then: &dyn Fn(Story) -> Story| {
        let mut story = Story::booted().then(begun(Verb::DumpReset));
        story.1 += 3_600_000_000;
        let story = then(story.then(Event::Stopped)).shut(HostQmpSystemReset);
        story
            .then(sent(Verb::DumpReset))
            .then(done(Verb::DumpReset))
    };
    let others = |story: Story| {
        (0..9).fold(story, |story, other| {
            story.then(asked_by(20 + other, Verb::Monitor))
        })
    };
    let destroys = |story: Story| {
        (0..9).fold(story, |story, other| {
            story.then(asked_by(20 + other, Verb::Destroy))
        })
    };
    for then in [
        &(|story| story) as &dyn Fn(Story) -> Story,
        &others,
        &destroys,
    ] {
        assert_witnessed([(
            long(then).ends(STATUS_0),
            "shutdown",
            asked_for(Verb::DumpReset),
        )]);
    }
    // Who did it died before he could say so: it is his, as far as anybody knows.
    let mut story = Story::booted().then(begun(Verb::DumpReset));
    story.1 += 3_600_000_000;
    let story = story.then(Event::Stopped).shut(HostQmpSystemReset);
    let end = story.then(failed(Verb::DumpReset)).ends(STATUS_0);
    assert_ends(
        Certainty::Inferred,
        [(end, "destroyed", asked_for(Verb::DumpReset))],
    );
}

#[test]
fn a_reset_is_not_forgotten_for_what_passes_by() {
    let passes = |story, pid| {
        let story: Story = story;
        story.then(asked_by(pid, Verb::Monitor))
    };
    let story = (20..40).fold(Story::booted().then(asked(Verb::Reset)), passes);
    let story = story.shut(ShutdownCause::HostQmpSystemReset);
    let end = story.then(sent(Verb::Reset)).ends(STATUS_0);
    assert_witnessed([(end, "shutdown", asked_for(Verb::Reset))]);
}

#[test]
fn a_reset_that_was_done_is_not_why_a_later_one_ended_the_guest() {
    use ShutdownCause::HostQmpSystemReset;
    let by_somebody = |story: Story| story.shut(HostQmpSystemReset).ends(STATUS_0);
    let asks = || Story::booted().then(asked(Verb::Reset));
    let stood = || {
        Story::booted()
            .then(Event::Stopped)
            .then(asked(Verb::Reset))
    };
    let is_done = |story: Story| story.then(sent(Verb::Reset)).then(done(Verb::Reset));
    let dumps = || {
        let verb = Verb::DumpReset;
        let story = Story::booted().then(begun(verb)).then(Event::Stopped);
        story.then(reset()).then(sent(verb)).then(done(verb))
    };
    assert_witnessed([
        // QEMU says it before the verb does, or behind that.
        (
            by_somebody(is_done(asks().then(reset()))),
            "destroyed",
            Cause::QmpReset,
        ),
        (
            by_somebody(is_done(asks()).then(reset())),
            "destroyed",
            Cause::QmpReset,
        ),
        (by_somebody(dumps()), "destroyed", Cause::QmpReset),
        // QEMU has outlived it, and the guest runs.
        (
            by_somebody(is_done(stood().shut(HostQmpSystemReset)).then(Event::Resumed)),
            "destroyed",
            Cause::QmpReset,
        ),
        // The guest's own reset is none that was asked for.
        (
            by_somebody(is_done(asks().then(Event::Reset(ResetBy::Guest)))),
            "shutdown",
            asked_for(Verb::Reset),
        ),
    ]);
}
