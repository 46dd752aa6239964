//! What is done to a guest of whose record lines are lost: not what the rest of it says, where QEMU says otherwise.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::Host;

#[test]
fn a_guest_that_only_seems_to_stand_is_asked_to_shut_down() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    host.kill_supervisor("v");
    host.note("v", Duration::ZERO, "GAP", &json!({}));
    host.note_of_qemu("v", "STOP");
    host.assert_is("v", "paused (unknown)", &Value::Null, "inferred");
    let said = host.ok(&["shutdown", "v"]);
    assert_eq!(said, "Domain 'v' is being shutdown\n");
    host.wait_for_event("v", "\"POWERDOWN\"");
    guest.answers();
    host.ok(&["suspend", "v"]);
    let why = "error: Failed to shutdown domain 'v'\n\
               error: Requested operation is not valid: domain is not running\n";
    host.refused(&["shutdown", "v"], why);
}
