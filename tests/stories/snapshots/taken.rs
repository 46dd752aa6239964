//! A guest of which snapshots are taken, that is taken back to them, and what is kept of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::Stage;
use crate::harness::{Guest, finish, until, with_argv};

#[test]
fn a_guest_runs_on_after_its_snapshot_and_is_taken_back_to_it() {
    let (stage, mut guest) = Stage::started();
    stage.create("s1");
    assert_eq!(stage.host.answer("v"), "running (unpaused)");
    assert!(stage.host.journal("v").contains("\"STOP\""));
    assert!(stage.is_held("s1"));
    guest.answers();
    guest.press('h');
    guest.hears("h");
    stage.revert("s1", &[], "running (from snapshot)");
    guest.answers();
    stage.revert("s1", &["--paused"], "paused (from snapshot)");
    assert_eq!(stage.host.ok(&["resume", "v"]), "Domain 'v' resumed\n");
    assert_eq!(stage.host.answer("v"), "running (unpaused)");
    guest.answers();
    // From where it stands, too.
    stage.host.ok(&["suspend", "v"]);
    stage.revert("s1", &[], "running (from snapshot)");
    guest.answers();
    guest.press('o');
    assert_eq!(stage.host.wait("v"), "shut off (shutdown)");
}

#[test]
fn a_guest_that_stood_when_its_snapshot_was_taken_stands_after_it_and_after_a_revert() {
    let (stage, mut guest) = Stage::started();
    stage.host.ok(&["suspend", "v"]);
    stage.create("s1");
    assert_eq!(stage.host.answer("v"), "paused (user)");
    assert_eq!(stage.host.ok(&["resume", "v"]), "Domain 'v' resumed\n");
    guest.answers();
    stage.revert("s1", &[], "paused (from snapshot)");
    stage.revert("s1", &["--running"], "running (from snapshot)");
    guest.answers();
}

#[test]
fn a_guest_is_started_from_its_snapshot_while_it_is_not_active() {
    let (stage, _guest) = Stage::started();
    stage.create("ran");
    stage.host.ok(&["suspend", "v"]);
    stage.create("stood");
    stage.host.ok(&["destroy", "v"]);
    for (name, options, answer) in [
        ("ran", &[][..], "running (from snapshot)"),
        ("ran", &["--paused"], "paused (from snapshot)"),
        ("stood", &[], "paused (from snapshot)"),
        ("stood", &["--running"], "running (from snapshot)"),
    ] {
        stage.revert(name, options, answer);
        let mut guest = Guest::taken(&stage.line);
        if answer.starts_with("paused") {
            assert_eq!(stage.host.ok(&["resume", "v"]), "Domain 'v' resumed\n");
            assert_eq!(stage.host.answer("v"), "running (unpaused)");
        }
        guest.answers();
        stage.host.ok(&["destroy", "v"]);
    }
    // What the user says of the beginning is left out.
    let argv = stage.host.argv("v", &[]);
    let drives = stage.drives();
    let mut define = with_argv(&["define", "v"], &argv);
    define.extend(["-drive", &drives[0], "-drive", &drives[1], "-S"]);
    stage.host.ok(&define);
    stage.revert("ran", &[], "running (from snapshot)");
    Guest::taken(&stage.line).answers();
}

#[test]
fn a_halt_ends_the_guest_that_a_later_revert_takes_up() {
    let (stage, _guest) = Stage::started();
    let halt = ["snapshot-create-as", "v", "s1", "--halt"];
    assert_eq!(stage.host.ok(&halt), "Domain snapshot s1 created\n");
    let cause = &stage.host.json("v")["cause"];
    assert_eq!(
        (&cause["kind"], &cause["verb"]),
        (&json!("asked"), &json!("snapshot-create-as --halt"))
    );
    assert_eq!(stage.host.answer("v"), "shut off (from snapshot)");
    assert!(stage.is_held("s1"));
    stage.revert("s1", &[], "running (from snapshot)");
    let mut guest = Guest::taken(&stage.line);
    guest.answers();
    stage.host.ok(&["suspend", "v"]);
    stage.host.ok(&["snapshot-create-as", "v", "s2", "--halt"]);
    assert_eq!(stage.host.answer("v"), "shut off (from snapshot)");
    stage.revert("s2", &[], "paused (from snapshot)");
}

#[test]
fn a_guest_that_panicked_is_taken_back_to_before() {
    let stage = Stage::new();
    let mut guest = stage.start(&["-device", "pvpanic", "-action", "panic=pause"]);
    stage.create("s1");
    guest.press('p');
    stage.host.wait_for("v", "crashed (panicked)");
    // QEMU says that it panicked, and stops it a moment later.
    let stops = || stage.host.journal("v").matches("\"STOP\"").count();
    until("its STOP", || stops() == 2);
    stage.refuses(
        &["snapshot-create-as", "v", "s2"],
        "error: Requested operation is not valid: domain is crashed\n",
    );
    stage.revert("s1", &[], "running (from snapshot)");
    guest.answers();
    guest.press('o');
    assert_eq!(stage.host.wait("v"), "shut off (shutdown)");
}

#[test]
fn snapshots_are_listed_as_virsh_lists_them_and_deleted_wherever_they_are() {
    let (stage, _guest) = Stage::started();
    let empty = " Name   Creation Time   State\n-------------------------------\n";
    assert_eq!(stage.host.ok(&["snapshot-list", "v"]), empty);
    stage.create("b1");
    stage.host.ok(&["suspend", "v"]);
    stage.create("A1");
    let list = stage.host.ok(&["snapshot-list", "v"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines[0], " Name   Creation Time          State");
    assert_eq!(lines[1], "-".repeat(40));
    assert!(
        lines[2].starts_with(" A1     20") && lines[2].ends_with("Z   paused"),
        "{list}"
    );
    assert!(
        lines[3].starts_with(" b1     20") && lines[3].ends_with("Z   running"),
        "{list}"
    );
    let quiet = stage.host.ok(&["-q", "snapshot-list", "v"]);
    assert_eq!(quiet.lines().count(), 2, "{quiet}");
    let json = stage.host.ok(&["--format", "json", "snapshot-list", "v"]);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    let disks = stage.disks.each_ref().map(|disk| disk.to_str().unwrap());
    assert_eq!(
        (
            &first["name"],
            &first["state"],
            &first["run"],
            &first["disks"]
        ),
        (&json!("A1"), &json!("paused"), &json!(1), &json!(disks))
    );
    stage.delete("b1");
    assert_eq!(stage.host.answer("v"), "paused (user)");
    stage.host.ok(&["destroy", "v"]);
    let count = "error: Failed to undefine domain 'v'\n\
                 error: Requested operation is not valid: cannot delete inactive domain with 1 snapshots\n";
    stage.host.refused(&["undefine", "v"], count);
    let mut without = stage.host.command(&["snapshot-delete", "v", "A1"]);
    without.env("PATH", "/nowhere");
    let said = finish(without);
    assert!(
        said.stderr.contains("cannot execute 'qemu-img'"),
        "{said:?}"
    );
    assert!(stage.is_held("A1") && stage.listed() == ["A1"]);
    // A disk that is not where it was may hold it still.
    let elsewhere = stage.host.folder().join("elsewhere");
    std::fs::rename(&stage.disks[1], &elsewhere).unwrap();
    let said = stage.host.domstate(&["snapshot-delete", "v", "A1"]);
    assert!(
        said.stderr.contains("No such file or directory"),
        "{said:?}"
    );
    std::fs::rename(&elsewhere, &stage.disks[1]).unwrap();
    assert_eq!(stage.listed(), ["A1"]);
    stage.delete("A1");
    assert_eq!(stage.kept(), 0);
    assert_eq!(stage.host.answer("v"), "shut off (destroyed)");
    let gone = "error: Domain snapshot not found: no domain snapshot with matching name 'A1'\n";
    for verb in ["snapshot-delete", "snapshot-revert"] {
        stage.host.refused(&[verb, "v", "A1"], gone);
    }
    stage.host.ok(&["undefine", "v"]);
}

#[test]
fn a_domain_is_undefined_with_what_is_kept_of_its_snapshots_and_its_disks_hold_them_still() {
    let (stage, _guest) = Stage::started();
    stage.create("s1");
    stage.host.ok(&["destroy", "v"]);
    stage.host.ok(&["undefine", "v", "--snapshots-metadata"]);
    assert!(stage.is_held("s1"));
}

#[test]
fn a_guest_that_may_have_panicked_in_lost_lines_is_in_doubt_wherever_it_is_taken_up_again() {
    let (stage, _guest) = Stage::started();
    let host = &stage.host;
    host.note("v", Duration::ZERO, "GAP", &json!({}));
    stage.create("s");
    host.ok(&["managedsave", "v"]);
    let cause = json!({"kind": "guest-shutdown"});
    let in_doubt = |mut guest: Guest| {
        guest.press('o');
        assert_eq!(host.wait("v"), "shut off (shutdown)");
        host.assert_is("v", "shut off (shutdown)", &cause, "inferred");
    };
    host.ok(&["start", "v"]);
    in_doubt(Guest::taken(&stage.line));
    // Into a QEMU of its own, and into one that another guest is in.
    host.ok(&["snapshot-revert", "v", "s"]);
    in_doubt(Guest::taken(&stage.line));
    host.ok(&["start", "v"]);
    let other = Guest::connected(&stage.line);
    host.ok(&["snapshot-revert", "v", "s"]);
    in_doubt(other);
    // None of that is said of one that boots.
    host.ok(&["start", "v"]);
    let mut guest = Guest::connected(&stage.line);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    host.assert_is("v", "shut off (shutdown)", &cause, "witnessed");
}

#[test]
fn a_reset_that_may_be_a_crash_kernels_is_no_success_behind_a_save_either() {
    for (is_in_doubt, answer) in [(false, "shut off (shutdown)"), (true, "shut off (unknown)")] {
        let stage = Stage::new();
        let _guest = stage.start(&["-no-reboot"]);
        let host = &stage.host;
        if is_in_doubt {
            host.note("v", Duration::ZERO, "GAP", &json!({}));
        }
        host.ok(&["managedsave", "v"]);
        host.ok(&["start", "v"]);
        Guest::taken(&stage.line).press('r');
        assert_eq!(host.wait("v"), answer);
    }
}
