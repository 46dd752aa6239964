//! What is refused a snapshot before it is stopped, and what cannot be loaded.

use std::path::PathBuf;

use serde_json::json;

use super::{Stage, make_disk};
use crate::harness::{Guest, with_argv};

#[test]
fn what_cannot_hold_a_snapshot_is_refused_before_the_guest_is_stopped() {
    let take = ["snapshot-create-as", "v", "s1"];
    {
        let stage = Stage::new();
        let _guest = stage.start_with(&[]);
        stage.refuses(
            &take,
            "error: unsupported configuration: internal and full system snapshots require all disks to be \
             selected for snapshot\n",
        );
    }
    {
        let stage = Stage::new();
        let raw = stage.host.folder().join("raw");
        make_disk(&raw, "raw");
        let drive = format!("file={},format=raw,if=ide,index=3,id=d3", raw.display());
        let _guest = stage.start(&["-drive", &drive]);
        stage.refuses(
            &take,
            "error: unsupported configuration: internal snapshot for disk d3 unsupported for storage type raw\n",
        );
        assert!(!stage.is_held("s1"));
    }
    let thrown_away = |option: &str| {
        format!(
            "error: Requested operation is not valid: '{option}': what the guest writes is thrown away with QEMU, \
             and a snapshot would be too\n"
        )
    };
    {
        let stage = Stage::new();
        let drive = format!("{},snapshot=on", stage.drives()[0]);
        let _guest = stage.start_with(&["-drive", &drive]);
        stage.refuses(&take, &thrown_away("snapshot=on"));
    }
    {
        let stage = Stage::new();
        let _guest = stage.start(&["-snapshot"]);
        stage.refuses(&take, &thrown_away("-snapshot"));
    }
    {
        // Said where nobody looks for it.
        let stage = Stage::new();
        let drive = format!("{},id=d0", stage.drives()[0]);
        let _guest = stage.start_with(&["-drive", &drive, "-set", "drive.d0.snapshot=on"]);
        stage.refuses(&take, &thrown_away("snapshot=on"));
    }
}

#[test]
fn a_name_that_is_taken_or_none_is_refused_before_the_guest_is_stopped() {
    let (stage, mut guest) = Stage::started();
    stage.create("s1");
    let taken = "error: operation failed: domain moment s1 already exists\n";
    stage.refuses(&["snapshot-create-as", "v", "s1"], taken);
    // In the disks alone.
    let path = stage.host.state_dir().join("v/snapshots/s1.json");
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    stage.refuses(&["snapshot-create-as", "v", "s1"], taken);
    assert!(stage.is_held("s1"));
    for name in ["../s1", ".s1", ""] {
        let said = stage.host.domstate(&["snapshot-create-as", "v", name]);
        let begin = format!("error: invalid snapshot name '{name}': use letters");
        assert!(said.stderr.starts_with(&begin), "{said:?}");
        assert_eq!(said.code, Some(1));
    }
    let unknown =
        "error: Domain snapshot not found: no domain snapshot with matching name '../s1'\n";
    stage.refuses(&["snapshot-revert", "v", "../s1"], unknown);
    // Kept by us, and in no disk any more.
    std::fs::write(&path, kept).unwrap();
    stage.delete("s1");
    std::fs::write(&path, forged("s1", &stage.disks)).unwrap();
    let said = stage.host.domstate(&["snapshot-revert", "v", "s1"]);
    assert_eq!(said.code, Some(1));
    let words = "error: Failed to revert snapshot s1\nerror: operation failed: disk ide0-hd0 does not hold snapshot";
    assert!(said.stderr.starts_with(words), "{said:?}");
    guest.answers();
    stage.delete("s1");
    stage.host.ok(&["destroy", "v"]);
    let off = "error: Requested operation is not valid: domain is not running\n";
    stage.host.refused(&["snapshot-create-as", "v", "s1"], off);
}

fn forged(name: &str, disks: &[PathBuf; 2]) -> String {
    let disk = |disk: &PathBuf| json!({"node": "#block1", "file": disk.to_str().unwrap()});
    let disks = disks.each_ref().map(disk);
    json!({"format": 2, "name": name, "created_at": "2026-11-25T14:37:58.872105Z", "running": true, "run": 1,
        "disks": disks})
    .to_string()
}

#[test]
fn a_guest_that_sleeps_in_memory_is_refused_a_snapshot() {
    let (stage, mut guest) = Stage::started();
    guest.press('s');
    stage.host.wait_for("v", "pmsuspended (unknown)");
    stage.refuses(
        &["snapshot-create-as", "v", "s1"],
        "error: Operation not supported: qemu doesn't support taking snapshots of PMSUSPENDED guests\n",
    );
}

#[test]
fn a_guest_of_which_a_part_was_loaded_stands_and_is_told_so() {
    let (stage, _guest) = Stage::started();
    stage.create("s1");
    stage.host.ok(&["destroy", "v"]);
    // Another machine: QEMU finds out when it has changed the disks already.
    let _guest = stage.start(&["-m", "32"]);
    let said = stage.host.domstate(&["snapshot-revert", "v", "s1"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let words = "error: Failed to revert snapshot s1\nerror: operation failed: ";
    assert!(said.stderr.starts_with(words), "{said:?}");
    assert_eq!(stage.host.answer("v"), "paused (api error)");
    stage.host.ok(&["destroy", "v"]);
    let inactive = stage.host.domstate(&["snapshot-revert", "v", "s1"]);
    let words = "error: Failed to revert snapshot s1\nerror: QEMU ended before it was ready (exit status 1)\n";
    assert!(inactive.stderr.starts_with(words), "{inactive:?}");
    assert_eq!(stage.host.answer("v"), "shut off (failed)");
}

/// QEMU takes the disks back before it loads the memory: who is saved beside them finds others than he left.
#[test]
fn a_saved_guest_is_not_taken_up_over_disks_that_a_revert_may_have_taken_back() {
    let (stage, guest) = Stage::started();
    stage.create("s1");
    stage.host.ok(&["managedsave", "v"]);
    drop(guest);
    let drives = stage.drives();
    let argv = stage.host.argv(
        "v",
        &["-drive", &drives[0], "-drive", &drives[1], "-m", "32"],
    );
    stage.host.ok(&with_argv(&["define", "v"], &argv));
    let said = stage.host.domstate(&["snapshot-revert", "v", "s1"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let image = stage.host.state_dir().join("v/managed.save");
    let why = format!(
        "error: Failed to start domain 'v'\nerror: cannot restore {}: its disks may have been taken back to a snapshot in run 2: \
         'start --force-boot' boots, 'managedsave-remove' forgets it, and 'restore' of that file takes it up all the same\n",
        image.display()
    );
    stage.host.refused(&["start", "v"], &why);
    assert!(image.exists());
    let line = stage.host.line("v");
    stage.host.ok(&["start", "v", "--force-boot"]);
    let mut guest = Guest::connected(&line);
    assert!(!image.exists());
    guest.answers();
}

#[test]
fn a_snapshot_that_lies_in_a_disk_which_the_guest_has_not_is_not_said_to_be_deleted() {
    let (stage, _guest) = Stage::started();
    stage.create("s1");
    stage.host.ok(&["destroy", "v"]);
    let drives = stage.drives();
    let _guest = stage.start_with(&["-drive", &drives[0]]);
    let why = format!(
        "error: Failed to delete snapshot s1\nerror: Requested operation is not valid: {} holds the snapshot, and is no disk that \
         the guest writes to now: delete it while the domain is not active\n",
        stage.disks[1].display()
    );
    stage.refuses(&["snapshot-delete", "v", "s1"], &why);
    assert_eq!(stage.listed(), ["s1"]);
    assert!(stage.is_held("s1"));
    stage.host.ok(&["destroy", "v"]);
    stage.delete("s1");
}

/// A QEMU that ends before it has a monitor has not come to the snapshot.
#[test]
fn a_saved_guest_is_taken_up_behind_a_revert_that_touched_no_disk_and_by_who_wants_it_behind_any() {
    let no_disk = "file=/nowhere,format=raw,if=none";
    for further in [&["-drive", no_disk][..], &["-m", "32"]] {
        let (stage, guest) = Stage::started();
        stage.create("s1");
        stage.host.ok(&["managedsave", "v"]);
        drop(guest);
        let drives = stage.drives();
        let mut args = vec!["-drive", &drives[0], "-drive", &drives[1]];
        args.extend(further);
        let argv = stage.host.argv("v", &args);
        stage.host.ok(&with_argv(&["define", "v"], &argv));
        let said = stage.host.domstate(&["snapshot-revert", "v", "s1"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        let image = stage.host.state_dir().join("v/managed.save");
        let touches = further[0] == "-m";
        let line = stage.host.line("v");
        match touches {
            false => stage.host.ok(&["start", "v"]),
            true => stage.host.ok(&["restore", image.to_str().unwrap()]),
        };
        Guest::taken(&line).answers();
        assert_eq!(stage.host.answer("v"), "running (restored)");
    }
}
