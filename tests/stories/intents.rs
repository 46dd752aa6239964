//! A request that did not come to its end does not colour what the guest did.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use super::harness::{Host, Said, finish, is_alive, processes_with, send, spawn, until};
use super::lives::full_disk;

const NOW: Duration = Duration::from_millis(200);

/// Above the time after which an unfinished request explains nothing any more (30 s).
const LONG_AGO: Duration = Duration::from_secs(40);

/// The line of a command that was killed before it could act.
fn ask(host: &Host, verb: &str, age: Duration) {
    let data = json!({"verb": verb, "uid": 0, "pid": 1, "command": format!("domstate {verb} v")});
    host.note("v", age, "ASKED", &data);
}

/// Runs domstate under strace, which interferes as `inject` says.
fn under_strace(host: &Host, inject: &str, args: &[&str]) -> Said {
    let plain = host.command(args);
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-e", inject]);
    command.arg(plain.get_program()).args(plain.get_args());
    command
        .env("DOMSTATE_DIR", host.state_dir())
        .stdin(std::process::Stdio::null());
    finish(command)
}

/// `destroy`, killed when it was about to send its signal.
fn destroy_and_die(host: &Host) {
    let inject = "inject=pidfd_send_signal:error=EPERM:signal=KILL";
    let said = under_strace(host, inject, &["destroy", "v"]);
    assert_eq!(said.stdout, "", "it was not killed: {said:?}");
    let journal = host.journal("v");
    assert!(journal.contains("DOMSTATE_ASKED"), "{journal}");
    assert!(!journal.contains("DOMSTATE_SENT"), "{journal}");
    assert_eq!(host.answer("v"), "running (booted)");
}

#[test]
fn a_guest_that_powers_off_after_an_interrupted_destroy_shut_itself_down() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    destroy_and_die(&host);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert_eq!(host.json("v")["cause"]["kind"], "guest-shutdown");
    assert_eq!(host.json("v")["certainty"], "witnessed");
}

#[test]
fn a_guest_that_panics_after_an_interrupted_destroy_crashed() {
    let host = Host::new();
    let mut guest = host.start("v", &["-device", "pvpanic"]);
    ask(&host, "destroy", NOW);
    guest.press('p');
    assert_eq!(host.wait("v"), "shut off (crashed)");
    assert_eq!(host.json("v")["cause"]["kind"], "guest-panic");
}

#[test]
fn a_guest_that_exits_with_a_status_after_an_interrupted_destroy_gave_it_itself() {
    let host = Host::new();
    let mut guest = host.start("v", &["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    ask(&host, "destroy", NOW);
    guest.press('x');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert_eq!(host.json("v")["cause"]["kind"], "guest-exit");
}

#[test]
fn a_kill_by_an_unknown_hand_right_after_an_interrupted_destroy_is_taken_for_it() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    destroy_and_die(&host);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    let json = host.json("v");
    assert_eq!(json["cause"]["kind"], "asked");
    assert_eq!(json["certainty"], "inferred");
}

#[test]
fn a_sigterm_by_somebody_else_after_an_interrupted_destroy_names_that_one() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    destroy_and_die(&host);
    send(host.qemu_pid("v"), Signal::SIGTERM);
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    let json = host.json("v");
    assert_eq!(json["cause"]["kind"], "host-signal");
    assert_eq!(json["cause"]["pid"], std::process::id());
}

#[test]
fn an_unfinished_destroy_of_long_ago_explains_nothing() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    ask(&host, "destroy", LONG_AGO);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    assert_eq!(host.json("v")["cause"]["signal"], "SIGKILL");
    assert_eq!(host.json("v")["certainty"], "inferred");
}

#[test]
fn a_stop_by_somebody_else_long_after_an_unfinished_suspend_has_no_known_reason() {
    let host = Host::new();
    let _guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    let mut other = host.third_party("v");
    ask(&host, "suspend", LONG_AGO);
    other.execute("stop", &json!({}));
    host.wait_for("v", "paused (unknown)");
    other.execute("cont", &json!({}));
    host.wait_for("v", "running (unpaused)");
    // One that may still be what stopped it.
    ask(&host, "suspend", NOW);
    other.execute("stop", &json!({}));
    host.wait_for("v", "paused (user)");
    other.execute("cont", &json!({}));
    host.wait_for("v", "running (unpaused)");
    // Used up by the RESUME.
    other.execute("stop", &json!({}));
    host.wait_for("v", "paused (unknown)");
}

#[test]
fn an_unfinished_shutdown_or_reset_does_not_end_a_guest() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    ask(&host, "shutdown", NOW);
    ask(&host, "reset", NOW);
    assert_eq!(host.answer("v"), "running (booted)");
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    assert_eq!(host.json("v")["cause"]["kind"], "signal");
}

/// What `destroy` said and what is answered afterwards fit together.
fn assert_consistent(host: &Host, said: &Said) {
    let answer = host.wait("v");
    let ended_it = said.code == Some(0);
    let expected = if ended_it {
        assert_eq!(said.stdout, "Domain 'v' destroyed\n");
        "shut off (destroyed)"
    } else {
        let words = "error: Failed to destroy domain 'v'\n\
                     error: Requested operation is not valid: domain is not running\n";
        assert_eq!(said.stderr, words);
        "shut off (shutdown)"
    };
    assert_eq!(answer, expected, "{said:?}\n{}", host.journal("v"));
    for _ in 0..3 {
        assert_eq!(host.answer("v"), expected);
    }
}

#[test]
fn destroy_that_races_the_guests_own_power_off_says_what_is_answered_afterwards() {
    let host = Host::new();
    for round in 0..12_u64 {
        let mut guest = host.start("v", &[]);
        let destroy = host.command(&["destroy", "v"]);
        let destroying = std::thread::spawn(move || {
            // Half of them a little later, by a little more each time: the race has both ends.
            std::thread::park_timeout(Duration::from_millis(round / 2));
            finish(destroy)
        });
        guest.press('o');
        assert_consistent(&host, &destroying.join().unwrap());
    }
}

#[test]
fn destroy_that_is_overtaken_between_looking_and_asking_did_not_destroy() {
    for (letter, args, answer) in [
        ('o', &[][..], "shut off (shutdown)"),
        (
            'x',
            &["-device", "isa-debug-exit,iobase=0xf4,iosize=4"][..],
            "shut off (shutdown)",
        ),
        (
            'g',
            &["-device", "ib700", "-action", "watchdog=poweroff"][..],
            "shut off (crashed)",
        ),
    ] {
        let host = Host::new();
        let mut guest = host.start("v", args);
        let qemu = host.qemu_pid("v");
        let host = std::sync::Arc::new(host);
        let asking = std::sync::Arc::clone(&host);
        // It looked, found a guest that runs, and is held up for a second before it writes its line.
        let destroying = std::thread::spawn(move || {
            let inject = "inject=write:delay_enter=1500000:when=1";
            under_strace(&asking, inject, &["destroy", "v"])
        });
        until("destroy to be held up", || {
            processes_with("inject=write")
                .into_iter()
                .any(is_traced_writer)
        });
        guest.press(letter);
        until("QEMU's end", || !is_alive(qemu));
        let said = destroying.join().unwrap();
        assert_eq!(said.code, Some(1), "{said:?}\n{}", host.journal("v"));
        assert!(said.stderr.ends_with("domain is not running\n"), "{said:?}");
        assert_eq!(host.wait("v"), answer, "{}", host.journal("v"));
    }
}

/// Whether a child of this strace stands in write(2).
fn is_traced_writer(strace: i32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"));
    children.is_ok_and(|children| {
        children.split_whitespace().any(|pid| {
            let syscall = std::fs::read_to_string(format!("/proc/{pid}/syscall"));
            syscall.is_ok_and(|syscall| syscall.starts_with("1 "))
        })
    })
}

#[test]
fn a_signal_that_finds_a_guest_that_has_ended_by_itself_did_not_end_it() {
    for (letter, wanted) in [('o', "shut off (shutdown)"), ('p', "shut off (crashed)")] {
        let host = Host::new();
        let mut guest = host.start("v", &["-device", "pvpanic"]);
        let qemu = host.qemu_pid("v");
        let plain = host.command(&["destroy", "v"]);
        let mut held = Command::new("strace");
        // Until strace is killed.
        let inject = "inject=pidfd_send_signal:delay_enter=600000000";
        held.args(["-qq", "-o", "/dev/null", "-e", "trace=pidfd_send_signal"]);
        held.args(["-e", inject]);
        held.arg(plain.get_program()).args(plain.get_args());
        held.env("DOMSTATE_DIR", host.state_dir());
        let mut held = spawn(held);
        host.wait_for_event("v", "DOMSTATE_ASKED");
        guest.press(letter);
        until("QEMU's end", || !is_alive(qemu));
        assert_eq!(host.wait("v"), wanted);
        let told = |host: &Host| {
            let json = host.json("v");
            (json["reason"].clone(), json["cause"].clone())
        };
        let before = told(&host);
        held.kill().unwrap();
        held.wait().unwrap();
        until("the command", || {
            let journal = host.journal("v");
            journal.contains("DOMSTATE_DONE") || journal.contains("DOMSTATE_FAILED")
        });
        assert_eq!(told(&host), before, "{letter}");
    }
}

#[test]
fn a_suspend_that_only_asked_does_not_hide_why_qemu_stopped_the_guest() {
    let host = Host::new();
    let mut guest = host.start("v", &["-drive", &full_disk(&host, "stop")]);
    ask(&host, "suspend", NOW);
    guest.press('w');
    // QEMU 10 tells why only a second later.
    host.wait_for("v", "paused (I/O error)");
    assert_eq!(host.json("v")["cause"]["kind"], "io-error");
}

#[test]
fn a_reset_by_somebody_else_after_an_interrupted_one_is_no_success() {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let _guest = host.start("v", &["-no-reboot", "-qmp", &third_party]);
    ask(&host, "reset", NOW);
    host.third_party("v").execute("system_reset", &json!({}));
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["certainty"], "inferred");
}

#[test]
fn a_signal_of_nobody_knows_whom_after_an_interrupted_destroy_is_not_said_to_be_its() {
    let host = Host::new();
    let mut argv = vec!["sh".into(), "-c".into(), "exec \"$@\" 2>/dev/null".into()];
    argv.push("sh".to_owned());
    argv.extend(host.argv("v", &[]));
    let _guest = host.start_argv("v", &[], &argv);
    ask(&host, "destroy", NOW);
    send(host.qemu_pid("v"), Signal::SIGTERM);
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    let json = host.json("v");
    assert_eq!(json["cause"]["kind"], "asked");
    assert_eq!(json["certainty"], "inferred");
}
