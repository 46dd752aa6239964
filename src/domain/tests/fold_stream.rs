//! Whose it is what QEMU writes of a guest: its events name nobody.

use super::story::*;
use super::*;

/// A guest that ran, stands for its save, and QEMU was told to write it.
fn told() -> Vec<Event> {
    vec![begun(Verb::Save), Event::Stopped, writes(Verb::Save)]
}

fn writing() -> Vec<Event> {
    [told(), vec![status("setup"), taken(Verb::Save)]].concat()
}

fn ours(events: &[Event]) -> bool {
    booted(events).is_written_for_job()
}

#[test]
fn what_is_written_for_a_job_is_what_was_begun_behind_the_line_that_it_is_told_to() {
    use Event::*;
    assert!(ours(&writing()));
    let whole = [status("active"), status("completed")];
    assert!(ours(&[&writing()[..], &whole].concat()));
    let migrates = [begun(Verb::Migrate), writes(Verb::Migrate), status("setup")];
    assert!(ours(&migrates));
    // QEMU's line is lost.
    assert!(ours(&[told(), vec![Gap, status("active")]].concat()));
    // Somebody lets it run, before QEMU begins or behind that: it is written on, and stopped for the last of it.
    assert!(ours(
        &[&writing()[..], &[Stopped, Resumed, Stopped]].concat()
    ));
    assert!(ours(&[told(), vec![Resumed, status("setup")]].concat()));
    let runs_first = [
        begun(Verb::Save),
        Stopped,
        Resumed,
        writes(Verb::Save),
        status("setup"),
    ];
    assert!(ours(&runs_first));
}

#[test]
fn what_is_written_before_that_line_or_behind_its_end_is_somebody_elses() {
    use Event::*;
    let then = |events: &[Event]| [&writing()[..], events].concat();
    let anothers = [
        vec![begun(Verb::Save)],
        told(),
        // On a slow disk it takes a second until the request is there, and QEMU told.
        vec![begun(Verb::Save), status("setup"), Stopped],
        vec![begun(Verb::Save), Stopped, status("setup")],
        vec![begun(Verb::Save), Stopped, Gap, status("active")],
        vec![
            begun(Verb::Save),
            Stopped,
            status("setup"),
            writes(Verb::Save),
            status("active"),
        ],
        vec![
            status("setup"),
            begun(Verb::Save),
            Stopped,
            writes(Verb::Save),
            status("active"),
        ],
        vec![begun(Verb::Migrate), status("setup")],
        // A dump of the memory has no stream at all.
        vec![begun(Verb::Dump), Stopped, status("setup")],
        // Another process says that it is told.
        vec![
            begun(Verb::Save),
            Stopped,
            StreamAsked {
                verb: Verb::Save,
                pid: 99,
            },
            status("setup"),
        ],
        then(&[status("setup")]),
        then(&[status("cancelled")]),
        // It ran behind what was written.
        then(&[status("completed"), Resumed, Stopped]),
    ];
    for events in anothers {
        assert!(!ours(&events), "{events:?}");
    }
}

#[test]
fn of_a_job_of_an_older_domstate_what_begins_while_the_guest_stands_is_taken_for_its_own() {
    use Event::*;
    let begun = begun_before;
    assert!(ours(&[begun(Verb::Save), Stopped, status("setup")]));
    assert!(ours(&[begun(Verb::Migrate), status("setup")]));
    assert!(!ours(&[begun(Verb::Save), status("setup"), Stopped]));
    let runs = [begun(Verb::Save), Stopped, Resumed, Stopped];
    assert!(!ours(&[&runs[..], &[status("setup")]].concat()));
}

#[test]
fn what_began_behind_that_line_is_somebody_elses_if_qemu_then_refuses() {
    use Event::*;
    let refused = answered(Verb::Save, StreamAnswer::Refused);
    let begun = [told(), vec![status("setup"), status("active")]].concat();
    assert!(ours(&begun));
    for completed in [vec![], vec![status("completed")]] {
        let events = [&begun[..], &completed, std::slice::from_ref(&refused)].concat();
        let fold = booted(&events);
        assert!(fold.is_sent_by_another() && !fold.may_be_written_for_job());
        let story = Story(fold, 60_000_000).then(failed(Verb::Save));
        let (state, cause, _) = story.ends(KILLED);
        let unknown = ("shut off (unknown)", Cause::MaybeMigrated);
        assert_eq!((state.as_str(), cause), unknown, "{events:?}");
    }
    // QEMU was told again, and does it: another line, another answer.
    let again = [writes(Verb::Save), status("setup"), taken(Verb::Save)];
    let events = [&told()[..], &[refused, Resumed, Stopped], &again].concat();
    assert!(ours(&events));
}

#[test]
fn what_comes_to_its_end_before_qemus_answer_is_somebody_elses() {
    use Event::*;
    // The job's own waits for that: into a narrow pipe, or for a word of ours.
    let away = ["setup", "active", "completed"].map(status);
    let then_ours = |verb| vec![status("setup"), taken(verb), status("active")];
    let unknown = ("shut off (unknown)", Cause::MaybeMigrated);
    let asked = [begun(Verb::Save), Stopped];
    let whole = [&away[..], &[writes(Verb::Save)]].concat();
    let begun_before = [&away[..2], &[writes(Verb::Save)], &away[2..]].concat();
    let lost = [&told()[2..], &[status("setup"), Gap, status("completed")]].concat();
    let behind = [&told()[2..], &away].concat();
    for his in [whole, begun_before, lost, behind] {
        for ours in [vec![], vec![taken(Verb::Save)], then_ours(Verb::Save)] {
            let events = [&asked[..], &his, &ours].concat();
            let fold = booted(&events);
            assert!(fold.is_sent_by_another(), "{events:?}");
            let story = Story(fold, 60_000_000).then(status("completed"));
            let story = story.then(sent(Verb::Save)).then(done(Verb::Save));
            let (state, cause, _) = story.shut(ShutdownCause::HostQmpQuit).ends(STATUS_0);
            assert_eq!((state.as_str(), cause), unknown, "{events:?}");
        }
    }
    let migrate = [begun(Verb::Migrate), writes(Verb::Migrate)];
    let gone = [&away[..2], &[Stopped], &away[2..]].concat();
    for ours in [vec![], vec![taken(Verb::Migrate)], then_ours(Verb::Migrate)] {
        let events = [&migrate[..], &gone, &ours].concat();
        let (state, cause, _) = Story(booted(&events), 60_000_000).ends(STATUS_0);
        assert_eq!((state.as_str(), cause), unknown, "{events:?}");
    }
    let answered = [&away[..1], &[taken(Verb::Migrate)], &gone[1..]].concat();
    let events = [&migrate[..], &answered].concat();
    let end = Story(booted(&events), 60_000_000).ends(STATUS_0);
    assert_witnessed([(end, "migrated", asked_for(Verb::Migrate))]);
    // What is under way is undone with the job.
    let under_way = [told(), vec![status("setup"), status("active")]].concat();
    assert!(!booted(&under_way).is_sent_by_another());
    assert!(booted(&under_way).may_be_written_for_job());
}

#[test]
fn a_guest_that_sleeps_while_somebody_sends_it_may_be_elsewhere() {
    use Event::*;
    let [setup, active] = ["setup", "active"].map(status);
    let sent = [
        vec![Suspended, setup.clone(), active.clone(), Stopped],
        vec![setup.clone(), active.clone(), Suspended, Stopped],
        // QEMU has nothing to stop.
        vec![setup, active, Suspended],
    ];
    for events in sent {
        let (state, cause, _) = Story(booted(&events), 60_000_000).ends(KILLED);
        let unknown = ("shut off (unknown)", Cause::MaybeMigrated);
        assert_eq!((state.as_str(), cause), unknown, "{events:?}");
    }
}

#[test]
fn a_guest_that_has_gone_does_not_come_back_by_what_is_made_of_the_rest_of_it() {
    let away = ["setup", "active", "completed"].map(status);
    let away = [&[Event::Stopped][..], &away].concat();
    for rest in [
        ["setup", "failed"],
        ["setup", "completed"],
        ["active", "cancelled"],
    ] {
        let events = [&away[..], &rest.map(status)].concat();
        assert!(booted(&events).is_sent_by_another(), "{rest:?}");
        assert_eq!(booted(&events).transfer, Transfer::Left, "{rest:?}");
    }
}

#[test]
fn a_snapshot_of_somebody_elses_just_before_a_job_is_told_to_qemu_is_not_the_jobs_and_does_not_spoil_it()
 {
    use Event::*;
    let his = [status("setup"), status("completed")];
    let events = [told(), his.to_vec(), vec![status("setup")]].concat();
    let then = [&events[..], &[taken(Verb::Save), status("active")]].concat();
    assert!(ours(&then));
    assert!(!booted(&then).is_sent_by_another());
    // A copy of one that somebody lets run.
    let copy = [
        Resumed,
        status("setup"),
        status("active"),
        status("completed"),
    ];
    let events = [&told()[..], &copy, &[status("setup"), taken(Verb::Save)]].concat();
    assert!(ours(&events));
    // QEMU stops a guest that runs for it, and lets it go on.
    let asked = [begun(Verb::Migrate), writes(Verb::Migrate), Stopped];
    let events = [&asked[..], &his, &[Resumed, status("setup")]].concat();
    let then = [&events[..], &[taken(Verb::Migrate), status("active")]].concat();
    assert!(ours(&then));
    // Behind its answer what comes to an end is the job's, and so is what runs on behind that.
    let over = [
        &writing()[..],
        &[status("completed"), Resumed, status("setup")],
    ]
    .concat();
    assert!(!ours(&over));
}

#[test]
fn what_is_written_for_a_job_that_failed_before_qemus_answer_has_gone_nowhere() {
    let begun = [told(), vec![status("setup"), failed(Verb::Save)]].concat();
    let fold = booted(&begun);
    assert!(fold.transfer == Transfer::None && !fold.is_sent_by_another());
    assert_eq!(fold.live.to_string(), "paused (api error)");
    // A snapshot of somebody else's, while whoever asked for the job is about to say that it was taken.
    let broken = [told(), vec![status("setup"), status("cancelled")]].concat();
    let late = [status("setup"), taken(Verb::Save), status("completed")];
    assert_eq!(
        booted(&[&broken[..], &late].concat()).transfer,
        Transfer::None
    );
}

#[test]
fn a_guest_that_ends_before_it_is_known_who_sends_it_may_be_elsewhere() {
    use Event::*;
    let [setup, active] = ["setup", "active"].map(status);
    let asked = [begun(Verb::Migrate), writes(Verb::Migrate)];
    let unknown = ("shut off (unknown)", Cause::MaybeMigrated);
    let goes = [&asked[..], &[setup, active, Stopped, status("device")]].concat();
    let (state, cause, _) = Story(booted(&goes), 60_000_000).ends(KILLED);
    assert_eq!((state.as_str(), cause), unknown);
    // Whoever finds it so, and undoes what was asked for.
    let undone = Story(booted(&goes), 60_000_000).then(exited(Some(10), KILLED));
    let (state, cause, _) = undone.then(failed(Verb::Migrate)).found_gone("b");
    assert_eq!((state.as_str(), cause), unknown);
    // Our own waits for our word.
    let known = [&goes[..], &[taken(Verb::Migrate)]].concat();
    let end = Story(booted(&known), 60_000_000).ends(KILLED);
    assert_witnessed([(end, "crashed", SIGKILL)]);
}

#[test]
fn only_what_is_known_to_be_written_for_a_job_is_cancelled_with_it() {
    let cancels = |events: &[Event]| booted(events).is_cancelled_with_job();
    let awaits = |events: &[Event]| booted(events).may_be_written_for_job();
    assert!(cancels(&writing()) && awaits(&writing()));
    // Without QEMU's answer it may be another's; what goes into our pipe ends with it.
    let untaken = [told(), vec![status("setup")]].concat();
    assert!(!cancels(&told()) && awaits(&told()));
    assert!(!cancels(&untaken) && awaits(&untaken));
    // Our migration waits for our word, and is to be cancelled.
    let migrates = [begun(Verb::Migrate), writes(Verb::Migrate)];
    assert!(cancels(&migrates) && awaits(&migrates));
    let older = [begun_before(Verb::Save), Event::Stopped];
    assert!(cancels(&older) && awaits(&older));
    for events in [
        vec![begun(Verb::Save), Event::Stopped],
        [writing(), vec![status("cancelled")]].concat(),
        vec![],
    ] {
        assert!(!cancels(&events) && !awaits(&events), "{events:?}");
    }
}

#[test]
fn a_job_of_which_qemu_was_not_told_to_write_anything_carries_nothing_away() {
    use Event::*;
    let sent_away = [
        Stopped,
        status("setup"),
        status("active"),
        status("completed"),
    ];
    for verb in [Verb::Migrate, Verb::Save] {
        let story = sent_away.iter().cloned();
        let story = story.fold(Story::booted().then(begun(verb)), Story::then);
        let (state, cause, _) = story.then(sent(verb)).then(done(verb)).ends(STATUS_0);
        assert_eq!(
            (state.as_str(), cause),
            ("shut off (unknown)", Cause::MaybeMigrated),
            "{verb:?}"
        );
    }
}

/// A saved guest that is back in memory, and not yet let go.
fn restored(begin: Begin) -> Vec<Event> {
    vec![
        launched(LaunchKind::Restore, begin),
        Event::StatusReported(RunStatus::InMigrate),
        status("active"),
        status("completed"),
    ]
}

#[test]
fn a_restored_guest_that_somebody_sends_away_before_it_runs_is_not_let_go() {
    let due = |then: &[Event]| {
        let fold = fold_of(&[&restored(Begin::Running)[..], then].concat());
        fold.duty(&Life::Lives, Worker::Gone)
    };
    assert_eq!(due(&[]), Some(Duty::LetGo));
    assert_eq!(due(&[status("setup")]), None);
    assert_eq!(due(&[status("active")]), None);
    let [setup, completed, failed] = ["setup", "completed", "failed"].map(status);
    let away = [setup.clone(), status("active"), completed];
    assert_eq!(due(&away), None);
    assert_eq!(due(&[setup, failed]), Some(Duty::LetGo));
    let away = [restored(Begin::Running), away.to_vec()].concat();
    let story = Story(fold_of(&away), 60_000_000).shut(ShutdownCause::HostQmpQuit);
    let (state, cause, _) = story.ends(STATUS_0);
    let unknown = ("shut off (unknown)", Cause::MaybeMigrated);
    assert_eq!((state.as_str(), cause), unknown);
}
