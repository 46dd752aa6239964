//! What an adversary broke once: each story was a false answer, a hang or a panic.

use nix::sys::signal::Signal;
use serde_json::json;

use super::harness::{Host, send};

/// A paused guest that may neither reboot nor let QEMU exit, after the reset button: QEMU stays and tells nobody.
fn reset_and_stayed() -> Host {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let args = ["-no-reboot", "-no-shutdown", "-qmp", &third_party];
    let _guest = host.start("v", &args);
    host.ok(&["suspend", "v"]);
    host.ok(&["reset", "v"]);
    host
}

#[test]
fn a_guest_that_stays_after_its_reset_is_destroyed_by_destroy() {
    let host = reset_and_stayed();
    host.ok(&["destroy", "v"]);
    assert_eq!(host.answer("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["cause"]["verb"], "destroy");
}

#[test]
fn what_ends_a_guest_that_stayed_after_its_reset_is_no_shutdown() {
    let host = reset_and_stayed();
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let host = reset_and_stayed();
    host.third_party("v").execute("quit", &json!({}));
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    let host = reset_and_stayed();
    host.ok(&["resume", "v"]);
    assert_eq!(host.json("v")["state"], "running");
}
