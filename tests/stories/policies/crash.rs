//! What becomes of a guest that panics, and of its core.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{
    PVPANIC, assert_cores, assert_crashed, assert_lives, cores, destroy, guest_panic,
    panicked_unseen, run, said, start, step,
};
use crate::harness::{Guest, Host, Monitor, finish, finish_child, processes_with, spawn, until};

/// Why a guest that panics again and again is left as it is.
const CRASH_LOOP: &str = "restarted 5 times in 60 s already";

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
fn a_guest_that_is_reset_before_its_policy_could_end_it_is_not_ended() {
    let host = Host::new();
    // QEMU, which is to pause at a power-off, pauses at a panic too: so it is domstate that ends it.
    let mut guest = start(&host, &["--on-poweroff", "restart"]);
    let qemu = host.qemu_pid("v");
    // QEMU listens to one at a time: who is to end it has made up his mind, and waits.
    let socket = host.run_folder("v").join("qmp.sock");
    let mut monitor = Monitor::connect(&socket);
    guest.press('p');
    let servants = || {
        let run = host.run_folder("v");
        processes_with(&format!("serve\0{}", run.display()))
    };
    let has_connected = |pid: &i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut to = open
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        to.any(|to| to.to_string_lossy().starts_with("socket:"))
    };
    until("a servant at the monitor", || {
        servants().iter().any(has_connected)
    });
    monitor.execute("system_reset", &json!({}));
    drop(monitor);
    until("the servant's end", || servants().is_empty());
    host.assert_is("v", "paused (crashed)", &Value::Null, "witnessed");
    assert_eq!(host.qemu_pid("v"), qemu);
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
}

#[test]
fn a_guest_whose_core_was_dumped_is_shut_off_as_crashed() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-crash", "coredump-destroy"]);
    guest.press('p');
    host.assert_ends("v", "shut off (crashed)", &guest_panic());
    assert_cores(&host, 1);
    // Another disk may be mounted there, with somebody else's files on it.
    let other = host.state_dir().join("v/dump/a");
    fs::write(&other, "b").unwrap();
    let said = host.domstate(&["undefine", "v", "--remove-dumps"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("is no core file of domstate's"),
        "{said:?}"
    );
    fs::remove_file(other).unwrap();
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
    // On the folder another disk may be mounted, with other people's cores on it.
    let foreign = oldest.with_file_name("00000000-app.core");
    fs::write(&foreign, "a core").unwrap();
    // And one of ours that was never finished, and could not be removed.
    let name = "00000000-2026-01-01T00:00:00.000000Z.core.v-1-1.domstate-part";
    let unfinished = oldest.with_file_name(name);
    fs::write(&unfinished, "a part").unwrap();
    // The next run has done nothing yet that could be a loop.
    let mut guest = start(&host, &["--on-crash", "coredump-restart"]);
    guest.press('p');
    guest.hears("READY");
    assert_lives(&host, "running (crashed)");
    assert!(foreign.exists() && !unfinished.exists());
    fs::remove_file(foreign).unwrap();
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

/// QEMU says that it has stopped its guest only behind the panic, and has not done so yet when that is told.
fn stops(host: &Host) -> usize {
    host.journal("v").matches("\"STOP\"").count()
}

#[test]
fn a_crashed_guest_that_is_preserved_is_guarded_as_virsh_guards_it() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-crash", "preserve"]);
    let qemu = host.qemu_pid("v");
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    until("QEMU's stop", || stops(&host) == 1);
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
    until("QEMU's stop", || stops(&host) == 2);
    step(&host, "reset", "Domain 'v' was reset", "paused (crashed)");
    step(&host, "resume", "Domain 'v' resumed", "running (unpaused)");
    guest.hears("READY");
    guest.press('p');
    host.wait_for("v", "crashed (panicked)");
    until("QEMU's stop", || stops(&host) == 3);
    destroy(&host);
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
fn a_guest_that_was_let_run_in_lines_that_are_lost_is_not_reset_for_its_panic() {
    let host = Host::new();
    let mut guest = panicked_unseen(&host, "restart");
    let run = host.run_folder("v");
    let mut monitor = Monitor::connect(&run.join("qmp.sock"));
    monitor.execute("system_reset", &json!({}));
    monitor.execute("cont", &json!({}));
    drop(monitor);
    guest.hears("READY");
    let journal = run.join("journal");
    let text = fs::read_to_string(&journal).unwrap();
    let (before, after) = text.split_once("\"STOP\"}").unwrap();
    let resets = after.matches("\"RESET\"").count();
    assert!(resets > 0, "{after}");
    let lost = after.replace("{\"timestamp\"", "xxxxxxxxxxxx");
    fs::write(&journal, format!("{before}\"STOP\"}}{lost}")).unwrap();
    // It has done what is to be done, before it acts.
    host.ok(&["suspend", "v"]);
    let mut kept = guest_panic();
    kept["kept"] = json!("lines of the record are lost, and QEMU has the guest in another state");
    host.assert_is("v", "crashed (panicked)", &kept, "inferred");
    // Nor when it stands again.
    let said = host.domstate(&["resume", "v"]);
    let mut monitor = Monitor::connect(&run.join("qmp.sock"));
    monitor.execute("cont", &json!({}));
    guest.answers();
    let text = fs::read_to_string(&journal).unwrap();
    assert_eq!(text.matches("\"RESET\"").count(), resets, "{said:?} {text}");
}

#[test]
fn a_run_in_the_foreground_dumps_the_core_before_it_tells_of_the_crash() {
    let host = Host::new();
    let (run, mut guest) = run(&host, &["--on-crash", "coredump-destroy"]);
    guest.press('p');
    assert_eq!(finish_child(run), said("shut off (crashed)\n", "", 3));
    assert_cores(&host, 1);
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

/// The file may not become larger than a part of the guest's memory.
#[test]
fn a_core_dump_that_is_cut_short_leaves_no_file_and_does_what_a_failed_one_does() {
    for policy in ["coredump-destroy", "coredump-restart"] {
        let host = Host::new();
        let line = host.line("v");
        let argv = host.argv("v", &PVPANIC);
        let mut start = Command::new("sh");
        start.args(["-c", "ulimit -f 4096; exec \"$@\"", "sh"]);
        start.args([env!("CARGO_BIN_EXE_domstate"), "start", "v"]);
        start.args(["--on-crash", policy, "--"]).args(&argv);
        start.env("DOMSTATE_DIR", host.state_dir());
        assert_eq!(finish(start), said("Domain 'v' started\n", "", 0));
        let mut guest = Guest::connected(&line);
        guest.press('p');
        if policy == "coredump-restart" {
            guest.hears("READY");
            assert_lives(&host, "running (crashed)");
        } else {
            assert_eq!(host.wait("v"), "crashed (panicked)");
            let why = "cannot write the file: File too large";
            let cause = json!({"kind": "guest-panic", "info": null, "kept": why});
            host.assert_is("v", "crashed (panicked)", &cause, "witnessed");
        }
        assert_cores(&host, 0);
        destroy(&host);
    }
}
