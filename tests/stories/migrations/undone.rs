//! Migrations that are cancelled, or do not arrive: the guest runs on at its source, or ended there.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{Backlog, listen};
use serde_json::json;

use super::{CANCELED, Journey};
use crate::harness::{Host, finish_child, send, spawn, with_argv};
use crate::jobs::{assert_failed, interrupt};

#[test]
fn a_migration_under_way_is_told_refuses_other_verbs_and_can_be_aborted() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    assert_eq!(journey.host.answer("v"), "running (booted)");
    let told = journey.host.ok(&["domjobinfo", "v"]);
    assert!(
        told.contains("Operation:        Outgoing migration"),
        "{told}"
    );
    for verb in ["suspend", "reset", "reboot", "managedsave"] {
        let refused = journey.host.domstate(&[verb, "v"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("is at it: migrate"), "{refused:?}");
    }
    assert_eq!(journey.host.ok(&["domjobabort", "v"]), "");
    assert_failed(&finish_child(migrate), CANCELED);
    journey.has_stayed(&["running (booted)"]);
}

#[test]
fn a_migration_that_a_third_party_cancels_at_its_last_step_leaves_the_guest_at_its_source() {
    for _ in 0..3 {
        let mut journey = Journey::slow();
        let migrate = journey.migrate(&[]);
        journey.is_under_way();
        // Who would let it go looks away.
        let worker = i32::try_from(migrate.id()).unwrap();
        send(worker, Signal::SIGSTOP);
        let mut monitor = journey.host.third_party("v");
        monitor.execute("migrate-set-parameters", &json!({"max-bandwidth": 0}));
        // From here on QEMU 7.2 may overlook it, and waits before the switchover for a word.
        monitor.hears("STOP");
        monitor.execute("migrate_cancel", &json!({}));
        send(worker, Signal::SIGCONT);
        assert_failed(&finish_child(migrate), CANCELED);
        journey.has_stayed(&["running (migration canceled)"]);
    }
}

#[test]
fn ctrl_c_cancels_a_migration() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    assert_failed(&interrupt(migrate), CANCELED);
    journey.has_stayed(&["running (booted)"]);
}

#[test]
fn a_destination_that_dies_leaves_the_guest_at_its_source() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    send(journey.host.qemu_pid("d"), Signal::SIGKILL);
    let said = finish_child(migrate);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("job 'migration out' failed"),
        "{said:?}"
    );
    journey.has_stayed(&["running (booted)", "running (migration canceled)"]);
}

#[test]
fn a_source_that_dies_takes_the_guest_with_it() {
    let journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    send(journey.host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(finish_child(migrate).code, Some(1));
    assert_eq!(journey.host.wait("v"), "shut off (crashed)");
    assert_eq!(journey.host.wait("d"), "shut off (failed)");
}

#[test]
fn a_command_that_dies_leaves_the_guest_at_its_source_also_without_a_supervisor() {
    for supervised in ["a supervisor", "none"] {
        let mut journey = Journey::slow();
        let migrate = journey.migrate(&[]);
        journey.is_under_way();
        if supervised == "none" {
            journey.host.kill_supervisor("v");
        }
        send(i32::try_from(migrate.id()).unwrap(), Signal::SIGKILL);
        finish_child(migrate);
        assert_eq!(journey.host.ok(&["suspend", "v"]), "Domain 'v' suspended\n");
        journey.host.ok(&["resume", "v"]);
        journey.has_stayed(&["running (unpaused)"]);
    }
}

/// An address of which nobody is told that nobody answers there, as long as what comes with it is kept.
fn silence() -> (String, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    (format!("tcp:{address}"), listener, queue)
}

#[test]
fn a_destination_that_does_not_answer_is_given_up_and_the_guest_runs_on() {
    let (way, _listener, _queue) = silence();
    for end in ["Ctrl-C", "domjobabort", "death"] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let migrate = spawn(host.command(&["migrate", "v", &way]));
        host.wait_for_event("v", "\"setup\"");
        let worker = i32::try_from(migrate.id()).unwrap();
        match end {
            "Ctrl-C" => send(worker, Signal::SIGINT),
            "domjobabort" => assert_eq!(host.ok(&["domjobabort", "v"]), ""),
            _ => send(worker, Signal::SIGKILL),
        }
        let said = finish_child(migrate);
        if end != "death" {
            assert_failed(&said, CANCELED);
        }
        assert_eq!(host.answer("v"), "running (booted)");
        host.ok(&["suspend", "v"]);
        host.ok(&["resume", "v"]);
        guest.answers();
    }
}

#[test]
fn a_way_that_leads_nowhere_changes_nothing() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    for (uri, words) in [
        (
            "unix:/nowhere/at/all",
            "Failed to connect to '/nowhere/at/all'",
        ),
        ("tcp:127.0.0.1:1", "Failed to connect to '127.0.0.1:1'"),
        ("nonsense:1", "migration protocol"),
    ] {
        let said = host.domstate(&["migrate", "v", uri]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
        assert!(said.stderr.contains(words), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
        assert_eq!(host.answer("v"), "running (booted)");
        guest.answers();
    }
    let bad = host.domstate(&[
        "start",
        "d",
        "--incoming",
        "nonsense:1",
        "--",
        &crate::harness::qemu(),
    ]);
    assert_eq!(bad.code, Some(1));
    assert!(
        bad.stderr
            .starts_with("error: Failed to start domain 'd'\nerror: "),
        "{bad:?}"
    );
    assert_eq!(host.answer("d"), "shut off (failed)");
}

#[test]
fn a_way_on_which_no_word_comes_back_is_refused_before_anything_is_sent() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let file = host.folder().join("file");
    for way in ["exec:cat > ", "file:"] {
        let uri = format!("{way}{}", file.display());
        let said = host.domstate(&["migrate", "v", &uri]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("has no way back"), "{said:?}");
        assert!(!host.journal("v").contains("DOMSTATE_ASKED"));
    }
    assert!(!file.exists());
    assert_eq!(host.answer("v"), "running (booted)");
    guest.answers();
}

#[test]
fn nor_does_a_guest_come_by_a_shell_or_from_a_file() {
    let host = Host::new();
    let file = host.folder().join("file");
    for way in ["exec:touch ", "file:"] {
        let uri = format!("{way}{}", file.display());
        let said = host.domstate(&with_argv(
            &["start", "d", "--incoming", &uri],
            &host.argv("d", &[]),
        ));
        let words = format!(
            "error: Failed to start domain 'd'\nerror: unsupported configuration: '{uri}' has no way back, \
             on which the guest's arrival could be told\n"
        );
        assert_eq!((said.code, said.stderr), (Some(1), words));
        // No run is made of it.
        assert_eq!(host.ok(&["list", "--all", "--name"]).trim_end(), "");
    }
    assert!(!file.exists());
}
