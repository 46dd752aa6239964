//! A copy of the state directory: what was written to the journal since is not in it, and nobody acts by it.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::boot::among_other_pids_in;
use super::harness::{Host, Said, finish, is_alive, is_root, processes_with, send, until};

fn is_unknown(said: &Said) {
    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    let cause = json!({
        "kind": "journal-damaged",
        "file": "runs/00000001/journal",
        "why": "it seems to be a copy, which may lack what was written since",
    });
    let state = [&told["state"], &told["reason"], &told["certainty"]];
    assert_eq!(state, ["shut off", "unknown", "unknown"], "{told}");
    assert_eq!(told["cause"], cause, "{told}");
}

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
    is_unknown(&host.domstate_in(&copy, &["--format", "json", "v"]));
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

#[test]
fn what_is_put_back_from_a_copy_is_one() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let copy = host.copied_state();
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let folder = host.folder().to_string_lossy().into_owned();
    until("everybody's end", || processes_with(&folder).is_empty());
    fs::remove_dir_all(host.state_dir()).unwrap();
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(&copy).arg(host.state_dir());
    assert_eq!(finish(cp).code, Some(0));
    is_unknown(&host.domstate(&["--format", "json", "v"]));
    assert_eq!(processes_with(&folder), [] as [i32; 0]);
}

#[test]
fn a_copy_whose_guest_cannot_be_seen_does_not_tell() {
    if !is_root("a_copy_whose_guest_cannot_be_seen_does_not_tell") {
        return;
    }
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let copy = host.copied_state();
    is_unknown(&among_other_pids_in(&copy, &["--format", "json", "v"]));
    assert_eq!(host.answer("v"), "running (booted)");
}
