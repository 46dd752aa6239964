//! Ends that a user of domstate asked for.

use super::story::*;
use super::*;

#[test]
fn a_destroy_counts_if_it_was_carried_out_before_the_guest_ended() {
    use ShutdownCause::*;
    assert_witnessed([
        (
            Story::booted().destroyed_for_sure().ends(KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::booted().destroyed().shut(HostSignal).ends(STATUS_0),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::launched(false).destroyed_for_sure().ends(KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::booted()
                .then(asked(Verb::Destroy))
                .shut(GuestShutdown)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            Story::booted().shut(GuestShutdown).destroyed().ends(KILLED),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            Story::booted()
                .shut(GuestShutdown)
                .then(Event::Stopped)
                .destroyed_for_sure()
                .ends(KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::booted()
                .then(asked(Verb::Destroy))
                .shut(HostSignal)
                .ends_with(STATUS_0, says(Some(7))),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::booted()
                .then(asked(Verb::Destroy))
                .shut(HostSignal)
                .ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            Cause::HostSignal(term_by(Some(3))),
        ),
        (
            Story::booted()
                .then(asked(Verb::Destroy))
                .then(failed(Verb::Destroy))
                .ends(KILLED),
            "crashed",
            SIGKILL,
        ),
    ]);
}

#[test]
fn a_destroy_is_not_sure_or_no_end_where_qemu_says_that_it_ends_for_something_else() {
    use ShutdownCause::*;
    let by_verb = || asked_for(Verb::Destroy);
    // In the moment in which the signal came the guest shut itself down, or somebody closed QEMU's window.
    for cause in [GuestShutdown, GuestReset, HostUi] {
        let end = Story::booted().destroyed().shut(cause).ends(STATUS_0);
        assert_ends(Certainty::Inferred, [(end, "destroyed", by_verb())]);
    }
    // QEMU says of no end that a signal brought about that it was an error, or a reset.
    let failed = Story::booted().destroyed().shut(HostError);
    let status = 1;
    assert_witnessed([(
        failed.ends(status_of(status)),
        "crashed",
        Cause::ExitStatus { status },
    )]);
    let reset = |begin: Story| {
        let reset = begin.then(asked(Verb::Reset)).shut(HostQmpSystemReset);
        reset.then(sent(Verb::Reset)).then(done(Verb::Reset))
    };
    let stood = || reset(Story::booted().then(Event::Stopped));
    for story in [stood(), reset(Story::booted())] {
        let end = story.destroyed_for_sure().ends(STATUS_0);
        assert_witnessed([(end, "shutdown", asked_for(Verb::Reset))]);
    }
    // One that stayed was ended by what was done to it.
    let killed = stood().destroyed_for_sure().ends(KILLED);
    let told_to = stood().destroyed().shut(HostSignal).ends(STATUS_0);
    for end in [killed, told_to] {
        assert_eq!(end.0, "shut off (destroyed)");
    }
}

#[test]
fn a_qemu_that_dumps_its_core_hears_no_signal_of_a_verb_any_more() {
    let segfault = Exit::Signal {
        signal: 11,
        core_dumped: true,
    };
    let cause = || Cause::Signal {
        signal: 11,
        core_dumped: true,
    };
    let ends = |story: Story| story.ends(Some(segfault));
    let unidentified = || {
        let mut story = Story::booted();
        story.0.qemu = None;
        story
    };
    let by_verb = || asked_for(Verb::Destroy);
    let heard = Story::booted().destroyed().shut(ShutdownCause::HostSignal);
    assert_witnessed([
        (ends(Story::booted().destroyed()), "crashed", cause()),
        // It had heard it, and did not survive that.
        (ends(heard), "destroyed", by_verb()),
    ]);
    // A wrapper did not.
    let wrapper = ends(unidentified().destroyed());
    assert_ends(Certainty::Inferred, [(wrapper, "destroyed", by_verb())]);
}

#[test]
fn a_qemu_that_heeds_no_sigterm_may_be_killed_by_somebody_else() {
    let by_verb = || asked_for(Verb::Destroy);
    let destroyed = || Story::booted().destroyed();
    // Who sent it may only ever have sent that, and may be dead.
    let lost = destroyed().found_gone("b");
    let with_the_host = destroyed().found_gone("c");
    let ends = [destroyed().ends(KILLED), lost, with_the_host];
    let ends = ends.map(|end| (end, "destroyed", by_verb()));
    assert_ends(Certainty::Inferred, ends);
    let obeyed = destroyed().shut(ShutdownCause::HostSignal);
    assert_witnessed([
        (
            Story::booted().destroyed_for_sure().ends(KILLED),
            "destroyed",
            by_verb(),
        ),
        (obeyed.ends(KILLED), "destroyed", by_verb()),
    ]);
}

#[test]
fn a_qemu_that_ends_without_a_word_obeyed_nobody() {
    // It was at its own end by then, and took the signal no more.
    let destroyed = [Story::destroyed, Story::destroyed_for_sure];
    for destroyed in destroyed {
        let status = 1;
        let failed = destroyed(Story::booted()).ends(Some(Exit::Status(status)));
        assert_witnessed([(failed, "crashed", Cause::ExitStatus { status })]);
        let status = 3;
        let exited = destroyed(Story::launched(true).then(Event::Resumed));
        let exited = exited.ends(Some(Exit::Status(status)));
        assert_witnessed([(exited, "shutdown", Cause::GuestExit { status })]);
        // Where a guest may have done it as silently, or a debugger: who asked is likelier.
        let silent = destroyed(Story::booted()).ends(STATUS_0);
        let by_verb = asked_for(Verb::Destroy);
        assert_ends(Certainty::Inferred, [(silent, "destroyed", by_verb)]);
    }
    // Nor where it has outlived a shutdown, whose status it would keep for one that it announces.
    let outlived = || {
        let outlived = Story::booted().shut(ShutdownCause::GuestShutdown);
        outlived
            .then(Event::Reset(ResetBy::Host))
            .then(Event::Resumed)
    };
    let status = 1;
    let failed = outlived().destroyed().ends(Some(Exit::Status(status)));
    assert_witnessed([(failed, "crashed", Cause::ExitStatus { status })]);
    // One that says so obeyed, whatever it has kept, and though who asked says only then that he has acted.
    let status = Some(Exit::Status(33));
    let obeyed = outlived().then(asked(Verb::Destroy));
    let obeyed = obeyed.shut(ShutdownCause::HostSignal);
    let obeyed = obeyed.then(Event::Exited {
        pid: Some(10),
        exit: status,
        boot: boot_id("b"),
        words: LogWords::default(),
        oom: None,
    });
    let obeyed = obeyed.then(sent(Verb::Destroy)).found_gone("b");
    assert_witnessed([(obeyed, "destroyed", asked_for(Verb::Destroy))]);
    // Where there is no device to give one it has kept none.
    let stayed = Story::booted().shut(ShutdownCause::GuestShutdown);
    let failed = stayed.then(Event::Stopped).then(asked(Verb::Destroy));
    let failed = failed.then(Event::Exited {
        pid: Some(10),
        exit: Some(Exit::Status(1)),
        boot: boot_id("b"),
        words: LogWords::default(),
        oom: None,
    });
    let failed = failed.then(sent(Verb::Destroy)).found_gone("b");
    assert_witnessed([(failed, "shutdown", Cause::GuestShutdown)]);
    // What a wrapper ends with says nothing of that.
    let mut wrapped = Story::booted();
    wrapped.0.qemu = None;
    let wrapped = wrapped.destroyed().ends(Some(Exit::Status(143)));
    assert_witnessed([(wrapped, "destroyed", asked_for(Verb::Destroy))]);
}

#[test]
fn a_destroy_is_only_likely_if_qemu_names_somebody_else_whose_signal_it_obeyed() {
    let ends = |story: Story, pid| {
        story
            .shut(ShutdownCause::HostSignal)
            .ends_with(STATUS_0, says(pid))
    };
    let by = asked_for(Verb::Destroy);
    let stories = || {
        [
            Story::booted().destroyed(),
            Story::booted().destroyed_for_sure(),
        ]
    };
    for story in stories() {
        assert_ends(
            Certainty::Inferred,
            [(ends(story, Some(3)), "destroyed", by.clone())],
        );
    }
    for story in stories() {
        assert_witnessed([(ends(story, Some(7)), "destroyed", by.clone())]);
    }
    // From another pid namespace nobody has a number.
    for story in stories() {
        assert_witnessed([(ends(story, None), "destroyed", by.clone())]);
    }
    // One that calls itself by QEMU's words, or a guest that writes them.
    for story in stories() {
        let end = story
            .shut(ShutdownCause::HostSignal)
            .ends_with(STATUS_0, names_several());
        assert_ends(Certainty::Inferred, [(end, "destroyed", by.clone())]);
    }
    // A wrapper passes it on.
    let mut wrapped = Story::booted().destroyed();
    wrapped.0.launcher = wrapped.0.qemu.map(|qemu| Process { pid: 9, ..qemu });
    assert_witnessed([(ends(wrapped, Some(9)), "destroyed", by.clone())]);
    // Of two that asked it is the one that QEMU names, though the other's request is newer.
    let both = |story: Story| {
        let story = story.then(asked(Verb::Destroy));
        ends(story.then(asked_by(9, Verb::Destroy)), Some(7))
    };
    assert_witnessed([(both(Story::booted()), "destroyed", by)]);
}

#[test]
fn an_ask_of_long_ago_does_not_colour_a_kill_of_today_but_who_knows_by_a_clock_that_may_be_set() {
    let long_ago = |verb| {
        let mut story = Story::booted().then(asked(verb));
        story.1 += 60_000_000;
        story
    };
    let killed = |verb| (long_ago(verb).ends(KILLED), "crashed", SIGKILL);
    assert_ends(Certainty::Inferred, [killed(Verb::Destroy)]);
    assert_witnessed([killed(Verb::Suspend), killed(Verb::Reset)]);
    let reset = |verb| {
        let story = long_ago(verb).shut(ShutdownCause::HostQmpSystemReset);
        (story.ends(STATUS_0), "destroyed", Cause::QmpReset)
    };
    assert_ends(Certainty::Inferred, [reset(Verb::Reset)]);
    assert_witnessed([reset(Verb::Destroy)]);
}

#[test]
fn who_asks_when_it_is_over_did_not_end_it() {
    let watchdog = Event::WatchdogFired(WatchdogAction::Poweroff);
    let stories = [
        (
            Story::booted().shut(ShutdownCause::GuestShutdown),
            "shutdown",
        ),
        (Story::booted().then(watchdog), "crashed"),
        (Story::booted().then(exited(Some(10), KILLED)), "crashed"),
    ];
    for (story, reason) in stories {
        let (state, cause, _) = story.destroyed().ends(STATUS_0);
        assert_eq!(state, format!("shut off ({reason})"));
        assert!(!matches!(cause, Cause::Asked { .. }), "{reason}");
    }
}

#[test]
fn a_power_off_that_is_no_end_is_not_what_ended_a_guest_that_was_destroyed() {
    let shut_down = Event::ShutDown(ShutdownCause::GuestShutdown);
    let restarts =
        || Story::booted_with(|launch| launch.lifecycle.on_poweroff = OnPoweroff::Restart);
    let goes_on = |story: Story| {
        story
            .then(Event::Stopped)
            .then(reset())
            .then(Event::Resumed)
    };
    let destroyed = asked_for(Verb::Destroy);
    assert_witnessed([
        // Asked for between the two words that QEMU says at once.
        (
            goes_on(
                restarts()
                    .then(shut_down.clone())
                    .then(asked(Verb::Destroy)),
            )
            .then(sent(Verb::Destroy))
            .then(done(Verb::Destroy))
            .ends(KILLED),
            "destroyed",
            destroyed.clone(),
        ),
        // Or sent.
        (
            goes_on(
                restarts()
                    .then(asked(Verb::Destroy))
                    .then(shut_down)
                    .then(sent(Verb::Destroy)),
            )
            .then(done(Verb::Destroy))
            .ends(KILLED),
            "destroyed",
            destroyed,
        ),
    ]);
}

#[test]
fn who_sends_his_signal_when_the_guest_has_ended_by_itself_did_not_end_it() {
    use ShutdownCause::*;
    let asks = || Story::booted().then(asked(Verb::Destroy));
    let late = |story: Story| story.then(sent(Verb::Destroy));
    let segv = Some(Exit::Signal {
        signal: 11,
        core_dumped: false,
    });
    let told = |end: End| (end.0, end.1);
    assert_eq!(
        told(late(asks().shut(GuestShutdown)).ends(STATUS_0)),
        ("shut off (shutdown)".to_owned(), Cause::GuestShutdown)
    );
    let poweroff = asks().then(panicked(PanicAction::Poweroff));
    assert_eq!(
        late(poweroff.shut(GuestPanic)).ends(STATUS_0).0,
        "shut off (crashed)"
    );
    let ended = asks().then(Event::Exited {
        pid: Some(10),
        exit: segv,
        boot: boot_id("b"),
        words: LogWords::default(),
        oom: None,
    });
    assert_eq!(late(ended).found_gone("b").0, "shut off (crashed)");
    let watchdog = Event::WatchdogFired(WatchdogAction::Poweroff);
    assert_eq!(
        late(asks().then(watchdog)).ends(STATUS_0).0,
        "shut off (crashed)"
    );
    // What a signal brings about is his, also of a guest that is to stand for its panic, before QEMU says that it does.
    let stays = || panicked(PanicAction::Pause);
    let ends = [
        asks(),
        asks().then(stays()),
        Story::booted().then(stays()).then(asked(Verb::Destroy)),
    ];
    for story in ends {
        assert_witnessed([(
            late(story.shut(HostSignal)).ends(STATUS_0),
            "destroyed",
            asked_for(Verb::Destroy),
        )]);
    }
}

#[test]
fn a_signal_of_nobody_knows_whom_may_be_that_of_who_asked() {
    let shut = || {
        let asks = Story::booted().then(asked(Verb::Destroy));
        asks.shut(ShutdownCause::HostSignal)
    };
    let asked_for = asked_for(Verb::Destroy);
    assert_ends(
        Certainty::Inferred,
        [(shut().ends(STATUS_0), "destroyed", asked_for.clone())],
    );
    let pid = actor(USER).pid;
    assert_witnessed([
        (
            shut().ends_with(STATUS_0, says(Some(pid))),
            "destroyed",
            asked_for,
        ),
        (
            shut().ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            Cause::HostSignal(term_by(Some(3))),
        ),
    ]);
}

#[test]
fn a_guest_that_a_verb_ended_may_have_shut_down_by_itself_in_lines_that_are_lost() {
    let cut = || Story::booted().destroyed().then(Event::Gap);
    let done = || Story::booted().destroyed_for_sure().then(Event::Gap);
    let row = |end| (end, "destroyed", asked_for(Verb::Destroy));
    assert_ends(
        Certainty::Inferred,
        [
            cut().ends(STATUS_0),
            done().ends(STATUS_0),
            done().ends(None),
        ]
        .map(row),
    );
    assert_witnessed(
        [
            done().ends(KILLED),
            cut().ends_with(STATUS_0, says(Some(7))),
            cut().shut(ShutdownCause::HostSignal).ends(STATUS_0),
        ]
        .map(row),
    );
}
