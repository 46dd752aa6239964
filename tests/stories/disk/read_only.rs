//! A state directory that may not be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Disk, settled};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{Host, finish, finish_child, is_alive, is_root, not_run, send, spawn, until};
use crate::jobs::UNLIMITED;

/// Whether files can be made immutable here (ext4 and its like): then not even open descriptors can write.
struct Immutable(Vec<PathBuf>);

impl Immutable {
    fn make(paths: &[&Path]) -> Option<Self> {
        let made = Self(paths.iter().map(|path| path.to_path_buf()).collect());
        made.chattr("+i").then_some(made)
    }

    fn chattr(&self, flag: &str) -> bool {
        let status = Command::new("chattr")
            .arg(flag)
            .args(&self.0)
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.chattr("-i");
    }
}

/// What nobody can write to any more; whoever reads the output sees where there is no such thing.
fn immutable(paths: &[&Path], test: &str) -> Option<Immutable> {
    let made = Immutable::make(paths);
    if made.is_none() {
        let need = "needs a file system with immutable files under $TMPDIR";
        not_run(&format!("{need}: {test}"));
    }
    made
}

/// The same of a run's folder and its journal.
fn immutable_run(run: &Path, test: &str) -> Option<Immutable> {
    immutable(&[&run.join("journal"), run], test)
}

#[test]
fn a_state_directory_that_may_not_be_written_is_told_from_and_caught_up_with() {
    if !is_root("a_state_directory_that_may_not_be_written_is_told_from_and_caught_up_with") {
        return;
    }
    let bad = ["shut off (crashed)", "shut off (unknown)"];
    for (how, wanted) in [("power off", &bad[..]), ("SIGKILL", &bad[..1])] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        host.supervisor_pid("v");
        let qemu = host.qemu_pid("v");
        let run = host.run_folder("v");
        let Some(immutable) = immutable_run(
            &run,
            "a_state_directory_that_may_not_be_written_is_told_from_and_caught_up_with",
        ) else {
            return;
        };
        let said = host.domstate(&["suspend", "v"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(host.answer("v"), "running (booted)");
        guest.end(&host, how);
        until("QEMU's end", || !is_alive(qemu));
        let locked = host.answer("v");
        assert!(wanted.contains(&locked.as_str()), "{how}: {locked}");
        assert_eq!(host.wait("v"), locked);
        drop(immutable);
        settled(&host);
        let answer = host.answer("v");
        assert!(wanted.contains(&answer.as_str()), "{how}: {answer}");
    }
}

#[test]
fn a_guest_whose_journal_may_not_be_written_is_what_its_qemu_says() {
    let test = "a_guest_whose_journal_may_not_be_written_is_what_its_qemu_says";
    if !is_root(test) {
        return;
    }
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let more = ["-no-shutdown", "-qmp", &third_party, "-device", "pvpanic"];
    let mut guest = host.start("v", &more);
    host.supervisor_pid("v");
    let Some(_immutable) = immutable_run(&host.run_folder("v"), test) else {
        return;
    };
    let mut third = host.third_party("v");
    assert_eq!(host.answer("v"), "running (booted)");
    third.execute("stop", &json!({}));
    host.assert_is("v", "paused (unknown)", &json!(null), "inferred");
    let list = host.ok(&["list", "--reason", "--state-paused"]);
    assert!(list.contains("paused (unknown)"), "{list}");
    assert_eq!(host.ok(&["list", "--state-running", "--name"]), "");
    third.execute("cont", &json!({}));
    assert_eq!(host.answer("v"), "running (booted)");
    guest.press('p');
    until("the panic", || host.answer("v") == "crashed (panicked)");
}

#[test]
fn a_guest_that_was_started_again_where_nothing_can_be_written_any_more_did_not_shut_down() {
    let test =
        "a_guest_that_was_started_again_where_nothing_can_be_written_any_more_did_not_shut_down";
    if !is_root(test) {
        return;
    }
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-no-shutdown", "-qmp", &third_party]);
    let supervisor = host.supervisor_pid("v");
    let qemu = host.qemu_pid("v");
    guest.press('o');
    host.wait_for_event("v", "\"STOP\"");
    assert_eq!(host.answer("v"), "in shutdown (unknown)");
    let Some(immutable) = immutable_run(&host.run_folder("v"), test) else {
        return;
    };
    let mut third = host.third_party("v");
    third.execute("system_reset", &json!({}));
    third.execute("cont", &json!({}));
    guest.hears("READY");
    send(qemu, Signal::SIGKILL);
    until("QEMU's end", || !is_alive(qemu));
    // That its journal takes nothing any more can be seen: what it says of a shutdown may be long past.
    let cause = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
    host.assert_is("v", "shut off (crashed)", &cause, "inferred");
    // It has met the error only when it waits to try again.
    let wchan = PathBuf::from(format!("/proc/{supervisor}/wchan"));
    until("the supervisor's next try", || {
        fs::read_to_string(&wchan).is_ok_and(|name| name.contains("nanosleep"))
    });
    drop(immutable);
    settled(&host);
    host.assert_is("v", "shut off (crashed)", &cause, "inferred");
    let told = host.ok(&["explain", "v"]);
    assert!(told.contains("lines may have been lost here"), "{told}");
}

#[test]
fn a_read_only_state_directory_is_read() {
    if !is_root("a_read_only_state_directory_is_read") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    let _guest = host.start("v", &[]);
    host.kill_supervisor("v");
    // As a container sees it that is to watch only. The guest lives, and nobody can be started to look after it.
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#;
    let read_only = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(host.state_dir());
        command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
        command.env("DOMSTATE_DIR", host.state_dir());
        finish(command)
    };
    for args in [&["--reason", "v"][..], &["wait", "v", "--timeout", "0"]] {
        assert_eq!(read_only(args).stdout, "running (booted)\n");
    }
    for verb in ["suspend", "destroy", "start"] {
        let said = read_only(&[verb, "v"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
    }
    assert_eq!(host.answer("v"), "running (booted)");
    host.kill_unseen("v");
    disk.remount("ro");
    assert_eq!(host.answer("v"), "shut off (crashed)");
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let start = host.domstate(&["start", "v"]);
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.stderr.contains("Read-only file system"), "{start:?}");
    assert_eq!(host.answer("v"), "shut off (crashed)");
    disk.remount("rw");
    assert_eq!(host.answer("v"), "shut off (crashed)");
    until("the record", || {
        host.journal("v").contains("DOMSTATE_EXITED")
    });
    settled(&host);
    assert_eq!(host.answer("v"), "shut off (crashed)");
}

#[test]
fn a_guest_whose_save_cannot_be_written_down_goes_on() {
    let test = "a_guest_whose_save_cannot_be_written_down_goes_on";
    if !is_root(test) {
        return;
    }
    let host = Host::new();
    let mut guest = host.start_slow(&[]);
    let file = host.path("v.save");
    let save = spawn(host.command(&["save", "v", &file]));
    host.wait_for_event("v", "DOMSTATE_STREAM_ANSWERED");
    let journal = host.run_folder("v").join("journal");
    let Some(immutable) = immutable(&[&journal], test) else {
        host.limit(UNLIMITED);
        finish_child(save);
        return;
    };
    host.limit(UNLIMITED);
    let said = finish_child(save);
    assert_eq!(said.code, Some(1), "{said:?}");
    guest.answers();
    assert!(!fs::exists(&file).unwrap());
    drop(immutable);
    // That it goes on had no room in the record.
    until("the job's end", || host.journal("v").contains("_FAILED"));
    assert_eq!(host.json("v")["certainty"], "inferred");
    // QEMU lets none go on that runs, and then it says nothing.
    host.ok(&["suspend", "v"]);
    host.ok(&["resume", "v"]);
    assert_eq!(host.answer("v"), "running (unpaused)");
    guest.answers();
}
