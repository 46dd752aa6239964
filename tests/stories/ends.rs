//! How a run ends, and what domstate calls it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{
    Guest, Host, PATIENCE, finish_child, is_alive, send, spawn, until, with_argv,
};

/// Far above what ending a QEMU that obeys takes, and below what any of domstate's grace periods is.
const AT_ONCE: Duration = Duration::from_secs(8);

fn guest_shutdown() -> Value {
    json!({"kind": "guest-shutdown"})
}

fn guest_panic() -> Value {
    // pvpanic hands over no more than that it happened.
    json!({"kind": "guest-panic", "info": null, "kept": null})
}

fn sigkill() -> Value {
    json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false})
}

/// Runs domstate with `args`, which must succeed; the cause that says that this very process asked for it.
fn asked(host: &Host, args: &[&str]) -> Value {
    let child = spawn(host.command(args));
    let pid = child.id();
    let said = finish_child(child);
    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    json!({
        "kind": "asked",
        "verb": args[0],
        "uid": nix::unistd::getuid().as_raw(),
        "pid": pid,
        "command": format!("{} {}", env!("CARGO_BIN_EXE_domstate"), args.join(" ")),
    })
}

#[test]
fn a_guest_that_powers_itself_off_is_shut_off_by_its_own_shutdown() {
    for (letter, sleep) in [('o', "ACPI S5"), ('d', "ACPI S4")] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
        guest.press(letter);
        assert_eq!(host.wait("v"), "shut off (shutdown)", "{sleep}");
        host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
    }
}

#[test]
fn a_signal_that_qemu_does_not_obey_but_dies_of_is_a_crash() {
    for signal in [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGABRT] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        send(host.qemu_pid("v"), signal);
        assert_eq!(host.wait("v"), "shut off (crashed)");
        let json = host.json("v");
        assert_eq!(json["cause"]["kind"], "signal");
        assert_eq!(json["cause"]["signal"], signal.as_str());
        assert!(json["cause"]["core_dumped"].is_boolean(), "{json}");
        assert_eq!(json["certainty"], "witnessed");
    }
}

#[test]
fn a_qemu_that_an_outsider_tells_to_quit_by_a_signal_is_destroyed_and_the_sender_is_named() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        send(host.qemu_pid("v"), signal);
        // QEMU names the sender by the first word of its command line.
        let sender = json!({
            "kind": "host-signal",
            "signal": signal.as_str(),
            "pid": std::process::id(),
            "command": std::env::args().next().unwrap(),
        });
        host.assert_ends("v", "shut off (destroyed)", &sender);
        assert!(host.ok(&["explain", "v"]).contains(&format!(
            "\nCause:     host-signal: {signal} from pid {} (",
            std::process::id()
        )));
    }
}

#[test]
fn a_qemu_that_an_outsider_tells_to_quit_over_qmp_is_destroyed() {
    let host = Host::new();
    let _guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    host.third_party("v").execute("quit", &json!({}));
    host.assert_ends("v", "shut off (destroyed)", &json!({"kind": "qmp-quit"}));
}

#[test]
fn destroy_is_told_as_destroyed_by_who_asked_for_it() {
    for args in [&["destroy", "v"][..], &["destroy", "v", "--graceful"]] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        let cause = asked(&host, args);
        // At once: `destroy` returns when it is over.
        host.assert_is("v", "shut off (destroyed)", &cause, "witnessed");
        host.refused(
            &["destroy", "v"],
            "error: Failed to destroy domain 'v'\n\
             error: Requested operation is not valid: domain is not running\n",
        );
        host.assert_is("v", "shut off (destroyed)", &cause, "witnessed");
    }
}

#[test]
fn a_stopped_qemu_is_destroyed_at_once() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    send(host.qemu_pid("v"), Signal::SIGSTOP);
    let begun = Instant::now();
    host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    let cause = asked(&host, &["destroy", "v"]);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    host.assert_is("v", "shut off (destroyed)", &cause, "witnessed");
}

#[test]
fn a_paused_guest_is_destroyed_all_the_same() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    host.ok(&["suspend", "v"]);
    let cause = asked(&host, &["destroy", "v"]);
    host.assert_is("v", "shut off (destroyed)", &cause, "witnessed");
}

#[test]
fn a_panic_is_a_crash() {
    for action in [&[][..], &["-action", "panic=exit-failure"]] {
        let host = Host::new();
        let mut guest = host.start("v", &[&["-device", "pvpanic"], action].concat());
        guest.press('p');
        host.assert_ends("v", "shut off (crashed)", &guest_panic());
    }
}

#[test]
fn a_panic_that_qemu_survives_is_no_end() {
    let host = Host::new();
    let mut guest = host.start("v", &["-device", "pvpanic", "-action", "panic=none"]);
    guest.press('p');
    host.wait_for_event("v", "GUEST_PANICKED");
    host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    guest.press('o');
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
}

#[test]
fn a_guest_that_was_reset_after_its_panic_can_still_shut_down() {
    let host = Host::new();
    let mut guest = host.start("v", &["-device", "pvpanic", "-action", "panic=pause"]);
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    host.assert_is("v", "crashed (panicked)", &guest_panic(), "witnessed");
    assert_eq!(host.wait("v"), "crashed (panicked)");
    host.ok(&["reset", "v"]);
    host.assert_is("v", "paused (crashed)", &Value::Null, "witnessed");
    host.ok(&["resume", "v"]);
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    guest.hears("READY");
    guest.press('o');
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
}

#[test]
fn a_guest_that_panicked_and_stayed_can_be_destroyed() {
    let host = Host::new();
    let mut guest = host.start("v", &["-device", "pvpanic", "-action", "panic=pause"]);
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    let cause = asked(&host, &["destroy", "v"]);
    host.assert_is("v", "shut off (destroyed)", &cause, "witnessed");
}

#[test]
fn a_reset_by_the_guest_that_ends_qemu_is_a_shutdown() {
    for (letter, how) in [('r', "keyboard controller"), ('t', "triple fault")] {
        let host = Host::new();
        let mut guest = host.start("v", &["-no-reboot"]);
        guest.press(letter);
        assert_eq!(host.wait("v"), "shut off (shutdown)", "{how}");
        host.assert_ends("v", "shut off (shutdown)", &json!({"kind": "guest-reset"}));
    }
}

#[test]
fn the_reset_verb_ends_a_guest_that_may_not_reboot_and_is_named() {
    let host = Host::new();
    let _guest = host.start("v", &["-no-reboot"]);
    let cause = asked(&host, &["reset", "v"]);
    host.assert_ends("v", "shut off (shutdown)", &cause);
}

#[test]
fn a_reset_by_an_outsider_that_ends_qemu_is_no_shutdown() {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let _guest = host.start("v", &["-no-reboot", "-qmp", &third_party]);
    host.third_party("v").execute("system_reset", &json!({}));
    host.assert_ends("v", "shut off (destroyed)", &json!({"kind": "qmp-reset"}));
}

const EXIT_DEVICE: [&str; 2] = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];

#[test]
fn a_guest_that_ends_qemu_by_its_exit_device_shut_down_with_a_status() {
    let host = Host::new();
    let mut guest = host.start("v", &EXIT_DEVICE);
    guest.press('x');
    let cause = json!({"kind": "guest-exit", "status": 33});
    host.assert_ends("v", "shut off (shutdown)", &cause);
}

/// QEMU 7.2 ends for that device at once, and with no word: there is nothing to outlive.
#[test]
fn a_status_that_qemu_has_kept_is_not_told_as_that_of_a_later_end() {
    for by_destroy in [false, true] {
        let host = Host::new();
        let mut guest = host.start("v", &[&EXIT_DEVICE[..], &["-no-shutdown"]].concat());
        guest.press('x');
        until("it to be told", || host.answer("v") != "running (booted)");
        if !host.journal("v").contains("\"SHUTDOWN\"") {
            let cause = json!({"kind": "guest-exit", "status": 33});
            host.assert_ends("v", "shut off (shutdown)", &cause);
            continue;
        }
        assert_eq!(host.answer("v"), "in shutdown (unknown)");
        host.ok(&["reset", "v"]);
        host.ok(&["resume", "v"]);
        guest.hears("READY");
        let ends = r#"{"execute": "set-action", "arguments": {"shutdown": "poweroff"}}"#;
        host.ok(&["qemu-monitor-command", "v", ends]);
        let (answer, kind, certainty) = match by_destroy {
            true => {
                host.ok(&["destroy", "v"]);
                ("shut off (destroyed)", "asked", "witnessed")
            }
            false => {
                guest.press('o');
                ("shut off (shutdown)", "guest-shutdown", "inferred")
            }
        };
        assert_eq!(host.wait("v"), answer);
        let (json, journal) = (host.json("v"), host.journal("v"));
        assert!(journal.contains("\"status\":33"), "{journal}");
        assert_eq!(json["cause"]["kind"], kind, "{json} {journal}");
        assert_eq!(json["certainty"], certainty, "{json} {journal}");
    }
}

#[test]
fn run_exits_with_the_guests_own_status_if_asked_to() {
    for (options, status) in [(&[][..], 0), (&["--guest-status"], 33)] {
        let host = Host::new();
        let line = host.line("v");
        let argv = host.argv("v", &EXIT_DEVICE);
        let args = with_argv(&[&["run", "v"], options].concat(), &argv);
        let run = spawn(host.command(&args));
        Guest::connected(&line).press('x');
        let said = finish_child(run);
        assert_eq!(said.code, Some(status), "{said:?}");
        assert_eq!(said.stdout, "shut off (shutdown)\n");
    }
}

/// A guest that has powered itself off and whose QEMU is still there.
fn powered_off_and_stayed(host: &Host) -> Guest {
    let mut guest = host.start("v", &["-no-shutdown"]);
    guest.press('o');
    host.wait_for("v", "in shutdown (unknown)");
    host.assert_is("v", "in shutdown (unknown)", &guest_shutdown(), "witnessed");
    guest
}

#[test]
fn a_guest_that_was_reset_after_its_shutdown_can_still_crash() {
    let host = Host::new();
    let mut guest = powered_off_and_stayed(&host);
    host.ok(&["reset", "v"]);
    host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
    host.ok(&["resume", "v"]);
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    guest.hears("READY");
    send(host.qemu_pid("v"), Signal::SIGKILL);
    host.assert_ends("v", "shut off (crashed)", &sigkill());
}

#[test]
fn a_guest_that_shut_down_before_its_qemu_was_told_to_quit_did_shut_down() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let host = Host::new();
        let _guest = powered_off_and_stayed(&host);
        send(host.qemu_pid("v"), signal);
        host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
    }
}

#[test]
fn a_qemu_that_stayed_after_the_shutdown_is_destroyed_by_destroy() {
    let host = Host::new();
    let _guest = powered_off_and_stayed(&host);
    let cause = asked(&host, &["destroy", "v"]);
    host.assert_is("v", "shut off (destroyed)", &cause, "witnessed");
}

#[test]
fn a_guest_that_its_debugger_killed_is_destroyed() {
    let host = Host::new();
    let path = host.folder().join("gdb");
    let stub = format!("unix:{},server=on,wait=off", path.display());
    let _guest = host.start("v", &["-gdb", &stub]);
    let mut gdb = UnixStream::connect(path).unwrap();
    gdb.set_read_timeout(Some(PATIENCE)).unwrap();
    // QEMU stops the guest for every debugger that comes.
    host.wait_for("v", "paused (unknown)");
    gdb.write_all(b"+$k#6b").unwrap();
    let _ = gdb.read_to_end(&mut Vec::new());
    host.assert_ends("v", "shut off (destroyed)", &json!({"kind": "host-ui"}));
}

#[test]
fn a_guest_that_its_watchdog_powered_off_crashed() {
    let host = Host::new();
    let watchdog = ["-device", "ib700", "-action", "watchdog=poweroff"];
    let mut guest = host.start("v", &watchdog);
    guest.press('g');
    let cause = json!({"kind": "watchdog", "action": "poweroff"});
    host.assert_ends("v", "shut off (crashed)", &cause);
}

/// virsh calls this end `shut off (shutdown)`: QEMU's SHUTDOWN says guest-reset. But the guest hung.
#[test]
fn a_guest_that_its_watchdog_reset_under_no_reboot_crashed() {
    let host = Host::new();
    let watchdog = [
        "-device",
        "ib700",
        "-action",
        "watchdog=reset",
        "-no-reboot",
    ];
    let mut guest = host.start("v", &watchdog);
    guest.press('g');
    let cause = json!({"kind": "watchdog", "action": "reset"});
    host.assert_ends("v", "shut off (crashed)", &cause);
}

/// The guest's serial line leads into the log, where QEMU's own words are looked for.
#[test]
fn what_the_guest_writes_on_its_serial_line_is_not_taken_for_qemus_words() {
    let host = Host::new();
    let script = host.folder().join("qemu.sh");
    let words = "echo 'QEMU: Terminated via GDBstub'\n\
                 echo 'qemu: terminating on signal 15 from pid 1 (/sbin/init)'";
    let text = format!("#!/bin/sh\n{words}\nexec \"$@\"\n");
    std::fs::write(&script, text).unwrap();
    let line = host.line("v");
    let argv = host.argv("v", &[]);
    let script = script.to_string_lossy().into_owned();
    let mut args = vec!["start", "v", "--", "sh", &script];
    args.extend(argv.iter().map(String::as_str));
    host.ok(&args);
    let mut guest = Guest::connected(&line);
    guest.press('o');
    host.assert_ends(
        "v",
        "shut off (shutdown)",
        &json!({"kind": "guest-shutdown"}),
    );
}

/// A reset that was done is over: what ends the guest later is somebody else's.
#[test]
fn a_reset_of_somebody_elses_is_not_told_as_the_one_that_was_done_before() {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-qmp", &third_party]);
    host.ok(&["reset", "v"]);
    guest.hears("READY");
    let mut monitor = host.third_party("v");
    monitor.execute("set-action", &json!({"reboot": "shutdown"}));
    monitor.tell("system_reset", &json!({}));
    host.assert_ends("v", "shut off (destroyed)", &json!({"kind": "qmp-reset"}));
}

#[test]
fn who_ended_it_is_told_though_the_state_directory_was_away_just_then() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let (qemu, supervisor) = (host.qemu_pid("v"), host.supervisor_pid("v"));
    let away = host.folder().join("away");
    std::fs::rename(host.state_dir(), &away).unwrap();
    send(qemu, Signal::SIGTERM);
    until("the supervisor's end", || !is_alive(supervisor));
    std::fs::rename(&away, host.state_dir()).unwrap();
    host.assert_is(
        "v",
        "shut off (destroyed)",
        &json!({
            "kind": "host-signal",
            "signal": "SIGTERM",
            "pid": std::process::id(),
            "command": std::env::args().next(),
        }),
        "witnessed",
    );
}
