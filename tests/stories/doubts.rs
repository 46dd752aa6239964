//! What QEMU calls the guest's own shutdown, or a reset that it did, may be somebody else's.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::harness::{Guest, Host, PATIENCE, finish, with_argv};

fn is_unattributed(host: &Host) {
    let why = "it says the same if a BMC cuts the power of one that hangs";
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
fn a_bmc_in_a_file_of_options_is_seen_and_of_one_that_cannot_be_read_it_is_feared() {
    let host = Host::new();
    let bmc = "[device \"bmc\"]\n driver = \"ipmi-bmc-sim\"\n[device]\n driver = \"isa-ipmi-kcs\"\n bmc = \"bmc\"\n";
    fs::write(host.folder().join("bmc.cfg"), bmc).unwrap();
    let argv = host.argv("v", &["-readconfig", "bmc.cfg"]);
    // What is read goes by the working directory.
    let line = host.line("v");
    let mut start = host.command(&with_argv(&["start", "v"], &argv));
    start.current_dir(host.folder());
    let said = finish(start);
    assert_eq!(said.stdout, "Domain 'v' started\n", "{said:?}");
    let mut guest = Guest::taken(&line);
    guest.hears("READY");
    guest.press('o');
    is_unattributed(&host);

    let through_pipe = host.argv("v", &["-readconfig", "/dev/fd/7"]);
    let script = ["sh", "-c", "exec \"$@\" 7<<.\n# nothing\n.\n", "sh"].map(str::to_owned);
    let argv = [&script[..], &through_pipe].concat();
    let mut guest = host.start_argv("v", &[], &argv);
    guest.hears("READY");
    guest.press('o');
    is_unattributed(&host);
}

#[test]
fn what_a_file_of_options_says_is_done_at_the_end_is_known() {
    let host = Host::new();
    let file = |name: &str, text: &str| {
        let path = host.folder().join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let stays = file("stays.cfg", "[action]\n shutdown = \"pause\"\n");
    let mut guest = host.start("v", &["-readconfig", &stays]);
    guest.press('o');
    host.wait_for("v", "in shutdown (unknown)");
    let cause = json!({"kind": "guest-shutdown"});
    host.assert_is("v", "in shutdown (unknown)", &cause, "witnessed");
    host.ok(&["destroy", "v"]);

    let device = "[device]\n driver = \"isa-debug-exit\"\n iobase = \"0xf4\"\n iosize = \"4\"\n";
    let exits = file("exits.cfg", device);
    let mut guest = host.start("v", &["-readconfig", &exits]);
    guest.press('x');
    let cause = json!({"kind": "guest-exit", "status": 33});
    host.assert_ends("v", "shut off (shutdown)", &cause);
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
