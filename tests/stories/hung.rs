//! A QEMU that hangs: it lives, its main loop turns no more, and no signal but SIGKILL means anything to it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Child;

use nix::libc::{O_NONBLOCK, SYS_clock_nanosleep};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use super::harness::{Guest, Host, finish_child, send, spawn, until, with_argv};

/// A guest whose QEMU hangs since it wrote to a debug console that nobody reads: it tries again and again, with the lock of
/// the main loop held.
struct Hung {
    host: Host,
    qemu: i32,
    _console: File,
}

impl Hung {
    fn new() -> Self {
        let begun = Self::begun_by(|host, args| ((), host.start("v", args)));
        begun.0
    }

    /// One in the foreground.
    fn run() -> (Self, Child) {
        Self::begun_by(|host, args| {
            let line = host.line("v");
            let argv = host.argv("v", args);
            let run = spawn(host.command(&with_argv(&["run", "v"], &argv)));
            (run, Guest::connected(&line))
        })
    }

    fn begun_by<T>(begin: impl FnOnce(&Host, &[&str]) -> (T, Guest)) -> (Self, T) {
        let host = Host::new();
        let console = host.path("console");
        mkfifo(&*console, Mode::S_IRWXU).unwrap();
        let mut full = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NONBLOCK)
            .open(&console)
            .unwrap();
        let error = loop {
            if let Err(error) = full.write(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        // At the port to which the letter writes.
        let chardev = format!("file,id=console,path={console}");
        let device = "isa-debugcon,iobase=0xf4,chardev=console";
        let (begun, mut guest) = begin(&host, &["-chardev", &chardev, "-device", device]);
        let qemu = host.qemu_pid("v");
        host.supervisor_pid("v");
        guest.press('x');
        // It says so before it does it. Another thread of QEMU's sleeps like that, too, for a moment.
        guest.hears("x");
        until("a vCPU that waits with the lock held", || {
            let tasks = fs::read_dir(format!("/proc/{qemu}/task")).unwrap();
            let calls = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("syscall")));
            let sleeps = format!("{SYS_clock_nanosleep} ");
            calls.flatten().any(|call| call.starts_with(&sleeps))
        });
        let hung = Self {
            host,
            qemu,
            _console: full,
        };
        (hung, begun)
    }

    /// Kills it, once somebody has asked it to end, who does not get so far.
    fn is_killed_by_another(&self) {
        self.host.wait_for_event("v", "DOMSTATE_SENT");
        send(self.qemu, Signal::SIGKILL);
    }

    fn assert_crashed(&self) {
        let cause = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
        self.host.assert_ends("v", "shut off (crashed)", &cause);
        // And other programs read the same.
        until("state.json to say so", || {
            let text = fs::read_to_string(self.host.state_dir().join("v/state.json"));
            let state: Value = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
            state["reason"] == "crashed" && state["cause"] == cause
        });
    }
}

#[test]
fn a_hung_qemu_that_somebody_else_kills_while_it_is_destroyed_was_not_destroyed() {
    let hung = Hung::new();
    let host = &hung.host;
    assert_eq!(host.answer("v"), "running (booted)");
    let destroy = spawn(host.command(&["destroy", "v"]));
    hung.is_killed_by_another();
    let said = finish_child(destroy);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("domain is not running"), "{said:?}");
    hung.assert_crashed();
}

#[test]
fn a_run_of_a_hung_qemu_that_somebody_else_kills_while_it_is_destroyed_says_so() {
    let (hung, run) = Hung::run();
    let destroy = spawn(hung.host.command(&["destroy", "v"]));
    hung.is_killed_by_another();
    let said = finish_child(run);
    let told = (said.code, said.stdout.as_str());
    assert_eq!(told, (Some(3), "shut off (crashed)\n"), "{said:?}");
    assert_eq!(finish_child(destroy).code, Some(1));
    hung.assert_crashed();
}

#[test]
fn a_hung_qemu_that_somebody_else_kills_while_its_run_is_told_to_stop_was_not_stopped_by_that() {
    let (hung, run) = Hung::run();
    send(i32::try_from(run.id()).unwrap(), Signal::SIGTERM);
    hung.is_killed_by_another();
    let said = finish_child(run);
    let told = (said.code, said.stdout.as_str());
    assert_eq!(told, (Some(3), "shut off (crashed)\n"), "{said:?}");
    hung.assert_crashed();
}

#[test]
fn a_hung_qemu_is_killed_by_destroy_and_by_nothing_gentler() {
    let hung = Hung::new();
    let host = &hung.host;
    let said = host.domstate(&["destroy", "v", "--graceful"]);
    assert_eq!((said.code, &*said.stdout), (Some(1), ""), "{said:?}");
    assert!(said.stderr.contains("did not end within 10 s"), "{said:?}");
    assert_eq!(host.answer("v"), "running (booted)");
    assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
    let json = host.json("v");
    assert_eq!(host.answer("v"), "shut off (destroyed)", "{json}");
    assert_eq!(json["cause"]["verb"], "destroy", "{json}");
    assert_eq!(json["certainty"], "witnessed", "{json}");
}
