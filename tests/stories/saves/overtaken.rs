//! Somebody else at QEMU's monitor while a guest is saved: what he has QEMU write is not taken for the save.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{comes_to_be_saved, failed};
use crate::harness::{Host, finish_child, send, until};
use crate::jobs::{SLOW, UNLIMITED, assert_failed, assert_no_file};
use crate::monitor::Monitor;
use crate::sent_away::{SENT_AWAY, is_elsewhere};

/// Reads what stands in the pipes of the save's worker, which may be stopped: QEMU hears of nothing while it waits for room there.
fn drain(worker: i32) {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{worker}/fd")) else {
        return;
    };
    let is_pipe = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("pipe:"))
    };
    for path in descriptors
        .flatten()
        .map(|entry| entry.path())
        .filter(is_pipe)
    {
        let mut options = File::options();
        options.read(true).custom_flags(nix::libc::O_NONBLOCK);
        if let Ok(mut pipe) = options.open(path) {
            let _ = pipe.read(&mut [0; 1 << 16]);
        }
    }
}

/// Cancels the save of this worker that QEMU is at and has it send the guest elsewhere instead, at this limit.
fn send_elsewhere(host: &Host, worker: i32, elsewhere: &str, bytes_per_second: u64) -> Monitor {
    let mut monitor = host.third_party("v");
    monitor.execute("migrate_cancel", &json!({}));
    until("the end of the save", || {
        drain(worker);
        host.journal("v").contains("\"cancelled\"")
    });
    let limit = json!({"max-bandwidth": bytes_per_second});
    monitor.execute("migrate-set-parameters", &limit);
    let there = json!({"uri": format!("exec:cat > {elsewhere}")});
    monitor.execute("migrate", &there);
    monitor
}

#[test]
fn a_save_that_somebody_cancels_to_send_the_guest_elsewhere_fails_and_the_guest_does_not_run_here()
{
    for command in ["goes on", "dies"] {
        let host = Host::new();
        let (file, elsewhere) = (host.path("v.save"), host.path("elsewhere"));
        let _guest = host.start_slow(&[]);
        let save = host.under_way(&["save", "v", &file], "paused (saving)");
        let worker = i32::try_from(save.id()).unwrap();
        // All of it comes between two looks of the command.
        send(worker, Signal::SIGSTOP);
        let mut monitor = send_elsewhere(&host, worker, &elsewhere, UNLIMITED);
        host.wait_for_event("v", "\"completed\"");
        if command == "goes on" {
            send(worker, Signal::SIGCONT);
            assert_failed(&finish_child(save), &failed(&file, SENT_AWAY));
        } else {
            send(worker, Signal::SIGKILL);
            finish_child(save);
            host.wait_for_event("v", "DOMSTATE_FAILED");
        }
        assert_no_file(&file);
        assert!(Path::new(&elsewhere).exists());
        is_elsewhere(&host, &mut monitor);
    }
}

#[test]
fn who_takes_back_a_save_does_not_cancel_what_somebody_else_has_qemu_do_instead() {
    let host = Host::new();
    let (file, elsewhere) = (host.path("v.save"), host.path("elsewhere"));
    let _guest = host.start_slow(&[]);
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    let worker = i32::try_from(save.id()).unwrap();
    let mut monitor = send_elsewhere(&host, worker, &elsewhere, SLOW);
    assert_eq!(finish_child(save).code, Some(1));
    assert_no_file(&file);
    let unlimited = json!({"max-bandwidth": UNLIMITED});
    monitor.execute("migrate-set-parameters", &unlimited);
    host.wait_for_event("v", "\"completed\"");
    is_elsewhere(&host, &mut monitor);
}

#[test]
fn a_guest_that_somebody_lets_run_while_it_is_saved_is_saved_all_the_same() {
    let host = Host::new();
    let file = host.path("v.save");
    let _guest = host.start_slow(&[]);
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    host.third_party("v").execute("cont", &json!({}));
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    comes_to_be_saved(&host, save, &file);
}

/// What a guest does that somebody lets run while it is saved, and what is told of it then.
const ENDS: &[(char, &[&str], &[&str], &str)] = &[
    (
        'o',
        &["--on-poweroff", "restart"],
        &[],
        "running (unpaused)",
    ),
    ('o', &[], &["-no-shutdown"], "in shutdown (unknown)"),
    (
        'p',
        &["--on-crash", "preserve"],
        &["-device", "pvpanic"],
        "crashed (panicked)",
    ),
];

#[test]
fn a_guest_that_comes_to_an_end_while_it_is_saved_is_not_saved() {
    for (letter, options, qemu_args, wanted) in ENDS {
        let host = Host::new();
        let file = host.path("v.save");
        let mut guest = host.start_slow_with(options, qemu_args);
        let save = host.under_way(&["save", "v", &file], "paused (saving)");
        host.third_party("v").execute("cont", &json!({}));
        guest.press(*letter);
        host.wait_for_event(
            "v",
            if *letter == 'p' {
                "GUEST_PANICKED"
            } else {
                "SHUTDOWN"
            },
        );
        host.limit(UNLIMITED);
        let why = "the guest was let run on or sent elsewhere meanwhile, has come to an end, or fell asleep";
        assert_failed(&finish_child(save), &failed(&file, why));
        assert_no_file(&file);
        host.wait_for("v", wanted);
        host.ok(&["destroy", "v"]);
    }
}
