//! What becomes of a guest that panics, powers itself off or resets itself: libvirt's lifecycle policies and `reboot`,
//! as libvirt 9.0.0 carries them out; with a supervisor, with none, and in the foreground.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Guest, Host, Said, finish, finish_child, is_alive, send, spawn, until};

const PVPANIC: [&str; 2] = ["-device", "pvpanic"];

/// Why a guest that panics again and again is left as it is.
const CRASH_LOOP: &str = "restarted 5 times in 60 s already";

/// A guest that can panic, under these policies.
fn start(host: &Host, policies: &[&str]) -> Guest {
    host.start_with("v", policies, &PVPANIC)
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

#[test]
fn a_guest_that_panics_is_shut_off_unless_its_policy_says_otherwise() {
    for policies in [&[][..], &["--on-crash", "destroy"]] {
        let host = Host::new();
        let mut guest = start(&host, policies);
        guest.press('p');
        host.assert_ends("v", "shut off (crashed)", &guest_panic());
        let stderr = "error: Failed to destroy domain 'v'\n\
                      error: Requested operation is not valid: domain is not running\n";
        host.refused(&["destroy", "v"], stderr);
        assert_cores(&host, 0);
    }
}

#[test]
fn a_guest_that_is_restarted_after_its_panic_boots_anew_in_the_same_qemu() {
    for (policy, dumped) in [("restart", 0), ("coredump-restart", 1)] {
        let host = Host::new();
        let mut guest = start(&host, &["--on-crash", policy]);
        let qemu = host.qemu_pid("v");
        guest.press('p');
        guest.hears("READY");
        assert_lives(&host, "running (crashed)");
        assert_eq!(host.qemu_pid("v"), qemu, "{policy}");
        guest.answers();
        assert_cores(&host, dumped);
        // As in libvirt the next pause takes the reason away.
        step(&host, "suspend", "Domain 'v' suspended", "paused (user)");
        step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
        destroy(&host);
    }
}

#[test]
fn a_guest_whose_core_was_dumped_is_shut_off_as_crashed() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-crash", "coredump-destroy"]);
    guest.press('p');
    host.assert_ends("v", "shut off (crashed)", &guest_panic());
    assert_cores(&host, 1);
    host.ok(&["undefine", "v", "--remove-dumps"]);
    assert_cores(&host, 0);
}

#[test]
fn a_crash_loop_comes_to_rest_and_says_why_and_no_more_than_five_cores_are_kept() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-crash", "coredump-restart"]);
    for _ in 0..5 {
        guest.press('p');
        guest.hears("READY");
        assert_lives(&host, "running (crashed)");
    }
    guest.press('p');
    assert_eq!(host.wait("v"), "crashed (panicked)");
    let cause = json!({"kind": "guest-panic", "info": null, "kept": CRASH_LOOP});
    host.assert_is("v", "crashed (panicked)", &cause, "witnessed");
    let explained = host.ok(&["explain", "v"]);
    let line = format!("QEMU knows no more of it (kept as it is: {CRASH_LOOP})\n");
    assert!(explained.contains(&line), "{explained}");
    assert_cores(&host, 5);
    step(&host, "reset", "Domain 'v' was reset", "paused (crashed)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
    destroy(&host);
    let oldest = cores(&host).remove(0);
    // The next run has done nothing yet that could be a loop.
    let mut guest = start(&host, &["--on-crash", "coredump-restart"]);
    guest.press('p');
    guest.hears("READY");
    assert_lives(&host, "running (crashed)");
    assert_cores(&host, 5);
    assert!(!oldest.exists());
}

#[test]
fn a_wait_for_the_end_sleeps_through_a_panic_that_its_policy_survives() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-crash", "coredump-restart"]);
    let wait = spawn(host.command(&["wait", "v", "--timeout", "60"]));
    // It waits once it has the domain's folders open.
    let pid = wait.id();
    until("wait to wait", || {
        let stack = fs::read_to_string(format!("/proc/{pid}/syscall"));
        // ppoll(2) or poll(2).
        stack.is_ok_and(|line| line.starts_with("271 ") || line.starts_with("7 "))
    });
    for _ in 0..3 {
        guest.press('p');
        guest.hears("READY");
    }
    guest.press('o');
    let said = finish_child(wait);
    let journal = host.journal("v");
    assert_eq!(said.stdout, "shut off (shutdown)\n", "{said:?}\n{journal}");
    assert_eq!(said.code, Some(0));
}

#[test]
fn a_crashed_guest_that_is_preserved_is_guarded_as_virsh_guards_it() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-crash", "preserve"]);
    let qemu = host.qemu_pid("v");
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    assert_eq!(host.wait("v"), "crashed (panicked)");
    assert_crashed(&host);
    assert_eq!(host.qemu_pid("v"), qemu);
    let row = format!(" {qemu:<width$}   v      crashed", width = 1);
    let table = host.ok(&["list"]);
    assert!(table.lines().any(|line| line == row), "{table:?}");
    let before = host.journal("v");
    host.refused(&["start", "v"], "error: Domain is already active\n");
    assert_eq!(host.ok(&["suspend", "v"]), "Domain 'v' suspended\n");
    assert_eq!(host.journal("v"), before);
    let stderr = "error: Failed to shutdown domain 'v'\n\
                  error: Requested operation is not valid: domain is not running\n";
    host.refused(&["shutdown", "v"], stderr);
    assert_crashed(&host);
    // The same dead kernel goes on; this one happens to obey.
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.answers();
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    step(&host, "reset", "Domain 'v' was reset", "paused (crashed)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    destroy(&host);
}

#[test]
fn a_guest_that_powers_itself_off_is_started_again_unseen_where_the_policy_says_restart() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-poweroff", "restart"]);
    let qemu = host.qemu_pid("v");
    for _ in 0..3 {
        guest.press('o');
        guest.hears("READY");
        assert_lives(&host, "running (booted)");
    }
    host.ok(&["suspend", "v"]);
    host.ok(&["resume", "v"]);
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (unpaused)");
    assert_eq!(host.qemu_pid("v"), qemu);
    destroy(&host);
}

/// virsh says `shut off (crashed)`: it does not take QEMU's SHUTDOWN for one there.
#[test]
fn a_sigterm_destroys_a_guest_that_would_be_started_again() {
    let host = Host::new();
    let _guest = start(&host, &["--on-poweroff", "restart"]);
    send(host.qemu_pid("v"), Signal::SIGTERM);
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    let json = host.json("v");
    assert_eq!(json["cause"]["kind"], "host-signal");
    assert_eq!(json["cause"]["pid"], std::process::id());
    assert_eq!(json["certainty"], "witnessed");
}

#[test]
fn a_panic_is_no_power_off() {
    for (policies, args) in [
        (&["--on-poweroff", "restart"][..], &[][..]),
        // QEMU stays there by itself, the policy notwithstanding.
        (&["--on-crash", "destroy"], &["-no-shutdown"]),
    ] {
        let host = Host::new();
        let mut guest = host.start_with("v", policies, &[&PVPANIC, args].concat());
        guest.press('p');
        host.assert_ends("v", "shut off (crashed)", &guest_panic());
    }
}

#[test]
fn a_power_off_that_nobody_has_come_to_yet_is_told_as_shutting_down() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-poweroff", "restart"]);
    let supervisor = host.supervisor_pid("v");
    send(supervisor, Signal::SIGSTOP);
    guest.press('o');
    host.wait_for("v", "paused (shutting down)");
    assert_lives(&host, "paused (shutting down)");
    send(supervisor, Signal::SIGCONT);
    guest.hears("READY");
    assert_lives(&host, "running (booted)");
}

#[test]
fn a_power_off_without_a_supervisor_is_finished_by_whoever_comes_first() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-poweroff", "restart"]);
    let qemu = host.qemu_pid("v");
    let power_off = |guest: &mut Guest, times: usize| {
        host.kill_supervisor("v");
        guest.press('o');
        until("the power-off", || {
            host.journal("v").matches("\"STOP\"").count() == times
        });
    };
    // A query brings a supervisor.
    power_off(&mut guest, 1);
    assert_eq!(host.answer("v"), "paused (shutting down)");
    guest.hears("READY");
    assert_lives(&host, "running (booted)");
    // A verb does it before its own.
    power_off(&mut guest, 2);
    step(&host, "suspend", "Domain 'v' suspended", "paused (user)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
    // A destroy is not kept from it.
    power_off(&mut guest, 4);
    destroy(&host);
    assert!(!is_alive(qemu));
}

#[test]
fn a_guest_that_may_not_reboot_is_shut_off_by_its_reset() {
    for letter in ['r', 't'] {
        let host = Host::new();
        let mut guest = start(&host, &["--on-reboot", "destroy"]);
        guest.press(letter);
        host.assert_ends("v", "shut off (shutdown)", &json!({"kind": "guest-reset"}));
    }
}

#[test]
fn the_reset_button_shuts_off_a_guest_that_may_not_reboot_and_is_named() {
    let host = Host::new();
    let _guest = start(&host, &["--on-reboot", "destroy"]);
    assert_eq!(host.ok(&["reset", "v"]), "Domain 'v' was reset\n");
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let json = host.json("v");
    assert_eq!(json["cause"]["kind"], "asked");
    assert_eq!(json["cause"]["verb"], "reset");
    assert_eq!(json["certainty"], "witnessed");
}

#[test]
fn a_guest_that_may_reboot_does() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-reboot", "restart"]);
    let qemu = host.qemu_pid("v");
    for letter in ['r', 't'] {
        guest.press(letter);
        guest.hears("READY");
        assert_lives(&host, "running (booted)");
    }
    assert_eq!(host.qemu_pid("v"), qemu);
}

const REBOOTED: &str = "Domain 'v' is being rebooted";

#[test]
fn a_reboot_starts_a_guest_again_that_powers_itself_off_once() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let qemu = host.qemu_pid("v");
    step(&host, "reboot", REBOOTED, "running (booted)");
    host.wait_for_event("v", "POWERDOWN");
    // It ignores the button.
    guest.answers();
    assert_lives(&host, "running (booted)");
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (booted)");
    assert_eq!(host.qemu_pid("v"), qemu);
    // At once: QEMU may not have been told yet that this one is an end.
    guest.press('o');
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
}

#[test]
fn a_reboot_can_be_had_again_and_is_over_when_it_is() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    for reboot in 1..=2 {
        step(&host, "reboot", REBOOTED, "running (booted)");
        guest.press('o');
        guest.hears("READY");
        until("the end of the reboot", || {
            let done = |line: &str| line.contains("DOMSTATE_DONE") && line.contains("reboot");
            host.journal("v").lines().filter(|line| done(line)).count() == reboot
        });
        assert_lives(&host, "running (booted)");
    }
    host.kill_supervisor("v");
    guest.press('o');
    // Nobody is needed for it.
    until("QEMU's end", || {
        host.journal("v").contains("guest-shutdown") && host.json("v")["id"].is_null()
    });
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
}

#[test]
fn a_reboot_is_withdrawn_by_a_shutdown() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    step(&host, "reboot", REBOOTED, "running (booted)");
    let message = "Domain 'v' is being shutdown";
    step(&host, "shutdown", message, "running (booted)");
    guest.press('o');
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
}

#[test]
fn a_reboot_where_a_reset_ends_the_guest_is_only_a_shutdown() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-reboot", "destroy"]);
    step(&host, "reboot", REBOOTED, "running (booted)");
    host.wait_for_event("v", "POWERDOWN");
    guest.press('o');
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
}

#[test]
fn a_reboot_is_asked_of_any_guest_that_is_active() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-crash", "preserve"]);
    host.ok(&["suspend", "v"]);
    step(&host, "reboot", REBOOTED, "paused (user)");
    host.ok(&["resume", "v"]);
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (unpaused)");
    guest.press('s');
    host.wait_for("v", "pmsuspended (unknown)");
    step(&host, "reboot", REBOOTED, "pmsuspended (unknown)");
    host.ok(&["dompmwakeup", "v"]);
    guest.hears("READY");
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (event wakeup)");
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    assert_eq!(host.ok(&["reboot", "v"]), format!("{REBOOTED}\n"));
    assert_crashed(&host);
    destroy(&host);
    let stderr = "error: Failed to reboot domain 'v'\n\
                  error: Requested operation is not valid: domain is not running\n";
    host.refused(&["reboot", "v"], stderr);
}

#[test]
fn a_reboot_without_a_supervisor_is_finished_by_the_next_query() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    step(&host, "reboot", REBOOTED, "running (booted)");
    host.kill_supervisor("v");
    guest.press('o');
    host.wait_for_event("v", "\"STOP\"");
    assert_eq!(host.answer("v"), "paused (shutting down)");
    guest.hears("READY");
    assert_lives(&host, "running (booted)");
    guest.press('o');
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
}

/// A guest that panicked while nobody looked after it.
fn panicked_unseen(host: &Host, policy: &str) -> Guest {
    let mut guest = start(host, &["--on-crash", policy]);
    host.kill_supervisor("v");
    guest.press('p');
    host.wait_for_event("v", "\"STOP\"");
    guest
}

/// virsh leaves it at `crashed (panicked)`: a panic while its daemon is down is never acted on.
#[test]
fn a_panic_without_a_supervisor_is_acted_on_by_whoever_comes_first() {
    for policy in ["restart", "coredump-restart"] {
        let host = Host::new();
        let mut guest = panicked_unseen(&host, policy);
        assert_eq!(host.answer("v"), "crashed (panicked)");
        guest.hears("READY");
        assert_lives(&host, "running (crashed)");
    }
    let host = Host::new();
    let _guest = panicked_unseen(&host, "coredump-destroy");
    assert_eq!(host.answer("v"), "crashed (panicked)");
    host.assert_ends("v", "shut off (crashed)", &guest_panic());
    assert_cores(&host, 1);
    // A verb does it before its own.
    let host = Host::new();
    let mut guest = panicked_unseen(&host, "restart");
    step(&host, "suspend", "Domain 'v' suspended", "paused (user)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
    let host = Host::new();
    let _guest = panicked_unseen(&host, "restart");
    destroy(&host);
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

/// `run v` with these policies, and its guest, which is ready.
fn run(host: &Host, policies: &[&str]) -> (Child, Guest) {
    let line = host.line("v");
    let argv = host.argv("v", &PVPANIC);
    let mut args = [&["run", "v"], policies, &["--"]].concat();
    args.extend(argv.iter().map(String::as_str));
    let run = spawn(host.command(&args));
    (run, Guest::connected(&line))
}

fn said(stdout: &str, stderr: &str, code: i32) -> Said {
    Said {
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        code: Some(code),
    }
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
fn a_run_in_the_foreground_dumps_the_core_before_it_tells_of_the_crash() {
    let host = Host::new();
    let (run, mut guest) = run(&host, &["--on-crash", "coredump-destroy"]);
    guest.press('p');
    assert_eq!(finish_child(run), said("shut off (crashed)\n", "", 3));
    assert_cores(&host, 1);
}

/// Starts `v` as it is defined, panics it, and asserts what it then is, with `preserve` or `restart` in force.
fn start_and_panic(host: &Host, options: &[&str], policy: &str) {
    let line = host.line("v");
    host.ok(&[&["start", "v"], options].concat());
    let mut guest = Guest::connected(&line);
    guest.press('p');
    if policy == "preserve" {
        assert_eq!(host.wait("v"), "crashed (panicked)");
        assert_crashed(host);
    } else {
        guest.hears("READY");
        assert_lives(host, "running (crashed)");
    }
    destroy(host);
}

/// `verb v` with these options, on a command line that can panic.
fn with_command_line(host: &Host, verb: &str, options: &[&str]) -> Said {
    let argv = host.argv("v", &PVPANIC);
    let mut args = [&[verb, "v"], options, &["--"]].concat();
    args.extend(argv.iter().map(String::as_str));
    host.domstate(&args)
}

#[test]
fn a_policy_is_kept_with_the_command_line_that_it_was_given_with_and_else_holds_for_one_run() {
    let host = Host::new();
    let defined = with_command_line(&host, "define", &["--on-crash", "preserve"]);
    assert_eq!(defined, said("Domain 'v' defined\n", "", 0));
    start_and_panic(&host, &[], "preserve");
    start_and_panic(&host, &["--on-crash", "restart"], "restart");
    start_and_panic(&host, &[], "preserve");
    // A new definition has the policies that it was given, and no older ones.
    let _line = host.line("v");
    let started = with_command_line(&host, "start", &["--on-poweroff", "restart"]);
    assert_eq!(started, said("Domain 'v' started\n", "", 0));
    let shown = host.json_of(&["show", "v"]);
    assert_eq!(shown["on_crash"], Value::Null);
    assert_eq!(shown["on_poweroff"], "restart");
}

impl Host {
    fn json_of(&self, args: &[&str]) -> Value {
        let args = [&["--format", "json"], args].concat();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }
}

#[test]
fn the_policies_are_shown_on_a_line_that_can_be_pasted() {
    let host = Host::new();
    let policies = "--on-crash coredump-restart --on-poweroff restart --on-reboot restart";
    let words: Vec<&str> = policies.split(' ').collect();
    with_command_line(&host, "define", &words);
    let (line, json) = (host.ok(&["show", "v"]), host.json_of(&["show", "v"]));
    assert!(
        line.contains(&format!(" && domstate define v {policies} -- ")),
        "{line}"
    );
    assert_eq!(json["on_crash"], "coredump-restart");
    assert_eq!(json["on_poweroff"], "restart");
    assert_eq!(json["on_reboot"], "restart");
    let uuid = json["uuid"].clone();
    host.ok(&["undefine", "v"]);
    let mut paste = Command::new("sh");
    paste
        .args(["-c", &line])
        .env("DOMSTATE_DIR", host.state_dir());
    let program = PathBuf::from(env!("CARGO_BIN_EXE_domstate"));
    let path = std::env::var("PATH").unwrap();
    paste.env(
        "PATH",
        format!("{}:{path}", program.parent().unwrap().display()),
    );
    assert_eq!(finish(paste), said("Domain 'v' defined\n", "", 0));
    assert_eq!(host.ok(&["show", "v"]), line);
    let mut again = host.json_of(&["show", "v"]);
    // Nothing keeps that of a domain that is gone.
    assert_ne!(again["uuid"].take(), uuid);
    again["uuid"] = uuid;
    assert_eq!(again, json);
}

#[test]
fn policies_that_contradict_each_other_or_the_command_line_are_refused_and_nothing_is_kept() {
    const ON_RESTART_AND_DESTROY: &str = "unsupported configuration: qemu driver doesn't support \
        'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'";
    let host = Host::new();
    for (policies, qemu_args, why) in [
        (
            &["--on-poweroff", "restart", "--on-reboot", "destroy"][..],
            &[][..],
            ON_RESTART_AND_DESTROY,
        ),
        (
            &["--on-poweroff", "restart"],
            &["-no-reboot"],
            ON_RESTART_AND_DESTROY,
        ),
        (
            &["--on-crash", "preserve"],
            &["-action", "panic=none"],
            "option '-action panic=none' contradicts --on-crash preserve",
        ),
        (
            &["--on-reboot", "restart"],
            &["-no-reboot"],
            "option '-no-reboot' contradicts --on-reboot restart",
        ),
        (
            &["--on-poweroff", "destroy"],
            &["-no-shutdown"],
            "option '-no-shutdown' contradicts --on-poweroff destroy",
        ),
    ] {
        let program = super::harness::qemu();
        let argv = [&["--", &program], qemu_args].concat();
        for (verb, sentence, code) in [
            ("define", "Failed to define domain 'v'", 1),
            ("start", "Failed to start domain 'v'", 1),
            ("run", "Failed to start domain 'v'", 125),
        ] {
            let refused = host.domstate(&[&[verb, "v"], policies, &argv].concat());
            let stderr = format!("error: {sentence}\nerror: {why}\n");
            assert_eq!(refused, said("", &stderr, code), "{verb} {policies:?}");
        }
    }
    assert_eq!(host.ok(&["list", "--all", "--name"]).trim(), "");
    // What is kept and what is given for a run have to agree as well.
    with_command_line(&host, "define", &["--on-poweroff", "restart"]);
    let stderr = format!("error: Failed to start domain 'v'\nerror: {ON_RESTART_AND_DESTROY}\n");
    host.refused(&["start", "v", "--on-reboot", "destroy"], &stderr);
    assert_eq!(host.answer("v"), "shut off (unknown)");
}

#[test]
fn words_that_are_no_policies_are_wrong_usage_in_libvirts_words_where_it_has_some() {
    const REFUSED: &str = "unsupported configuration: qemu driver doesn't support";
    let host = Host::new();
    let rename =
        format!("{REFUSED} the 'rename-restart' action for 'on_reboot'/'on_poweroff'/'on_crash'");
    let preserve = format!("{REFUSED} the 'preserve' action for 'on_reboot'/'on_poweroff'");
    let crash = "use one of destroy, restart, preserve, coredump-destroy, coredump-restart";
    for (option, word, why) in [
        ("--on-crash", "rename-restart", rename.as_str()),
        ("--on-poweroff", "rename-restart", &rename),
        ("--on-reboot", "rename-restart", &rename),
        ("--on-poweroff", "preserve", &preserve),
        ("--on-reboot", "preserve", &preserve),
        ("--on-crash", "destory", crash),
        (
            "--on-poweroff",
            "coredump-destroy",
            "use one of destroy, restart",
        ),
        ("--on-reboot", "reset", "use one of restart, destroy"),
    ] {
        for verb in ["define", "start", "run"] {
            let line = format!("error: invalid value '{word}' for '{option} <ACTION>': {why}\n");
            let refused = with_command_line(&host, verb, &[option, word]);
            assert_eq!(refused, said("", &line, 2), "{verb} {option} {word}");
        }
    }
    assert!(!host.state_dir().join("v").exists());
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

#[test]
fn a_reboot_of_a_guest_whose_qemu_is_to_stay_starts_it_once_and_then_it_stays() {
    let host = Host::new();
    let mut guest = host.start("v", &["-no-shutdown"]);
    step(&host, "reboot", REBOOTED, "running (booted)");
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (booted)");
    host.wait_for_event("v", "DOMSTATE_DONE");
    guest.press('o');
    host.wait_for("v", "in shutdown (unknown)");
    noted(&host, "in shutdown");
    let answer = "in shutdown (unknown)";
    host.assert_is("v", answer, &guest_shutdown(), "witnessed");
}

/// A guest under this policy, which has no place for its core.
fn start_without_room(host: &Host, policy: &str) -> Guest {
    let guest = start(host, &["--on-crash", policy]);
    fs::write(host.state_dir().join("v/dump"), "").unwrap();
    guest
}

#[test]
fn a_guest_whose_core_cannot_be_dumped_stays_for_somebody_to_look_at_and_says_why() {
    let host = Host::new();
    let mut guest = start_without_room(&host, "coredump-destroy");
    guest.press('p');
    assert_eq!(host.wait("v"), "crashed (panicked)");
    let dump = host.state_dir().join("v/dump");
    let why = format!("cannot write {}: File exists", dump.display());
    let cause = json!({"kind": "guest-panic", "info": null, "kept": why});
    host.assert_is("v", "crashed (panicked)", &cause, "witnessed");
    step(&host, "reset", "Domain 'v' was reset", "paused (crashed)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
    // Now there is a place.
    fs::remove_file(dump).unwrap();
    guest.press('p');
    host.assert_ends("v", "shut off (crashed)", &guest_panic());
    assert_cores(&host, 1);
}

#[test]
fn a_guest_whose_core_cannot_be_dumped_is_restarted_all_the_same() {
    let host = Host::new();
    let mut guest = start_without_room(&host, "coredump-restart");
    guest.press('p');
    guest.hears("READY");
    assert_lives(&host, "running (crashed)");
}

const WATCHDOG: [&str; 2] = ["-device", "ib700"];

#[test]
fn a_watchdog_that_presses_the_power_button_or_sends_an_nmi_changes_nothing() {
    for (action, event) in [("shutdown", "POWERDOWN"), ("inject-nmi", "WATCHDOG")] {
        let host = Host::new();
        let action = format!("watchdog={action}");
        let mut guest = host.start("v", &[&WATCHDOG[..], &["-action", &action]].concat());
        guest.press('g');
        host.wait_for_event("v", "WATCHDOG");
        host.wait_for_event("v", event);
        guest.answers();
        assert_lives(&host, "running (booted)");
        guest.press('o');
        host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
    }
}

#[test]
fn a_watchdog_that_ends_a_guest_is_no_doing_of_the_guests() {
    for (policies, action) in [
        (["--on-poweroff", "restart"], "poweroff"),
        (["--on-reboot", "destroy"], "reset"),
    ] {
        let host = Host::new();
        let words = format!("watchdog={action}");
        let args = [&WATCHDOG[..], &["-action", &words]].concat();
        let mut guest = host.start_with("v", &policies, &args);
        guest.press('g');
        let cause = json!({"kind": "watchdog", "action": action});
        host.assert_ends("v", "shut off (crashed)", &cause);
    }
}
