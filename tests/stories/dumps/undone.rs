//! Dumps that are cancelled, killed or refused, and those that fail: the guest goes on, and no file is left.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{FORMS, aborted, dump, dumped, failed, fifo, make_fifo, stuck};
use crate::disk::Disk;
use crate::harness::{Host, finish, finish_child, is_root, send, spawn, until};
use crate::jobs::{UNLIMITED, assert_failed, assert_no_file, has_part, interrupt, kill, part_goes};

#[test]
fn a_dump_that_is_cancelled_leaves_the_guest_running_and_no_file() {
    for (form, how) in [
        (FORMS[0], "SIGINT"),
        (FORMS[1], "SIGINT"),
        (FORMS[1], "domjobabort"),
    ] {
        for after in [&[][..], &["--reset"], &["--crash"]] {
            let host = Host::new();
            let mut guest = host.start_large(&[]);
            let (file, _reader) = fifo(&host);
            let dumping = stuck(&host, &file, &[form, after].concat());
            assert_failed(&host.cancel(dumping, how), &aborted(&file));
            host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
            assert!(!has_part(&file));
            assert!(Path::new(&file).exists(), "somebody's FIFO");
            guest.answers();
            // What was cancelled stands in nobody's way.
            dumped(&host, &host.path("v.core"), form);
        }
    }
}

/// strace has a command stop at its first line in the journal, which says what it asks for: who that is.
fn stopped_once_it_has_asked(host: &Host, args: &[&str]) -> (Child, i32) {
    let journal = host.run_folder("v").join("journal");
    let mut command = Command::new("strace");
    command.args(["-o", "/dev/null", "-P"]).arg(&journal);
    command.args([
        "-e",
        "trace=write",
        "-e",
        "inject=write:signal=SIGSTOP:when=1",
    ]);
    command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
    command.env("DOMSTATE_DIR", host.state_dir());
    command.stdin(Stdio::null());
    let child = spawn(command);
    host.wait_for_event("v", "\"DOMSTATE_ASKED\"");
    let journal = host.journal("v");
    let asked = journal.lines().find(|line| line.contains("DOMSTATE_ASKED"));
    let asked: Value = serde_json::from_str(asked.unwrap()).unwrap();
    (
        child,
        asked["data"]["pid"].as_i64().unwrap().try_into().unwrap(),
    )
}

#[test]
fn a_guest_that_ends_panics_or_falls_asleep_before_it_is_stopped_is_not_dumped_and_not_let_run() {
    for (key, answer) in [
        ('o', "in shutdown (unknown)"),
        ('p', "crashed (panicked)"),
        ('s', "pmsuspended (unknown)"),
    ] {
        let host = Host::new();
        let mut guest = host.start("v", &["-no-shutdown", "-device", "pvpanic"]);
        let file = host.path("v.core");
        let (dumping, pid) = stopped_once_it_has_asked(&host, &dump(&file, &[]));
        guest.press(key);
        host.wait_for("v", answer);
        send(pid, Signal::SIGCONT);
        let said = finish_child(dumping);
        let why = "the guest came to an end of its own, or fell asleep, before it could be dumped";
        assert_eq!(said.stderr, failed(&file, why));
        assert_eq!((said.code, host.answer("v").as_str()), (Some(1), answer));
        assert_no_file(&file);
        if key == 's' {
            host.ok(&["dompmwakeup", "v"]);
            assert_eq!(host.answer("v"), "running (event wakeup)");
        }
    }
}

#[test]
fn a_dump_of_memory_only_is_not_aborted_in_libvirts_words() {
    let host = Host::new();
    let mut guest = host.start_large(&[]);
    let (file, _reader) = fifo(&host);
    let dumping = stuck(&host, &file, &["--memory-only"]);
    let why = "Requested operation is not valid: cannot abort memory-only dump";
    host.refused(&["domjobabort", "v"], &format!("error: {why}\n"));
    assert_eq!(host.answer("v"), "paused (dumping)");
    assert_failed(&interrupt(dumping), &aborted(&file));
    assert_eq!(host.answer("v"), "running (unpaused)");
    guest.answers();
}

#[test]
fn a_dump_under_a_limit_that_is_cancelled_leaves_no_file() {
    for how in ["domjobabort", "SIGINT"] {
        let host = Host::new();
        let file = host.path("v.core");
        let mut guest = host.start_slow(&[]);
        let dumping = host.under_way(&dump(&file, &[]), "paused (dumping)");
        assert!(has_part(&file));
        assert_failed(&host.cancel(dumping, how), &aborted(&file));
        host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
        assert_no_file(&file);
        guest.answers();
    }
}

#[test]
fn a_reader_that_goes_away_fails_the_dump_and_the_guest_goes_on() {
    for form in FORMS {
        let host = Host::new();
        let mut guest = host.start_large(&[]);
        let (file, reader) = fifo(&host);
        let dumping = stuck(&host, &file, form);
        drop(reader);
        let said = finish_child(dumping);
        assert_failed(&said, &failed(&file, "cannot write the file: Broken pipe"));
        host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
        guest.answers();
    }
}

#[test]
fn a_dump_that_is_killed_is_taken_back_by_the_supervisor_alone() {
    let host = Host::new();
    let file = host.path("v.core");
    let mut guest = host.start_slow(&[]);
    let (fifo, _reader) = fifo(&host);
    for (place, form) in [
        (&file, &[][..]),
        (&fifo, &["--memory-only"]),
        (&fifo, &["--memory-only", "--crash"]),
        (&fifo, &["--reset"]),
    ] {
        let failures = host.journal("v").matches("DOMSTATE_FAILED").count();
        host.supervisor_pid("v");
        kill(host.under_way(&dump(place, form), "paused (dumping)"));
        // Nobody asks anything.
        until("the end of the dump", || {
            host.journal("v").matches("DOMSTATE_FAILED").count() > failures
        });
        assert_no_file(&file);
        guest.answers();
        host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    }
}

#[test]
fn a_dump_that_is_killed_with_the_supervisor_is_taken_back_by_the_next_verb() {
    for verb in ["query", "suspend", "dump"] {
        let host = Host::new();
        let file = host.path("v.core");
        let mut guest = host.start_slow(&[]);
        let dumping = host.under_way(&dump(&file, &[]), "paused (dumping)");
        host.kill_supervisor("v");
        kill(dumping);
        assert!(has_part(&file));
        match verb {
            "query" => {
                assert_eq!(host.answer("v"), "paused (dumping)");
                host.wait_for("v", "running (unpaused)");
                part_goes(&file);
            }
            "suspend" => {
                host.ok(&["suspend", "v"]);
                assert_eq!(host.answer("v"), "paused (user)");
                host.ok(&["resume", "v"]);
            }
            _ => {
                host.limit(UNLIMITED);
                dumped(&host, &file, &[]);
                assert_eq!(host.answer("v"), "running (unpaused)");
                fs::remove_file(&file).unwrap();
            }
        }
        assert_no_file(&file);
        guest.answers();
    }
}

#[test]
fn a_guest_that_ends_while_it_is_dumped_is_told_as_it_ended_and_the_dump_is_over() {
    for (form, signal) in [(FORMS[0], false), (FORMS[1], false), (FORMS[1], true)] {
        let host = Host::new();
        let _guest = host.start_large(&[]);
        let (file, _reader) = fifo(&host);
        let dumping = stuck(&host, &file, form);
        let answer = if signal {
            send(host.qemu_pid("v"), Signal::SIGKILL);
            "shut off (crashed)"
        } else {
            assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
            "shut off (destroyed)"
        };
        assert_eq!(host.wait("v"), answer, "{form:?}");
        let why = "Requested operation is not valid: domain is not running";
        assert_failed(&finish_child(dumping), &failed(&file, why));
        assert_eq!(host.answer("v"), answer);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_guest_is_stopped() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let folder = host.path("folder");
    fs::create_dir(&folder).unwrap();
    let fifo = host.path("fifo");
    make_fifo(&fifo);
    for form in FORMS {
        for (place, why) in [
            (folder.as_str(), "Is a directory"),
            // Nobody reads it: that is not waited for.
            (&fifo, "No such device or address"),
            (&host.path("missing/v.core"), "No such file or directory"),
        ] {
            let why = failed(place, &format!("cannot write {place}: {why}"));
            host.refused(&dump(place, form), &why);
            host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
        }
    }
    assert!(!host.journal("v").contains("\"STOP\""));
    guest.answers();
}

#[test]
fn a_full_disk_fails_the_dump_and_the_guest_goes_on_and_the_old_file_is_as_it_was() {
    if !is_root("a_full_disk_fails_the_dump_and_the_guest_goes_on_and_the_old_file_is_as_it_was") {
        return;
    }
    for form in FORMS {
        for after in [&[][..], &["--reset"], &["--crash"]] {
            let host = Host::new();
            let _disk = Disk::mount_at(host.folder().join("small"), "size=4m");
            let file = host.path("small/v.core");
            let mut guest = host.start_large(&[]);
            fs::write(&file, "old").unwrap();
            let why = "cannot write the file: No space left on device";
            let options = [form, after].concat();
            host.refused(&dump(&file, &options), &failed(&file, why));
            host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
            assert_eq!(fs::read_to_string(&file).unwrap(), "old");
            assert!(!has_part(&file));
            guest.answers();
        }
    }
}

#[test]
fn a_dump_that_fails_behind_its_reset_says_that_the_guest_was_reset() {
    const RENAMES: &str = "rename,renameat,renameat2";
    for form in FORMS {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let file = host.path("v.core");
        let mut command = Command::new("strace");
        command.args(["-o", "/dev/null"]);
        let fails = format!("inject={RENAMES}:error=EIO");
        command.args(["-e", &format!("trace={RENAMES}"), "-e", &fails]);
        command.arg(env!("CARGO_BIN_EXE_domstate"));
        command.args(dump(&file, &[form, &["--reset"]].concat()));
        command.env("DOMSTATE_DIR", host.state_dir());
        let why = format!("the guest was reset all the same: cannot write {file}: I/O error");
        assert_failed(&finish(command), &failed(&file, &why));
        assert_no_file(&file);
        guest.hears("READY");
        guest.answers();
        host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    }
}
