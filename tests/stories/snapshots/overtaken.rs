//! What becomes of a verb when something else happens to the guest in the middle of it.

use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::Stage;
use crate::boot::{SECOND, after_boot_in};
use crate::harness::{Guest, Said, finish_child, is_root, processes_with, send, spawn, until};

const CREATE: [&str; 3] = ["snapshot-create-as", "v", "s1"];
const HALT: [&str; 4] = ["snapshot-create-as", "v", "s1", "--halt"];
const REVERT: [&str; 3] = ["snapshot-revert", "v", "s1"];

/// A verb on its way: what it does comes to a stop at a line in the journal.
struct Held {
    child: Child,
}

impl Held {
    /// `how`: what strace does to it at the line of this number.
    fn new(stage: &Stage, args: &[&str], number: usize, how: &str) -> Self {
        let journal = stage.host.run_folder("v").join("journal");
        let inject = format!("inject=write:{how}:when={number}");
        let options = ["-o", "/dev/null", "-P", journal.to_str().unwrap()];
        let options = [&options[..], &["-e", "trace=write", "-e", &inject]].concat();
        let before = asked(stage).len();
        let child = spawn(stage.strace(&options, args));
        until("the request", || asked(stage).len() > before);
        Self { child }
    }

    /// It has asked, and done nothing.
    fn has_asked(stage: &Stage, args: &[&str]) -> Self {
        Self::new(stage, args, 1, "signal=SIGSTOP")
    }

    /// It has done everything, and is about to say so: for as long as all here may take. Before that line it has asked.
    fn is_about_to_commit(stage: &Stage, args: &[&str]) -> Self {
        let held = Self::new(stage, args, 2, "delay_enter=8000000");
        stage.host.wait_for_event("v", "\"concluded\"");
        held
    }

    fn goes_on(self, stage: &Stage) -> Said {
        send(*asked(stage).last().unwrap(), Signal::SIGCONT);
        finish_child(self.child)
    }

    fn says_so_too_late(self, stage: &Stage) -> Said {
        let journal = stage.host.journal("v");
        assert!(!journal.contains("DOMSTATE_SENT"), "too soon: {journal}");
        finish_child(self.child)
    }
}

/// The processes that have asked for something about a snapshot.
fn asked(stage: &Stage) -> Vec<i32> {
    let journal = stage.host.journal("v");
    let asked = journal.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let data = &line["data"];
        let is_ours = line["event"] == "DOMSTATE_ASKED"
            && data["verb"]
                .as_str()
                .is_some_and(|verb| verb.starts_with("snapshot-"));
        is_ours.then(|| data["pid"].as_i64().unwrap().try_into().unwrap())
    });
    asked.collect()
}

/// A guest that can panic, with the snapshot that is to be taken back to if `args` want one.
fn started(args: &[&str]) -> (Stage, Guest) {
    let stage = Stage::new();
    let third_party = stage.host.third_party_socket("v");
    let guest = stage.start(&[
        "-device",
        "pvpanic",
        "-action",
        "panic=pause",
        "-qmp",
        &third_party,
    ]);
    if args == REVERT {
        stage.create("s1");
    }
    (stage, guest)
}

#[test]
fn a_guest_that_ends_panics_or_falls_asleep_before_it_is_stopped_is_not_kept_and_not_taken_back() {
    for args in [&CREATE[..], &HALT, &REVERT] {
        for (key, answer) in [
            ('o', "shut off (shutdown)"),
            ('p', "crashed (panicked)"),
            ('s', "pmsuspended (unknown)"),
        ] {
            let (stage, mut guest) = started(args);
            let held = Held::has_asked(&stage, args);
            let abort =
                "error: Requested operation is not valid: cannot abort a job on a snapshot\n";
            stage.host.refused(&["domjobabort", "v"], abort);
            guest.press(key);
            stage.host.wait_for("v", answer);
            let said = held.goes_on(&stage);
            let told = format!("{args:?} {key}: {said:?}\n{}", stage.host.journal("v"));
            assert_eq!(said.code, Some(1), "{told}");
            if key != 'o' {
                assert!(said.stderr.contains("came to an end of its own"), "{told}");
            }
            assert_eq!(stage.host.answer("v"), answer, "{told}");
            assert_eq!(stage.is_held("s1"), args == REVERT, "{told}");
            assert_eq!(stage.kept(), usize::from(args == REVERT), "{told}");
            if key == 's' {
                stage.host.ok(&["dompmwakeup", "v"]);
                assert_eq!(stage.host.answer("v"), "running (event wakeup)", "{told}");
            }
        }
    }
}

#[test]
fn a_snapshot_that_is_whole_is_kept_though_its_guest_ends_before_that_is_said() {
    let (stage, mut guest) = started(&CREATE);
    let held = Held::is_about_to_commit(&stage, &CREATE);
    stage.host.wait_for("v", "running (unpaused)");
    guest.press('o');
    assert_eq!(stage.host.wait("v"), "shut off (shutdown)");
    let said = held.says_so_too_late(&stage);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(stage.host.answer("v"), "shut off (shutdown)");
    assert!(stage.is_held("s1") && stage.listed() == ["s1"]);
    stage.revert("s1", &[], "running (from snapshot)");
    Guest::taken(&stage.line).answers();
}

#[test]
fn a_guest_whose_qemu_is_killed_in_the_middle_of_its_snapshot_was_nowhere_else() {
    for args in [&CREATE[..], &HALT] {
        let stage = Stage::new();
        // Of some megabytes that are to be written none is in a second.
        let file = stage.disks[0].display();
        let (slow, file) = (
            "throttle-group,id=slow,x-bps-write=4096",
            format!("driver=file,filename={file},node-name=file"),
        );
        let throttle = "driver=throttle,file=file,throttle-group=slow,node-name=throttle";
        let disk = "driver=qcow2,file=throttle,node-name=disk";
        let guest = stage.start_with(&[
            "-object",
            slow,
            "-blockdev",
            &file,
            "-blockdev",
            throttle,
            "-blockdev",
            disk,
            "-device",
            "ide-hd,drive=disk",
        ]);
        let qemu = stage.host.qemu_pid("v");
        let child = spawn(stage.host.command(args));
        stage.host.wait_for_event("v", "\"setup\"");
        send(qemu, Signal::SIGKILL);
        let said = finish_child(child);
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        // By itself, or by whoever sees its end.
        stage.host.wait_for_event("v", "DOMSTATE_FAILED");
        let journal = stage.host.journal("v");
        let told = format!("{args:?}: {journal}");
        assert!(!journal.contains("\"completed\""), "{told}");
        assert_eq!(stage.host.answer("v"), "shut off (crashed)", "{told}");
        let json = stage.host.json("v");
        assert_eq!(json["certainty"], "witnessed", "{told}");
        assert_eq!(json["cause"]["signal"], "SIGKILL", "{told}");
        drop(guest);
    }
}

#[test]
fn a_copy_that_was_made_meanwhile_deletes_nothing_of_a_snapshot_that_was_taken_since() {
    let (stage, mut guest) = started(&CREATE);
    let held = Held::is_about_to_commit(&stage, &CREATE);
    let copy = stage.host.copied_state();
    let said = held.says_so_too_late(&stage);
    assert_eq!(said.code, Some(0), "{said:?}");
    guest.press('o');
    assert_eq!(stage.host.wait("v"), "shut off (shutdown)");
    for args in [
        &["v"][..],
        &["--reason", "v"],
        &["wait", "v"],
        &["snapshot-list", "v"],
        &["snapshot-delete", "v", "s2"],
        &["undefine", "v"],
    ] {
        let said = stage.host.domstate_in(&copy, args);
        let of_copy = processes_with(&copy.to_string_lossy());
        assert_eq!(of_copy, [] as [i32; 0], "{args:?}: {said:?}");
        assert!(stage.is_held("s1"), "{args:?}: {said:?}");
    }
    stage.revert("s1", &[], "running (from snapshot)");
    Guest::taken(&stage.line).answers();
}

#[test]
fn nor_does_it_once_the_host_has_booted_anew() {
    if !is_root("nor_does_it_once_the_host_has_booted_anew") {
        return;
    }
    let (stage, mut guest) = started(&CREATE);
    let held = Held::is_about_to_commit(&stage, &CREATE);
    let copy = stage.host.copied_state();
    assert_eq!(held.says_so_too_late(&stage).code, Some(0));
    guest.press('o');
    assert_eq!(stage.host.wait("v"), "shut off (shutdown)");
    let said = after_boot_in(&copy, SECOND, &["undefine", "v"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(stage.is_held("s1"));
}

#[test]
fn a_halt_that_is_overtaken_by_another_end_is_none_and_keeps_nothing() {
    let (stage, mut guest) = started(&HALT);
    let held = Held::is_about_to_commit(&stage, &HALT);
    stage.host.wait_for("v", "paused (creating snapshot)");
    let mut third_party = stage.host.third_party("v");
    third_party.execute("cont", &json!({}));
    guest.press('o');
    assert_eq!(stage.host.wait("v"), "shut off (shutdown)");
    let said = held.says_so_too_late(&stage);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(stage.host.answer("v"), "shut off (shutdown)");
    assert!(!stage.is_held("s1") && stage.kept() == 0);
}

#[test]
fn a_halt_whose_guest_was_let_run_on_is_none_and_the_guest_runs() {
    let (stage, mut guest) = started(&HALT);
    let held = Held::is_about_to_commit(&stage, &HALT);
    let mut third_party = stage.host.third_party("v");
    third_party.execute("cont", &json!({}));
    guest.answers();
    let said = held.says_so_too_late(&stage);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(stage.host.answer("v"), "running (unpaused)");
    assert!(!stage.is_held("s1") && stage.kept() == 0);
    guest.press('o');
    assert_eq!(stage.host.wait("v"), "shut off (shutdown)");
}

#[test]
fn a_revert_that_is_overtaken_by_the_end_of_qemu_changes_nothing_about_that_end() {
    let (stage, _guest) = started(&REVERT);
    let run = stage.host.run_folder("v");
    let held = Held::new(&stage, &REVERT, 2, "delay_enter=8000000");
    until("the load", || {
        let journal = std::fs::read_to_string(run.join("journal")).unwrap();
        journal.matches("\"concluded\"").count() == 2
    });
    assert_eq!(stage.host.answer("v"), "paused (from snapshot)");
    send(stage.host.qemu_pid("v"), Signal::SIGTERM);
    assert_eq!(stage.host.wait("v"), "shut off (destroyed)");
    let said = finish_child(held.child);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(stage.host.answer("v"), "shut off (destroyed)");
    assert_eq!(stage.host.json("v")["cause"]["kind"], "host-signal");
    stage.revert("s1", &[], "running (from snapshot)");
}
