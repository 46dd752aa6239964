//! After the host came up again, and seen from another pid namespace: pids mean nothing there, and nothing is taken
//! for dead that lives, or for alive that is dead.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use super::guest::ENDS;
use super::harness::{
    Host, Said, finish, is_alive, is_root, processes_with, send, until, with_argv,
};

/// Runs domstate as if the host had booted anew.
fn after_boot(host: &Host, boot: &str, args: &[&str]) -> Said {
    after_boot_in(&host.state_dir(), boot, args)
}

/// The same in another state directory than the host's.
pub(super) fn after_boot_in(state_dir: &Path, boot: &str, args: &[&str]) -> Said {
    let file = state_dir.with_file_name("boot_id");
    fs::write(&file, format!("{boot}\n")).unwrap();
    let script = r#"mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@""#;
    let unshare = ["-m", "sh", "-c", script, "sh"];
    in_namespace(state_dir, &unshare, file.to_str(), args)
}

/// Runs domstate where other pids are in use.
fn among_other_pids(host: &Host, args: &[&str]) -> Said {
    among_other_pids_in(&host.state_dir(), args)
}

/// The same in another state directory than the host's.
pub(super) fn among_other_pids_in(state_dir: &Path, args: &[&str]) -> Said {
    in_namespace(state_dir, &["-p", "-f", "--mount-proc"], None, args)
}

fn in_namespace(state_dir: &Path, unshare: &[&str], file: Option<&str>, args: &[&str]) -> Said {
    let mut command = Command::new("unshare");
    command.args(unshare).args(file);
    command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
    command.env("DOMSTATE_DIR", state_dir);
    finish(command)
}

fn answer(said: &Said) -> &str {
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    said.stdout.trim_end()
}

pub(super) const SECOND: &str = "22222222-2222-4222-8222-222222222222";
const THIRD: &str = "33333333-3333-4333-8333-333333333333";

#[test]
fn a_guest_that_ran_when_the_host_went_down_is_crashed_and_stays_so() {
    if !is_root("a_guest_that_ran_when_the_host_went_down_is_crashed_and_stays_so") {
        return;
    }
    for paused in [false, true] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        if paused {
            host.ok(&["suspend", "v"]);
        }
        host.kill_unseen("v");
        for boot in [SECOND, SECOND, THIRD] {
            let said = after_boot(&host, boot, &["--reason", "v"]);
            assert_eq!(answer(&said), "shut off (crashed)", "boot {boot}");
            let said = after_boot(&host, boot, &["--format", "json", "v"]);
            let json: serde_json::Value = serde_json::from_str(answer(&said)).unwrap();
            assert_eq!(json["cause"]["kind"], "host-restart", "{json}");
            assert_eq!(json["certainty"], "inferred", "{json}");
            assert_eq!(json["id"], serde_json::Value::Null);
        }
        // Whoever found it wrote it down: the boot that did not see it believes it too.
        until("the record", || {
            host.journal("v").contains("DOMSTATE_EXITED")
        });
        assert_eq!(host.answer("v"), "shut off (crashed)");
        assert_eq!(host.json("v")["cause"]["kind"], "host-restart");
        // It can be started again, by the new host.
        let said = after_boot(&host, THIRD, &["start", "v"]);
        assert_eq!(said.code, Some(1), "its serial line is not there: {said:?}");
        let said = after_boot(&host, THIRD, &["--reason", "v"]);
        assert_eq!(answer(&said), "shut off (failed)");
    }
}

#[test]
fn an_end_that_was_recorded_keeps_its_reason_through_every_boot() {
    if !is_root("an_end_that_was_recorded_keeps_its_reason_through_every_boot") {
        return;
    }
    for &(how, wanted) in ENDS {
        let host = Host::new();
        let mut guest = host.start("v", &["-device", "pvpanic"]);
        guest.end(&host, how);
        host.wait_for("v", wanted);
        until("the checkpoint", || host.json("v")["supervisor"].is_null());
        let before = host.json("v");
        for boot in [SECOND, THIRD] {
            let said = after_boot(&host, boot, &["--format", "json", "v"]);
            let mut after: serde_json::Value = serde_json::from_str(answer(&said)).unwrap();
            after["supervisor"] = before["supervisor"].clone();
            assert_eq!(after, before, "{how}");
        }
    }
}

#[test]
fn a_shutdown_that_was_announced_is_one_although_the_host_went_down_with_it() {
    if !is_root("a_shutdown_that_was_announced_is_one_although_the_host_went_down_with_it") {
        return;
    }
    for (letter, wanted, cause) in [
        ('o', "shut off (shutdown)", "guest-shutdown"),
        ('p', "shut off (crashed)", "guest-panic"),
    ] {
        let host = Host::new();
        let mut guest = host.start("v", &["-device", "pvpanic"]);
        let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
        send(supervisor, Signal::SIGSTOP);
        guest.press(letter);
        until("QEMU's end", || !is_alive(qemu));
        send(supervisor, Signal::SIGKILL);
        until("the supervisor's death", || !is_alive(supervisor));
        for boot in [SECOND, THIRD] {
            let said = after_boot(&host, boot, &["--reason", "v"]);
            assert_eq!(answer(&said), wanted);
            let said = after_boot(&host, boot, &["--format", "json", "v"]);
            assert!(said.stdout.contains(cause), "{said:?}");
        }
        until("the record", || {
            host.journal("v").contains("DOMSTATE_EXITED")
        });
        assert_eq!(host.answer("v"), wanted);
    }
}

#[test]
fn a_guest_seen_from_another_pid_namespace_is_not_taken_for_dead() {
    if !is_root("a_guest_seen_from_another_pid_namespace_is_not_taken_for_dead") {
        return;
    }
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    for supervised in [true, false] {
        if !supervised {
            host.kill_supervisor("v");
        }
        for verb in [&["--reason", "v"][..], &["wait", "v", "--timeout", "0"]] {
            let said = among_other_pids(&host, verb);
            assert_eq!(said.stdout.trim_end(), "running (booted)", "{said:?}");
        }
        for verb in [&["explain", "v"][..], &["list"], &["history", "v"]] {
            assert_eq!(among_other_pids(&host, verb).code, Some(0));
        }
        // Whoever might have been started there to look after it has come to its end with its namespace, or sees
        // what it wrote.
        assert!(!host.journal("v").contains("DOMSTATE_EXITED"));
        if !supervised {
            assert_eq!(host.json("v")["supervisor"], serde_json::Value::Null);
        }
        assert_eq!(host.answer("v"), "running (booted)");
    }
    // A verb that would have to act says what it did.
    let said = among_other_pids(&host, &["suspend", "v"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(host.answer("v"), "paused (user)");
    host.ok(&["resume", "v"]);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let said = among_other_pids(&host, &["--reason", "v"]);
    assert_eq!(answer(&said), "shut off (shutdown)");
    let folder = host.folder().to_string_lossy().into_owned();
    until("everybody's end", || processes_with(&folder).is_empty());
}

#[test]
fn from_another_pid_namespace_no_number_is_told_that_is_a_strangers_there() {
    if !is_root("from_another_pid_namespace_no_number_is_told_that_is_a_strangers_there") {
        return;
    }
    let host = Host::new();
    let _guest = host.start("v", &[]);
    host.ok(&with_argv(&["define", "a"], &host.argv("a", &[])));
    let here = host.json("v");
    let id = here["id"].to_string();
    assert!(here["supervisor"].is_number(), "{here}");
    assert_eq!(host.ok(&["domname", &id]).trim_end(), "v");
    let said = among_other_pids(&host, &["--format", "json", "v"]);
    let there: serde_json::Value = serde_json::from_str(answer(&said)).unwrap();
    let nothing = serde_json::Value::Null;
    assert_eq!((&there["id"], &there["supervisor"]), (&nothing, &nothing));
    assert_eq!(answer(&among_other_pids(&host, &["domid", "v"])), "-");
    for verb in ["state", "domname"] {
        let said = among_other_pids(&host, &[verb, &id]);
        let words = format!("error: failed to get domain '{id}'");
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.starts_with(&words), "{said:?}");
    }
    // It is among those that are active all the same.
    let list = among_other_pids(&host, &["list", "--all", "--name"]);
    assert_eq!(answer(&list), "v\na");
}

#[test]
fn from_another_pid_namespace_what_a_wrapper_left_is_not_told_from_a_guest_that_lives() {
    if !is_root(
        "from_another_pid_namespace_what_a_wrapper_left_is_not_told_from_a_guest_that_lives",
    ) {
        return;
    }
    let host = Host::new();
    // It ends with the host: the folder stands in its command line.
    let folder = host.folder().to_string_lossy().into_owned();
    let script = [
        "sh",
        "-c",
        "sh -c 'sleep 60; :' \"$0\" & exec \"$@\"",
        &folder,
    ]
    .map(str::to_owned);
    let argv = [&script[..], &host.argv("v", &[])].concat();
    let _guest = host.start_argv("v", &[], &argv);
    let json = |said: Said| -> serde_json::Value { serde_json::from_str(answer(&said)).unwrap() };
    let told = json(among_other_pids(&host, &["--format", "json", "v"]));
    assert_eq!(
        (&told["state"], &told["certainty"]),
        (&"running".into(), &"inferred".into())
    );
    host.kill_unseen("v");
    let told = json(among_other_pids(&host, &["--format", "json", "v"]));
    assert_eq!(
        (&told["state"], &told["certainty"]),
        (&"running".into(), &"inferred".into())
    );
    assert_eq!(host.answer("v"), "shut off (crashed)");
}

#[test]
fn destroy_from_another_pid_namespace_ends_the_guest_or_says_that_it_cannot() {
    if !is_root("destroy_from_another_pid_namespace_ends_the_guest_or_says_that_it_cannot") {
        return;
    }
    for supervised in [true, false] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        let qemu = host.qemu_pid("v");
        if !supervised {
            host.kill_supervisor("v");
        }
        let said = among_other_pids(&host, &["destroy", "v"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(!is_alive(qemu));
        assert_eq!(host.wait("v"), "shut off (destroyed)");
    }
}

#[test]
fn a_wait_in_another_pid_namespace_ends_with_a_guest_that_nobody_supervises() {
    if !is_root("a_wait_in_another_pid_namespace_ends_with_a_guest_that_nobody_supervises") {
        return;
    }
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let qemu = host.qemu_pid("v");
    host.kill_supervisor("v");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| among_other_pids(&host, &["wait", "v", "--timeout", "60"]));
        let command = "wait\0v\0--timeout".to_owned();
        until("the wait", || {
            let pids = processes_with(&command);
            pids.iter().any(|pid| {
                let folder = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                let folder = String::from_utf8_lossy(&folder).into_owned();
                folder.contains(&*host.state_dir().to_string_lossy())
            })
        });
        send(qemu, Signal::SIGKILL);
        waiting.join().unwrap()
    });
    assert_eq!(
        (waiting.code, waiting.stdout.trim_end()),
        (Some(0), "shut off (crashed)")
    );
}

#[test]
fn a_guest_that_lives_is_not_dead_by_the_boot_id_of_a_container() {
    if !is_root("a_guest_that_lives_is_not_dead_by_the_boot_id_of_a_container") {
        return;
    }
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    for supervised in [true, false] {
        if !supervised {
            host.kill_supervisor("v");
        }
        let said = after_boot(&host, SECOND, &["--format", "json", "v"]);
        let told: serde_json::Value = serde_json::from_str(answer(&said)).unwrap();
        let told = (&told["state"], &told["reason"], &told["certainty"]);
        assert_eq!(
            told,
            (&json!("running"), &json!("booted"), &json!("inferred"))
        );
        let said = after_boot(&host, SECOND, &["start", "v"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        let said = after_boot(&host, SECOND, &["wait", "v", "--timeout", "100ms"]);
        assert_eq!(said.code, Some(124), "{said:?}");
    }
    host.assert_is("v", "running (booted)", &json!(null), "witnessed");
    guest.answers();
    let said = after_boot(&host, SECOND, &["destroy", "v"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!host.answer("v").starts_with("running"));
}
