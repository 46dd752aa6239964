//! What a domain goes through while it lives, and what it may be told then. The answers are those that libvirt 9.0.0
//! gave for the same steps.

use serde_json::{Value, json};

use super::harness::{Guest, Host, until};

/// Does `verb` to `v`, which must succeed with this message, and asserts the answer after it.
fn step(host: &Host, verb: &str, message: &str, answer: &str) {
    assert_eq!(host.ok(&[verb, "v"]), format!("{message}\n"));
    host.assert_is("v", answer, &Value::Null, "witnessed");
}

/// `v` must refuse `verb` with these words of libvirt's, and stay as it is.
fn guarded(host: &Host, verb: &str, words: &str) {
    let before = without_supervisor(host);
    let stderr = format!(
        "error: Failed to {verb} domain 'v'\nerror: Requested operation is not valid: {words}\n"
    );
    host.refused(&[verb, "v"], &stderr);
    assert_eq!(without_supervisor(host), before, "{verb}");
}

/// `v` without its supervisor, which may still have been about to leave.
fn without_supervisor(host: &Host) -> Value {
    let mut json = host.json("v");
    json["supervisor"] = Value::Null;
    json
}

fn assert_lives(host: &Host, answer: &str) {
    host.assert_is("v", answer, &Value::Null, "witnessed");
}

#[test]
fn a_guest_that_was_started_paused_runs_when_it_is_resumed() {
    let by_user = ["-S"];
    for (options, args) in [(&["--paused"][..], &[][..]), (&[], &by_user)] {
        let host = Host::new();
        let mut guest = host.start_still("v", options, args);
        assert_lives(&host, "paused (user)");
        step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
        guest.hears("READY");
        guest.answers();
    }
}

#[test]
fn suspend_resume_and_reset_lead_where_virsh_says() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    assert_lives(&host, "running (booted)");
    step(&host, "reset", "Domain 'v' was reset", "running (booted)");
    guest.hears("READY");
    step(&host, "suspend", "Domain 'v' suspended", "paused (user)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.answers();
    step(&host, "suspend", "Domain 'v' suspended", "paused (user)");
    step(&host, "reset", "Domain 'v' was reset", "paused (user)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
    step(&host, "reset", "Domain 'v' was reset", "running (unpaused)");
}

#[test]
fn a_stop_by_a_third_party_is_told_as_of_unknown_reason() {
    let host = Host::new();
    let _guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    let mut third_party = host.third_party("v");
    third_party.execute("stop", &json!({}));
    assert_lives(&host, "paused (unknown)");
    third_party.execute("cont", &json!({}));
    assert_lives(&host, "running (unpaused)");
    step(&host, "suspend", "Domain 'v' suspended", "paused (user)");
    third_party.execute("cont", &json!({}));
    assert_lives(&host, "running (unpaused)");
    third_party.execute("stop", &json!({}));
    // Not what the user asked for before.
    assert_lives(&host, "paused (unknown)");
}

#[test]
fn a_guest_that_sleeps_in_ram_is_pmsuspended_until_something_wakes_it() {
    let host = Host::new();
    let mut guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    guest.press('s');
    host.wait_for("v", "pmsuspended (unknown)");
    for verb in ["suspend", "resume"] {
        guarded(&host, verb, "domain is pmsuspended");
    }
    guarded(&host, "shutdown", "domain is not running");
    host.third_party("v").execute("system_wakeup", &json!({}));
    host.wait_for("v", "running (event wakeup)");
    guest.hears("READY");
    assert_lives(&host, "running (event wakeup)");
    step(&host, "suspend", "Domain 'v' suspended", "paused (user)");
}

#[test]
fn a_sleeping_guest_that_is_reset_waits_to_be_resumed() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    guest.press('s');
    host.wait_for("v", "pmsuspended (unknown)");
    step(&host, "reset", "Domain 'v' was reset", "paused (user)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
}

/// A disk that is full, as an argument of `-drive`.
pub(super) fn full_disk(host: &Host, werror: &str) -> String {
    let disk = host.folder().join("disk");
    std::fs::write(&disk, [0; 512]).unwrap();
    format!(
        "driver=blkdebug,image.driver=file,image.filename={},inject-error.0.event=none,inject-error.0.iotype=write,\
         inject-error.0.errno=28,werror={werror},if=ide,index=0",
        disk.display()
    )
}

#[test]
fn a_guest_whose_disk_fails_is_paused_each_time_it_tries() {
    let host = Host::new();
    let mut guest = host.start("v", &["-drive", &full_disk(&host, "stop")]);
    guest.press('w');
    host.wait_for("v", "paused (I/O error)");
    let mut cause = host.json("v")["cause"].clone();
    // QEMU makes up a name for a node that has none.
    assert!(cause["node"].is_string(), "{cause}");
    cause["node"] = Value::Null;
    let wanted = json!({
        "kind": "io-error", "device": "ide0-hd0", "node": null, "operation": "write", "nospace": true,
        "error": "No space left on device",
    });
    assert_eq!(cause, wanted);
    assert_eq!(host.ok(&["suspend", "v"]), "Domain 'v' suspended\n");
    assert_eq!(host.answer("v"), "paused (I/O error)");
    assert_eq!(host.ok(&["resume", "v"]), "Domain 'v' resumed\n");
    until("the second failure", || {
        host.journal("v").matches("\"STOP\"").count() == 2
    });
    // QEMU 10 tells why only a second later; until then it is `paused (unknown)`.
    host.wait_for("v", "paused (I/O error)");
    assert_eq!(host.json("v")["cause"]["kind"], "io-error");
    assert_eq!(host.json("v")["certainty"], "witnessed");
}

#[test]
fn a_disk_error_that_the_guest_is_told_of_changes_nothing() {
    let host = Host::new();
    let mut guest = host.start("v", &["-drive", &full_disk(&host, "report")]);
    guest.press('w');
    guest.hears("err");
    host.wait_for_event("v", "BLOCK_IO_ERROR");
    assert_lives(&host, "running (booted)");
}

#[test]
fn a_guest_that_its_watchdog_paused_says_so() {
    let host = Host::new();
    let watchdog = ["-device", "ib700", "-action", "watchdog=pause"];
    let mut guest = host.start("v", &watchdog);
    guest.press('g');
    host.wait_for("v", "paused (watchdog)");
    let cause = json!({"kind": "watchdog", "action": "pause"});
    host.assert_is("v", "paused (watchdog)", &cause, "witnessed");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.answers();
}

#[test]
fn a_watchdog_that_ends_nothing_changes_nothing() {
    for action in ["watchdog=none", "watchdog=reset"] {
        let host = Host::new();
        let mut guest = host.start("v", &["-device", "ib700", "-action", action]);
        guest.press('g');
        host.wait_for_event("v", "WATCHDOG");
        if action == "watchdog=reset" {
            guest.hears("READY");
        }
        guest.answers();
        assert_lives(&host, "running (booted)");
    }
}

#[test]
fn a_guest_that_loads_its_crash_kernel_or_resets_itself_runs_on() {
    let host = Host::new();
    let mut guest = host.start("v", &["-device", "pvpanic"]);
    guest.press('l');
    host.wait_for_event("v", "GUEST_CRASHLOADED");
    assert_lives(&host, "running (booted)");
    for letter in ['r', 't'] {
        guest.press(letter);
        guest.hears("READY");
        assert_lives(&host, "running (booted)");
    }
}

#[test]
fn a_guest_whose_crash_kernel_ends_it_has_crashed_and_is_nowhere_else_meanwhile() {
    for letter in ['o', 'r'] {
        let host = Host::new();
        let mut guest = host.start("v", &["-device", "pvpanic", "-no-reboot"]);
        guest.press('l');
        host.wait_for_event("v", "GUEST_CRASHLOADED");
        let said = host.domstate(&["save", "v", &host.path("v.save")]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("its crash kernel runs"), "{said:?}");
        assert_lives(&host, "running (booted)");
        guest.press(letter);
        assert_eq!(host.wait("v"), "shut off (crashed)", "{letter}");
        let cause = json!({"kind": "guest-panic", "info": null, "kept": null});
        host.assert_is("v", "shut off (crashed)", &cause, "witnessed");
    }
    // QEMU is not to heed a panic, and the kernel reboots for it.
    let host = Host::new();
    let mut guest = host.start(
        "v",
        &["-device", "pvpanic", "-no-reboot", "-action", "panic=none"],
    );
    guest.press('p');
    host.wait_for_event("v", "GUEST_PANICKED");
    guest.press('r');
    assert_eq!(host.wait("v"), "shut off (crashed)");
}

#[test]
fn what_makes_no_sense_is_refused_in_virshs_words() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    guarded(&host, "resume", "domain is already running");
    host.refused(&["start", "v"], "error: Domain is already active\n");
    host.ok(&["suspend", "v"]);
    guarded(&host, "shutdown", "domain is not running");
    host.refused(&["start", "v"], "error: Domain is already active\n");
    let before = host.json("v");
    assert_eq!(host.ok(&["suspend", "v"]), "Domain 'v' suspended\n");
    assert_eq!(host.json("v"), before);
    host.ok(&["resume", "v"]);
    guest.press('o');
    host.wait("v");
    for verb in ["suspend", "resume", "reset", "shutdown", "destroy"] {
        guarded(&host, verb, "domain is not running");
    }
}

#[test]
fn a_shutdown_that_the_guest_ignores_changes_nothing() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    step(
        &host,
        "shutdown",
        "Domain 'v' is being shutdown",
        "running (booted)",
    );
    host.wait_for_event("v", "POWERDOWN");
    guest.answers();
    assert_lives(&host, "running (booted)");
    // What was asked for and ignored is not why it ends.
    guest.press('o');
    host.assert_ends(
        "v",
        "shut off (shutdown)",
        &json!({"kind": "guest-shutdown"}),
    );
}

/// A source that runs, and a destination that waits for it; QEMU's name for the way between them.
fn migration(host: &Host) -> (Guest, Guest, String) {
    let way = format!("unix:{}", host.folder().join("way").display());
    let source = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    let destination = host.start_still("d", &[], &["-incoming", &way]);
    host.assert_is("d", "paused (migrating)", &Value::Null, "witnessed");
    (source, destination, way)
}

#[test]
fn a_guest_that_arrives_runs_migrated_and_may_not_run_twice() {
    let host = Host::new();
    let (_source, mut destination, way) = migration(&host);
    host.third_party("v")
        .execute("migrate", &json!({"uri": way}));
    host.wait_for("d", "running (migrated)");
    host.assert_is("d", "running (migrated)", &Value::Null, "witnessed");
    destination.answers();
    host.wait_for_event("v", "\"completed\"");
    assert_lives(&host, "paused (migrating)");
    guarded(&host, "resume", "the guest has been migrated away");
    destination.press('o');
    let shutdown = json!({"kind": "guest-shutdown"});
    host.assert_ends("d", "shut off (shutdown)", &shutdown);
}

#[test]
fn a_guest_that_was_paused_arrives_paused() {
    let host = Host::new();
    let (_source, mut destination, way) = migration(&host);
    host.ok(&["suspend", "v"]);
    host.third_party("v")
        .execute("migrate", &json!({"uri": way}));
    host.wait_for("d", "paused (user)");
    host.wait_for_event("v", "\"completed\"");
    guarded(&host, "resume", "the guest has been migrated away");
    host.ok(&["resume", "d"]);
    host.assert_is("d", "running (unpaused)", &Value::Null, "witnessed");
    destination.answers();
}

#[test]
fn a_destination_that_nobody_came_to_can_be_destroyed() {
    let host = Host::new();
    let _guests = migration(&host);
    host.ok(&["destroy", "d"]);
    assert_eq!(host.answer("d"), "shut off (destroyed)");
    assert_eq!(host.json("d")["cause"]["kind"], "asked");
    assert_lives(&host, "running (booted)");
}
