//! `run` on a full disk: it tells the truth, what it did itself included, and returns.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::{Disk, use_up_reserve};
use crate::harness::{Guest, Host, is_root, send};

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
