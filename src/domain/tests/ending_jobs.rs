//! Ends behind a job: the guest was saved, dumped or sent away, or may have been.

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
fn a_guest_whose_job_was_taken_back_did_not_end_with_it_unless_it_had_ended_by_then() {
    let kept = || {
        let story = Story::booted().then(begun(Verb::SnapshotHalt));
        story.then(Event::Stopped).then(sent(Verb::SnapshotHalt))
    };
    let takes_back = || taken_back(Verb::SnapshotHalt);
    assert_witnessed([
        (kept().then(takes_back()).ends(KILLED), "crashed", SIGKILL),
        (
            kept()
                .then(done(Verb::SnapshotHalt))
                .then(takes_back())
                .ends(KILLED),
            "crashed",
            SIGKILL,
        ),
        (
            kept()
                .then(exited(Some(10), KILLED))
                .then(takes_back())
                .ends(KILLED),
            "from snapshot",
            asked_for(Verb::SnapshotHalt),
        ),
    ]);
    let goes_on = kept().then(takes_back()).then(Event::Resumed).0;
    assert_eq!(goes_on.live.to_string(), "running (unpaused)");
}

#[test]
fn a_guest_that_was_saved_may_have_been_let_run_in_lines_that_are_lost_behind_that() {
    let lost: fn(Verb) -> Event = |_| Event::Gap;
    let ends = |verb, lines: &[fn(Verb) -> Event]| job(verb, lines).ends(STATUS_0);
    let (save, halt) = (Verb::Save, Verb::SnapshotHalt);
    let saved = || ("saved", asked_for(save));
    let rows = |ends: Vec<End>| ends.into_iter().map(move |end| (end, saved().0, saved().1));
    assert_ends(
        Certainty::Inferred,
        rows(vec![
            ends(save, &[sent, lost]),
            ends(save, &[sent, lost, done]),
            ends(save, &[sent, done, lost]),
        ]),
    );
    assert_witnessed(rows(vec![
        ends(save, &[lost, sent, done]),
        ends(save, &[sent, lost, taken_back, sent, done]),
    ]));
    let halted = ends(halt, &[sent, lost]);
    assert_ends(
        Certainty::Inferred,
        [(halted, "from snapshot", asked_for(halt))],
    );
}

#[test]
fn a_guest_that_sleeps_on_may_be_sent_away_without_a_word() {
    let sleeps = || Story::booted().then(Event::Suspended).then(Event::Stopped);
    let sent_away = sleeps().then(Event::Gap).then(status("setup"));
    let (state, cause, _) = sent_away.then(Event::Resumed).ends(KILLED);
    assert_eq!(
        (&*state, cause),
        ("shut off (unknown)", Cause::MaybeMigrated)
    );
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
            job(
                Verb::Migrate,
                &[writes, setup, taken, sent, completed, done],
            )
            .ends(STATUS_0),
            "migrated",
            asked_for(Verb::Migrate),
        ),
        // It is QEMU's word that counts, and no failure to see it.
        (
            job(
                Verb::Migrate,
                &[writes, setup, taken, sent, completed, failed],
            )
            .ends(KILLED),
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
        job(Verb::Migrate, &[writes, setup, taken, sent, completed])
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
            .then(setup(Verb::Migrate))
            .then(taken(Verb::Migrate));
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
        (leaving(&[]).ends(KILLED), "crashed", SIGKILL),
        (
            leaving(&[sent]).then(status("failed")).ends(KILLED),
            "crashed",
            SIGKILL,
        ),
        (
            leaving(&[sent]).then(Event::Resumed).ends(KILLED),
            "crashed",
            SIGKILL,
        ),
        (
            somebody_elses().then(Event::Resumed).ends(KILLED),
            "crashed",
            SIGKILL,
        ),
        // Who has it destroyed here knows what he does.
        (
            leaving(&[sent]).destroyed_for_sure().ends(KILLED),
            "destroyed",
            asked_for(Verb::Destroy),
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
