//! A disk that is full when a guest ends or a verb acts: what is told is true meanwhile, and it is written down as soon
//! as there is room.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Host, is_alive, is_root, processes_with, s, send, until};
use super::monitor::Monitor;

/// The same on other file systems.
mod file_systems;
/// A run in the foreground.
mod foreground;
/// The same of a quota.
mod quota;
/// The same of a disk that may not be written.
mod read_only;
/// The last of the room.
mod room;
/// A start where there is little room for it.
mod starts;
/// The disk.
pub(super) mod volume;

pub(super) use volume::Disk;

fn journal_path(host: &Host) -> PathBuf {
    host.run_folder("v").join("journal")
}

/// Uses up the room that is kept for the last words, with lines that say nothing.
fn use_up_reserve(host: &Host) {
    let mut journal = OpenOptions::new()
        .append(true)
        .open(journal_path(host))
        .unwrap();
    for size in [4096, 1] {
        while journal.write_all(&vec![b'\n'; size]).is_ok() {}
    }
}

fn supervisors(host: &Host) -> Vec<i32> {
    processes_with(&host.state_dir().to_string_lossy())
}

/// How often it has slept.
fn looks(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let sleeps = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    sleeps.unwrap().trim().parse().unwrap()
}

/// Waits until everything is written down, and what other programs read says so too.
fn settled(host: &Host) {
    until("the supervisor's end", || supervisors(host).is_empty());
    assert!(host.journal("v").contains("DOMSTATE_EXITED"));
    let text = fs::read_to_string(host.state_dir().join("v/state.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["state"], "shut off", "{text}");
    let answer = host.answer("v");
    assert_eq!(
        answer,
        format!("shut off ({})", value["reason"].as_str().unwrap())
    );
}

#[test]
fn on_a_full_disk_the_last_words_have_room_and_the_answer_is_true() {
    if !is_root("on_a_full_disk_the_last_words_have_room_and_the_answer_is_true") {
        return;
    }
    for (how, wanted) in [
        ("power off", "shut off (shutdown)"),
        ("panic", "shut off (crashed)"),
        ("SIGKILL", "shut off (crashed)"),
        ("SIGTERM", "shut off (destroyed)"),
        ("destroy", "shut off (destroyed)"),
    ] {
        let host = Host::new();
        let disk = Disk::mount(&host, "size=2m");
        let mut guest = host.start("v", &["-device", "pvpanic"]);
        host.supervisor_pid("v");
        disk.fill(0);
        assert_eq!(host.answer("v"), "running (booted)");
        assert_eq!(host.json("v")["certainty"], "witnessed");
        host.ok(&["suspend", "v"]);
        assert_eq!(host.answer("v"), "paused (user)");
        host.ok(&["resume", "v"]);
        assert_eq!(host.answer("v"), "running (unpaused)");
        guest.end(&host, how);
        host.wait_for("v", wanted);
        until("the record", || {
            host.journal("v").contains("DOMSTATE_EXITED")
        });
        assert_eq!(host.answer("v"), wanted, "{how}, full");
        assert_eq!(host.json("v")["certainty"], "witnessed", "{how}");
        // What other programs read is the truth, or not there.
        until("no stale checkpoint", || {
            let text = fs::read_to_string(host.state_dir().join("v/state.json"));
            text.map_or(true, |text| text.contains("shut off"))
        });
        disk.make_room();
        settled(&host);
        assert_eq!(host.answer("v"), wanted, "{how}, room again");
    }
}

#[test]
fn when_the_last_words_were_lost_no_end_is_told_for_a_better_one() {
    if !is_root("when_the_last_words_were_lost_no_end_is_told_for_a_better_one") {
        return;
    }
    let bad = ["shut off (crashed)", "shut off (unknown)"];
    for (how, wanted) in [
        ("power off", &bad[..]),
        ("panic", &bad),
        ("SIGKILL", &bad[..1]),
        (
            "SIGTERM",
            &[
                "shut off (destroyed)",
                "shut off (crashed)",
                "shut off (unknown)",
            ],
        ),
    ] {
        let host = Host::new();
        let disk = Disk::mount(&host, "size=2m");
        let mut guest = host.start("v", &["-device", "pvpanic"]);
        host.supervisor_pid("v");
        let qemu = host.qemu_pid("v");
        disk.fill(0);
        use_up_reserve(&host);
        // What nobody could explain afterwards is not done.
        let said = host.domstate(&["suspend", "v"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.stderr.contains("No space left on device"), "{said:?}");
        assert!(said.stderr.lines().count() <= 2, "{said:?}");
        assert_eq!(host.answer("v"), "running (booted)");
        // It may have stopped since, and nobody could write that down.
        assert_eq!(host.json("v")["certainty"], "inferred");
        guest.end(&host, how);
        until("QEMU's end", || !is_alive(qemu));
        let full = host.answer("v");
        assert!(wanted.contains(&full.as_str()), "{how}, full: {full}");
        assert_eq!(host.wait("v"), full, "{how}: wait");
        assert!(!host.journal("v").contains("DOMSTATE_EXITED"));
        disk.make_room();
        settled(&host);
        let answer = host.answer("v");
        assert!(
            wanted.contains(&answer.as_str()),
            "{how}, room again: {answer}"
        );
        if how == "SIGKILL" {
            assert_eq!(host.json("v")["cause"]["signal"], "SIGKILL");
        }
    }
}

#[test]
fn a_guest_that_was_let_go_on_where_nobody_could_write_that_down_is_not_said_to_be_suspended() {
    if !is_root("a_guest_that_was_let_go_on_where_nobody_could_write_that_down") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    let third_party_socket = host.third_party_socket("v");
    let mut guest = host.start("v", &["-qmp", &third_party_socket]);
    host.supervisor_pid("v");
    host.ok(&["suspend", "v"]);
    disk.fill(0);
    use_up_reserve(&host);
    host.third_party("v").execute("cont", &json!({}));
    guest.answers();
    // QEMU is asked.
    assert_eq!(host.answer("v"), "running (unknown)");
    assert_eq!(host.json("v")["certainty"], "inferred");
    let said = host.domstate(&["suspend", "v"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.stderr.contains("No space left on device"), "{said:?}");
}

#[test]
fn a_guest_can_be_destroyed_on_a_disk_without_room_for_a_single_line() {
    if !is_root("a_guest_can_be_destroyed_on_a_disk_without_room_for_a_single_line") {
        return;
    }
    // One that is stopped obeys SIGKILL only.
    for is_stopped in [false, true] {
        let host = Host::new();
        let disk = Disk::mount(&host, "size=2m");
        let _guest = host.start("v", &[]);
        host.supervisor_pid("v");
        let qemu = host.qemu_pid("v");
        disk.fill(0);
        use_up_reserve(&host);
        if is_stopped {
            send(qemu, Signal::SIGSTOP);
        }
        assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
        assert!(!is_alive(qemu));
        let bad = [
            "shut off (destroyed)",
            "shut off (crashed)",
            "shut off (unknown)",
        ];
        let is_told_truly = || {
            let told = host.json("v");
            let answer = format!("{} ({})", s(&told["state"]), s(&told["reason"]));
            assert!(bad.contains(&answer.as_str()), "{told}");
            // It did not crash.
            let is_sure = answer == "shut off (crashed)" && told["certainty"] == "witnessed";
            assert!(!is_sure, "{told}");
        };
        is_told_truly();
        disk.make_room();
        settled(&host);
        is_told_truly();
    }
}

#[test]
fn an_end_that_nobody_has_written_down_is_told_as_before_once_the_disk_is_full() {
    if !is_root("an_end_that_nobody_has_written_down_is_told_as_before_once_the_disk_is_full") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    let mut guest = host.start("v", &["-no-reboot"]);
    let supervisor = host.supervisor_pid("v");
    send(supervisor, Signal::SIGSTOP);
    guest.press('r');
    until("the guest's end", || {
        host.answer("v") == "shut off (shutdown)"
    });
    disk.fill(0);
    let told = host.json("v");
    assert_eq!(s(&told["cause"]["kind"]), "guest-reset", "{told}");
    assert_eq!(told["certainty"], "witnessed", "{told}");
    send(supervisor, Signal::SIGCONT);
    settled(&host);
    assert_eq!(host.answer("v"), "shut off (shutdown)");
}

#[test]
fn where_lines_of_qemus_had_no_room_that_is_on_record_as_soon_as_there_is_room() {
    if !is_root("where_lines_of_qemus_had_no_room_that_is_on_record_as_soon_as_there_is_room") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    let mut guest = host.start("v", &[]);
    let supervisor = host.supervisor_pid("v");
    disk.fill(0);
    use_up_reserve(&host);
    // It has looked since, and looks again.
    let looks = || looks(supervisor);
    let before = looks();
    until("a supervisor that looks again", || looks() > before + 2);
    let mut monitor = Monitor::connect(&host.run_folder("v").join("qmp.sock"));
    monitor.execute("stop", &json!({}));
    let why = "error: whether a disk has failed cannot be known\n";
    host.refused(&["domblkerror", "v"], why);
    disk.make_room();
    until("that lines are lost", || {
        host.journal("v").contains("DOMSTATE_GAP")
    });
    assert_eq!(host.json("v")["certainty"], "inferred");
    // It is told as it ran, and stands.
    drop(monitor);
    assert_eq!(host.answer("v"), "running (booted)");
    host.ok(&["resume", "v"]);
    guest.answers();
}
