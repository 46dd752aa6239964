//! Snapshots: a guest's state in its own disks, and what is kept beside them.

use std::path::Path;
use std::process::Command;

use super::super::harness::{Guest, Host};
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended};

/// A snapshot is taken, gone back to, and deleted, and another ends the guest.
pub(super) fn snapshots() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let disk = host.folder().join("disk.qcow2");
    make_disk(&disk);
    let drive = format!("file={},format=qcow2,if=ide", disk.display());
    let argv = host.argv("v", &["-drive", &drive, "-m", "2", "-name", "kept"]);
    let mut story = Recording::begin(host);
    let world =
        |snapshots: &[&'static str]| World::with("v", "kept", &[Run::Lived]).snapshots(snapshots);
    let defined = World::with("v", "kept", &[]);
    story.runs_argv(&["start", "v"], &argv, &[defined, world(&[])]);
    drop(Guest::connected(&line));
    story.runs(&["snapshot-create-as", "v", "one"], &[world(&["one"])]);
    story.runs(&["snapshot-revert", "v", "one"], &[world(&["one"])]);
    story.runs(
        &["snapshot-create-as", "v", "two"],
        &[world(&["one", "two"])],
    );
    story.runs(&["snapshot-delete", "v", "one"], &[world(&["two"])]);
    let over = World::with("v", "kept", &[ended("shut off (from snapshot)", "asked")]);
    let over = [
        over.clone().snapshots(&["two"]),
        over.snapshots(&["three", "two"]),
    ];
    story.runs(&["snapshot-create-as", "v", "three", "--halt"], &over);
    story.end()
}

fn make_disk(path: &Path) {
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .arg(path)
        .arg("4M")
        .status();
    assert!(made.unwrap().success());
}
