//! What becomes of a verb that is killed in the middle.

use nix::sys::signal::Signal;

use super::Stage;
use crate::harness::{finish, is_alive, send, until};
use crate::killed::newest_guest;

/// Tells the two outcomes of a verb that was killed, and that there was each.
struct Outcomes {
    finished: usize,
    undone: usize,
}

impl Outcomes {
    fn both(&self) {
        let Self { finished, undone } = self;
        let told = format!("{finished} finished, {undone} undone");
        assert!(*finished > 0 && *undone > 0, "{told}");
    }
}

#[test]
fn a_snapshot_that_is_killed_is_there_whole_or_not_at_all_and_the_guest_goes_on() {
    let (stage, mut guest) = Stage::started();
    let take = ["snapshot-create-as", "v", "s1"];
    let all = stage.calls(&take);
    let mut outcomes = Outcomes {
        finished: 0,
        undone: 0,
    };
    stage.delete("s1");
    for (odd, call) in all.iter().enumerate() {
        let told = stage.kill_before(odd, call, &take);
        assert_eq!(stage.host.ok(&["suspend", "v"]), "Domain 'v' suspended\n");
        let told = format!("{told}\n{}", stage.host.journal("v"));
        assert_eq!(stage.host.answer("v"), "paused (user)", "{told}");
        match stage.listed().as_slice() {
            [] => {
                assert!(!stage.is_held("s1") && stage.kept() == 0, "{told}");
                outcomes.undone += 1;
            }
            _ => {
                assert!(stage.is_held("s1") && stage.kept() == 1, "{told}");
                stage.delete("s1");
                outcomes.finished += 1;
            }
        }
        stage.host.ok(&["resume", "v"]);
        guest.answers();
    }
    outcomes.both();
}

#[test]
fn a_halt_that_is_killed_has_ended_the_guest_with_its_snapshot_or_neither() {
    let (stage, mut guest) = Stage::started();
    let halt = ["snapshot-create-as", "v", "s1", "--halt"];
    let all = stage.calls(&halt);
    let mut outcomes = Outcomes {
        finished: 0,
        undone: 0,
    };
    let mut is_off = true;
    for (odd, call) in all.iter().enumerate() {
        if is_off {
            stage.revert("s1", &[], "running (from snapshot)");
            guest = newest_guest(&stage.line);
            stage.delete("s1");
        }
        let told = stage.kill_before(odd, call, &halt);
        let next = stage.host.domstate(&["suspend", "v"]);
        let told = format!("{told}\n{next:?}\n{}", stage.host.journal("v"));
        is_off = next.code == Some(1);
        assert_eq!(stage.is_held("s1"), is_off, "{told}");
        assert_eq!(stage.listed().len(), usize::from(is_off), "{told}");
        if is_off {
            assert_eq!(stage.host.answer("v"), "shut off (from snapshot)", "{told}");
            outcomes.finished += 1;
        } else {
            assert_eq!(stage.host.answer("v"), "paused (user)", "{told}");
            stage.host.ok(&["resume", "v"]);
            guest.answers();
            outcomes.undone += 1;
        }
    }
    outcomes.both();
}

#[test]
fn a_revert_that_is_killed_has_happened_or_not_and_the_guest_runs() {
    let (stage, mut guest) = Stage::started();
    stage.create("s1");
    let revert = ["snapshot-revert", "v", "s1"];
    let all = stage.calls(&revert);
    let mut outcomes = Outcomes {
        finished: 0,
        undone: 0,
    };
    for (odd, call) in all.iter().enumerate() {
        guest.press('h');
        guest.hears("h");
        let before = stage.host.journal("v").len();
        let told = stage.kill_before(odd, call, &revert);
        stage.host.ok(&["inject-nmi", "v"]);
        let journal = stage.host.journal("v");
        // Bytes that the supervisor gave back are still counted.
        let since = String::from_utf8_lossy(&journal.as_bytes()[before..]).into_owned();
        let told = format!("{told}\n{since}");
        let answer = stage.host.answer("v");
        assert!(answer.starts_with("running ("), "{answer}\n{told}");
        let is_sent = |line: &str| line.contains("_SENT") && line.contains("\"snapshot-revert\"");
        if since.lines().any(is_sent) {
            assert_eq!(answer, "running (from snapshot)", "{told}");
            guest.answers();
            outcomes.finished += 1;
        } else {
            // It is as deaf as it was.
            outcomes.undone += 1;
            stage.revert("s1", &[], "running (from snapshot)");
            guest.answers();
        }
    }
    outcomes.both();
}

#[test]
fn a_delete_that_is_killed_has_happened_or_not() {
    let (stage, mut guest) = Stage::started();
    stage.create("s1");
    let delete = ["snapshot-delete", "v", "s1"];
    let all = stage.calls(&delete);
    let mut outcomes = Outcomes {
        finished: 0,
        undone: 0,
    };
    for (odd, call) in all.iter().enumerate() {
        if stage.listed().is_empty() {
            stage.create("s1");
        }
        let told = stage.kill_before(odd, call, &delete);
        stage.host.ok(&["inject-nmi", "v"]);
        let told = format!("{told}\n{}", stage.host.journal("v"));
        assert_eq!(stage.listed().len(), stage.kept(), "{told}");
        match stage.is_held("s1") {
            true => {
                assert_eq!(stage.listed(), ["s1"], "{told}");
                outcomes.undone += 1;
            }
            false => {
                assert!(stage.listed().is_empty(), "{told}");
                outcomes.finished += 1;
            }
        }
        guest.answers();
    }
    outcomes.both();
}

#[test]
fn a_snapshot_whose_verb_and_qemu_are_killed_is_no_snapshot_and_leaves_nothing() {
    let (stage, guest) = Stage::started();
    let take = ["snapshot-create-as", "v", "s1"];
    let all = stage.calls(&take);
    stage.delete("s1");
    drop(guest);
    // The last few lines, where QEMU has written it.
    for call in all.iter().rev().take(8) {
        let inject = format!("inject={}:signal=SIGKILL:when={}", call.name, call.number);
        let (supervisor, qemu) = (stage.host.supervisor_pid("v"), stage.host.qemu_pid("v"));
        // Stopped, it cannot finish or undo anything while QEMU still lives.
        send(supervisor, Signal::SIGSTOP);
        let said = finish(stage.strace(&["-o", "/dev/null", "-e", &inject], &take));
        send(qemu, Signal::SIGKILL);
        until("QEMU's death", || !is_alive(qemu));
        send(supervisor, Signal::SIGCONT);
        let told = format!("killed before {call:?}: {said:?}");
        assert_eq!(stage.host.wait("v"), "shut off (crashed)", "{told}");
        // Whoever is first, the next verb or the supervisor's servant.
        stage.host.domstate(&["undefine", "v"]);
        until("the end of it", || stage.kept() == stage.listed().len());
        assert_eq!(
            stage.listed().len(),
            usize::from(stage.is_held("s1")),
            "{told}"
        );
        if stage.host.ok(&["list", "--all", "--name"]).is_empty() {
            drop(stage.start(&[]));
            continue;
        }
        if !stage.listed().is_empty() {
            stage.delete("s1");
        }
        drop(stage.start(&[]));
    }
}
