//! Somebody else at the source's monitor while its guest is migrated: where he sends it is not taken for where it was to go.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::Journey;
use crate::harness::{finish_child, send};

#[test]
fn a_migration_that_somebody_cancels_to_send_the_guest_elsewhere_fails_and_it_does_not_run_here() {
    let journey = Journey::slow();
    let elsewhere = journey.host.path("elsewhere");
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    let worker = i32::try_from(migrate.id()).unwrap();
    // All of it comes between two looks of the command.
    send(worker, Signal::SIGSTOP);
    let mut monitor = journey.host.third_party("v");
    monitor.execute("migrate_cancel", &json!({}));
    journey.host.wait_for_event("v", "\"cancelled\"");
    // A file has no way back, and nobody lets it go on.
    let capability = |name: &str| json!({"capability": name, "state": false});
    let neither = ["return-path", "pause-before-switchover"].map(capability);
    monitor.execute(
        "migrate-set-capabilities",
        &json!({"capabilities": neither}),
    );
    monitor.execute("migrate-set-parameters", &json!({"max-bandwidth": 0}));
    monitor.execute(
        "migrate",
        &json!({"uri": format!("exec:cat > {elsewhere}")}),
    );
    journey.host.wait_for_event("v", "\"completed\"");
    send(worker, Signal::SIGCONT);
    let said = finish_child(migrate);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("somebody else"), "{said:?}");
    journey
        .host
        .assert_is("v", "paused (migrating)", &Value::Null, "witnessed");
    let status = monitor.execute("query-status", &json!({}));
    assert_eq!(status["running"], false, "{}", journey.host.journal("v"));
    assert_eq!(journey.host.wait("d"), "shut off (failed)");
    send(journey.host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(journey.host.wait("v"), "shut off (unknown)");
}

#[test]
fn a_guest_that_somebody_stops_and_lets_run_while_it_is_migrated_is_migrated_all_the_same() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    let mut monitor = journey.host.third_party("v");
    monitor.execute("stop", &json!({}));
    journey
        .host
        .assert_is("v", "paused (migrating)", &Value::Null, "inferred");
    monitor.execute("cont", &json!({}));
    journey
        .host
        .assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    drop(monitor);
    journey.limit("max-bandwidth", 0);
    let said = finish_child(migrate);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    journey.has_arrived();
}
