//! What becomes of a guest that powers itself off, resets itself, or is rebooted or reset.

use nix::sys::signal::Signal;
use serde_json::json;

use super::{assert_crashed, assert_lives, destroy, guest_shutdown, noted, start, step};
use crate::harness::{Guest, Host, is_alive, send, until};

#[test]
fn a_guest_that_powers_itself_off_is_started_again_unseen_where_the_policy_says_restart() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-poweroff", "restart"]);
    let qemu = host.qemu_pid("v");
    // S5, and S4.
    for letter in ['o', 'd'] {
        guest.press(letter);
        guest.hears("READY");
        assert_lives(&host, "running (booted)");
    }
    // Nor is it an end where a user asked for it.
    host.ok(&["shutdown", "v"]);
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (booted)");
    host.ok(&["suspend", "v"]);
    host.ok(&["resume", "v"]);
    guest.press('o');
    guest.hears("READY");
    assert_lives(&host, "running (unpaused)");
    assert_eq!(host.qemu_pid("v"), qemu);
    assert_eq!(
        host.ok(&["destroy", "--graceful", "v"]),
        "Domain 'v' destroyed\n"
    );
    assert_eq!(host.answer("v"), "shut off (destroyed)");
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
fn a_power_off_that_need_be_no_end_is_none_until_qemus_own_is_on_record() {
    let host = Host::new();
    let mut guest = start(&host, &["--on-poweroff", "restart"]);
    let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
    send(supervisor, Signal::SIGSTOP);
    guest.press('o');
    host.wait_for_event("v", "\"STOP\"");
    send(qemu, Signal::SIGKILL);
    until("its death", || !is_alive(qemu));
    let cause = json!({"kind": "status-lost"});
    host.assert_is("v", "shut off (unknown)", &cause, "unknown");
    // Whose QEMU it is, has heard all that it said.
    send(supervisor, Signal::SIGCONT);
    host.assert_ends("v", "shut off (shutdown)", &guest_shutdown());
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
