//! What is started need not be QEMU itself: a script, something like sudo, something that leaves things behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::signal::Signal;

use super::harness::{
    Guest, Host, exists, finish, finish_child, is_alive, processes_with, send, send_to, spawn,
    until, with_argv,
};

/// Starts a guest behind a shell script, which has QEMU's command line as its arguments.
fn start_behind(host: &Host, script: &str, qemu_args: &[&str]) -> Guest {
    let mut guest = host.start_argv("v", &[], &behind(host, script, qemu_args));
    guest.hears("READY");
    guest
}

/// Starts one that can exit by itself, behind a script that waits for it and has a status of its own.
fn start_behind_waiting(host: &Host) -> Guest {
    let exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
    start_behind(host, "\"$@\"\nexit 7", &exit)
}

fn assert_exits(host: &Host, guest: &mut Guest) {
    guest.press('x');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert_eq!(host.json("v")["cause"]["kind"], "guest-exit");
}

fn behind(host: &Host, script: &str, qemu_args: &[&str]) -> Vec<String> {
    let path = host.folder().join("wrapper.sh");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    let mut argv = vec!["sh".to_owned(), path.to_string_lossy().into_owned()];
    argv.extend(host.argv("v", qemu_args));
    argv
}

/// The parent of a process.
fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("PPid:"))
        .unwrap();
    line.trim().parse().unwrap()
}

/// Only QEMU has its journal open. What the process is called says nothing: QEMU may be run by a dynamic linker.
fn is_qemu(pid: i32) -> bool {
    let mut open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    open.any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.ends_with("journal")))
}

/// Several ends of a guest behind this wrapper, each told as it is without one.
fn assert_ends_are_told(script: &str) {
    let host = Host::new();
    let mut guest = start_behind(&host, script, &[]);
    assert_eq!(host.answer("v"), "running (booted)", "{script}");
    assert!(is_qemu(host.qemu_pid("v")), "{script}");
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)", "{script}");
    assert_eq!(host.json("v")["cause"]["kind"], "guest-shutdown");

    let _guest = start_behind(&host, script, &[]);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)", "{script}");
    assert_eq!(host.json("v")["cause"]["signal"], "SIGKILL", "{script}");
    assert_eq!(host.json("v")["certainty"], "witnessed", "{script}");

    let _guest = start_behind(&host, script, &[]);
    let qemu = host.qemu_pid("v");
    assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
    assert!(!is_alive(qemu), "{script}");
    assert_eq!(host.answer("v"), "shut off (destroyed)", "{script}");
}

#[test]
fn a_wrapper_that_execs_is_qemu() {
    assert_ends_are_told("exec \"$@\"");
}

#[test]
fn a_wrapper_that_waits_for_qemu_is_not_taken_for_it() {
    assert_ends_are_told("\"$@\"\nexit 7");
}

#[test]
fn a_wrapper_that_closes_every_descriptor_as_sudo_does_leaves_qemus_life_and_end_known() {
    assert_ends_are_told(
        "exec python3 -c 'import os, sys\n\
         os.closerange(3, 1024)\n\
         os.execvp(sys.argv[1], sys.argv[1:])' \"$@\"",
    );
}

#[test]
fn a_wrapper_that_closes_every_descriptor_and_waits_leaves_qemus_life_and_end_known() {
    assert_ends_are_told(
        "exec python3 -c 'import os, subprocess, sys\n\
         os.closerange(3, 1024)\n\
         sys.exit(subprocess.call(sys.argv[1:]))' \"$@\"",
    );
}

#[test]
fn a_wrapper_that_leaves_qemu_in_the_background_and_is_done_has_started_it() {
    assert_ends_are_told("\"$@\" &\nexit 0");
}

#[test]
fn a_wrapper_that_leaves_a_slow_qemu_in_the_background_and_is_done_has_started_it() {
    assert_ends_are_told("(sleep 0.5; exec \"$@\") &\nexit 0");
}

#[test]
fn a_wrapper_that_is_called_as_qemu_is_not_taken_for_it() {
    let host = Host::new();
    let mut argv = behind(&host, "(sleep 0.5; exec \"$@\") &\nexit 0", &[]).split_off(1);
    let shim = host.folder().join("qemu-system-x86_64");
    fs::rename(&argv[0], &shim).unwrap();
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
    argv[0] = shim.to_string_lossy().into_owned();
    let mut guest = host.start_argv("v", &[], &argv);
    guest.hears("READY");
    assert_eq!(host.answer("v"), "running (booted)");
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn a_wrapper_that_is_killed_does_not_end_the_guest() {
    let host = Host::new();
    let mut guest = start_behind_waiting(&host);
    let qemu = host.qemu_pid("v");
    let wrapper = parent(qemu);
    assert!(!is_qemu(wrapper));
    send(wrapper, Signal::SIGKILL);
    host.wait_for_event("v", "DOMSTATE_EXITED");
    for _ in 0..3 {
        assert_eq!(host.answer("v"), "running (booted)");
    }
    assert_eq!(host.qemu_pid("v"), qemu);
    let said = host.domstate(&["start", "v"]);
    assert_eq!(said.stderr, "error: Domain is already active\n");
    assert_exits(&host, &mut guest);
    assert_eq!(host.json("v")["certainty"], "witnessed");
}

#[test]
fn a_wrapper_and_its_supervisor_may_both_be_killed_and_the_guest_is_still_known() {
    let host = Host::new();
    let mut guest = start_behind_waiting(&host);
    let qemu = host.qemu_pid("v");
    let wrapper = parent(qemu);
    host.kill_supervisor("v");
    send(wrapper, Signal::SIGKILL);
    until("the wrapper's death", || !is_alive(wrapper));
    assert_eq!(host.answer("v"), "running (booted)");
    host.wait_for_event("v", "DOMSTATE_EXITED");
    assert_eq!(host.answer("v"), "running (booted)");
    assert_eq!(host.qemu_pid("v"), qemu);
    assert_exits(&host, &mut guest);
}

/// A command that does not end by itself, and goes with the host, by the folder on its command line.
fn left_behind(host: &Host) -> String {
    format!("tail -f /dev/null '{}/left'", host.folder().display())
}

#[test]
fn what_a_wrapper_leaves_behind_keeps_neither_a_dead_guest_alive_nor_the_next_from_starting() {
    let host = Host::new();
    let script = format!("{} &\nexec \"$@\"", left_behind(&host));
    for end in ['o', 'k'] {
        let mut guest = start_behind(&host, &script, &[]);
        let qemu = host.qemu_pid("v");
        let expected = if end == 'o' {
            guest.press('o');
            "shut off (shutdown)"
        } else {
            send(qemu, Signal::SIGKILL);
            "shut off (crashed)"
        };
        assert_eq!(host.wait("v"), expected);
        for _ in 0..3 {
            assert_eq!(host.answer("v"), expected);
        }
    }
    let left = processes_with(&format!("{}/left", host.folder().display()));
    assert!(left.len() >= 2, "nothing was left behind: {left:?}");
    let mut guest = start_behind(&host, &script, &[]);
    // Also where nobody sees the end.
    let qemu = host.qemu_pid("v");
    host.kill_supervisor("v");
    guest.press('o');
    until("QEMU's end", || !is_alive(qemu));
    assert_eq!(host.answer("v"), "shut off (shutdown)");
    let _guest = host.start("v", &[]);
    assert_eq!(host.answer("v"), "running (booted)");
}

#[test]
fn a_wrapper_that_fails_is_a_start_that_failed() {
    let host = Host::new();
    let argv = behind(&host, "echo no such luck >&2\nexit 3", &[]);
    let args = with_argv(&["start", "v"], &argv);
    let said = host.domstate(&args);
    assert_eq!(said.code, Some(1));
    let words = "error: Failed to start domain 'v'\n\
                 error: QEMU ended before it was ready (exit status 3)\n";
    assert!(said.stderr.starts_with(words), "{said:?}");
    assert!(said.stderr.contains("no such luck"), "{said:?}");
    assert_eq!(host.answer("v"), "shut off (failed)");
}

#[test]
fn a_wrapper_that_fails_and_leaves_something_behind_is_a_start_that_failed() {
    let host = Host::new();
    let script = format!("{} &\nexit 3", left_behind(&host));
    let argv = behind(&host, &script, &[]);
    let args = with_argv(&["start", "v"], &argv);
    let said = host.domstate(&args);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(host.answer("v"), "shut off (failed)");
    let _guest = host.start("v", &[]);
    assert_eq!(host.answer("v"), "running (booted)");
}

#[test]
fn a_guest_is_destroyed_whose_wrapper_ends_first_and_leaves_a_qemu_that_begins() {
    // The wrapper obeys, or has gone already, and QEMU comes after it.
    for (end, is_there) in [("wait", true), ("exit", false)] {
        let host = Host::new();
        let gate = host.folder().join("gate");
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let line = host.line("v");
        let script = format!(
            "( read -r line <'{}'; exec \"$@\" ) &\n{end}",
            gate.display()
        );
        let argv = behind(&host, &script, &[]);
        let start = spawn(host.command(&with_argv(&["start", "v"], &argv)));
        until("a run", || {
            host.state_dir().join("v/runs/00000001").exists()
        });
        host.wait_for_event("v", "DOMSTATE_SPAWNED");
        let wrapper = || {
            let found = processes_with("wrapper.sh");
            let of_host = |pid: &i32| {
                let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let words = String::from_utf8_lossy(&words).into_owned();
                words.starts_with("sh\0") && words.contains(host.folder().to_str().unwrap())
            };
            found.into_iter().filter(of_host).count()
        };
        let count = 1 + usize::from(is_there);
        until("the wrapper", || wrapper() == count);
        let destroy = spawn(host.command(&["destroy", "v"]));
        until("the wrapper's end", || wrapper() == 1);
        fs::write(&gate, "\n").unwrap();
        assert_eq!(
            finish_child(destroy).stdout,
            "Domain 'v' destroyed\n",
            "{end}"
        );
        assert_eq!(host.answer("v"), "shut off (destroyed)", "{end}");
        // It may have seen the guest run.
        finish_child(start);
        // Its supervisor has the last of it to write down.
        let folder = host.folder().to_string_lossy().into_owned();
        until("the end of all", || processes_with(&folder).is_empty());
        drop(line);
    }
}

#[test]
fn a_start_whose_supervisors_are_all_killed_gives_up_and_leaves_the_rest_to_the_next_command() {
    let host = Host::new();
    let argv = behind(&host, "exec tail -f \"$0\"", &[]);
    let mut start = spawn(host.command(&with_argv(&["start", "v"], &argv)));
    until("a run", || {
        host.state_dir().join("v/runs/00000001").exists()
    });
    host.wait_for_event("v", "DOMSTATE_SPAWNED");
    until("the end of start", || {
        if let Some(supervisor) = host.noted_supervisor("v") {
            send_to(
                supervisor,
                "domstate-supervisor",
                rustix::process::Signal::KILL,
            );
        }
        start.try_wait().unwrap().is_some()
    });
    let said = finish_child(start);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(
        said.stderr,
        "error: Failed to start domain 'v'\n\
         error: nobody watches it: 10 supervisors died one after the other; its QEMU is left to the next command\n"
    );
    assert_eq!(host.answer("v"), "paused (starting up)");
    // What was launched is no QEMU, and its pid not the guest's.
    assert!(host.json("v")["id"].is_null());
    host.supervisor_pid("v");
    host.ok(&["destroy", "v"]);
    assert_eq!(host.answer("v"), "shut off (destroyed)");
}

#[test]
fn nobody_but_qemu_has_the_journal_open_to_write_only() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let journal = host.run_folder("v").join("journal");
    for args in [
        ["--reason", "v"],
        ["explain", "v"],
        ["suspend", "v"],
        ["destroy", "v"],
    ] {
        let trace = host.folder().join("trace");
        let mut traced = Command::new("strace");
        traced
            .args(["-e", "trace=openat", "-o"])
            .arg(&trace)
            .arg("-P")
            .arg(&journal);
        traced.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
        traced.env("DOMSTATE_DIR", host.state_dir());
        let said = finish(traced);
        assert_eq!(said.code, Some(0), "{said:?}");
        let trace = fs::read_to_string(&trace).unwrap();
        assert!(trace.contains("O_RDONLY"), "{trace}");
        // On ext4 it is looked whether it can be written.
        assert!(!trace.contains("O_WRONLY"), "{args:?}: {trace}");
    }
}

/// The status is the wrapper's who waits for it; on 7.2 it is all that tells (10 and 11 announce a shutdown).
#[test]
fn a_reset_of_a_guest_that_stood_ended_it_though_nobody_saw_its_qemu_go() {
    for verb in ["reset", "dump"] {
        let host = Host::new();
        let _guest = start_behind(&host, "\"$@\"\nexit 7", &["-no-reboot"]);
        let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
        send(supervisor, Signal::SIGSTOP);
        let file = host.path("core");
        if verb == "reset" {
            host.ok(&["suspend", "v"]);
            host.ok(&["reset", "v"]);
        } else {
            host.ok(&["dump", "--memory-only", "--reset", "v", &file]);
        }
        until("its end", || !exists(qemu));
        let told = host.json("v");
        let journal = host.journal("v");
        assert_eq!(told["reason"], "shutdown", "{verb}: {told} {journal}");
        assert_eq!(told["certainty"], "inferred", "{verb}: {told} {journal}");
        assert_eq!(told["cause"]["kind"], "asked", "{verb}: {told} {journal}");
        send(supervisor, Signal::SIGCONT);
    }
}

#[test]
fn a_guest_that_may_have_exited_by_itself_unseen_is_not_said_to_have_crashed() {
    let host = Host::new();
    let mut guest = start_behind_waiting(&host);
    let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
    send(supervisor, Signal::SIGSTOP);
    guest.press('x');
    until("its exit", || !is_alive(qemu));
    let told = host.json("v");
    let is_unknown = told["reason"] == "unknown" && told["certainty"] == "unknown";
    assert!(is_unknown || told["reason"] == "shutdown", "{told}");
    if is_unknown {
        assert_eq!(told["cause"]["kind"], "status-lost", "{told}");
    }
    send(supervisor, Signal::SIGCONT);
}
