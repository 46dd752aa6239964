//! A guest that somebody else at the monitor sends away, before a job of ours or in the middle of it; and a guest whose job
//! meets what somebody else has set there.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Host, finish_child, send, spawn, until};
use super::jobs::{SLOW, UNLIMITED, assert_no_file};
use super::monitor::Monitor;

pub(super) const SENT_AWAY: &str = "somebody else has QEMU send the guest away";

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
    // Those of a migration of ours would have it wait for a word.
    let off = |name: &str| json!({"capability": name, "state": false});
    let waits = ["pause-before-switchover", "return-path"].map(off);
    monitor.execute("migrate-set-capabilities", &json!({"capabilities": waits}));
    let there = json!({"uri": format!("exec:cat > {to}")});
    monitor.execute("migrate", &there);
    monitor
}

/// The `-drive` of an empty disk that can hold snapshots.
fn drive(host: &Host) -> String {
    let disk = host.path("disk.qcow2");
    let mut make = Command::new("qemu-img");
    make.args(["create", "-q", "-f", "qcow2", &disk, "1M"]);
    assert!(make.status().unwrap().success());
    format!("file={disk},format=qcow2,if=ide")
}

/// A command of which strace holds back a call on the journal for two seconds, once this event is there.
fn held_back(host: &Host, args: &[&str], held: &str, event: &str) -> Child {
    let journal = host.run_folder("v").join("journal");
    let (call, _) = held.split_once(':').unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-P", journal.to_str().unwrap()]);
    strace.args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={held}")]);
    strace.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
    strace.env("DOMSTATE_DIR", host.state_dir());
    let count = || host.journal("v").matches(event).count();
    let before = count();
    let child = spawn(strace);
    until(event, || count() > before);
    child
}

/// Its request is there, and not yet sure to be on the disk: QEMU is told nothing.
fn asks(host: &Host, args: &[&str]) -> Child {
    let held = "fsync,fdatasync:delay_enter=2000000:when=1";
    held_back(host, args, held, "DOMSTATE_ASKED")
}

/// It has written down that QEMU is told, and has not told it.
fn is_about_to_tell(host: &Host, args: &[&str]) -> Child {
    let held = "write:delay_exit=2000000:when=2";
    held_back(host, args, held, "DOMSTATE_STREAM_ASKED")
}

/// Jobs that have QEMU write the guest, into or to FILE.
const JOBS: [[&str; 3]; 3] = [
    ["save", "v", "FILE"],
    ["dump", "v", "FILE"],
    ["migrate", "v", "unix:FILE"],
];

/// The same with this file.
fn into(job: [&str; 3], file: &str) -> [String; 3] {
    job.map(|word| word.replace("FILE", file))
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
    for (held, why) in [
        (asks as fn(&Host, &[&str]) -> Child, SENT_AWAY),
        // QEMU refuses to do it twice.
        (is_about_to_tell, "previous migration"),
    ] {
        for job in JOBS {
            let host = Host::new();
            let (file, elsewhere) = (host.path("file"), host.path("elsewhere"));
            let _guest = host.start_large(&[]);
            let args = into(job, &file);
            let job = held(&host, &args.each_ref().map(String::as_str));
            let mut monitor = send_away(&host, &elsewhere, UNLIMITED);
            host.wait_for_event("v", "\"completed\"");
            let said = finish_child(job);
            assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
            assert!(said.stderr.contains(why), "{args:?}: {said:?}");
            assert_no_file(&file);
            assert!(Path::new(&elsewhere).exists());
            is_elsewhere(&host, &mut monitor);
        }
    }
}

#[test]
fn what_somebody_else_sends_away_when_a_worker_has_died_before_it_told_qemu_is_not_let_run_here() {
    for job in JOBS {
        let host = Host::new();
        let (file, elsewhere) = (host.path("file"), host.path("elsewhere"));
        let _guest = host.start_large(&[]);
        let supervisor = host.supervisor_pid("v");
        send(supervisor, Signal::SIGSTOP);
        let args = into(job, &file);
        let job = is_about_to_tell(&host, &args.each_ref().map(String::as_str));
        send(worker(&host), Signal::SIGKILL);
        finish_child(job);
        let mut monitor = send_away(&host, &elsewhere, UNLIMITED);
        host.wait_for_event("v", "\"completed\"");
        send(supervisor, Signal::SIGCONT);
        host.wait_for_event("v", "DOMSTATE_FAILED");
        assert_no_file(&file);
        is_elsewhere(&host, &mut monitor);
    }
}

/// The process that asked last.
fn worker(host: &Host) -> i32 {
    let journal = host.journal("v");
    let mut lines = journal.lines().rev();
    let asked = lines.find(|line| line.contains("DOMSTATE_ASKED"));
    let asked: Value = serde_json::from_str(asked.unwrap()).unwrap();
    i32::try_from(asked["data"]["pid"].as_i64().unwrap()).unwrap()
}

#[test]
fn a_paused_guest_that_somebody_lets_run_before_it_is_written_is_saved_all_the_same() {
    let host = Host::new();
    let mut guest = host.start_large(&[]);
    host.ok(&["suspend", "v"]);
    // Before it says that QEMU is told.
    let held = "write:delay_enter=2000000:when=2";
    let save = held_back(&host, &["managedsave", "v"], held, "DOMSTATE_ASKED");
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
fn a_snapshot_of_somebody_elses_just_before_qemu_is_told_does_not_spoil_the_job() {
    for (job, answer) in [
        (JOBS[0], "shut off (saved)"),
        (JOBS[1], "running (unpaused)"),
    ] {
        let host = Host::new();
        let _guest = host.start_large(&["-drive", &drive(&host)]);
        let args = into(job, &host.path("file"));
        let job = is_about_to_tell(&host, &args.each_ref().map(String::as_str));
        keep(&mut host.third_party("v"), "kept");
        let said = finish_child(job);
        assert_eq!(said.code, Some(0), "{said:?}\n{}", host.journal("v"));
        assert_eq!(host.answer("v"), answer);
    }
}

#[test]
fn not_even_a_small_guest_is_written_to_its_end_before_qemus_answer_is_on_record() {
    // All of it, 190 KB, would have room in a pipe: nobody could tell whose it is if the worker died then.
    let host = Host::new();
    let _guest = host.start("v", &["-M", "isapc", "-m", "1"]);
    let file = host.path("file");
    let held = "write:delay_enter=1000000:when=3";
    let save = held_back(&host, &["save", "v", &file], held, "\"setup\"");
    assert_eq!(finish_child(save).code, Some(0));
    let journal = host.journal("v");
    let at = |event: &str| journal.find(event).unwrap();
    assert!(
        at("DOMSTATE_STREAM_ANSWERED") < at("\"completed\""),
        "{journal}"
    );
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn a_guest_of_which_somebody_takes_a_snapshot_has_gone_nowhere() {
    let host = Host::new();
    let (file, drive) = (host.path("file"), drive(&host));
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-drive", &drive, "-qmp", &third_party]);
    let mut monitor = host.third_party("v");
    keep(&mut monitor, "ran");
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    guest.answers();
    host.ok(&["suspend", "v"]);
    keep(&mut monitor, "stood");
    host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
    host.ok(&["dump", "v", &host.path("core"), "--memory-only"]);
    host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
    host.ok(&["save", "v", &file]);
    assert_eq!(host.answer("v"), "shut off (saved)");
}

/// Takes a snapshot as a third party.
fn keep(monitor: &mut Monitor, tag: &str) {
    let line = json!({"command-line": format!("savevm {tag}")});
    let said = monitor.execute("human-monitor-command", &line);
    assert_eq!(said, "");
}

#[test]
fn a_guest_of_which_a_snapshot_is_taken_while_it_sleeps_or_after_its_panic_is_all_here() {
    let host = Host::new();
    let (file, drive) = (host.path("file"), drive(&host));
    let third_party = host.third_party_socket("v");
    let args = ["-device", "pvpanic", "-drive", &drive, "-qmp", &third_party];
    let mut guest = host.start_with("v", &["--on-crash", "preserve"], &args);
    guest.press('s');
    host.wait_for("v", "pmsuspended (unknown)");
    keep(&mut host.third_party("v"), "slept");
    host.ok(&["dompmwakeup", "v"]);
    assert_eq!(host.answer("v"), "running (event wakeup)");
    guest.hears("READY");
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    keep(&mut host.third_party("v"), "panicked");
    assert_eq!(host.answer("v"), "crashed (panicked)");
    host.ok(&["dump", "v", &host.path("core"), "--memory-only"]);
    host.ok(&["reset", "v"]);
    host.ok(&["resume", "v"]);
    guest.hears("READY");
    host.ok(&["save", "v", &file]);
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn a_guest_whose_migration_was_cancelled_is_not_ended_because_somebody_took_a_snapshot_of_it() {
    let host = Host::new();
    let mut guest = host.start_slow(&["-drive", &drive(&host)]);
    let way = host.path("way");
    let _destination = UnixListener::bind(&way).unwrap();
    let migrate = spawn(host.command(&["migrate", "v", &format!("unix:{way}")]));
    host.wait_for_event("v", "DOMSTATE_STREAM_ANSWERED");
    // QEMU 7.2 overlooks what comes before that.
    host.wait_for_event("v", "\"active\"");
    let worker = i32::try_from(migrate.id()).unwrap();
    send(worker, Signal::SIGSTOP);
    let mut monitor = host.third_party("v");
    monitor.execute("migrate_cancel", &json!({}));
    host.wait_for_event("v", "\"cancelled\"");
    keep(&mut monitor, "kept");
    send(worker, Signal::SIGCONT);
    assert_eq!(finish_child(migrate).code, Some(1));
    guest.answers();
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
}

#[test]
fn what_somebody_has_set_for_his_migrations_spoils_no_image_and_no_snapshot() {
    let host = Host::new();
    let (file, drive) = (host.path("file"), drive(&host));
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
    guest.answers();
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
