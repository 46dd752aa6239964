//! The managed image, which the next start takes up, once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{disk, has_managed_save, managed};
use crate::harness::{Guest, Host, finish_child, processes_with, send, spawn, until, with_argv};

/// A domain that `managedsave` has ended.
fn saved_managed(host: &Host, qemu_args: &[&str]) {
    let _guest = host.start("v", qemu_args);
    assert!(!has_managed_save(host));
    let said = host.ok(&["managedsave", "v"]);
    assert_eq!(said, "Domain 'v' state saved by domstate\n");
    assert_eq!(host.answer("v"), "shut off (saved)");
    assert!(has_managed_save(host));
}

#[test]
fn start_takes_the_managed_image_up_and_removes_it() {
    for (at_save, options, answer) in [
        (&[][..], &[][..], "running (restored)"),
        (&["--paused"], &[], "paused (user)"),
        (&[], &["--paused"], "paused (user)"),
    ] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        host.ok(&[&["managedsave", "v"], at_save].concat());
        let start = [&["start", "v"], options].concat();
        let mut guest = host.takes_up(&start, "Domain 'v' started\n");
        host.assert_is("v", answer, &Value::Null, "witnessed");
        assert!(!managed(&host).exists());
        assert!(!has_managed_save(&host));
        if answer == "paused (user)" {
            host.ok(&["resume", "v"]);
        }
        guest.answers();
        guest.press('o');
        assert_eq!(host.wait("v"), "shut off (shutdown)");
        let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
        guest.hears("READY");
        assert_eq!(host.answer("v"), "running (booted)");
    }
}

#[test]
fn run_takes_the_managed_image_up_too_and_removes_it() {
    let host = Host::new();
    saved_managed(&host, &[]);
    let line = host.line("v");
    let run = spawn(host.command(&["run", "v"]));
    let mut guest = Guest::taken(&line);
    // What it hears before it is loaded is lost.
    host.wait_for("v", "running (restored)");
    guest.answers();
    guest.press('o');
    let said = finish_child(run);
    assert_eq!(said.stdout, "shut off (shutdown)\n", "{said:?}");
    assert_eq!(said.code, Some(0));
    assert!(!managed(&host).exists());
    assert!(!has_managed_save(&host));
}

#[test]
fn a_start_that_fails_keeps_the_managed_image() {
    let host = Host::new();
    let drive = disk(&host);
    saved_managed(&host, &["-drive", &drive]);
    let image = fs::read(managed(&host)).unwrap();
    // QEMU ends before it reads the image, and after it has.
    fs::rename(host.path("disk"), host.path("away")).unwrap();
    let _line = host.line("v");
    let said = host.domstate(&["start", "v"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("No such file or directory"),
        "{said:?}"
    );
    fs::rename(host.path("away"), host.path("disk")).unwrap();
    let _other = host.start("w", &["-drive", &drive]);
    let said = host.domstate(&["start", "v"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("Failed to get \"write\" lock"),
        "{said:?}"
    );
    assert_eq!(host.answer("v"), "shut off (failed)");
    assert!(has_managed_save(&host));
    assert_eq!(fs::read(managed(&host)).unwrap(), image);
    host.ok(&["destroy", "w"]);
    let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
    guest.answers();
    assert_eq!(host.answer("v"), "running (restored)");
    assert!(!managed(&host).exists());
}

#[test]
fn a_managed_image_that_was_removed_is_told_in_virshs_words_and_the_next_start_boots() {
    let host = Host::new();
    saved_managed(&host, &[]);
    let removed = "Removed managedsave image for domain 'v'\n";
    assert_eq!(host.ok(&["managedsave-remove", "v"]), removed);
    assert!(!managed(&host).exists() && !has_managed_save(&host));
    let none = "Domain 'v' has no manage save image; removal skipped\n";
    assert_eq!(host.ok(&["managedsave-remove", "v"]), none);
    assert_eq!(host.answer("v"), "shut off (saved)");
    let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
    guest.hears("READY");
    assert_eq!(host.answer("v"), "running (booted)");
}

#[test]
fn a_domain_with_a_managed_image_is_undefined_only_with_it() {
    let host = Host::new();
    saved_managed(&host, &[]);
    let why = "Requested operation is not valid: Refusing to undefine while domain managed save image exists";
    let words = format!("error: Failed to undefine domain 'v'\nerror: {why}\n");
    host.refused(&["undefine", "v"], &words);
    assert_eq!(host.answer("v"), "shut off (saved)");
    assert!(has_managed_save(&host));
    let undefined = "Domain 'v' has been undefined\n";
    assert_eq!(host.ok(&["undefine", "v", "--managed-save"]), undefined);
    assert!(!host.state_dir().join("v").exists());
    host.ok(&["define", "v", "--", "some-qemu"]);
    assert_eq!(host.ok(&["undefine", "v", "--managed-save"]), undefined);
}

#[test]
fn a_managed_image_is_not_taken_up_by_another_command_line() {
    let host = Host::new();
    saved_managed(&host, &[]);
    let (image, shown) = (fs::read(managed(&host)).unwrap(), host.ok(&["show", "v"]));
    let argv = host.argv("v", &["-device", "pvpanic"]);
    for (verb, code) in [("start", 1), ("run", 125)] {
        let args = with_argv(&[verb, "v"], &argv);
        let said = host.domstate(&args);
        let why = "the domain has a managed save image, which another command line cannot take up: \
                   start it without one, or by 'start --force-boot'";
        let words = format!("error: Failed to start domain 'v'\nerror: {why}\n");
        assert_eq!(said.stderr, words);
        assert_eq!((said.code, said.stdout.as_str()), (Some(code), ""));
    }
    assert_eq!(fs::read(managed(&host)).unwrap(), image);
    assert_eq!(host.ok(&["show", "v"]), shown);
    host.assert_only_run(1);
    // The same one, once more, is none that is other.
    let argv = host.argv("v", &[]);
    let args = with_argv(&["start", "v"], &argv);
    host.takes_up(&args, "Domain 'v' started\n").answers();
    assert_eq!(host.answer("v"), "running (restored)");
}

#[test]
fn a_managed_image_that_was_taken_up_already_is_never_taken_up_again() {
    for ending in ['o', 'k'] {
        let host = Host::new();
        saved_managed(&host, &[]);
        let copy = host.folder().join("copy");
        fs::copy(managed(&host), &copy).unwrap();
        let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
        guest.answers();
        // As if whoever took it up had been killed before it was removed.
        fs::copy(&copy, managed(&host)).unwrap();
        assert!(!has_managed_save(&host));
        match ending {
            'o' => guest.press('o'),
            _ => host.kill_unseen("v"),
        }
        host.wait("v");
        assert!(!has_managed_save(&host));
        let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
        guest.hears("READY");
        host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
        // A new one replaces it.
        host.ok(&["managedsave", "v"]);
        assert!(has_managed_save(&host));
        host.takes_up(&["start", "v"], "Domain 'v' started\n")
            .answers();
        assert_eq!(host.answer("v"), "running (restored)");
    }
}

#[test]
fn a_managed_image_that_was_taken_up_is_swept_by_every_start_while_the_run_that_did_is_known() {
    for options in [&["start", "v"][..], &["start", "v", "--force-boot"]] {
        let host = Host::new();
        saved_managed(&host, &[]);
        let copy = host.folder().join("copy");
        fs::copy(managed(&host), &copy).unwrap();
        drop(host.takes_up(&["start", "v"], "Domain 'v' started\n"));
        fs::copy(&copy, managed(&host)).unwrap();
        host.ok(&["destroy", "v"]);
        // Eleven of these would take that run away.
        let said = host.domstate(&[options, &["--", "false"]].concat());
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(!managed(&host).exists(), "{options:?}");
    }
}

#[test]
fn a_managed_image_is_kept_where_it_cannot_be_known_whether_it_was_taken_up() {
    let host = Host::new();
    saved_managed(&host, &[]);
    // A later run of which there is no record.
    let later = host.state_dir().join("v/runs/00000002");
    let definition = fs::read(host.run_folder("v").join("definition.json")).unwrap();
    fs::create_dir(&later).unwrap();
    fs::write(later.join("definition.json"), definition).unwrap();
    fs::write(later.join("journal"), "").unwrap();
    let said = host.domstate(&["start", "v"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr
            .contains("whether it was taken up cannot be known"),
        "{said:?}"
    );
    assert!(managed(&host).exists() && has_managed_save(&host));
    let mut guest = host.takes_up(&["start", "--force-boot", "v"], "Domain 'v' started\n");
    guest.hears("READY");
    assert_eq!(host.answer("v"), "running (booted)");
}

#[test]
fn a_domain_with_a_managed_image_keeps_its_name_and_one_that_was_renamed_can_have_one() {
    let host = Host::new();
    saved_managed(&host, &[]);
    let why = "domain with a managed saved state can't be renamed";
    let words = format!("error: Requested operation is not valid: {why}\n");
    host.refused(&["domrename", "v", "w"], &words);
    let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
    guest.answers();
    guest.press('o');
    host.wait("v");
    host.ok(&["domrename", "v", "w"]);
    let mut guest = host.takes_up(&["start", "w"], "Domain 'w' started\n");
    guest.hears("READY");
    host.ok(&["managedsave", "w"]);
    let mut guest = host.takes_up(&["start", "w"], "Domain 'w' started\n");
    guest.answers();
    assert_eq!(host.answer("w"), "running (restored)");
}

/// A `start` that takes the image up, and is stopped when it has opened it so many times.
fn stopped_at_opening(host: &Host, number: usize) -> (Child, i32, Guest) {
    let line = host.line("v");
    let (trace, state_dir) = (host.path("trace"), host.path("state"));
    let program = env!("CARGO_BIN_EXE_domstate");
    let inject = format!("inject=openat:signal=SIGSTOP:when={number}");
    let mut start = Command::new("strace");
    start.args(["-o", &trace, "-P", managed(host).to_str().unwrap()]);
    start.args(["-e", "trace=openat", "-e", &inject]);
    start.args([program, "--state-dir", &state_dir, "start", "v"]);
    let strace = spawn(start);
    let guest = Guest::taken(&line);
    until("a start that stands still", || {
        fs::read_to_string(&trace).is_ok_and(|trace| trace.contains("stopped by SIGSTOP"))
    });
    let is_traced = |pid: &i32| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm == "domstate\n")
    };
    let mut both = processes_with(&format!("{program}\0--state-dir\0{state_dir}")).into_iter();
    let pid = both.find(is_traced).expect("a start");
    (strace, pid, guest)
}

#[test]
fn a_start_that_removes_the_image_that_it_took_up_removes_no_other() {
    // It has opened the image to take it up, and then to remove it; and to judge it, when none can be put in its place.
    for (opened, is_held) in [(2, false), (3, true)] {
        let host = Host::new();
        saved_managed(&host, &[]);
        let (start, pid, _guest) = stopped_at_opening(&host, opened);
        let old = fs::metadata(managed(&host)).unwrap().ino();
        let save = spawn(host.command(&["managedsave", "v"]));
        host.wait_for_event("v", "DOMSTATE_SENT");
        let is_replaced = || fs::metadata(managed(&host)).unwrap().ino() != old;
        if is_held {
            assert!(!is_replaced());
        } else {
            until("the next image", is_replaced);
        }
        send(pid, Signal::SIGCONT);
        let said = finish_child(start);
        assert_eq!(said.code, Some(0), "{said:?}");
        let said = finish_child(save);
        assert_eq!(said.code, Some(0), "{said:?}\n{}", host.journal("v"));
        assert_eq!(host.answer("v"), "shut off (saved)");
        assert!(has_managed_save(&host), "opened {opened} times");
        let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
        guest.answers();
        assert!(!managed(&host).exists());
    }
}
