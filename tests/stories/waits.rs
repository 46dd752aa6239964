//! `wait`: for what, for whom, how long, and what its exit status says.

use std::fs;
use std::process::{Child, Command};

use nix::sys::signal::Signal;

use super::harness::{Host, Said, finish_child, is_alive, send, spawn, until, with_argv};

/// `wait` with these arguments, under way.
fn waiting(host: &Host, args: &[&str]) -> Child {
    spawn(host.command(&[&["wait"], args].concat()))
}

fn said(child: Child) -> (Option<i32>, String) {
    let said: Said = finish_child(child);
    assert_eq!(said.stderr, "");
    (said.code, said.stdout)
}

#[test]
fn without_a_condition_it_returns_when_each_domain_has_ended() {
    let host = Host::new();
    let mut first = host.start("a", &[]);
    let mut second = host.start("b", &["-device", "pvpanic", "-action", "panic=pause"]);
    let both = waiting(&host, &["a", "b", "--timeout", "60"]);
    let one = waiting(&host, &["a", "b", "--any", "--timeout", "60"]);
    first.press('o');
    assert_eq!(
        said(one),
        (
            Some(0),
            "a: shut off (shutdown)\nb: running (booted)\n".to_owned()
        )
    );
    // A guest that panicked and stayed has ended too.
    second.press('p');
    assert_eq!(
        said(both),
        (
            Some(0),
            "a: shut off (shutdown)\nb: crashed (panicked)\n".to_owned()
        )
    );
    assert_eq!(host.ok(&["wait", "a"]), "shut off (shutdown)\n");
    assert_eq!(
        host.ok(&["await", "a", "--condition", "domain-inactive"]),
        "shut off (shutdown)\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&host.ok(&["--format", "json", "wait", "b"])).unwrap();
    assert_eq!(
        (&json["state"], &json["reason"]),
        (&"crashed".into(), &"panicked".into())
    );
}

#[test]
fn a_condition_that_can_no_longer_be_met_ends_the_wait() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let shutdown = waiting(&host, &["v", "--for", "shut off (shutdown)"]);
    let either = waiting(
        &host,
        &["v", "--for", "paused", "--for", "shut off (crashed)"],
    );
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(said(shutdown), (Some(3), "shut off (crashed)\n".to_owned()));
    assert_eq!(said(either), (Some(0), "shut off (crashed)\n".to_owned()));
    let late = host.domstate(&["wait", "v", "--for", "shut off (shutdown)"]);
    assert_eq!(
        (late.code, late.stdout.as_str()),
        (Some(3), "shut off (crashed)\n")
    );
}

#[test]
fn a_condition_that_only_an_active_domain_meets_waits_for_the_next_start() {
    let host = Host::new();
    host.ok(&["define", "v", "--", "qemu-system-x86_64"]);
    let active = waiting(&host, &["v", "--for", "active", "--timeout", "60"]);
    let running = waiting(&host, &["v", "--for", "running", "--timeout", "60"]);
    let change = waiting(&host, &["v", "--for", "change", "--timeout", "60"]);
    let paused = waiting(&host, &["v", "--for", "paused (user)", "--timeout", "60"]);
    let _guest = host.start("v", &[]);
    let (code, state) = said(active);
    assert_eq!(code, Some(0), "{state}");
    assert_eq!(said(running), (Some(0), "running (booted)\n".to_owned()));
    host.ok(&["suspend", "v"]);
    assert_eq!(said(paused), (Some(0), "paused (user)\n".to_owned()));
    let inactive = waiting(&host, &["v", "--for", "inactive", "--timeout", "60"]);
    host.ok(&["resume", "v"]);
    // However late it first looked, something has changed since.
    assert_eq!(said(change).0, Some(0));
    host.ok(&["destroy", "v"]);
    assert_eq!(
        said(inactive),
        (Some(0), "shut off (destroyed)\n".to_owned())
    );
}

#[test]
fn what_met_its_condition_and_has_ended_since_is_told_as_it_is() {
    let host = Host::new();
    let mut first = host.start("a", &[]);
    let argv = host.argv("v", &[]);
    host.ok(&with_argv(&["define", "v"], &argv));
    let both = waiting(&host, &["a", "v", "--for", "running", "--timeout", "60"]);
    until_it_watches(&both);
    first.press('o');
    assert_eq!(host.wait("a"), "shut off (shutdown)");
    let mut second = host.takes_up(&["start", "v"], "Domain 'v' started\n");
    second.hears("READY");
    let told = "a: shut off (shutdown)\nv: running (booted)\n";
    assert_eq!(said(both), (Some(0), told.to_owned()));
}

#[test]
fn a_start_that_came_and_went_between_two_looks_is_waited_for_no_more() {
    let host = Host::new();
    host.ok(&["define", "v", "--", "false"]);
    let running = waiting(&host, &["v", "--for", "running", "--timeout", "60"]);
    until_it_watches(&running);
    let waiter = i32::try_from(running.id()).unwrap();
    send(waiter, Signal::SIGSTOP);
    assert_eq!(host.domstate(&["start", "v"]).code, Some(1));
    send(waiter, Signal::SIGCONT);
    assert_eq!(said(running), (Some(3), "shut off (failed)\n".to_owned()));
}

/// Waits until the first look is over.
fn until_it_watches(waiter: &Child) {
    until("its sleep", || {
        let sleeps_in = fs::read_to_string(format!("/proc/{}/wchan", waiter.id()));
        sleeps_in.is_ok_and(|function| function.contains("poll"))
    });
}

#[test]
fn a_wait_whose_time_is_up_says_so_and_what_it_saw() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    for timeout in ["0", "50ms"] {
        let late = host.domstate(&["wait", "v", "--timeout", timeout]);
        assert_eq!(
            (late.code, late.stdout.as_str()),
            (Some(124), "running (booted)\n"),
            "{timeout}"
        );
        let met = host.domstate(&["wait", "v", "--for", "running", "--timeout", timeout]);
        assert_eq!(
            (met.code, met.stdout.as_str()),
            (Some(0), "running (booted)\n"),
            "{timeout}"
        );
    }
    let unknown = host.domstate(&["wait", "v", "nope"]);
    assert_eq!(unknown.code, Some(1));
    assert_eq!(unknown.stderr, "error: failed to get domain 'nope'\n");
}

#[test]
fn a_wait_that_is_shorter_than_the_patience_with_a_supervisor_tells_the_end_that_it_sees() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
    send(supervisor, Signal::SIGSTOP);
    send(qemu, Signal::SIGKILL);
    until("QEMU's death", || !is_alive(qemu));
    for timeout in ["0", "50ms"] {
        let met = host.domstate(&["wait", "v", "--timeout", timeout]);
        assert_eq!(
            (met.code, met.stdout.as_str()),
            (Some(0), "shut off (crashed)\n"),
            "{timeout}"
        );
    }
    send(supervisor, Signal::SIGCONT);
}

#[test]
fn a_wait_does_not_start_supervisors_without_end_nor_looks_without_pause() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    host.kill_supervisor("v");
    // Each of them dies as soon as it writes anything.
    let trace = host.path("trace");
    let mut wait = Command::new("strace");
    wait.args(["-f", "-e", "trace=execve,poll", "-o", &trace]);
    wait.args(["prlimit", "--fsize=0", env!("CARGO_BIN_EXE_domstate")]);
    wait.args(["wait", "v", "--timeout", "7s"]);
    wait.env("DOMSTATE_DIR", host.state_dir());
    let said = finish_child(spawn(wait));
    assert_eq!(
        (said.code, &*said.stdout),
        (Some(124), "running (booted)\n"),
        "{said:?}"
    );
    let trace = fs::read_to_string(trace).unwrap();
    let of = |word: &str| trace.lines().filter(|line| line.contains(word)).count();
    // As many as may die, and the one that the wait began with.
    assert_eq!(of("execve(\"/proc/self/exe\""), 11, "{trace}");
    assert!(of("poll(") < 200, "{trace}");
    // The next command's lives.
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn logs_are_followed_to_qemus_end() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let follow = spawn(host.command(&["logs", "v", "--follow"]));
    send(host.qemu_pid("v"), Signal::SIGTERM);
    let (code, log) = said(follow);
    assert_eq!(code, Some(0));
    assert!(log.contains("terminating on signal 15 from pid"), "{log}");
}
