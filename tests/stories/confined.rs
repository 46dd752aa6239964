//! A QEMU that has given up most of its rights, and a domstate that starts no program but those it has to.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::harness::{Guest, Host, finish, is_root, processes_with, qemu, send, until, with_argv};

const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// What a process has open below this folder: to read or to write, and its name there.
fn open_below(folder: &Path, pid: i32) -> Vec<(String, String)> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut found: Vec<(String, String)> = descriptors
        .filter_map(|entry| {
            let place = fs::read_link(entry.path()).ok()?;
            let name = place.strip_prefix(folder).ok()?.to_str()?.to_owned();
            let mode = entry.metadata().ok()?.mode();
            let may = |bit, word| if mode & bit == 0 { "-" } else { word };
            Some((format!("{}{}", may(0o400, "r"), may(0o200, "w")), name))
        })
        .collect();
    found.sort();
    found
}

/// SECURITY.md names them.
#[test]
fn qemu_has_no_descriptor_of_domstates_but_those_it_needs() {
    let long = "x".repeat(100);
    for (state_dir, has_folder) in [("state", false), (&*long, true)] {
        let host = Host::with_state_dir(state_dir);
        let _guest = host.start("v", &[]);
        let run = "v/runs/00000001";
        let mut expected = vec![
            ("-w".to_owned(), format!("{run}/journal")),
            ("-w".to_owned(), format!("{run}/log")),
            ("-w".to_owned(), format!("{run}/log")),
            ("rw".to_owned(), "v/lock".to_owned()),
            ("rw".to_owned(), format!("{run}/recorder.in")),
        ];
        if has_folder {
            expected.push(("r-".to_owned(), run.to_owned()));
        }
        expected.sort();
        assert_eq!(
            open_below(&host.state_dir(), host.qemu_pid("v")),
            expected,
            "{state_dir}"
        );
    }
}

/// Goes through what needs QEMU's help, and what QEMU must be able to write, with these arguments.
fn lives_and_ends(confinement: &[&str]) -> Host {
    let host = Host::new();
    let file = host.folder().join("image");
    let file = file.to_str().unwrap();
    let mut guest = host.start("v", confinement);
    host.ok(&["suspend", "v"]);
    assert_eq!(host.answer("v"), "paused (user)");
    host.ok(&["resume", "v"]);
    assert_eq!(host.answer("v"), "running (unpaused)");
    guest.answers();
    drop(guest);
    let line = host.line("v");
    host.ok(&["save", "v", file]);
    assert_eq!(host.answer("v"), "shut off (saved)");
    host.ok(&["restore", file]);
    let mut guest = Guest::taken(&line);
    assert_eq!(host.answer("v"), "running (restored)");
    guest.answers();
    host.ok(&[
        "dump",
        "v",
        host.folder().join("core").to_str().unwrap(),
        "--memory-only",
    ]);
    guest.answers();
    // A supervisor that adopts it finds out as much as one that started it.
    host.kill_supervisor("v");
    assert_eq!(host.answer("v"), "running (unpaused)");
    until("a new supervisor", || host.noted_supervisor("v").is_some());
    guest.press('o');
    host.assert_ends(
        "v",
        "shut off (shutdown)",
        &json!({"kind": "guest-shutdown"}),
    );
    drop(guest);
    let _guest = host.start("v", confinement);
    host.ok(&["destroy", "v"]);
    assert_eq!(host.answer("v"), "shut off (destroyed)");
    let _guest = host.start("v", confinement);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    let cause = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
    host.assert_ends("v", "shut off (crashed)", &cause);
    host
}

#[test]
fn a_qemu_in_its_sandbox_is_told_of_as_any_other() {
    lives_and_ends(&["-sandbox", SANDBOX]);
}

#[test]
fn a_qemu_that_becomes_another_user_is_told_of_as_any_other() {
    if !is_root("a_qemu_that_becomes_another_user_is_told_of_as_any_other") {
        return;
    }
    let mut help = Command::new(qemu());
    help.arg("-help");
    // QEMU 9.1 has a new word for it, and 11 has the new one alone.
    let options: &[&str] = match finish(help).stdout.contains("user=username") {
        true => &["-run-with", "user=nobody"],
        false => &["-runas", "nobody"],
    };
    lives_and_ends(&[options, &["-sandbox", "on,spawn=deny"]].concat());
}

/// The programs that are executed behind a command, by strace.
fn executed(host: &Host, program: &str, args: &[&str], programs: &mut BTreeSet<String>) {
    let trace = host.folder().join("trace");
    let path = trace.to_str().unwrap();
    let mut command = Command::new("strace");
    // As a process of its own: else it would wait for what goes on in the background.
    command.args([
        "-f",
        "-D",
        "-I",
        "1",
        "-e",
        "trace=execve,execveat",
        "-o",
        path,
    ]);
    command.arg(program).args(args);
    command.env("DOMSTATE_DIR", host.state_dir());
    // It keeps open what it is given.
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.as_mut().unwrap();
    until("the end of the command", || {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none_or(|status| status.success()), "{args:?}");
        ended.is_some()
    });
    until("the end of strace", || {
        let traces = processes_with(path);
        for pid in &traces {
            // It lets go of everybody, and writes down what it saw.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGTERM);
        }
        traces.is_empty()
    });
    let text = fs::read_to_string(&trace).unwrap();
    let calls = text.lines().filter(|line| line.contains("execve"));
    let found = calls.filter_map(|line| line.split('"').nth(1));
    programs.extend(found.map(str::to_owned));
    fs::remove_file(&trace).unwrap();
}

fn names_of(programs: &BTreeSet<String>) -> BTreeSet<&str> {
    let names = programs.iter().map(|program| program.rsplit('/').next());
    names.map(Option::unwrap).collect()
}

#[test]
fn no_verb_executes_anything_but_qemu_its_tool_and_domstate() {
    let host = Host::new();
    let path = |name: &str| host.folder().join(name).to_str().unwrap().to_owned();
    let (disk, image, core) = (path("disk.qcow2"), path("image"), path("core"));
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", &disk, "1M"])
        .status();
    assert!(made.unwrap().success());
    let drive = format!("file={disk},format=qcow2,if=ide");
    let argv = host.argv("v", &["-drive", &drive]);
    let line = host.line("v");
    let mut programs = BTreeSet::new();
    let domstate = env!("CARGO_BIN_EXE_domstate");
    let mut run = |args: &[&str]| executed(&host, domstate, args, &mut programs);
    run(&with_argv(&["define", "v"], &argv));
    run(&["start", "v"]);
    drop(Guest::taken(&line));
    for verb in [
        "suspend v",
        "resume v",
        "reset v",
        "inject-nmi v",
        "snapshot-create-as v s1",
        "snapshot-create-as v s2",
        "snapshot-list v",
        "snapshot-delete v s2",
        "state v",
        "list --all",
        "explain v",
        "history v",
        "dominfo v",
        "show v",
        "logs v",
    ] {
        run(&verb.split(' ').collect::<Vec<_>>());
    }
    run(&["dump", "v", &core, "--memory-only"]);
    run(&["save", "v", &image]);
    run(&["restore", &image]);
    drop(Guest::taken(&line));
    run(&["managedsave", "v"]);
    run(&["start", "v"]);
    drop(Guest::taken(&line));
    run(&["destroy", "v"]);
    run(&["wait", "v"]);
    run(&["snapshot-delete", "v", "s1"]);
    run(&["undefine", "v"]);
    // What is called QEMU may be a wrapper, which executes others.
    let mut allowed = BTreeSet::new();
    executed(&host, &qemu(), &["--version"], &mut allowed);
    allowed.extend(["domstate", "exe", "qemu-img"].map(str::to_owned));
    assert_eq!(names_of(&programs), names_of(&allowed), "{programs:?}");
}
