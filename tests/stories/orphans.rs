//! A save or a dump that has lost its worker: whoever looks next finishes or undoes it, and never both.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::harness::{Host, finish, is_root, processes_with, send, spawn};
use super::jobs::{UNLIMITED, assert_no_file, has_part, kill, part_goes, part_of};

const CANCELLED: &str = "running (save canceled)";

#[test]
fn a_save_that_is_killed_is_taken_back_by_the_supervisor_alone() {
    let host = Host::new();
    let file = host.path("v.save");
    let mut guest = host.start_slow(&[]);
    host.supervisor_pid("v");
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    assert!(part_of(&file).exists());
    kill(save);
    // Nobody asks anything.
    host.wait_for_event("v", "DOMSTATE_FAILED");
    assert_no_file(&file);
    guest.answers();
    host.assert_is("v", CANCELLED, &Value::Null, "witnessed");
}

#[test]
fn a_save_that_is_killed_with_the_supervisor_is_taken_back_by_the_next_verb() {
    for verb in [
        "query",
        "suspend",
        "resume",
        "save",
        "domjobinfo",
        "domjobabort",
    ] {
        let host = Host::new();
        let (file, other) = (host.path("v.save"), host.path("other"));
        let mut guest = host.start_slow(&[]);
        let save = host.under_way(&["save", "v", &file], "paused (saving)");
        host.kill_supervisor("v");
        kill(save);
        assert!(part_of(&file).exists(), "{verb}");
        match verb {
            "query" => {
                assert_eq!(host.answer("v"), "paused (saving)");
                host.wait_for("v", CANCELLED);
                part_goes(&file);
            }
            "suspend" => {
                host.ok(&["suspend", "v"]);
                assert_eq!(host.answer("v"), "paused (user)");
                host.ok(&["resume", "v"]);
            }
            "resume" => {
                let why = "Requested operation is not valid: domain is already running";
                let words = format!("error: Failed to resume domain 'v'\nerror: {why}\n");
                host.refused(&["resume", "v"], &words);
                host.assert_is("v", CANCELLED, &Value::Null, "witnessed");
            }
            "save" => {
                // The same and another place.
                host.limit(UNLIMITED);
                host.ok(&["save", "v", &file]);
                assert_eq!(host.answer("v"), "shut off (saved)");
                guest = host.restore(&file, &[]);
                fs::remove_file(&file).unwrap();
                guest.answers();
            }
            "domjobinfo" => {
                let none = "Job type:         None        \n";
                assert_eq!(host.ok(&["domjobinfo", "v"]), none);
            }
            _ => {
                let none = "Requested operation is not valid: no job is active on the domain";
                host.refused(&["domjobabort", "v"], &format!("error: {none}\n"));
            }
        }
        assert_no_file(&file);
        assert_no_file(&other);
        guest.answers();
    }
}

#[test]
fn a_worker_in_another_pid_namespace_is_not_taken_for_dead_while_it_lives_nor_for_alive_when_it_died()
 {
    if !is_root(
        "a_worker_in_another_pid_namespace_is_not_taken_for_dead_while_it_lives_nor_for_alive_when_it_died",
    ) {
        return;
    }
    for has_supervisor in [true, false] {
        let host = Host::new();
        let file = host.path("v.save");
        let mut guest = host.start_slow(&[]);
        host.supervisor_pid("v");
        let mut command = Command::new("unshare");
        command
            .args(["-p", "-f", "--mount-proc", env!("CARGO_BIN_EXE_domstate")])
            .args(["save", "v", &file])
            .env("DOMSTATE_DIR", host.state_dir());
        let unshare = spawn(command);
        host.wait_for("v", "paused (saving)");
        host.wait_for_event("v", "\"active\"");
        if !has_supervisor {
            host.kill_supervisor("v");
        }
        let suspend = host.domstate(&["suspend", "v"]);
        assert!(suspend.stderr.contains("is at it: save"), "{suspend:?}");
        for pid in processes_with(&file) {
            send(pid, Signal::SIGKILL);
        }
        super::harness::finish_child(unshare);
        host.ok(&["suspend", "v"]);
        host.ok(&["resume", "v"]);
        assert_no_file(&file);
        guest.answers();
    }
}

#[test]
fn a_worker_that_was_stopped_and_died_after_its_guest_leaves_nothing_that_bars_the_next_save() {
    let host = Host::new();
    let save = {
        let _guest = host.start_slow(&[]);
        let save = host.under_way(&["managedsave", "v"], "paused (saving)");
        send(i32::try_from(save.id()).unwrap(), Signal::SIGSTOP);
        host.ok(&["destroy", "v"]);
        save
    };
    assert_eq!(host.answer("v"), "shut off (destroyed)");
    let start = host.domstate(&["start", "v"]);
    assert!(start.stderr.contains("is at it: managedsave"), "{start:?}");
    kill(save);
    let line = host.line("v");
    host.ok(&["start", "v"]);
    let mut guest = super::harness::Guest::connected(&line);
    assert!(!has_part(
        host.state_dir().join("v/managed.save").to_str().unwrap()
    ));
    guest.answers();
    host.ok(&["managedsave", "v"]);
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn a_save_whose_folder_cannot_be_synced_is_a_save_all_the_same_and_says_so_until_it_is() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let folder = host.folder().join("images");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("v.save");
    let save = |inject: &str| {
        let mut command = Command::new("strace");
        command.args(["-o", "/dev/null", "-e", inject, "-P"]);
        command
            .arg(&folder)
            .arg(env!("CARGO_BIN_EXE_domstate"))
            .arg("save")
            .arg("v")
            .arg(&file)
            .env("DOMSTATE_DIR", host.state_dir());
        finish(command)
    };
    // Before it is carried out there is a way back.
    let said = save("inject=fsync:error=EIO:when=1");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("cannot write the image: "), "{said:?}");
    guest.answers();
    assert!(!file.exists() && !has_part(file.to_str().unwrap()));
    let said = save("inject=fsync:error=EIO:when=2+");
    let warning = "warning: the file may lose its name by a power cut: its folder cannot be synced: I/O error\n";
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (Some(0), warning),
        "{said:?}"
    );
    assert_eq!(host.answer("v"), "shut off (saved)");
    // The job is not over before the name is on the disk: whoever looks next sees to that.
    host.wait_for_event("v", "DOMSTATE_DONE");
    let file = file.to_str().unwrap();
    host.restore(file, &[]).answers();
    assert!(!has_part(file));
}
