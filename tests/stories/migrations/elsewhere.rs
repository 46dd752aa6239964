//! What is not all here is left alone: a guest that was handed over, has gone, has not arrived, or ends on its way.

use std::process::{Child, Command};

use nix::sys::signal::Signal;
use serde_json::json;

use super::Journey;
use crate::harness::{Host, finish_child, send, spawn};

/// A guest that is being handed over, slowly.
fn handed_over() -> (Journey, Child) {
    let journey = Journey::slow();
    journey.limit("max-bandwidth", 20_000);
    journey.limit("max-postcopy-bandwidth", 4096);
    let migrate = journey.migrate(&["--postcopy"]);
    journey.host.wait_for("d", "running (post-copy)");
    journey.host.wait_for("v", "paused (post-copy)");
    (journey, migrate)
}

#[test]
fn nothing_is_done_to_what_is_left_of_a_guest_that_was_handed_over() {
    let (mut journey, migrate) = handed_over();
    send(i32::try_from(migrate.id()).unwrap(), Signal::SIGKILL);
    finish_child(migrate);
    let file = journey.host.folder().join("file").display().to_string();
    let words = "Requested operation is not valid: the guest has been handed over to another QEMU";
    for args in [
        &["dump", "v", &file, "--memory-only"] as &[&str],
        &["dump", "v", &file],
        &["save", "v", &file],
        &["migrate", "v", "unix:/nowhere"],
        &["snapshot-create-as", "v", "s"],
        &["suspend", "v"],
        &["resume", "v"],
        &["reset", "v"],
        &["reboot", "v"],
    ] {
        let refused = journey.host.domstate(args);
        assert_eq!(refused.code, Some(1), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(words), "{args:?}: {refused:?}");
        assert_eq!(journey.host.answer("v"), "paused (post-copy)", "{args:?}");
    }
    // What has arrived is not all of it.
    let words = "Requested operation is not valid: the guest has not arrived yet";
    for args in [
        &["dump", "d", &file, "--memory-only"] as &[&str],
        &["save", "d", &file],
        &["migrate", "d", "unix:/nowhere"],
        &["snapshot-create-as", "d", "s"],
        &["reset", "d"],
    ] {
        let refused = journey.host.domstate(args);
        assert_eq!(refused.code, Some(1), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(words), "{args:?}: {refused:?}");
        assert_eq!(journey.host.answer("d"), "running (post-copy)", "{args:?}");
    }
    journey.limit("max-postcopy-bandwidth", 0);
    assert_eq!(journey.host.wait("v"), "shut off (migrated)");
    journey.has_arrived();
}

#[test]
fn a_hand_over_that_a_third_party_cancels_does_not_let_the_guest_run_twice() {
    let (mut journey, migrate) = handed_over();
    let cancel = r#"{"execute":"migrate_cancel"}"#;
    let cancelled = journey.host.ok(&["qemu-monitor-command", "v", cancel]);
    if cancelled.contains("cannot cancel") {
        // QEMU 10 and 11.
        journey.limit("max-postcopy-bandwidth", 0);
        assert_eq!(finish_child(migrate).code, Some(0));
        journey.has_arrived();
        return;
    }
    assert_eq!(finish_child(migrate).code, Some(1));
    journey.host.wait_for("v", "paused (post-copy failed)");
    let resumed = journey.host.domstate(&["resume", "v"]);
    assert_eq!(resumed.code, Some(1), "{resumed:?}");
    let mut monitor = journey.host.third_party("v");
    let running = monitor.execute("query-status", &json!({}))["running"].clone();
    assert_eq!(running, json!(false), "{}", journey.host.journal("v"));
}

#[test]
fn a_guest_that_somebody_else_sent_away_stays_away() {
    let mut journey = Journey::new();
    let mut monitor = journey.host.third_party("v");
    monitor.execute("migrate", &json!({"uri": journey.way}));
    journey.host.wait_for("d", "running (migrated)");
    journey.host.wait_for_event("v", "\"completed\"");
    let file = journey.host.folder().join("file").display().to_string();
    for args in [
        &["dump", "v", &file, "--memory-only"] as &[&str],
        &["dump", "v", &file],
        &["resume", "v"],
    ] {
        let refused = journey.host.domstate(args);
        assert_eq!(refused.code, Some(1), "{args:?}: {refused:?}");
        assert_eq!(journey.host.answer("v"), "paused (migrating)", "{args:?}");
    }
    journey.destination.answers();
}

#[test]
fn who_resumes_a_guest_looks_again_once_it_is_his_turn() {
    let journey = Journey::new();
    journey.host.ok(&["suspend", "v"]);
    let mut resume = Command::new("strace");
    resume.args([
        "-o",
        "/dev/null",
        "-e",
        "inject=connect:delay_enter=2000000",
    ]);
    resume
        .arg(env!("CARGO_BIN_EXE_domstate"))
        .args(["resume", "v"]);
    resume.env("DOMSTATE_DIR", journey.host.state_dir());
    let resume = spawn(resume);
    journey.host.wait_for_event("v", "\"resume\"");
    let migrate = journey.migrate(&[]);
    journey.host.wait_for_event("v", "\"completed\"");
    send(i32::try_from(migrate.id()).unwrap(), Signal::SIGSTOP);
    assert_eq!(finish_child(resume).code, Some(1));
    assert!(journey.host.journal("v").matches("\"RESUME\"").count() == 1);
    send(i32::try_from(migrate.id()).unwrap(), Signal::SIGCONT);
    finish_child(migrate);
    assert_eq!(journey.host.answer("v"), "shut off (migrated)");
    assert_eq!(journey.host.answer("d"), "paused (user)");
}

#[test]
fn a_guest_that_comes_to_an_end_on_its_way_stays_and_its_end_is_told() {
    for (letter, options, answer) in [
        (
            'p',
            &["--on-crash", "preserve"] as &[&str],
            "crashed (panicked)",
        ),
        ('p', &["--on-crash", "restart"], "running (crashed)"),
        ('o', &["--on-poweroff", "restart"], "running (booted)"),
        ('s', &[], "pmsuspended (unknown)"),
    ] {
        let mut journey = Journey::with_options(&["slow"], options);
        journey.limit("max-bandwidth", 400_000);
        let migrate = journey.migrate(&[]);
        journey.is_under_way();
        journey.source.press(letter);
        let said = finish_child(migrate);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("before it could be sent"), "{said:?}");
        journey.host.wait_for("v", answer);
        assert_eq!(journey.host.wait("d"), "shut off (failed)");
    }
}

#[test]
fn a_guest_that_has_not_arrived_is_left_alone() {
    let mut journey = Journey::new();
    for verb in ["suspend", "resume", "reset", "reboot", "dompmwakeup"] {
        let refused = journey.host.domstate(&[verb, "d"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("has not arrived yet"),
            "{refused:?}"
        );
        assert_eq!(journey.host.answer("d"), "paused (migrating)");
    }
    journey.host.ok(&["migrate", "v", &journey.way]);
    journey.has_arrived();
}

#[test]
fn after_a_migration_that_failed_the_guest_can_be_saved() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let file = host.folder().join("file").display().to_string();
    for option in [&[] as &[&str], &["--postcopy"]] {
        let args = [&["migrate", "v", "unix:/nowhere"], option].concat();
        assert_eq!(host.domstate(&args).code, Some(1));
        host.ok(&["dump", "v", &file]);
        guest.answers();
    }
    host.ok(&["save", "v", &file]);
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn a_migration_that_never_began_is_not_taken_for_one_of_before() {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-qmp", &third_party]);
    let file = host.folder().join("file").display().to_string();
    // QEMU calls it a migration that has completed.
    host.ok(&["dump", "v", &file]);
    let mut killed = Command::new("strace");
    killed.args(["-o", "/dev/null", "-e"]);
    killed.arg("inject=fsync,fdatasync:signal=SIGKILL:when=1");
    killed.arg(env!("CARGO_BIN_EXE_domstate"));
    killed.args(["migrate", "v", "unix:/nowhere"]);
    killed.env("DOMSTATE_DIR", host.state_dir());
    finish_child(spawn(killed));
    assert!(host.journal("v").contains("\"migrate\""));
    host.ok(&["suspend", "v"]);
    host.ok(&["resume", "v"]);
    // Refused by QEMU before it begins.
    host.ok(&["dump", "v", &file]);
    let mut monitor = host.third_party("v");
    let capability = json!({"capability": "x-ignore-shared", "state": true});
    monitor.execute(
        "migrate-set-capabilities",
        &json!({"capabilities": [capability]}),
    );
    drop(monitor);
    let refused = host.domstate(&["migrate", "v", "unix:/nowhere", "--postcopy"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(host.answer("v"), "running (unpaused)");
    guest.answers();
}
