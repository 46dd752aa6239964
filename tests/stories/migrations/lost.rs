//! A guest whose QEMU ended when the last of it was to go: nobody can say whether it runs at its destination.

use std::process::{Child, Command};

use nix::sys::signal::Signal;
use serde_json::json;

use super::Journey;
use crate::harness::{finish_child, send, spawn, until};

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
