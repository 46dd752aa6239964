//! A disk that is full when a guest ends or a verb acts: what is told is true meanwhile, and it is written down as soon
//! as there is room.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Guest, Host, is_alive, is_root, processes_with, s, send, until};
use super::monitor::Monitor;

/// The same on other file systems.
mod file_systems;
/// The same of a quota.
mod quota;
/// The same of a disk that may not be written.
mod read_only;
/// The last of the room.
mod room;
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
    assert_eq!(host.answer("v"), "paused (user)");
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

/// Asks for a start and checks that it is answered for what it is: the guest runs, or one error is told and the old
/// answer stands, or a run that failed is told of. Whether it started.
fn start_where_it_may_fail(host: &Host, why: &str) -> bool {
    let before = host.json("v");
    let line = host.line("v");
    let said = host.domstate(&["start", "v"]);
    let now = host.json("v");
    if said.code == Some(0) {
        assert_eq!(now["state"], "running", "{why}");
        Guest::connected(&line);
        host.ok(&["destroy", "v"]);
        return true;
    }
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(1), ""),
        "{why}: {said:?}"
    );
    assert_eq!(
        lines[0], "error: Failed to start domain 'v'",
        "{why}: {said:?}"
    );
    let errors = lines.iter().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 2, "{why}: {said:?}");
    if now["run"] == before["run"] {
        assert_eq!(now, before, "{why}");
        let told = lines[1].contains("No space left on device");
        assert!(told, "{why}: {said:?}");
    } else {
        assert_eq!(now["reason"], "failed", "{why}: {now} {said:?}");
        assert_ne!(
            now["cause"]["message"],
            Value::Null,
            "{why}: {now} {said:?}"
        );
    }
    let link = host.state_dir().join("v/state.json");
    if let Ok(text) = fs::read_to_string(&link) {
        assert!(text.contains(r#""state":"shut off""#), "{why}: {text}");
    }
    let leftover = fs::read_dir(host.state_dir().join("v")).unwrap().flatten();
    let names: Vec<_> = leftover.map(|entry| entry.file_name()).collect();
    let known = ["domain.json", "lock", "runs", "state.json"];
    assert!(
        names
            .iter()
            .all(|name| known.contains(&&*name.to_string_lossy())),
        "{why}: {names:?}"
    );
    false
}

fn ended_on(host: &Host, options: &str) -> Disk {
    let disk = Disk::mount(host, options);
    let mut guest = host.start("v", &[]);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    settled(host);
    disk
}

#[test]
fn a_start_on_a_full_disk_fails_with_one_error_and_leaves_the_old_answer() {
    if !is_root("a_start_on_a_full_disk_fails_with_one_error_and_leaves_the_old_answer") {
        return;
    }
    let host = Host::new();
    let disk = ended_on(&host, "size=2m");
    let mut started = 0;
    for pages in 0..30 {
        disk.fill(pages * 4096);
        let why = format!("{pages} pages left");
        let is_started = start_where_it_may_fail(&host, &why);
        assert!(!is_started || pages > 0, "{why}");
        started += u32::from(is_started);
        disk.make_room();
        until("the supervisor's end", || supervisors(&host).is_empty());
    }
    assert!(started > 0, "it never started: the test has to leave more");
}

#[test]
fn a_start_that_runs_out_of_inodes_fails_with_one_error_and_leaves_the_old_answer() {
    if !is_root("a_start_that_runs_out_of_inodes_fails_with_one_error_and_leaves_the_old_answer") {
        return;
    }
    let host = Host::new();
    let disk = ended_on(&host, "size=4m,nr_inodes=200");
    let folder = disk.path().join(".inodes");
    let mut started = 0;
    for left in 0..14 {
        fs::create_dir(&folder).unwrap();
        let files = (0..200).map(|n| folder.join(n.to_string()));
        let made: Vec<PathBuf> = files
            .take_while(|path| File::create(path).is_ok())
            .collect();
        made.iter()
            .take(left)
            .for_each(|path| fs::remove_file(path).unwrap());
        let is_started = start_where_it_may_fail(&host, &format!("{left} inodes left"));
        started += u32::from(is_started);
        fs::remove_dir_all(&folder).unwrap();
        until("the supervisor's end", || supervisors(&host).is_empty());
    }
    assert!(started > 0, "it never started: the test has to leave more");
}

#[test]
fn run_on_a_full_disk_tells_the_truth_and_returns() {
    if !is_root("run_on_a_full_disk_tells_the_truth_and_returns") {
        return;
    }
    for (reserve, letter, wanted, code) in [
        ("there", 'o', "shut off (shutdown)", Some(0)),
        ("there", 'p', "shut off (crashed)", Some(3)),
        // Nothing tells how it ended but that there was no room to tell.
        ("used up", 'o', "shut off (unknown)", Some(6)),
        ("used up", 'p', "shut off (unknown)", Some(6)),
    ] {
        let host = Host::new();
        let disk = Disk::mount(&host, "size=2m");
        let line = host.line("v");
        let argv = host.argv("v", &["-device", "pvpanic"]);
        let mut command = host.command(&["run", "v", "--"]);
        command
            .args(argv)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let mut guest = Guest::connected(&line);
        disk.fill(0);
        if reserve == "used up" {
            use_up_reserve(&host);
        }
        guest.press(letter);
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let why = format!("reserve {reserve}, {letter}: {stdout}{stderr}");
        assert_eq!(stdout.lines().last(), Some(wanted), "{why}");
        assert_eq!(output.status.code(), code, "{why}");
        let lost = stderr.contains("error: cannot keep how run 1 of 'v' ended: No space left");
        assert_eq!(lost, reserve == "used up", "{why}");
        let text = fs::read_to_string(host.state_dir().join("v/state.json"));
        assert!(text.map_or(true, |text| text.contains("shut off")), "{why}");
        disk.make_room();
        let answer = host.answer("v");
        // Whoever finds it has nothing to go by.
        let wanted = [wanted, "shut off (crashed)"];
        assert!(wanted.contains(&answer.as_str()), "{why}: {answer}");
    }
}

#[test]
fn who_killed_a_guest_whose_time_was_up_says_so_where_there_is_no_room_for_it() {
    if !is_root("who_killed_a_guest_whose_time_was_up_says_so_where_there_is_no_room_for_it") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    let line = host.line("v");
    let mut command = host.command(&["run", "--timeout", "2", "v", "--"]);
    command.args(host.argv("v", &[])).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let _guest = Guest::connected(&line);
    // It obeys SIGKILL only.
    send(host.qemu_pid("v"), Signal::SIGSTOP);
    disk.fill(0);
    use_up_reserve(&host);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = (said.lines().last(), output.status.code());
    assert_eq!(
        told,
        (Some("shut off (destroyed)"), Some(124)),
        "{output:?}"
    );
}
