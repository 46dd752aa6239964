//! QEMU in the foreground: the terminal, the exit statuses, and who may end it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use serde_json::{Value, json};

use super::harness::{
    Guest, Host, Said, finish_child, qemu, send, spawn, until, what_qemu_calls_itself, with_argv,
};
use super::monitor::Monitor;

/// What comes between a `run` and the end that it asks for.
mod overtaken;

/// Far below the time after which a QEMU that does not obey is killed.
const AT_ONCE: Duration = Duration::from_secs(8);

/// `run v`, with these options, in the foreground of this test, and its guest, which is ready.
fn run(host: &Host, options: &[&str], qemu_args: &[&str]) -> (Child, Guest) {
    let line = host.line("v");
    let argv = host.argv("v", qemu_args);
    let args = with_argv(&[options, &["run", "v"]].concat(), &argv);
    let run = spawn(host.command(&args));
    (run, Guest::connected(&line))
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

fn said(stdout: &str, stderr: &str, code: i32) -> Said {
    Said {
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        code: Some(code),
    }
}

#[test]
fn run_tells_by_its_last_line_and_its_exit_status_how_the_guest_ended() {
    let pvpanic = ["-device", "pvpanic"];
    for (letter, args, answer, status) in [
        ('o', &[][..], "shut off (shutdown)\n", 0),
        ('p', &pvpanic, "shut off (crashed)\n", 3),
    ] {
        for (options, line) in [(&[][..], answer), (&["-q"], "")] {
            let host = Host::new();
            let (run, mut guest) = run(&host, options, args);
            assert_eq!(host.answer("v"), "running (booted)");
            guest.press(letter);
            assert_eq!(finish_child(run), said(line, "", status));
        }
    }
}

#[test]
fn run_tells_of_a_qemu_that_was_killed_or_destroyed_elsewhere() {
    let host = Host::new();
    let (first, _guest) = run(&host, &[], &[]);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(finish_child(first), said("shut off (crashed)\n", "", 3));
    let (second, _guest) = run(&host, &[], &[]);
    assert_eq!(
        host.domstate(&["run", "v"]),
        said("", "error: Domain is already active\n", 125)
    );
    host.ok(&["destroy", "v"]);
    let second = finish_child(second);
    assert_eq!(second.stdout, "shut off (destroyed)\n");
    assert_eq!(second.code, Some(4));
    // QEMU's own words are repeated.
    let words = format!(
        "{}: terminating on signal 15 from pid ",
        what_qemu_calls_itself()
    );
    assert!(second.stderr.starts_with(&words), "{second:?}");
    assert_eq!(host.ok(&["logs", "v"]), second.stderr);
}

#[test]
fn a_run_that_is_told_to_stop_destroys_its_guest_at_once() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let host = Host::new();
        let (run, _guest) = run(&host, &[], &[]);
        let (pid, begun) = (run.id(), Instant::now());
        send(pid.cast_signed(), signal);
        let said = finish_child(run);
        assert_eq!(said.stdout, "shut off (destroyed)\n", "{said:?}");
        assert_eq!(said.code, Some(4));
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        let mut cause = host.json("v")["cause"].clone();
        assert_eq!(cause["kind"], "asked");
        assert_eq!(cause["verb"], "run");
        assert_eq!(cause["pid"], pid);
        assert!(cause["command"].take().is_string());
    }
}

#[test]
fn a_run_whose_time_is_up_destroys_its_guest_at_once() {
    let host = Host::new();
    let argv = host.argv("v", &[]);
    let _line = host.line("v");
    let args = with_argv(&["run", "v", "--timeout", "300ms"], &argv);
    let begun = Instant::now();
    let said = host.domstate(&args);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(said.stdout, "shut off (destroyed)\n", "{said:?}");
    assert_eq!(said.code, Some(124));
    assert_eq!(host.json("v")["cause"]["verb"], "run --timeout");
}

#[test]
fn a_qemu_in_the_foreground_obeys_signals_of_others_too() {
    let host = Host::new();
    let (run, _guest) = run(&host, &[], &[]);
    send(host.qemu_pid("v"), Signal::SIGINT);
    let said = finish_child(run);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_eq!(host.json("v")["cause"]["kind"], "host-signal");
    assert_eq!(host.json("v")["cause"]["signal"], "SIGINT");
}

#[test]
fn run_without_a_command_line_uses_the_domains_own_or_fails_by_itself() {
    let host = Host::new();
    let nothing = "error: failed to get domain 'v'\n";
    assert_eq!(host.domstate(&["run", "v"]), said("", nothing, 125));
    let line = host.line("v");
    let argv = host.argv("v", &[]);
    let args = with_argv(&["define", "v"], &argv);
    host.ok(&args);
    let run = spawn(host.command(&["run", "v"]));
    Guest::connected(&line).press('o');
    assert_eq!(finish_child(run), said("shut off (shutdown)\n", "", 0));
}

/// A guest on stdin and stdout, with this for its serial line.
fn on_stdio(serial: &str) -> Vec<String> {
    let image = super::harness::guest_folder().join("guest.img");
    let drive = format!("file={},format=raw,if=floppy,readonly=on", image.display());
    let fixed = "-accel tcg -M pc -nodefaults -no-user-config -display none -m 16 -boot a";
    let words = fixed
        .split(' ')
        .chain(["-drive", &drive, "-serial", serial]);
    [qemu()]
        .into_iter()
        .chain(words.map(str::to_owned))
        .collect()
}

fn run_on_stdio(host: &Host, serial: &str) -> Command {
    let argv = on_stdio(serial);
    let args = with_argv(&["run", "v"], &argv);
    host.command(&args)
}

#[test]
fn the_answer_stands_on_a_line_of_its_own_below_what_the_guest_said() {
    let host = Host::new();
    // A file shows whether the guest ended its last line.
    let path = host.folder().join("out");
    let mut command = run_on_stdio(&host, "stdio");
    command
        .stdin(Stdio::piped())
        .stdout(File::create(&path).unwrap());
    let mut run = command.spawn().unwrap();
    until("READY", || fs::read_to_string(&path).unwrap() == "READY\n");
    run.stdin.as_mut().unwrap().write_all(b"o").unwrap();
    assert_eq!(finish_child(run).code, Some(0));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, "READY\no\nshut off (shutdown)\n");
    // Of a pipe nobody can tell.
    let mut command = run_on_stdio(&host, "stdio");
    command.stdin(Stdio::piped());
    let mut run = spawn(command);
    let mut ready = [0; 6];
    let stdout = run.stdout.as_mut().unwrap();
    stdout.read_exact(&mut ready).unwrap();
    run.stdin.as_mut().unwrap().write_all(b"o").unwrap();
    let said = finish_child(run);
    assert_eq!(said.stdout, "o\n\nshut off (shutdown)\n");
}

/// A terminal of its own with `run` in its foreground; the terminal's other end.
fn on_a_terminal(host: &Host, serial: &str) -> (Child, File, OwnedFd) {
    let terminal = openpty(None, None).unwrap();
    let run = run_on_stdio(host, serial);
    // As a shell on that terminal would start it: in a session of its own whose terminal it is.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(run.get_program());
    command.args(run.get_args());
    command.env("DOMSTATE_DIR", host.state_dir());
    let end = |fd: &OwnedFd| fd.try_clone().unwrap();
    command
        .stdin(end(&terminal.slave))
        .stdout(end(&terminal.slave))
        .stderr(end(&terminal.slave));
    let child = command.spawn().unwrap();
    (child, terminal.master.into(), terminal.slave)
}

/// Reads the terminal until it has shown this, within bounds.
pub(super) fn shown(terminal: &mut File, wanted: &str) {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut polled = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut polled, PollTimeout::from(60_000_u16)).unwrap();
        assert!(ready > 0, "waited in vain for {wanted:?} behind {text:?}");
        let mut bytes = [0; 256];
        let read = terminal.read(&mut bytes).unwrap();
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
}

#[test]
fn what_a_terminal_would_obey_of_qemus_words_is_written_out_on_one() {
    let host = Host::new();
    let script = "printf 'a\\033[2J\\tb\\302\\233m\\n' >&2";
    let args = ["run", "v", "--", "sh", "-c", script];
    let words = "a\x1b[2J\tb\u{9b}m\n";
    let answer = "shut off (failed)\n";
    assert_eq!(host.domstate(&args), said(answer, words, 5));
    let (run, mut screen) = super::jobs::on_a_terminal(&host, &args);
    shown(&mut screen, "a\\x1b[2J\tb\\u{9b}m\r\n");
    assert_eq!(finish_child(run), said(answer, "", 5));
}

#[test]
fn a_terminal_that_a_killed_qemu_left_raw_is_as_it_was() {
    let host = Host::new();
    let (run, mut terminal, slave) = on_a_terminal(&host, "mon:stdio");
    let before_flags = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
    shown(&mut terminal, "READY");
    let raw = tcgetattr(slave.as_fd()).unwrap();
    assert!(!raw.local_flags.intersects(before_flags), "{raw:?}");
    send(host.qemu_pid("v"), Signal::SIGKILL);
    shown(&mut terminal, "(crashed)\r\n");
    assert_eq!(finish_child(run).code, Some(3));
    let after = tcgetattr(slave.as_fd()).unwrap();
    assert!(after.local_flags.contains(before_flags), "{after:?}");
}

#[test]
fn ctrl_c_is_the_guests() {
    let host = Host::new();
    let (run, mut terminal, _slave) = on_a_terminal(&host, "stdio");
    shown(&mut terminal, "READY");
    terminal.write_all(b"\x03").unwrap();
    shown(&mut terminal, "(destroyed)\r\n");
    assert_eq!(finish_child(run).code, Some(4));
    // The terminal is nobody with a pid.
    let cause = json!({"kind": "host-signal", "signal": "SIGINT", "pid": null, "command": null});
    host.assert_is("v", "shut off (destroyed)", &cause, "witnessed");
}

#[test]
fn a_run_that_is_killed_leaves_a_guest_whose_end_is_still_told() {
    let host = Host::new();
    let (mut run, mut guest) = run(&host, &[], &[]);
    send(pid(&run), Signal::SIGKILL);
    run.wait().unwrap();
    host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    guest.answers();
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

/// Nobody reads its stderr, and the pipe is full: QEMU's words are not ours to wait for.
#[test]
fn a_stderr_that_nobody_reads_keeps_run_from_nothing() {
    let host = Host::new();
    let script = host.folder().join("qemu.sh");
    // More than a pipe holds, and then a guest that never ends.
    let babble = "i=0; while [ $i -lt 9000 ]; do echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done";
    fs::write(&script, format!("#!/bin/sh\n{babble}\nexec \"$@\"\n")).unwrap();
    let script = script.to_string_lossy().into_owned();
    let argv = ["-accel", "tcg", "-M", "none", "-display", "none"];
    let program = qemu();
    let mut args = vec!["run", "v", "--timeout", "2", "--", "sh", &script, &program];
    args.extend(argv);
    let mut command = host.command(&args);
    command.stdout(Stdio::null());
    command.stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Unread until the run is over: its end is on record although `run` still has something to say.
    until("the run", || {
        host.domstate(&["--reason", "v"]).stdout
            == "running (booted)
"
    });
    host.wait_for("v", "shut off (destroyed)");
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(124));
    // What the log keeps of so much is its first and last parts.
    assert!(said.len() > 100_000, "{}", said.len());
}

#[test]
fn a_stdout_that_is_full_costs_the_answer_and_not_the_status() {
    let host = Host::new();
    let line = host.line("v");
    let argv = host.argv("v", &[]);
    let args = with_argv(&["run", "v"], &argv);
    let mut command = host.command(&args);
    let full = File::options().write(true).open("/dev/full").unwrap();
    command.stdout(full).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let _guest = Guest::connected(&line);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

/// A `run` that may not signal its QEMU, as one behind sudo may not.
fn run_without_signals(host: &Host, timeout: &str) -> (Child, Guest) {
    let line = host.line("v");
    let mut run = Command::new("strace");
    run.args(["-e", "trace=pidfd_send_signal", "-o", &host.path("trace")]);
    run.args(["-e", "inject=pidfd_send_signal:error=EPERM"]);
    run.arg(env!("CARGO_BIN_EXE_domstate"));
    run.args(with_argv(
        &["run", "v", "--timeout", timeout],
        &host.argv("v", &[]),
    ));
    run.env("DOMSTATE_DIR", host.state_dir());
    let run = spawn(run);
    (run, Guest::connected(&line))
}

#[test]
fn a_run_that_may_not_signal_its_qemu_ends_it_by_its_monitor() {
    let host = Host::new();
    let (run, _guest) = run_without_signals(&host, "300ms");
    let told = finish_child(run);
    assert_eq!(told.code, Some(124), "{told:?}");
    let json = host.json("v");
    assert_eq!(json["reason"], "destroyed", "{json}");
    assert_eq!(json["cause"]["verb"], "run --timeout", "{json}");
    assert_eq!(json["certainty"], "witnessed", "{json}");
    assert_eq!(host.journal("v").matches("DOMSTATE_SENT").count(), 1);
    assert!(host.journal("v").contains("host-qmp-quit"), "{json}");
}

#[test]
fn a_run_that_reaches_its_qemu_in_no_way_is_not_said_to_have_ended_it() {
    let host = Host::new();
    let (run, _guest) = run_without_signals(&host, "1s");
    let qemu = host.qemu_pid("v");
    // QEMU listens to one at a time.
    let _held = Monitor::connect(&host.run_folder("v").join("qmp.sock"));
    until("the refusal", || {
        fs::read_to_string(host.path("trace")).is_ok_and(|trace| trace.contains("INJECTED"))
    });
    send(qemu, Signal::SIGKILL);
    let told = finish_child(run);
    assert_eq!(told.code, Some(4), "{told:?}");
    let json = host.json("v");
    assert_eq!(json["cause"]["verb"], "run --timeout", "{json}");
    assert_eq!(json["certainty"], "inferred", "{json}");
    assert!(!host.journal("v").contains("DOMSTATE_SENT"), "{json}");
}
