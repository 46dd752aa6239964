//! What QEMU calls the guest's own shutdown, or a reset that it did, may be somebody else's.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::harness::{Host, PATIENCE};

fn is_unattributed(host: &Host) {
    let why = "it says the same if the BMC cuts the power of one that hangs";
    let cause = json!({"kind": "unattributed", "why": why});
    host.wait("v");
    host.assert_is("v", "shut off (unknown)", &cause, "unknown");
}

#[test]
fn a_bmc_that_cuts_the_power_is_not_taken_for_the_guest() {
    let host = Host::new();
    let path = host.folder().join("bmc");
    // QEMU 7.2 falls over if the BMC is there before the machine.
    let line = format!("socket,id=ipmi,path={},server=on,wait=off", path.display());
    let _guest = host.start(
        "v",
        &[
            "-chardev",
            &line,
            "-device",
            "ipmi-bmc-extern,chardev=ipmi,id=bmc",
            "-device",
            "isa-ipmi-kcs,bmc=bmc",
        ],
    );
    let mut owner = UnixStream::connect(&path).unwrap();
    owner.set_read_timeout(Some(PATIENCE)).unwrap();
    // It is greeted; then VM_CMD_POWEROFF and the end of the command (QEMU, hw/ipmi/ipmi_bmc_extern.c, 7.2).
    assert!(owner.read(&mut [0; 64]).unwrap() > 0);
    owner.write_all(&[0x03, 0xa1]).unwrap();
    is_unattributed(&host);
}

#[test]
fn nor_is_the_guest_told_from_its_bmc() {
    let host = Host::new();
    let bmc = [
        "-device",
        "ipmi-bmc-sim,id=bmc",
        "-device",
        "isa-ipmi-kcs,bmc=bmc",
    ];
    let mut guest = host.start("v", &bmc);
    guest.press('o');
    is_unattributed(&host);
    let told = host.ok(&["explain", "v"]);
    assert!(
        told.contains("QEMU said that the guest shut down, but it says the same"),
        "{told}"
    );
}

#[test]
fn a_reset_that_qemu_outlives_leaves_a_paused_guest_paused() {
    let host = Host::new();
    let _guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    let mut third = host.third_party("v");
    let stays = json!({"shutdown": "pause", "reboot": "shutdown"});
    third.execute("set-action", &stays);
    third.execute("stop", &json!({}));
    third.execute("system_reset", &json!({}));
    host.wait_for_event("v", "SHUTDOWN");
    let status = third.execute("query-status", &json!({}))["status"].clone();
    assert_eq!(
        (status, host.answer("v").as_str()),
        (json!("paused"), "paused (unknown)")
    );
}
