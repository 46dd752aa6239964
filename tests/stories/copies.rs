//! A copy of the state directory: what was written to the journal since is not in it, and nobody acts by it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Host, is_alive, processes_with, send, until};

#[test]
fn a_copy_is_told_as_it_is_and_nothing_is_done_by_it() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let supervisor = host.supervisor_pid("v");
    let copy = host.copied_state();
    host.ok(&["suspend", "v"]);
    let told = host.domstate_in(&copy, &["--format", "json", "v"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(
        (&told["state"], &told["certainty"]),
        (&"running".into(), &"inferred".into()),
        "{told}"
    );
    for verb in ["destroy", "resume", "reset"] {
        let said = host.domstate_in(&copy, &[verb, "v"]);
        assert_eq!(
            (said.code, &*said.stdout),
            (Some(1), ""),
            "{verb}: {said:?}"
        );
    }
    assert_eq!(processes_with(&copy.to_string_lossy()), [] as [i32; 0]);
    assert_eq!(host.answer("v"), "paused (user)");
    // Nor is it taken for one where nobody looks after the guest.
    send(supervisor, Signal::SIGKILL);
    until("the supervisor's death", || !is_alive(supervisor));
    assert_eq!(host.json("v")["certainty"], "witnessed");
    host.ok(&["resume", "v"]);
    guest.answers();
}

#[test]
fn a_copy_whose_guest_has_ended_since_does_not_tell_how() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let copy = host.copied_state();
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let told = host.domstate_in(&copy, &["--format", "json", "v"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let cause = json!({
        "kind": "journal-damaged",
        "file": "runs/00000001/journal",
        "why": "it seems to be a copy, which may lack what was written since",
    });
    assert_eq!(
        (
            &told["state"],
            &told["reason"],
            &told["certainty"],
            &told["cause"]
        ),
        (
            &"shut off".into(),
            &"unknown".into(),
            &"unknown".into(),
            &cause
        ),
        "{told}"
    );
    let waited = host.domstate_in(&copy, &["wait", "v"]);
    assert_eq!(waited.stdout, "shut off (unknown)\n", "{waited:?}");
    assert_eq!(processes_with(&copy.to_string_lossy()), [] as [i32; 0]);
    // What is started there is its own.
    let _line = host.line("v");
    let started = host.domstate_in(&copy, &["start", "v"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let told = host.domstate_in(&copy, &["--reason", "v"]);
    assert_eq!(told.stdout, "running (booted)\n", "{told:?}");
    host.domstate_in(&copy, &["destroy", "v"]);
    let told = host.domstate_in(&copy, &["--reason", "v"]);
    assert_eq!(told.stdout, "shut off (destroyed)\n", "{told:?}");
}
