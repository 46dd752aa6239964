//! A guest is saved into a file and taken up from it, in virsh's words; a save that comes to nothing changes nothing.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::foreground::shown;
use super::harness::{Host, finish_child, send, spawn};
use super::jobs::{
    SLOW, UNLIMITED, assert_failed, assert_no_file, interrupt, on_a_terminal, part_of,
};

/// Somebody else at the monitor meanwhile.
mod overtaken;
/// A save that comes to nothing leaves a guest that runs on.
mod undone;

const CANCELLED: &str = "running (save canceled)";

/// The two lines of a save of `v` that failed.
fn failed(file: &str, why: &str) -> String {
    format!("error: Failed to save domain 'v' to {file}\nerror: {why}\n")
}

fn aborted(file: &str) -> String {
    failed(
        file,
        "operation aborted: job 'domain save' canceled by client",
    )
}

#[test]
fn a_guest_is_saved_and_restored_in_virshs_words_and_runs_on() {
    let host = Host::new();
    let file = host.path("v.save");
    let disk = host.path("disk");
    fs::write(&disk, [0; 1024]).unwrap();
    let drive = format!("file={disk},format=raw,if=ide,index=0");
    let _guest = host.start("v", &["-drive", &drive]);
    let save = spawn(host.command(&["save", "v", &file]));
    let pid = save.id();
    let said = finish_child(save);
    assert_eq!(
        said.stdout,
        format!("Domain 'v' saved to {file}\n"),
        "{said:?}"
    );
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let cause = json!({
        "kind": "asked",
        "verb": "save",
        "uid": nix::unistd::getuid().as_raw(),
        "pid": pid,
        "command": format!("{} save v {file}", env!("CARGO_BIN_EXE_domstate")),
    });
    host.assert_is("v", "shut off (saved)", &cause, "witnessed");
    assert!(!part_of(&file).exists());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut guest = host.restore(&file, &[]);
    host.assert_is("v", "running (restored)", &Value::Null, "witnessed");
    // It went on where it was: it did not boot.
    guest.answers();
    guest.press('w');
    guest.hears("ok");
    assert_ne!(fs::read(&disk).unwrap(), [0; 1024]);
    host.assert_only_run(2);
    assert!(Path::new(&file).exists());
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn whether_a_restored_guest_runs_is_said_by_restore_else_by_save_else_by_what_it_did() {
    let words = [None, Some("--running"), Some("--paused")];
    let host = Host::new();
    let file = host.path("v.save");
    let mut guest = host.start("v", &[]);
    for before in ["--running", "--paused"] {
        for at_save in words {
            if before == "--paused" {
                host.ok(&["suspend", "v"]);
            }
            let save = ["save", "v", &file, at_save.unwrap_or("-q")];
            host.ok(&save);
            assert_eq!(host.answer("v"), "shut off (saved)");
            for at_restore in words {
                let options: Vec<&str> = at_restore.into_iter().collect();
                guest = host.restore(&file, &options);
                let wanted = at_restore.or(at_save).unwrap_or(before);
                let told = format!("{before}, save {at_save:?}, restore {at_restore:?}");
                // Where virsh says `paused (migrating)`: nothing migrates.
                let answer = match wanted {
                    "--running" => "running (restored)",
                    _ => "paused (user)",
                };
                assert_eq!(host.answer("v"), answer, "{told}");
                assert_eq!(host.json("v")["cause"], Value::Null, "{told}");
                if wanted == "--paused" {
                    assert_eq!(host.ok(&["resume", "v"]), "Domain 'v' resumed\n", "{told}");
                    assert_eq!(host.answer("v"), "running (unpaused)", "{told}");
                }
                guest.answers();
                if at_restore != words[2] {
                    host.ok(&["destroy", "v"]);
                }
            }
        }
    }
    guest.answers();
}

#[test]
fn a_guest_that_is_in_no_state_to_be_saved_is_refused_in_virshs_words_and_stays_as_it_is() {
    for (letter, answer, words) in [
        ('s', "pmsuspended (unknown)", "domain is pmsuspended"),
        ('p', "crashed (panicked)", "domain is crashed"),
        ('o', "shut off (shutdown)", "domain is not running"),
    ] {
        let host = Host::new();
        let file = host.path("v.save");
        let panic = ["-device", "pvpanic", "-action", "panic=pause"];
        let mut guest = host.start("v", &panic);
        guest.press(letter);
        host.wait_for("v", answer);
        let before = host.guest_json();
        let why = format!("Requested operation is not valid: {words}");
        host.refused(&["save", "v", &file], &failed(&file, &why));
        host.refused(
            &["managedsave", "v"],
            &format!("error: Failed to save domain 'v' state\nerror: {why}\n"),
        );
        assert_eq!(host.guest_json(), before);
        assert_no_file(&file);
    }
}

#[test]
fn while_a_guest_is_saved_that_is_told_and_nothing_else_is_done_to_it() {
    let host = Host::new();
    let file = host.path("v.save");
    let _guest = host.start_slow(&[]);
    assert_eq!(
        host.ok(&["domjobinfo", "v"]),
        "Job type:         None        \n"
    );
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    let again = format!("Failed to save domain 'v' to {file}");
    let these: [(&[&str], &str); 2] = [
        (&["save", "v", &file], &again),
        (&["managedsave", "v"], "Failed to save domain 'v' state"),
    ];
    host.assert_at_it(&save, "save", &these);
    host.refused(&["start", "v"], "error: Domain is already active\n");
    let info = host.ok(&["domjobinfo", "v"]);
    let begun =
        "Job type:         Unbounded   \nOperation:        Save        \nTime elapsed:     ";
    assert!(info.starts_with(begun), "{info:?}");
    let labels: Vec<_> = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let labels: Vec<_> = labels.iter().map(|(label, _)| *label).collect();
    assert_eq!(
        labels[3..],
        ["Data processed", "Data remaining", "Data total"]
    );
    let json: Value =
        serde_json::from_str(&host.ok(&["--format", "json", "domjobinfo", "v"])).unwrap();
    assert_eq!(json["operation"], "save");
    assert!(json["remaining"].as_u64().unwrap() > 0, "{json}");
    // Nothing of all that has kept it from being saved.
    comes_to_be_saved(&host, save, &file);
}

/// A save that is under way comes to its end, and the guest goes on from its file.
fn comes_to_be_saved(host: &Host, save: Child, file: &str) {
    host.limit(UNLIMITED);
    let said = finish_child(save);
    assert_eq!(
        said.stdout,
        format!("Domain 'v' saved to {file}\n"),
        "{said:?}"
    );
    assert_eq!(host.answer("v"), "shut off (saved)");
    host.restore(file, &[]).answers();
}

#[test]
fn a_query_is_answered_while_the_guest_is_saved_and_qemu_does_not_answer() {
    let host = Host::new();
    let file = host.path("v.save");
    let mut guest = host.start_slow(&[]);
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    let qemu = host.qemu_pid("v");
    send(qemu, Signal::SIGSTOP);
    assert_eq!(host.answer("v"), "paused (saving)");
    assert!(host.ok(&["list"]).contains("paused"));
    send(qemu, Signal::SIGCONT);
    assert_failed(&interrupt(save), &aborted(&file));
    guest.answers();
}

#[test]
fn how_far_a_save_is_is_shown_on_a_terminal_if_asked_for() {
    let host = Host::new();
    let file = host.path("v.save");
    let _guest = host.start_slow(&[]);
    let (save, mut terminal) = on_a_terminal(&host, &["save", "v", &file, "--verbose"]);
    shown(&mut terminal, "\rSave: [ ");
    host.limit(UNLIMITED);
    shown(&mut terminal, "\rSave: [100 %]\r\n");
    let said = finish_child(save);
    assert_eq!(said.stdout, format!("Domain 'v' saved to {file}\n"));
    let _guest = host.restore(&file, &[]);
    host.limit(SLOW);
    let (save, mut terminal) = on_a_terminal(&host, &["managedsave", "v", "--verbose"]);
    shown(&mut terminal, "\rManagedsave: [ ");
    assert_eq!(host.ok(&["domjobabort", "v"]), "");
    shown(&mut terminal, "Failed to save domain 'v' state\r\n");
    assert_eq!(finish_child(save).code, Some(1));
}

#[test]
fn nothing_is_shown_of_how_far_it_is_where_nobody_asked_or_no_terminal_is() {
    let host = Host::new();
    let file = host.path("v.save");
    let _guest = host.start_large(&[]);
    // Long enough to be told of, twice.
    host.limit(12_000_000);
    let said = host.domstate(&["save", "v", &file, "--verbose"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    for options in [&[][..], &["--verbose", "-q"]] {
        let _guest = host.restore(&file, &[]);
        host.limit(12_000_000);
        let args = [&["save", "v", &file], options].concat();
        let (save, mut terminal) = on_a_terminal(&host, &args);
        assert_eq!(finish_child(save).code, Some(0));
        let mut text = String::new();
        // The terminal's other end is closed, which is an error.
        let _ = terminal.read_to_string(&mut text);
        assert_eq!(text, "", "{options:?}");
    }
}
