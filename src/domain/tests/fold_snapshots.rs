//! Snapshots and copies: QEMU writes them as it writes a guest that goes away, and this one stays.

use super::story::*;
use super::*;

#[test]
fn a_snapshot_of_a_guest_that_sleeps_or_has_panicked_takes_it_nowhere_either() {
    use Event::*;
    let kept = [status("setup"), status("completed")];
    let panicked = Panicked {
        action: PanicAction::Pause,
        info: None,
    };
    for before in [vec![Suspended], vec![panicked, Stopped]] {
        let fold = booted(&[&before[..], &kept].concat());
        assert_eq!(fold.transfer, Transfer::None, "{before:?}");
    }
    // One that wakes runs here, whatever was sent of it.
    let away = [status("setup"), status("active"), status("completed")];
    let woken = [&[Suspended][..], &away, &[Woken]].concat();
    assert_eq!(booted(&woken).transfer, Transfer::None);
}

#[test]
fn a_snapshot_of_ours_takes_the_guest_nowhere_even_if_it_fails_in_the_end() {
    use Event::*;
    let verb = Verb::SnapshotCreate;
    let kept = [begun(verb), Stopped, status("setup"), status("completed")];
    let fold = booted(&kept);
    assert!(fold.transfer == Transfer::None && !fold.is_sent_by_another());
    let lost = booted(&[&[Gap][..], &kept].concat());
    assert!(lost.transfer == Transfer::None && !lost.is_sent_by_another());
    // Killed in the middle of it, it was nowhere else.
    let killed = Story(booted(&kept[..3]), 60_000_000).ends(KILLED);
    assert_witnessed([(killed, "crashed", SIGKILL)]);
    // QEMU writes to the other disks behind its `completed`.
    let failed = booted(&[&kept[..], &[Resumed, failed(verb)]].concat());
    assert_eq!(failed.live.to_string(), "running (unpaused)");
    let halt = Verb::SnapshotHalt;
    let halted = [begun(halt), Stopped, status("setup"), status("completed")];
    let halted = [&halted[..], &[sent(halt), done(halt)]].concat();
    let end = Story(booted(&halted), 60_000_000).shut(ShutdownCause::HostQmpQuit);
    assert_witnessed([(end.ends(STATUS_0), "from snapshot", asked_for(halt))]);
}

#[test]
fn a_copy_that_is_made_of_a_guest_while_it_runs_takes_it_nowhere() {
    use Event::*;
    // QEMU's background-snapshot.
    let copy = ["setup", "active"].map(status);
    let copied = [&copy[..], &[Stopped, Resumed, status("completed")]].concat();
    assert_eq!(booted(&copied).transfer, Transfer::None);
    // Its STOP may be what was lost.
    let lost = [&copy[..], &[Gap, status("completed")]].concat();
    assert_eq!(booted(&lost).transfer, Transfer::Left);
    let gone = [&copy[..], &[Stopped, status("completed")]].concat();
    assert_eq!(booted(&gone).transfer, Transfer::Left);
}

#[test]
fn a_snapshot_that_somebody_else_takes_of_a_guest_that_stands_takes_it_nowhere() {
    use Event::*;
    let [setup, active, completed] = ["setup", "active", "completed"].map(status);
    let suspended = [
        asked(Verb::Suspend),
        Stopped,
        sent(Verb::Suspend),
        setup.clone(),
    ];
    let then = |events: &[Event]| booted(&[&suspended[..], events].concat());
    // While it is written nobody knows which of the two it is.
    let killed = Story(then(&[]), 60_000_000).ends(KILLED);
    assert_eq!(
        (killed.0.as_str(), killed.1),
        ("shut off (unknown)", Cause::MaybeMigrated)
    );
    let kept = then(std::slice::from_ref(&completed));
    assert_eq!(kept.transfer, Transfer::None);
    assert_eq!(kept.live.to_string(), "paused (user)");
    let goes = [
        vec![active.clone(), completed.clone()],
        // The line may be what was lost.
        vec![Gap, completed.clone()],
    ];
    for events in goes {
        assert_eq!(then(&events).transfer, Transfer::Left, "{events:?}");
    }
    // QEMU stops one that runs for that, and lets it go on.
    let taken = booted(&[Stopped, setup.clone(), completed.clone(), Resumed]);
    assert_eq!(taken.transfer, Transfer::None);
    assert_eq!(taken.live.to_string(), "running (unpaused)");
    // Stopped behind the first word, it goes.
    let gone = booted(&[setup, Stopped, completed]);
    assert_eq!(gone.transfer, Transfer::Left);
}

#[test]
fn a_snapshot_that_was_not_there_when_qemu_ended_is_not_said_to_be_there_behind_that() {
    let create = Verb::SnapshotCreate;
    let ended = |further: &[Event]| {
        let story = [
            &boot()[..],
            &[begun(create), Event::Stopped, status("setup")],
            further,
            &[Event::ShutDown(ShutdownCause::HostError)],
            &[exited(Some(10), Some(Exit::Status(1)))],
        ];
        story.concat()
    };
    let told = |story: Vec<Event>| fold_of(&story).answer(&gone("b")).state.to_string();
    for further in [&[][..], &[sent(create)]] {
        let before = told(ended(further));
        let after = told([ended(further), vec![done(create)]].concat());
        assert_eq!(before, after, "{further:?}");
    }
    // Who took it says that it failed, before QEMU's end is on record or behind that: the guest was nowhere else.
    let fails = ended(&[failed(create)]);
    assert_eq!(told(fails), "shut off (crashed)");
    let fails = [ended(&[]), vec![failed(create)]].concat();
    assert_eq!(told(fails), "shut off (crashed)");
    let goes = ended(&[failed(create), status("active")]);
    assert_eq!(told(goes), "shut off (unknown)");
}
