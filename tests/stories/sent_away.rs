//! A guest that somebody else at the monitor sends away, before a job of ours or in the middle of it; and a guest whose job
//! meets what somebody else has set there.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Guest, Host, finish_child, send, spawn, until};
use super::jobs::{SLOW, UNLIMITED, assert_no_file};
use super::monitor::Monitor;

pub(super) const SENT_AWAY: &str =
    "somebody else has QEMU send the guest away, and not where it was to go";

/// The guest is where somebody has sent it, and does not run here.
pub(super) fn is_elsewhere(host: &Host, monitor: &mut Monitor) {
    host.assert_is("v", "paused (migrating)", &Value::Null, "witnessed");
    let status = monitor.execute("query-status", &json!({}));
    assert_eq!(status["running"], false, "{}", host.journal("v"));
    assert_eq!(host.domstate(&["resume", "v"]).code, Some(1));
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (unknown)");
    assert_eq!(host.json("v")["cause"]["kind"], "maybe-migrated");
}

/// Has QEMU send the guest into this file.
fn send_away(host: &Host, to: &str, bytes_per_second: u64) -> Monitor {
    let mut monitor = host.third_party("v");
    let limit = json!({"max-bandwidth": bytes_per_second});
    monitor.execute("migrate-set-parameters", &limit);
    let there = json!({"uri": format!("exec:cat > {to}")});
    monitor.execute("migrate", &there);
    monitor
}

/// An empty disk that can hold snapshots.
fn make_disk(path: &str) {
    let mut make = Command::new("qemu-img");
    make.args(["create", "-q", "-f", "qcow2", path, "1M"]);
    assert!(make.status().unwrap().success());
}

/// A command of which strace holds back a call on the journal for two seconds: which, and the first one or a later.
fn held_back(host: &Host, args: &[&str], call: &str, number: usize) -> Child {
    let journal = host.run_folder("v").join("journal");
    let inject = format!("inject={call}:delay_enter=2000000:when={number}");
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-P", journal.to_str().unwrap()]);
    strace.args(["-e", &format!("trace={call}"), "-e", &inject]);
    strace.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
    strace.env("DOMSTATE_DIR", host.state_dir());
    let asked = || host.journal("v").matches("DOMSTATE_ASKED").count();
    let before = asked();
    let child = spawn(strace);
    until("the request", || asked() > before);
    child
}

#[test]
fn a_job_is_refused_while_somebody_else_sends_the_guest_away() {
    let host = Host::new();
    let (file, elsewhere) = (host.path("file"), host.path("elsewhere"));
    let mut guest = host.start_slow(&[]);
    let mut monitor = send_away(&host, &elsewhere, SLOW);
    host.wait_for_event("v", "\"active\"");
    let why = format!("error: Requested operation is not valid: {SENT_AWAY}\n");
    let jobs: [(&[&str], &str); 6] = [
        (
            &["save", "v", &file],
            &format!("Failed to save domain 'v' to {file}"),
        ),
        (&["managedsave", "v"], "Failed to save domain 'v' state"),
        (
            &["dump", "v", &file],
            &format!("Failed to core dump domain 'v' to {file}"),
        ),
        (
            &["dump", "v", &file, "--memory-only"],
            &format!("Failed to core dump domain 'v' to {file}"),
        ),
        (&["snapshot-create-as", "v", "s"], ""),
        (&["migrate", "v", "unix:/nowhere"], ""),
    ];
    for (job, what) in jobs {
        let what = match what {
            "" => String::new(),
            what => format!("error: {what}\n"),
        };
        let said = host.domstate(job);
        assert_eq!(said.code, Some(1), "{job:?}: {said:?}");
        assert!(said.stderr.ends_with(&format!("{what}{why}")), "{said:?}");
    }
    assert_no_file(&file);
    host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    guest.answers();
    // It stays: then it can be saved.
    monitor.execute("migrate_cancel", &json!({}));
    host.wait_for_event("v", "\"cancelled\"");
    let unlimited = json!({"max-bandwidth": UNLIMITED});
    monitor.execute("migrate-set-parameters", &unlimited);
    host.ok(&["save", "v", &file]);
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn what_somebody_else_sends_away_while_a_job_is_being_asked_for_is_not_the_jobs() {
    // A slow disk: until the request is on it QEMU is told nothing.
    for (args, call) in [
        (["save", "v", "FILE"], "fsync,fdatasync"),
        (["dump", "v", "FILE"], "fsync,fdatasync"),
        (["migrate", "v", "unix:FILE"], "fsync,fdatasync"),
    ] {
        let host = Host::new();
        let (file, elsewhere) = (host.path("file"), host.path("elsewhere"));
        let _guest = host.start_large(&[]);
        let args = args.map(|word| word.replace("FILE", &file));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let job = held_back(&host, &args, call, 1);
        let mut monitor = send_away(&host, &elsewhere, UNLIMITED);
        host.wait_for_event("v", "\"completed\"");
        let said = finish_child(job);
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        assert!(said.stderr.contains(SENT_AWAY), "{args:?}: {said:?}");
        assert_no_file(&file);
        assert!(Path::new(&elsewhere).exists());
        is_elsewhere(&host, &mut monitor);
    }
}

#[test]
fn a_paused_guest_that_somebody_lets_run_before_it_is_written_is_saved_all_the_same() {
    let host = Host::new();
    let mut guest = host.start_large(&[]);
    host.ok(&["suspend", "v"]);
    // Before it says that QEMU is told.
    let save = held_back(&host, &["managedsave", "v"], "write", 2);
    host.third_party("v").execute("cont", &json!({}));
    guest.answers();
    let said = finish_child(save);
    assert_eq!(said.code, Some(0), "{said:?}\n{}", host.journal("v"));
    assert_eq!(host.answer("v"), "shut off (saved)");
    let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
    host.ok(&["resume", "v"]);
    guest.answers();
}

#[test]
fn a_guest_of_which_somebody_takes_a_snapshot_has_gone_nowhere() {
    let host = Host::new();
    let (file, disk) = (host.path("file"), host.path("disk.qcow2"));
    make_disk(&disk);
    let drive = format!("file={disk},format=qcow2,if=ide");
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-drive", &drive, "-qmp", &third_party]);
    let mut monitor = host.third_party("v");
    let mut keep = |tag: &str| {
        let line = json!({"command-line": format!("savevm {tag}")});
        let said = monitor.execute("human-monitor-command", &line);
        assert_eq!(said, "", "{}", host.journal("v"));
    };
    keep("ran");
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    guest.answers();
    host.ok(&["suspend", "v"]);
    keep("stood");
    host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
    host.ok(&["dump", "v", &host.path("core"), "--memory-only"]);
    host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
    host.ok(&["save", "v", &file]);
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn what_somebody_has_set_for_his_migrations_spoils_no_image_and_no_snapshot() {
    let host = Host::new();
    let (file, disk) = (host.path("file"), host.path("disk.qcow2"));
    make_disk(&disk);
    let drive = format!("file={disk},format=qcow2,if=ide");
    let mut guest = host.start_large(&["-drive", &drive]);
    let set = json!({"capabilities": [{"capability": "x-ignore-shared", "state": true}]});
    host.third_party("v")
        .execute("migrate-set-capabilities", &set);
    host.ok(&["snapshot-create-as", "v", "s"]);
    guest.answers();
    host.third_party("v")
        .execute("migrate-set-capabilities", &set);
    host.ok(&["save", "v", &file]);
    let mut guest = host.restore(&file, &[]);
    assert_eq!(host.answer("v"), "running (restored)");
    guest.answers();
    host.ok(&["snapshot-revert", "v", "s"]);
    assert_eq!(host.answer("v"), "running (from snapshot)");
    Guest::answers(&mut guest);
}

#[test]
fn a_guest_whose_disks_are_thrown_away_with_qemu_is_not_taken_from_them() {
    let host = Host::new();
    let (file, disk) = (host.path("file"), host.path("disk"));
    fs::write(&disk, [0; 1024]).unwrap();
    let drive = format!("file={disk},format=raw,if=ide,index=0");
    for options in [
        vec!["-snapshot", "-drive", &drive],
        vec!["-drive", &format!("{drive},snapshot=on")],
    ] {
        let mut guest = host.start("v", &options);
        guest.press('w');
        guest.hears("ok");
        let (there, managed) = (["save", "v", &file], ["managedsave", "v"]);
        for job in [&there[..], &managed, &["migrate", "v", "unix:/nowhere"]] {
            let said = host.domstate(job);
            assert_eq!(said.code, Some(1), "{job:?}: {said:?}");
            assert!(said.stderr.contains("snapshot"), "{job:?}: {said:?}");
            assert!(said.stderr.contains("is thrown away"), "{job:?}: {said:?}");
        }
        assert_no_file(&file);
        assert_eq!(host.answer("v"), "running (booted)");
        guest.answers();
        host.ok(&["destroy", "v"]);
    }
    // Without a disk nothing can be lost.
    let _guest = host.start("v", &["-snapshot"]);
    host.ok(&["save", "v", &file]);
}
