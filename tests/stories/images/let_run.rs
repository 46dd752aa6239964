//! A managed save that was cut off: its guest was let run before its QEMU was told to end, or it has no name yet.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use super::{has_managed_save, managed};
use crate::harness::{Guest, Host, Said, finish, finish_child, is_alive, send, spawn, until};
use crate::jobs::{UNLIMITED, part_of};

const RENAMES: &str = "rename,renameat,renameat2";

/// Runs it with something that strace injects into it.
fn under_strace(host: &Host, options: &[&str], inject: &str, args: &[&str]) -> Said {
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "/dev/null"]).args(options);
    command.args(["-e", &format!("inject={inject}")]);
    command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
    command.env("DOMSTATE_DIR", host.state_dir());
    finish(command)
}

#[test]
fn an_image_whose_guest_went_on_is_not_taken_up() {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-qmp", &third_party]);
    let supervisor = host.supervisor_pid("v");
    send(supervisor, Signal::SIGSTOP);
    // Killed at its last line, when the image has its name.
    let journal = host.run_folder("v").join("journal");
    let at = ["-P", journal.to_str().unwrap(), "-e", "trace=write"];
    let said = under_strace(
        &host,
        &at,
        "write:signal=SIGKILL:when=5",
        &["managedsave", "v"],
    );
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(managed(&host).exists(), "{}", host.journal("v"));
    host.third_party("v").execute("cont", &json!({}));
    send(supervisor, Signal::SIGCONT);
    guest.answers();
    host.ok(&["suspend", "v"]);
    host.ok(&["resume", "v"]);
    assert!(!has_managed_save(&host), "{}", host.journal("v"));
    // However little is sure of how it ends.
    host.note("v", Duration::ZERO, "GAP", &json!({}));
    host.kill_unseen("v");
    let killed = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
    host.assert_is("v", "shut off (crashed)", &killed, "inferred");
    assert!(!has_managed_save(&host));
    let line = host.line("v");
    host.ok(&["start", "v"]);
    Guest::connected(&line).answers();
    assert_eq!(host.answer("v"), "running (booted)");
    assert!(!managed(&host).exists());
}

#[test]
fn a_domain_is_not_undefined_whose_image_cannot_be_given_its_name() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
    send(supervisor, Signal::SIGSTOP);
    let kills = format!("{RENAMES}:signal=SIGKILL:when=1");
    let renames = ["-e", &format!("trace={RENAMES}")];
    under_strace(&host, &renames, &kills, &["managedsave", "v"]);
    let part = part_of(managed(&host).to_str().unwrap());
    for pid in [qemu, supervisor] {
        send(pid, Signal::SIGKILL);
        until("its death", || !is_alive(pid));
    }
    assert!(host.journal("v").contains("DOMSTATE_SENT"));
    let fails = format!("{RENAMES}:error=EIO:when=1");
    let said = under_strace(&host, &renames, &fails, &["undefine", "v"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(part.exists() || managed(&host).exists(), "{said:?}");
    let line = host.line("v");
    host.ok(&["start", "v"]);
    Guest::taken(&line).answers();
    assert_eq!(host.answer("v"), "running (restored)");
}

/// A `managedsave` that stands still once it has written its last line, when somebody has let the guest go on, of which there
/// is no line. The supervisor stands still, too.
fn saved_and_let_run_unseen(host: &Host) -> (Guest, Child, i32) {
    let third_party = host.third_party_socket("v");
    let guest = host.start("v", &["-qmp", &third_party]);
    let supervisor = host.supervisor_pid("v");
    send(supervisor, Signal::SIGSTOP);
    let (journal, trace) = (host.run_folder("v").join("journal"), host.path("trace"));
    let mut save = Command::new("strace");
    save.args(["-D", "-o", &trace, "-P", journal.to_str().unwrap()]);
    save.args([
        "-e",
        "trace=write",
        "-e",
        "inject=write:signal=SIGSTOP:when=5",
    ]);
    save.arg(env!("CARGO_BIN_EXE_domstate"))
        .args(["managedsave", "v"]);
    save.env("DOMSTATE_DIR", host.state_dir());
    let save = spawn(save);
    until("a save that stands still", || {
        fs::read_to_string(&trace).is_ok_and(|trace| trace.contains("stopped by SIGSTOP"))
    });
    assert!(host.journal("v").contains("DOMSTATE_DONE"));
    host.third_party("v").execute("cont", &json!({}));
    let written = host.journal("v");
    let (before, resumed) = written.trim_end().rsplit_once('\n').unwrap();
    assert!(resumed.contains("\"RESUME\""), "{written}");
    fs::write(&journal, format!("{before}\n")).unwrap();
    (guest, save, supervisor)
}

#[test]
fn a_guest_that_went_on_unseen_before_its_qemu_was_told_to_end_goes_on() {
    let host = Host::new();
    let (mut guest, save, supervisor) = saved_and_let_run_unseen(&host);
    send(i32::try_from(save.id()).unwrap(), Signal::SIGCONT);
    let said = finish_child(save);
    let why =
        "error: Failed to save domain 'v' state\nerror: the domain is running (save canceled)\n";
    assert_eq!((said.code, &*said.stderr), (Some(1), why));
    guest.answers();
    send(supervisor, Signal::SIGCONT);
    // What was saved of it is stale, however it ends.
    host.kill_unseen("v");
    assert_eq!(host.wait("v"), "shut off (crashed)");
    assert!(!has_managed_save(&host), "{}", host.journal("v"));
}

#[test]
fn a_guest_that_went_on_unseen_behind_a_save_whose_process_died_goes_on() {
    let host = Host::new();
    let (mut guest, save, supervisor) = saved_and_let_run_unseen(&host);
    send(i32::try_from(save.id()).unwrap(), Signal::SIGKILL);
    assert_ne!(finish_child(save).code, Some(0));
    send(supervisor, Signal::SIGCONT);
    host.wait_for("v", "running (save canceled)");
    guest.answers();
    host.assert_is("v", "running (save canceled)", &json!(null), "inferred");
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert!(!has_managed_save(&host), "{}", host.journal("v"));
}

#[test]
fn what_a_guest_was_saved_in_is_not_undone_by_who_cannot_read_on() {
    let host = Host::new();
    drop(host.start_slow(&[]));
    let mut save = Command::new("strace");
    save.args(["-o", "/dev/null", "-e", &format!("trace={RENAMES}")]);
    save.args(["-e", &format!("inject={RENAMES}:signal=SIGKILL:when=1")]);
    save.arg(env!("CARGO_BIN_EXE_domstate"))
        .args(["managedsave", "v"]);
    save.env("DOMSTATE_DIR", host.state_dir());
    let save = spawn(save);
    let checkpoint = host.run_folder("v").join("state.json");
    until("a checkpoint that knows of the job", || {
        fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("\"job\""))
    });
    let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
    send(supervisor, Signal::SIGSTOP);
    host.limit(UNLIMITED);
    finish_child(save);
    for pid in [qemu, supervisor] {
        send(pid, Signal::SIGKILL);
        until("its death", || !is_alive(pid));
    }
    let part = part_of(managed(&host).to_str().unwrap());
    let journal = host.run_folder("v").join("journal");
    let at = ["-P", journal.to_str().unwrap(), "-e", "trace=pread64"];
    let said = under_strace(&host, &at, "pread64:error=EIO", &["start", "v"]);
    let why = format!(
        "error: Failed to start domain 'v'\nerror: {} cannot be read, which tells whether the guest is in its managed save \
         image: 'start --force-boot' gives that up\n",
        journal.display()
    );
    assert_eq!((said.code, said.stderr), (Some(1), why));
    for (verb, way_out) in [
        (&["undefine", "v"][..], "'undefine --managed-save'"),
        (&["domrename", "v", "w"], "'managedsave-remove'"),
    ] {
        let said = under_strace(&host, &at, "pread64:error=EIO", verb);
        let why = format!("in its managed save image: {way_out} gives that up\n");
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.ends_with(&why), "{said:?}");
    }
    assert!(part.exists());
    let line = host.line("v");
    host.ok(&["start", "v"]);
    Guest::taken(&line).answers();
    assert_eq!(host.answer("v"), "running (restored)");
}
