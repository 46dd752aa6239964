//! A guest whose QEMU ended when the last of it was to go: nobody can say whether it runs at its destination.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::json;

use super::Journey;
use crate::harness::{finish_child, is_alive, send, spawn, until};
use crate::return_path::pass_on_all_but_the_last;

/// What is said of a guest that is gone here, and of one that is still here.
const THERE: &str = "; its destination may have the guest\n";
const ON_BOTH: &str =
    "; it was on its last step: if its destination has the guest, too, end one of the two\n";

impl Journey {
    /// A `migrate` that is held up between saying that the guest may go and letting it go.
    fn migrate_held(&self) -> Child {
        let mut migrate = Command::new("strace");
        // The first is that of the announcement.
        let inject = "inject=fsync,fdatasync:delay_exit=5000000:when=2";
        migrate.args([
            "-o",
            "/dev/null",
            "-e",
            inject,
            env!("CARGO_BIN_EXE_domstate"),
        ]);
        migrate.args(["migrate", "v", &self.way]);
        migrate.env("DOMSTATE_DIR", self.host.state_dir());
        let migrate = spawn(migrate);
        self.host.wait_for_event("v", "DOMSTATE_SENT");
        migrate
    }

    /// Puts somebody on the way who passes everything on, both ways, but breaks off when the destination says that it has
    /// everything.
    fn lose_the_last_word(&mut self) {
        let end = self.way.strip_prefix("unix:").unwrap().to_owned();
        let relay = format!("{end}.relay");
        let listener = UnixListener::bind(&relay).unwrap();
        self.way = format!("unix:{relay}");
        thread::spawn(move || {
            let (mut source, _) = listener.accept().unwrap();
            let mut destination = UnixStream::connect(end).unwrap();
            let (mut back, mut words) = (
                source.try_clone().unwrap(),
                destination.try_clone().unwrap(),
            );
            thread::spawn(move || {
                pass_on_all_but_the_last(&mut words, &mut back).unwrap();
                back.shutdown(Shutdown::Both).unwrap();
            });
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut bytes) {
                destination.write_all(&bytes[..length]).unwrap();
            }
        });
    }

    fn is_unknown(&self) {
        let cause = json!({"kind": "maybe-migrated"});
        self.host
            .assert_is("v", "shut off (unknown)", &cause, "unknown");
    }
}

#[test]
fn a_source_that_dies_on_the_last_step_of_a_migration_is_not_said_to_have_crashed() {
    let journey = Journey::new();
    let migrate = journey.migrate_held();
    send(journey.host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(journey.host.wait("v"), "shut off (unknown)");
    journey.is_unknown();
    // Nor by the command, when it comes to itself.
    let said = finish_child(migrate);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains(THERE), "{said:?}");
    journey.is_unknown();
    assert!(!journey.host.journal("v").contains("DOMSTATE_DONE"));
    let explained = journey.host.ok(&["explain", "v"]);
    assert!(explained.contains("it may run there"), "{explained}");
    assert_eq!(journey.host.wait("d"), "shut off (failed)");
}

#[test]
fn nor_if_everybody_dies_with_it() {
    let journey = Journey::new();
    let (qemu, destination) = (journey.host.qemu_pid("v"), journey.host.qemu_pid("d"));
    journey.host.supervisor_pid("v");
    let migrate = journey.migrate_held();
    journey.host.kill_supervisor("v");
    // Before the command: whoever found its guest without it would let that go.
    send(qemu, Signal::SIGKILL);
    for pid in crate::harness::processes_with(&journey.way) {
        if pid != destination {
            send(pid, Signal::SIGKILL);
        }
    }
    finish_child(migrate);
    until("the record", || {
        let _ = journey.host.answer("v");
        journey.host.journal("v").contains("DOMSTATE_EXITED")
    });
    journey.is_unknown();
    assert!(!journey.host.journal("v").contains("DOMSTATE_DONE"));
}

#[test]
fn a_destination_that_dies_on_the_last_step_leaves_the_guest_here_and_migrate_says_where_to_look() {
    let mut journey = Journey::new();
    let migrate = journey.migrate_held();
    let destination = journey.host.qemu_pid("d");
    send(destination, Signal::SIGKILL);
    until("the destination's death", || !is_alive(destination));
    let said = finish_child(migrate);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.ends_with(ON_BOTH), "{said:?}");
    assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    journey.has_stayed(&["running (migration canceled)"]);
    let journal = journey.host.journal("v");
    assert!(journal.contains("end one of the two"), "{journal}");
}

#[test]
fn a_guest_whose_last_word_is_lost_runs_on_both_sides_and_migrate_says_so() {
    let mut journey = Journey::new();
    journey.lose_the_last_word();
    let said = journey.host.domstate(&["migrate", "v", &journey.way]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.ends_with(ON_BOTH), "{said:?}");
    assert_eq!(
        journey.host.answer("v"),
        "running (migration canceled)",
        "{}",
        journey.host.journal("v")
    );
    journey.source.answers();
    journey.host.wait_for("d", "running (migrated)");
    journey.destination.answers();
    journey.host.ok(&["destroy", "v"]);
    journey.destination.answers();
}

#[test]
fn a_migration_that_fails_before_its_last_step_sends_nobody_to_look() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    send(journey.host.qemu_pid("d"), Signal::SIGKILL);
    let said = finish_child(migrate);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(!said.stderr.contains("destination"), "{said:?}");
    journey.has_stayed(&["running (booted)", "running (migration canceled)"]);
}
