//! Saves that are cancelled or refused, and those that fail: the guest runs on, and no file is left.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{CANCELLED, aborted, failed};
use crate::disk::Disk;
use crate::harness::{Host, finish, finish_child, is_root, send, spawn, until};
use crate::jobs::{SLOW, UNLIMITED, assert_failed, assert_no_file, interrupt, part_of};

#[test]
fn a_save_that_is_cancelled_leaves_the_guest_running_and_no_file() {
    for how in ["domjobabort", "SIGINT", "SIGTERM", "managedsave"] {
        let host = Host::new();
        let file = host.path("v.save");
        let mut guest = host.start_slow(&[]);
        let managed = host.state_dir().join("v/managed.save");
        let (args, words) = match how {
            "managedsave" => (
                vec!["managedsave", "v"],
                aborted(&file).replace(&format!("domain 'v' to {file}"), "domain 'v' state"),
            ),
            _ => (vec!["save", "v", &file], aborted(&file)),
        };
        let save = host.under_way(&args, "paused (saving)");
        let said = host.cancel(save, how);
        assert_failed(&said, &words);
        host.assert_is("v", CANCELLED, &Value::Null, "witnessed");
        assert_no_file(&file);
        assert_no_file(managed.to_str().unwrap());
        guest.answers();
        let none = "error: Requested operation is not valid: no job is active on the domain\n";
        host.refused(&["domjobabort", "v"], none);
        // What was cancelled stands in nobody's way.
        host.limit(UNLIMITED);
        host.ok(&["save", "v", &file]);
        assert_eq!(host.answer("v"), "shut off (saved)");
    }
}

#[test]
fn a_guest_that_was_paused_stays_so_when_its_save_is_cancelled() {
    let host = Host::new();
    let file = host.path("v.save");
    let mut guest = host.start_slow(&[]);
    host.ok(&["suspend", "v"]);
    let save = spawn(host.command(&["save", "v", &file]));
    host.wait_for_event("v", "\"active\"");
    assert_eq!(host.answer("v"), "paused (user)");
    assert_failed(&interrupt(save), &aborted(&file));
    host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
    assert_no_file(&file);
    host.ok(&["resume", "v"]);
    guest.answers();
}

#[test]
fn a_guest_that_is_destroyed_while_it_is_saved_is_destroyed_and_leaves_no_file() {
    let host = Host::new();
    let file = host.path("v.save");
    let _guest = host.start_slow(&[]);
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
    let why = "Requested operation is not valid: domain is not running";
    assert_failed(&finish_child(save), &failed(&file, why));
    assert_eq!(host.answer("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["cause"]["verb"], "destroy");
    assert_no_file(&file);
}

#[test]
fn a_qemu_that_dies_while_its_guest_is_saved_crashed_and_leaves_no_file() {
    let host = Host::new();
    let file = host.path("v.save");
    let _guest = host.start_slow(&[]);
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    send(host.qemu_pid("v"), Signal::SIGKILL);
    let why = "Requested operation is not valid: domain is not running";
    assert_failed(&finish_child(save), &failed(&file, why));
    assert_eq!(host.wait("v"), "shut off (crashed)");
    assert_eq!(host.json("v")["cause"]["signal"], "SIGKILL");
    assert_no_file(&file);
}

#[test]
fn a_full_disk_fails_the_save_and_the_guest_runs_on_and_the_old_file_is_as_it_was() {
    if !is_root("a_full_disk_fails_the_save_and_the_guest_runs_on_and_the_old_file_is_as_it_was") {
        return;
    }
    let host = Host::new();
    let _disk = Disk::mount_at(host.folder().join("small"), "size=4m");
    let file = host.path("small/v.save");
    let mut guest = host.start_large(&[]);
    fs::write(&file, "old").unwrap();
    let why = "cannot write the file: No space left on device";
    host.refused(&["save", "v", &file], &failed(&file, why));
    host.assert_is("v", CANCELLED, &Value::Null, "witnessed");
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert!(!part_of(&file).exists());
    guest.answers();
}

/// The twin of a full disk for everybody: a limit on the size of files.
#[test]
fn a_file_that_may_not_become_so_large_fails_the_save_and_the_guest_runs_on() {
    for trap in ["trap '' XFSZ", "true"] {
        let host = Host::new();
        let file = host.path("v.save");
        let mut guest = host.start_large(&[]);
        fs::write(&file, "old").unwrap();
        let script = format!("{trap}; ulimit -c 0; ulimit -f 8000; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_domstate")]);
        command.args(["save", "v", &file]);
        command.env("DOMSTATE_DIR", host.state_dir());
        let why = "cannot write the file: File too large";
        assert_failed(&finish(command), &failed(&file, why));
        host.assert_is("v", CANCELLED, &Value::Null, "witnessed");
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        assert!(!part_of(&file).exists());
        guest.answers();
    }
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_guest_is_stopped() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let folder = host.path("folder");
    fs::create_dir(&folder).unwrap();
    let fifo = host.path("fifo");
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(fifo.as_str(), mode).unwrap();
    let link = host.path("link");
    std::os::unix::fs::symlink(host.path("nowhere/at-all"), &link).unwrap();
    for (place, why) in [
        (folder.as_str(), "Is a directory"),
        (&fifo, "it is no regular file"),
        ("/dev/null", "it is no regular file"),
        (&host.path("missing/v.save"), "No such file or directory"),
        (&link, "it is a link that leads nowhere"),
        (&host.path("fifo/v.save"), "Not a directory"),
    ] {
        let why = format!("cannot write {place}: {why}");
        host.refused(&["save", "v", place], &failed(place, &why));
        host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    }
    // Somebody else's save to the same place, as it seems.
    let taken = host.path("taken");
    fs::write(part_of(&taken), "").unwrap();
    let why = format!("cannot write {taken}: File exists");
    host.refused(&["save", "v", &taken], &failed(&taken, &why));
    assert!(!host.journal("v").contains("\"STOP\""));
    assert_eq!(host.answer("v"), "running (booted)");
    guest.answers();
}

#[test]
fn a_read_only_place_is_refused_before_the_guest_is_stopped() {
    if !is_root("a_read_only_place_is_refused_before_the_guest_is_stopped") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount_at(host.folder().join("small"), "size=4m");
    disk.remount("ro");
    let mut guest = host.start("v", &[]);
    let file = host.path("small/v.save");
    let why = format!("cannot write {file}: Read-only file system");
    host.refused(&["save", "v", &file], &failed(&file, &why));
    host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    assert!(!host.journal("v").contains("\"STOP\""));
    guest.answers();
}

#[test]
fn a_limit_that_a_user_has_set_holds_after_the_save_was_cancelled() {
    for (limit, wanted) in [(Some(SLOW), SLOW), (None, 128 << 20)] {
        let host = Host::new();
        let file = host.path("v.save");
        let _guest = host.start_large(&[]);
        if let Some(limit) = limit {
            host.limit(limit);
        }
        // Fails as soon as something is written.
        let mut command = Command::new("sh");
        let script = "trap '' XFSZ; ulimit -f 800; exec \"$@\"";
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_domstate")]);
        command.args(["save", "v", &file]);
        command.env("DOMSTATE_DIR", host.state_dir());
        assert_eq!(finish(command).code, Some(1));
        let parameters = host
            .third_party("v")
            .execute("query-migrate-parameters", &json!({}));
        assert_eq!(parameters["max-bandwidth"], wanted);
    }
}

#[test]
fn a_guest_that_is_told_to_be_saved_is_not_thrown_away_because_its_file_cannot_be_placed_yet() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let file = host.path("v.save");
    // All is written, and its name cannot be given to it.
    let mut save = Command::new("strace");
    let trace = host.path("trace");
    save.args(["-o", &trace, "-P", part_of(&file).to_str().unwrap()]);
    save.args(["-e", "inject=/^rename:error=EIO:signal=SIGSTOP"]);
    save.args([env!("CARGO_BIN_EXE_domstate"), "save", "v", &file]);
    save.env("DOMSTATE_DIR", host.state_dir());
    let save = spawn(save);
    until("a save that stands still", || {
        fs::read_to_string(&trace).is_ok_and(|trace| trace.contains("stopped by SIGSTOP"))
    });
    // Somebody else kills it, and everybody is told what that comes to.
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (saved)");
    let journal = host.journal("v");
    let sent = journal.lines().find(|line| line.contains("DOMSTATE_SENT"));
    let sent: Value = serde_json::from_str(sent.unwrap()).unwrap();
    let worker = i32::try_from(sent["data"]["pid"].as_i64().unwrap()).unwrap();
    send(worker, Signal::SIGCONT);
    let said = finish_child(save);
    assert_eq!(said.code, Some(1), "{said:?}");
    let why = "what was written is put in its place by the next command";
    assert!(said.stderr.contains(why), "{said:?}");
    // By a command that finds nobody at it: its supervisor may just be leaving.
    until("the file", || {
        assert_eq!(host.answer("v"), "shut off (saved)");
        fs::exists(&file).unwrap()
    });
    let _line = host.line("v");
    host.ok(&["restore", &file]);
    assert_eq!(host.answer("v"), "running (restored)");
}

/// A `save` of which all is written, whose file nobody can give its name.
fn save_without_place(host: &Host, file: &str, injected: &[&str]) -> Command {
    let mut save = Command::new("strace");
    save.args(["-o", "/dev/null", "-e", "inject=/^rename:error=EIO"]);
    save.args(injected);
    save.args([env!("CARGO_BIN_EXE_domstate"), "save", "v", file]);
    save.env("DOMSTATE_DIR", host.state_dir());
    save
}

#[test]
fn a_save_that_cannot_be_placed_is_taken_back_before_the_guest_goes_on() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let file = host.path("v.save");
    let said = finish(save_without_place(&host, &file, &[]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("v.save: I/O error"), "{said:?}");
    host.assert_is("v", "running (save canceled)", &Value::Null, "witnessed");
    guest.answers();
    assert!(!fs::exists(&file).unwrap() && !part_of(&file).exists());
    let journal = host.journal("v");
    let of = |event: &str| journal.rfind(event).unwrap();
    let order = ["_SENT", "\"taken_back\":true", "\"RESUME\"", "_FAILED"].map(of);
    assert!(order.is_sorted(), "{journal}");
}

#[test]
fn a_save_that_is_killed_while_it_is_taken_back_has_happened_or_not() {
    let mut ended = [0, 0];
    for number in 1.. {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        // No RESUME tells that it was undone.
        host.ok(&["suspend", "v"]);
        let file = host.path("v.save");
        let dies = format!("inject=fdatasync:signal=SIGKILL:when={number}");
        let said = finish(save_without_place(&host, &file, &["-e", &dies]));
        let journal = host.journal("v");
        let says = |event: &str| {
            let mut lines = journal.lines();
            lines.any(|line| line.contains(event) && line.contains(r#""verb":"save""#))
        };
        let (was_sent, was_taken_back) = (says("_SENT"), says("\"taken_back\":true"));
        // The next command does what is left to be done.
        host.domstate(&["resume", "v"]);
        let is_there = (fs::exists(&file).unwrap(), part_of(&file).exists());
        if was_sent && !was_taken_back {
            assert_eq!(host.answer("v"), "shut off (saved)", "{number}");
            assert_eq!(is_there, (true, false), "{number}");
        } else {
            let answer = host.answer("v");
            assert!(answer.starts_with("running ("), "{number}: {answer}");
            assert_eq!(is_there, (false, false), "{number}");
            guest.answers();
        }
        ended[usize::from(was_taken_back)] += 1;
        if said.code == Some(1) {
            break;
        }
    }
    // At least once behind each of the two words.
    assert!(ended[0] > 1 && ended[1] > 1, "{ended:?}");
}
