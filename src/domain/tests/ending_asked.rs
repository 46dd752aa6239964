//! Ends that a user of domstate asked for.

use super::story::*;
use super::*;

/// A guest whose job went so far before QEMU was told to quit.
fn job(verb: Verb, progress: &[fn(Verb) -> Event]) -> Story {
    let story = Story::booted().then(begun(verb)).then(Event::Stopped);
    let story = progress
        .iter()
        .fold(story, |story, event| story.then(event(verb)));
    story.shut(ShutdownCause::HostQmpQuit)
}

fn setup(_: Verb) -> Event {
    status("setup")
}

fn completed(_: Verb) -> Event {
    status("completed")
}

#[test]
fn a_destroy_counts_if_it_was_carried_out_before_the_guest_ended() {
    use ShutdownCause::*;
    assert_witnessed([
        (
            Story::booted().destroyed().ends(KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::booted().destroyed().shut(HostSignal).ends(STATUS_0),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
        (
            Story::launched(false).destroyed().ends(KILLED),
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
                .destroyed()
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
fn a_guest_whose_job_was_carried_out_ended_with_it() {
    assert_witnessed([
        (
            job(Verb::Save, &[sent, done]).ends(STATUS_0),
            "saved",
            asked_for(Verb::Save),
        ),
        // What is saved is saved, whoever ended the rest of it.
        (
            job(Verb::ManagedSave, &[sent])
                .then(asked_by(8, Verb::Destroy))
                .then(sent_by(8, Verb::Destroy))
                .ends(KILLED),
            "saved",
            asked_for(Verb::ManagedSave),
        ),
        // Seven others ask for this and that meanwhile, and one more.
        (
            (0..9)
                .fold(job(Verb::Save, &[sent]), |story, other| {
                    story.then(asked_by(20 + other, Verb::Monitor))
                })
                .ends(STATUS_0),
            "saved",
            asked_for(Verb::Save),
        ),
        (
            job(Verb::DumpCrash, &[sent, done]).ends(STATUS_0),
            "crashed",
            asked_for(Verb::DumpCrash),
        ),
        (
            job(Verb::Migrate, &[writes, setup, sent, completed, done]).ends(STATUS_0),
            "migrated",
            asked_for(Verb::Migrate),
        ),
        // It is QEMU's word that counts, and no failure to see it.
        (
            job(Verb::Migrate, &[writes, setup, sent, completed, failed]).ends(KILLED),
            "migrated",
            asked_for(Verb::Migrate),
        ),
        (
            job(Verb::SnapshotHalt, &[sent, done]).ends(STATUS_0),
            "from snapshot",
            asked_for(Verb::SnapshotHalt),
        ),
    ]);
}

#[test]
fn a_job_that_was_not_carried_out_says_nothing_of_the_end() {
    let ends = [
        // It had ended otherwise before that was said.
        job(Verb::Save, &[])
            .then(exited(Some(10), KILLED))
            .then(sent(Verb::Save))
            .then(done(Verb::Save))
            .ends(KILLED),
        // A save that was not carried out saved nothing.
        job(Verb::Save, &[]).ends(STATUS_0),
        job(Verb::Save, &[sent, failed]).ends(STATUS_0),
        job(Verb::Save, &[sent])
            .then(Event::Resumed)
            .shut(ShutdownCause::HostQmpQuit)
            .ends(STATUS_0),
        job(Verb::Dump, &[sent, done]).ends(STATUS_0),
        job(Verb::Migrate, &[writes, setup, sent, completed])
            .then(Event::Resumed)
            .then(done(Verb::Migrate))
            .shut(ShutdownCause::HostQmpQuit)
            .ends(STATUS_0),
        job(Verb::SnapshotHalt, &[]).ends(STATUS_0),
        job(Verb::SnapshotCreate, &[sent, done]).ends(STATUS_0),
        // What is loaded into a QEMU that is on its way out changes nothing about its end.
        job(Verb::SnapshotRevert, &[])
            .then(sent(Verb::SnapshotRevert))
            .then(done(Verb::SnapshotRevert))
            .ends(STATUS_0),
    ];
    assert_witnessed(ends.map(|end| (end, "destroyed", Cause::QmpQuit)));
}

#[test]
fn whether_a_guest_arrived_elsewhere_is_unknown_if_its_qemu_ended_on_the_last_step() {
    let leaving = |progress: &[fn(Verb) -> Event]| {
        let story = Story::booted()
            .then(begun(Verb::Migrate))
            .then(writes(Verb::Migrate))
            .then(setup(Verb::Migrate));
        let story = story.then(Event::Stopped);
        let progress = progress.iter();
        progress.fold(story, |story, event| story.then(event(Verb::Migrate)))
    };
    let somebody_elses = || {
        let story = Story::booted().then(status("active"));
        story.then(Event::Stopped)
    };
    let ends = [
        leaving(&[sent]).ends(KILLED),
        leaving(&[sent]).ends(STATUS_0),
        leaving(&[sent]).ends(None),
        leaving(&[sent]).found_gone("another boot"),
        leaving(&[sent])
            .shut(ShutdownCause::HostSignal)
            .ends(STATUS_0),
        // What the command makes of it, or whoever finds it, changes nothing.
        leaving(&[sent, failed]).ends(KILLED),
        leaving(&[sent])
            .then(exited(Some(10), KILLED))
            .then(failed(Verb::Migrate))
            .found_gone("b"),
        somebody_elses().ends(KILLED),
        // It went, and whether into a file or to another QEMU nobody here knows.
        somebody_elses().then(status("completed")).ends(KILLED),
        somebody_elses()
            .then(status("completed"))
            .shut(ShutdownCause::HostQmpQuit)
            .ends(STATUS_0),
        somebody_elses().then(status("completed")).found_gone("b"),
        // It stood already, or was stopped for something else meanwhile: no STOP is the last step's.
        Story::booted()
            .then(Event::Stopped)
            .then(status("setup"))
            .ends(KILLED),
        Story::booted()
            .then(status("setup"))
            .then(asked(Verb::Suspend))
            .then(Event::Stopped)
            .ends(KILLED),
    ];
    for (state, cause, certainty) in ends {
        assert_eq!(
            (state.as_str(), cause),
            ("shut off (unknown)", Cause::MaybeMigrated)
        );
        assert_eq!(certainty, Certainty::Unknown);
    }
    assert_witnessed([
        // It was not to go yet, and so it has not; or QEMU said that it had not, or somebody let it run on.
        (leaving(&[]).ends(KILLED), "crashed", killed()),
        (
            leaving(&[sent]).then(status("failed")).ends(KILLED),
            "crashed",
            killed(),
        ),
        (
            leaving(&[sent]).then(Event::Resumed).ends(KILLED),
            "crashed",
            killed(),
        ),
        (
            somebody_elses().then(Event::Resumed).ends(KILLED),
            "crashed",
            killed(),
        ),
        // Who has it destroyed here knows what he does.
        (
            leaving(&[sent]).destroyed().ends(KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
        ),
    ]);
}

fn killed() -> Cause {
    Cause::Signal {
        signal: 9,
        core_dumped: false,
    }
}

#[test]
fn a_reset_that_was_done_is_not_why_a_later_one_ended_the_guest() {
    use ShutdownCause::HostQmpSystemReset;
    let by_somebody = |story: Story| story.shut(HostQmpSystemReset).ends(STATUS_0);
    let asks = || Story::booted().then(asked(Verb::Reset));
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
            Cause::QmpQuit,
        ),
        (
            by_somebody(is_done(asks()).then(reset())),
            "destroyed",
            Cause::QmpQuit,
        ),
        (by_somebody(dumps()), "destroyed", Cause::QmpQuit),
        // The guest's own reset is none that was asked for.
        (
            by_somebody(is_done(asks().then(Event::Reset(ResetBy::Guest)))),
            "shutdown",
            asked_for(Verb::Reset),
        ),
    ]);
}

#[test]
fn an_ask_of_long_ago_does_not_colour_a_kill_of_today() {
    let mut story = Story::booted().then(asked(Verb::Destroy));
    story.1 += 60_000_000;
    assert_eq!(story.ends(KILLED).0, "shut off (crashed)");
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
    // What a signal brings about is his.
    assert_witnessed([(
        late(asks().shut(HostSignal)).ends(STATUS_0),
        "destroyed",
        asked_for(Verb::Destroy),
    )]);
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
fn a_reset_of_what_is_left_of_a_guest_that_was_sent_away_is_no_shutdown() {
    let sent_away = Story::booted()
        .then(status("setup"))
        .then(status("active"))
        .then(Event::Stopped)
        .then(status("completed"));
    let reset = sent_away.then(asked(Verb::Reset)).then(sent(Verb::Reset));
    let end = reset.shut(ShutdownCause::HostQmpSystemReset).ends(STATUS_0);
    let told = (end.0.as_str(), end.1);
    assert_eq!(told, ("shut off (unknown)", Cause::MaybeMigrated));
}

#[test]
fn a_guest_that_left_did_not_shut_down_here_whatever_its_qemu_says() {
    use ShutdownCause::{GuestReset, GuestShutdown};
    for cause in [GuestShutdown, GuestReset] {
        let sent_away = Story::booted()
            .then(status("setup"))
            .then(status("active"))
            .then(Event::Stopped)
            .then(status("completed"));
        let end = sent_away.shut(cause).ends(STATUS_0);
        let told = (end.0.as_str(), end.1);
        assert_eq!(told, ("shut off (unknown)", Cause::MaybeMigrated));
    }
}
