//! What the limits of a process do to a supervisor.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{Host, finish, is_alive, send, until};

/// Sets how long the files may become that a process writes.
fn limit_files(pid: i32, bytes: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:")]);
    assert_eq!(finish(prlimit).code, Some(0));
}

#[test]
fn a_supervisor_whose_files_may_not_grow_waits_until_they_may() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
    limit_files(supervisor, "1");
    send(qemu, Signal::SIGKILL);
    until("QEMU's death", || !is_alive(qemu));
    assert_eq!(host.answer("v"), "shut off (crashed)");
    assert!(is_alive(supervisor));
    limit_files(supervisor, "unlimited");
    assert_eq!(host.wait("v"), "shut off (crashed)");
    host.wait_for_event("v", "DOMSTATE_EXITED");
    let killed = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
    assert_eq!(host.json("v")["cause"], killed);
}
