//! What a guest is doing while it is saved, dumped or taken back to a snapshot.

use super::*;

#[test]
fn a_guest_that_is_saved_waits_and_goes_on_only_if_it_was_not() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (&[begun(Verb::Save)], "running (booted)"),
            (&[begun(Verb::Save), Stopped], "paused (saving)"),
            (&[begun(Verb::ManagedSave), Stopped], "paused (saving)"),
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    writes(Verb::Save),
                    status("setup"),
                    taken(Verb::Save),
                    status("completed"),
                ],
                "paused (saving)",
            ),
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    writes(Verb::Save),
                    status("setup"),
                    taken(Verb::Save),
                    status("failed"),
                    Resumed,
                    failed(Verb::Save),
                ],
                "running (save canceled)",
            ),
            (
                &[
                    begun(Verb::Save),
                    Stopped,
                    Resumed,
                    failed(Verb::Save),
                    Stopped,
                ],
                "paused (unknown)",
            ),
            // A guest that stood before goes on standing, and why.
            (
                &[asked(Verb::Suspend), Stopped, begun(Verb::Save)],
                "paused (user)",
            ),
            (
                &[begun(Verb::Save), Stopped, failed(Verb::Save)],
                "paused (api error)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_is_dumped_waits_and_goes_on() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (&[begun(Verb::Dump), Stopped], "paused (dumping)"),
            (&[begun(Verb::Dump), Stopped, Resumed], "running (unpaused)"),
            (
                &[panicked(PanicAction::Pause), Stopped, begun(Verb::Dump)],
                "crashed (panicked)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_is_taken_back_to_a_snapshot_is_another_machine() {
    use Event::*;
    assert_told(
        &boot(),
        &[
            (
                &[begun(Verb::SnapshotCreate), Stopped],
                "paused (creating snapshot)",
            ),
            (
                &[begun(Verb::SnapshotCreate), Stopped, Resumed],
                "running (unpaused)",
            ),
            (
                &[begun(Verb::SnapshotRevert), Stopped],
                "paused (from snapshot)",
            ),
            (
                &[
                    begun(Verb::SnapshotRevert),
                    Stopped,
                    sent(Verb::SnapshotRevert),
                    Resumed,
                ],
                "running (from snapshot)",
            ),
            // What was loaded is another machine: it has not panicked.
            (
                &[
                    panicked(PanicAction::Pause),
                    Stopped,
                    begun(Verb::SnapshotRevert),
                    sent(Verb::SnapshotRevert),
                ],
                "paused (from snapshot)",
            ),
            // Somebody else has let it run.
            (
                &[
                    begun(Verb::SnapshotRevert),
                    Stopped,
                    Resumed,
                    sent(Verb::SnapshotRevert),
                ],
                "running (from snapshot)",
            ),
            (
                &[
                    begun(Verb::SnapshotRevert),
                    Stopped,
                    Resumed,
                    failed(Verb::SnapshotRevert),
                ],
                "running (unpaused)",
            ),
        ],
    );
}

#[test]
fn a_guest_that_stood_for_a_snapshot_or_a_dump_has_gone_nowhere() {
    for verb in [Verb::SnapshotCreate, Verb::Dump] {
        let fold = booted(&[
            Event::Stopped,
            begun(verb),
            writes(verb),
            status("setup"),
            taken(verb),
            status("completed"),
            sent(verb),
            done(verb),
        ]);
        assert_eq!(fold.transfer, Transfer::None, "{verb:?}");
        assert_eq!(fold.live, State::Paused(Paused::Unknown), "{verb:?}");
    }
}

#[test]
fn the_stream_of_a_dump_leaves_the_guest_where_it_is() {
    for (verb, is_away) in [
        (Verb::Dump, false),
        (Verb::DumpReset, false),
        (Verb::Save, true),
    ] {
        let mut events = vec![asked(Verb::Suspend), Event::Stopped, begun(verb)];
        events.extend([
            writes(verb),
            status("setup"),
            taken(verb),
            status("active"),
            status("completed"),
        ]);
        assert_eq!(booted(&events).transfer, Transfer::Left, "{verb:?}");
        events.push(done(verb));
        let fold = booted(&events);
        assert_eq!(fold.transfer == Transfer::Left, is_away, "{verb:?}");
        assert_eq!(fold.live.to_string(), "paused (user)", "{verb:?}");
    }
}

#[test]
fn a_job_is_aborted_by_who_asked_for_that_after_it_began_and_did_it() {
    let abort = asked_by(8, Verb::JobAbort);
    let did = done_by(8, Verb::JobAbort);
    let aborted = |events: &[Event]| booted(events).is_job_aborted();
    assert!(!aborted(&[begun(Verb::Dump)]));
    assert!(!aborted(&[begun(Verb::Dump), abort.clone()]));
    assert!(aborted(&[begun(Verb::Dump), abort.clone(), did.clone()]));
    assert!(!aborted(&[abort.clone(), did.clone(), begun(Verb::Dump)]));
    assert!(!aborted(&[
        begun(Verb::Dump),
        abort,
        did,
        failed(Verb::Dump)
    ]));
}
