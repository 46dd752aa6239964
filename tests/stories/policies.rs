//! What becomes of a guest that panics, powers itself off or resets itself: libvirt's lifecycle policies and `reboot`,
//! as libvirt 9.0.0 carries them out; with a supervisor, with none, and in the foreground.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Guest, Host, Said, finish_child, is_alive, send, spawn, until, with_argv};

/// Panics.
mod crash;
/// Which policies hold, and which are refused.
mod kept;
/// Power-offs, resets, `reboot`, and the watchdog.
mod power;

const PVPANIC: [&str; 2] = ["-device", "pvpanic"];

/// A guest that can panic, under these policies.
fn start(host: &Host, policies: &[&str]) -> Guest {
    host.start_with("v", policies, &PVPANIC)
}

fn said(stdout: &str, stderr: &str, code: i32) -> Said {
    Said {
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        code: Some(code),
    }
}

/// `run v` with these policies, and its guest, which is ready.
fn run(host: &Host, policies: &[&str]) -> (Child, Guest) {
    let line = host.line("v");
    let argv = host.argv("v", &PVPANIC);
    let args = with_argv(&[&["run", "v"], policies].concat(), &argv);
    let run = spawn(host.command(&args));
    (run, Guest::connected(&line))
}

fn guest_shutdown() -> Value {
    json!({"kind": "guest-shutdown"})
}

/// pvpanic hands over no more than that it happened.
fn guest_panic() -> Value {
    json!({"kind": "guest-panic", "info": null, "kept": null})
}

fn assert_lives(host: &Host, answer: &str) {
    host.assert_is("v", answer, &Value::Null, "witnessed");
}

fn assert_crashed(host: &Host) {
    host.assert_is("v", "crashed (panicked)", &guest_panic(), "witnessed");
}

/// Does `verb` to `v`, which must succeed with this message, and asserts the answer after it.
fn step(host: &Host, verb: &str, message: &str, answer: &str) {
    assert_eq!(host.ok(&[verb, "v"]), format!("{message}\n"));
    assert_lives(host, answer);
}

fn destroy(host: &Host) {
    assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
    assert_eq!(host.answer("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["cause"]["verb"], "destroy");
}

/// The core files of `v` and whatever else lies beside them, oldest first.
fn cores(host: &Host) -> Vec<PathBuf> {
    let folder = host.state_dir().join("v/dump");
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut cores: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cores.sort();
    cores
}

/// Asserts that `v` has left so many core files, each an ELF file for its owner's eyes only.
fn assert_cores(host: &Host, count: usize) {
    let cores = cores(host);
    assert_eq!(cores.len(), count, "{cores:?}");
    for core in cores {
        let bytes = fs::read(&core).unwrap();
        assert_eq!(bytes.get(..4), Some(&b"\x7fELF"[..]), "{core:?}");
        // The guest has 16 MiB.
        assert!(bytes.len() >= 16 << 20, "{core:?}: {}", bytes.len());
        let mode = fs::metadata(&core).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{core:?}");
    }
}

/// A guest that panicked while nobody looked after it.
fn panicked_unseen(host: &Host, policy: &str) -> Guest {
    let mut guest = start(host, &["--on-crash", policy]);
    host.kill_supervisor("v");
    guest.press('p');
    host.wait_for_event("v", "\"STOP\"");
    guest
}

/// Waits until the supervisor itself has taken note that `v` is in this state: what it does about it, it has begun.
fn noted(host: &Host, state: &str) {
    until(&format!("'{state}' in state.json"), || {
        let text = fs::read_to_string(host.state_dir().join("v/state.json"));
        let json: Option<Value> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        json.is_some_and(|json| json["state"] == state)
    });
}

#[test]
fn what_qemu_does_by_itself_needs_no_supervisor() {
    let reset = json!({"kind": "guest-reset"});
    for (policies, letter, answer, cause) in [
        (
            ["--on-crash", "destroy"],
            'p',
            "shut off (crashed)",
            &guest_panic(),
        ),
        (
            ["--on-reboot", "destroy"],
            'r',
            "shut off (shutdown)",
            &reset,
        ),
        (
            ["--on-poweroff", "destroy"],
            'o',
            "shut off (shutdown)",
            &guest_shutdown(),
        ),
    ] {
        let host = Host::new();
        let mut guest = start(&host, &policies);
        let qemu = host.qemu_pid("v");
        host.kill_supervisor("v");
        guest.press(letter);
        until("QEMU's end", || !is_alive(qemu));
        host.assert_is("v", answer, cause, "witnessed");
    }
    let host = Host::new();
    let _guest = panicked_unseen(&host, "preserve");
    assert_crashed(&host);
    assert_eq!(host.wait("v"), "crashed (panicked)");
}

#[test]
fn a_run_in_the_foreground_goes_on_where_its_guest_is_restarted() {
    let host = Host::new();
    let (first, mut guest) = run(&host, &["--on-crash", "restart"]);
    guest.press('p');
    guest.hears("READY");
    assert_lives(&host, "running (crashed)");
    guest.press('o');
    assert_eq!(finish_child(first), said("shut off (shutdown)\n", "", 0));
    let (second, mut guest) = run(&host, &["--on-poweroff", "restart"]);
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (booted)");
    send(i32::try_from(second.id()).unwrap(), Signal::SIGTERM);
    let second = finish_child(second);
    assert_eq!(second.stdout, "shut off (destroyed)\n");
    assert_eq!(second.code, Some(4));
}

#[test]
fn what_the_users_own_command_line_says_is_left_alone() {
    for (args, letter, answer, cause) in [
        (
            &["-action", "panic=pause"][..],
            'p',
            "crashed (panicked)",
            &guest_panic(),
        ),
        (&["-no-shutdown"], 'p', "crashed (panicked)", &guest_panic()),
        (
            &["-no-shutdown"],
            'o',
            "in shutdown (unknown)",
            &guest_shutdown(),
        ),
        (
            &["-action", "shutdown=pause"],
            'o',
            "in shutdown (unknown)",
            &guest_shutdown(),
        ),
    ] {
        let host = Host::new();
        let mut guest = host.start("v", &[&PVPANIC, args].concat());
        guest.press(letter);
        host.wait_for("v", answer);
        noted(&host, answer.split(" (").next().unwrap());
        // Neither the supervisor nor one that adopts has anything to do.
        host.kill_supervisor("v");
        host.assert_is("v", answer, cause, "witnessed");
        host.supervisor_pid("v");
        host.assert_is("v", answer, cause, "witnessed");
        let journal = host.journal("v");
        assert!(!journal.contains("DOMSTATE_ASKED"), "{args:?}: {journal}");
    }
}
