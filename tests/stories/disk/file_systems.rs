//! What a run keeps for its last words is there on every file system that a host may have.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::settled;
use super::volume::{Disk, FileSystem};
use crate::guest::ENDS;
use crate::harness::{Host, finish, is_alive, is_root, not_run, processes_with, s, until};

/// Every file system that this host has; whoever reads the output sees which it has not.
fn those_here() -> Vec<FileSystem> {
    let mut here = FileSystem::ALL.to_vec();
    here.retain(|kind| {
        let lack = kind.lack();
        if let Some(lack) = &lack {
            not_run(&format!("on {}: {lack}", kind.name()));
        }
        lack.is_none()
    });
    here
}

#[test]
fn a_guest_that_lives_where_ext4_met_an_error_is_what_its_qemu_says() {
    if !is_root("a_guest_that_lives_where_ext4_met_an_error_is_what_its_qemu_says") {
        return;
    }
    if !those_here().contains(&FileSystem::Ext4) {
        return;
    }
    let host = Host::new();
    let _disk = Disk::of(&host, FileSystem::Ext4);
    let _guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    host.supervisor_pid("v");
    assert_eq!(host.json("v")["certainty"], "witnessed");
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,errors=remount-ro"]);
    assert!(remount.arg(host.state_dir()).status().unwrap().success());
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let place = format!(" {} ", host.state_dir().display());
    let mount = mounts.lines().find(|line| line.contains(&place)).unwrap();
    let device = mount.split(' ').next().unwrap().trim_start_matches("/dev/");
    fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "a").unwrap();
    host.third_party("v").execute("stop", &json!({}));
    assert_eq!(host.answer("v"), "paused (unknown)");
    assert_eq!(host.json("v")["certainty"], "inferred");
}

#[test]
fn on_every_file_system_a_full_disk_has_room_for_the_last_words() {
    if !is_root("on_every_file_system_a_full_disk_has_room_for_the_last_words") {
        return;
    }
    std::thread::scope(|scope| {
        for kind in those_here() {
            scope.spawn(move || has_room_for_last_words(kind));
        }
    });
}

fn has_room_for_last_words(kind: FileSystem) {
    for &(how, wanted) in ENDS {
        let host = Host::new();
        let disk = Disk::of(&host, kind);
        let mut guest = host.start("v", &["-device", "pvpanic"]);
        host.supervisor_pid("v");
        disk.fill(0);
        assert_eq!(host.answer("v"), "running (booted)", "{kind:?}");
        let qemu = host.qemu_pid("v");
        guest.end(&host, how);
        until("QEMU's end", || !is_alive(qemu));
        host.wait_for("v", wanted);
        until("the record", || {
            host.journal("v").contains("DOMSTATE_EXITED")
        });
        let told = host.json("v");
        assert_eq!(
            (host.answer("v").as_str(), &told["certainty"]),
            (wanted, &json!("witnessed")),
            "{kind:?}, {how}"
        );
        disk.make_room();
        settled(&host);
        assert_eq!(host.answer("v"), wanted, "{kind:?}, {how}, room again");
    }
}

#[test]
fn a_snapshot_of_the_file_system_is_a_copy() {
    if !is_root("a_snapshot_of_the_file_system_is_a_copy") {
        return;
    }
    if !those_here().contains(&FileSystem::Btrfs) {
        return;
    }
    let host = Host::new();
    let _disk = Disk::of(&host, FileSystem::Btrfs);
    let mut guest = host.start("v", &[]);
    // Its files have the numbers and the birth of the original's, on another device.
    let copy = host.state_dir().join("copy");
    let mut snapshot = Command::new("btrfs");
    snapshot.args(["subvolume", "snapshot"]);
    snapshot.arg(host.state_dir()).arg(&copy);
    let said = finish(snapshot);
    assert_eq!(said.code, Some(0), "{said:?}");
    let told = || {
        let said = host.domstate_in(&copy, &["--format", "json", "v"]);
        let told: Value = serde_json::from_str(&said.stdout).unwrap();
        ["state", "reason", "certainty"].map(|key| s(&told[key]).to_owned())
    };
    assert_eq!(told(), ["running", "booted", "inferred"]);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert_eq!(told(), ["shut off", "unknown", "unknown"]);
    let of_copy = processes_with(&copy.to_string_lossy());
    assert_eq!(of_copy, [] as [i32; 0]);
}
