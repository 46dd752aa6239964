//! A guest is saved into a file and taken up from it, in virsh's words; a save that comes to nothing changes nothing.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::disk::Disk;
use super::foreground::shown;
use super::harness::{Host, finish, finish_child, is_root, send, spawn};
use super::jobs::{
    SLOW, UNLIMITED, assert_failed, assert_no_file, interrupt, on_a_terminal, part_of,
};

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
    let (file, other) = (host.path("v.save"), host.path("other"));
    let _guest = host.start_slow(&[]);
    assert_eq!(
        host.ok(&["domjobinfo", "v"]),
        "Job type:         None        \n"
    );
    let save = host.under_way(&["save", "v", &file], "paused (saving)");
    let before = host.guest_json();
    let at_it = format!("process {} is at it: save", save.id());
    let why = format!("error: Requested operation is not valid: {at_it}\n");
    for (args, sentence) in [
        (&["suspend", "v"][..], "Failed to suspend domain 'v'"),
        (&["resume", "v"], "Failed to resume domain 'v'"),
        (&["reset", "v"], "Failed to reset domain 'v'"),
        (
            &["save", "v", &other],
            &format!("Failed to save domain 'v' to {other}"),
        ),
        (
            &["save", "v", &file],
            &format!("Failed to save domain 'v' to {file}"),
        ),
        (&["managedsave", "v"], "Failed to save domain 'v' state"),
        (
            &["dump", "v", &other],
            &format!("Failed to core dump domain 'v' to {other}"),
        ),
    ] {
        host.refused(args, &format!("error: {sentence}\n{why}"));
        assert_eq!(host.guest_json(), before, "{args:?}");
    }
    host.refused(&["start", "v"], "error: Domain is already active\n");
    assert_no_file(&other);
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
    host.limit(UNLIMITED);
    let said = finish_child(save);
    assert_eq!(
        said.stdout,
        format!("Domain 'v' saved to {file}\n"),
        "{said:?}"
    );
    assert_eq!(host.answer("v"), "shut off (saved)");
    host.restore(&file, &[]).answers();
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
        let said = match how {
            "domjobabort" => {
                assert_eq!(host.ok(&["domjobabort", "v"]), "");
                finish_child(save)
            }
            "SIGTERM" => {
                let pid = i32::try_from(save.id()).unwrap();
                send(pid, Signal::SIGTERM);
                finish_child(save)
            }
            _ => interrupt(save),
        };
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
