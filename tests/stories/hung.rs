//! A QEMU that hangs: it lives, its main loop turns no more, and no signal but SIGKILL means anything to it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::{O_NONBLOCK, SYS_clock_nanosleep};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use super::harness::{Host, finish_child, send, spawn, until};

/// A guest whose QEMU hangs since it wrote to a debug console that nobody reads: it tries again and again, with the lock of
/// the main loop held.
struct Hung {
    host: Host,
    qemu: i32,
    _console: File,
}

impl Hung {
    fn new() -> Self {
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
        let mut guest = host.start("v", &["-chardev", &chardev, "-device", device]);
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
        Self {
            host,
            qemu,
            _console: full,
        }
    }
}

#[test]
fn a_hung_qemu_that_somebody_else_kills_while_it_is_destroyed_was_not_destroyed() {
    let hung = Hung::new();
    let host = &hung.host;
    assert_eq!(host.answer("v"), "running (booted)");
    let destroy = spawn(host.command(&["destroy", "v"]));
    host.wait_for_event("v", "DOMSTATE_SENT");
    send(hung.qemu, Signal::SIGKILL);
    let said = finish_child(destroy);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("domain is not running"), "{said:?}");
    let cause = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
    host.assert_ends("v", "shut off (crashed)", &cause);
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
