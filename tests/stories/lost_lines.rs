//! What is done to a guest of whose record lines are lost: not what the rest of it says, where QEMU says otherwise.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Guest, Host};

/// Above every pid that a kernel gives.
const NOBODYS_PID: u32 = 0x7fff_fff0;

fn note(host: &Host, event: &str, data: &Value) {
    host.note("v", Duration::ZERO, event, data);
}

/// A guest that runs, of which nobody has written that it does since it was stopped.
fn seems_to_stand() -> (Host, Guest) {
    let host = Host::new();
    let guest = host.start("v", &[]);
    host.kill_supervisor("v");
    note(&host, "GAP", &json!({}));
    host.note_of_qemu("v", "STOP");
    host.assert_is("v", "paused (unknown)", &Value::Null, "inferred");
    (host, guest)
}

#[test]
fn a_guest_that_only_seems_to_stand_is_asked_to_shut_down() {
    let (host, mut guest) = seems_to_stand();
    let said = host.ok(&["shutdown", "v"]);
    assert_eq!(said, "Domain 'v' is being shutdown\n");
    host.wait_for_event("v", "\"POWERDOWN\"");
    guest.answers();
    host.ok(&["suspend", "v"]);
    let why = "error: Failed to shutdown domain 'v'\n\
               error: Requested operation is not valid: domain is not running\n";
    host.refused(&["shutdown", "v"], why);
}

#[test]
fn a_guest_that_was_saved_and_runs_is_not_ended_for_that() {
    let (host, mut guest) = seems_to_stand();
    host.kill_supervisor("v");
    let file = host.folder().join("file");
    let worker = json!({
        "verb": "save", "uid": 0, "pid": NOBODYS_PID, "command": "domstate save", "start_ticks": 1, "began": 5,
        "file": file.to_str().unwrap(), "ran": true, "announces": false,
    });
    note(&host, "ASKED", &worker);
    for event in ["SENT", "DONE"] {
        note(&host, event, &json!({"verb": "save", "pid": NOBODYS_PID}));
    }
    host.ok(&["suspend", "v"]);
    host.ok(&["resume", "v"]);
    guest.answers();
    guest.press('o');
    // Its own word, though others are lost.
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}
