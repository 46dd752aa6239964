//! A guest that broke out of QEMU has the journal open to append to, and QEMU's end of the control socket. What it writes
//! there may make domstate tell lies of that guest. It must not make it touch what is the user's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use domstate::domain::{Name, Verb};
use domstate::operation::fulfil;
use domstate::store::{RunFolder, StateDir};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Host, finish, finish_child, is_alive, s, send, spawn, until};

const NO_TIME: Duration = Duration::ZERO;

/// Above every pid that a kernel gives.
const NOBODYS_PID: u32 = 0x7fff_fff0;

/// Files of the user's, whose names are those that jobs make of `bashrc`, `notes.json` and `core`.
const PRECIOUS: &[&str] = &[
    "bashrc",
    ".bashrc",
    ".bashrc.7.new",
    "bashrc.domstate-part",
    "notes.json",
    ".notes.json",
    "notes.json.domstate-part",
    "core",
    "core.w-1-5.domstate-part",
];

fn put_precious(home: &Path) {
    fs::create_dir_all(home).unwrap();
    for name in PRECIOUS {
        fs::write(home.join(name), format!("the user's {name}")).unwrap();
    }
}

fn files_in(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.path(), fs::read(entry.path()).unwrap_or_default()))
        .collect()
}

fn asked(verb: Verb, file: &Path) -> Value {
    json!({
        "verb": verb.word(), "uid": 0, "pid": NOBODYS_PID, "command": "forged", "start_ticks": 1, "began": 5,
        "file": file.to_str().unwrap(), "ran": true, "then": "running",
    })
}

fn first_run(host: &Host) -> RunFolder {
    let state = StateDir::choose(Some(host.state_dir()), true, &|_| None).unwrap();
    let name: Name = "v".parse().unwrap();
    state.domain(&name).run(1)
}

#[test]
fn no_job_that_stands_in_a_journal_touches_the_users_files_once_qemu_is_gone() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    until("the supervisor's end", || {
        host.noted_supervisor("v").is_none()
    });
    let home = host.folder().join("home");
    put_precious(&home);
    let before = files_in(&home);
    let run = first_run(&host);
    let domain = run.domain().unwrap();
    let journal = run.path().join("journal");
    let whole = fs::read(&journal).unwrap();
    for verb in Verb::ALL {
        for name in ["bashrc", "notes.json", "core", "core.w-1-5", ".", "..", ""] {
            for progress in [&[][..], &["SENT"], &["SENT", "DONE"]] {
                fs::write(&journal, &whole).unwrap();
                host.note("v", NO_TIME, "ASKED", &asked(*verb, &home.join(name)));
                for event in progress {
                    let data = json!({"verb": verb.word(), "pid": NOBODYS_PID});
                    host.note("v", NO_TIME, event, &data);
                }
                // What it makes of it is its own affair.
                let _ = fulfil(&domain, &run);
                assert_eq!(files_in(&home), before, "{verb:?} {name} {progress:?}");
            }
        }
    }
    fs::write(&journal, &whole).unwrap();
    assert_eq!(host.answer("v"), "shut off (shutdown)");
}

#[test]
fn no_job_that_stands_in_a_journal_touches_the_users_files_while_qemu_lives() {
    let verbs = [
        Verb::Save,
        Verb::Dump,
        Verb::CrashDump,
        Verb::SnapshotCreate,
        Verb::SnapshotDelete,
    ];
    for verb in verbs {
        for progress in [&[][..], &["SENT"]] {
            let host = Host::new();
            let _guest = host.start("v", &[]);
            let home = host.folder().join("home");
            put_precious(&home);
            let before = files_in(&home);
            host.note("v", NO_TIME, "ASKED", &asked(verb, &home.join("bashrc")));
            for event in progress {
                let data = json!({"verb": verb.word(), "pid": NOBODYS_PID});
                host.note("v", NO_TIME, event, &data);
            }
            // The supervisor's servant is at it, or this verb.
            host.domstate(&["suspend", "v"]);
            assert_eq!(files_in(&home), before, "{verb:?} {progress:?}");
            host.domstate(&["destroy", "v"]);
            assert_eq!(files_in(&home), before, "{verb:?} {progress:?}");
        }
    }
}

/// A process of the user's that has nothing to do with the guest.
pub(super) struct Stranger(Child);

impl Stranger {
    pub(super) fn new() -> Self {
        Self(spawn({
            let mut command = Command::new("sleep");
            command.arg("600");
            command
        }))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    pub(super) fn as_json(&self) -> Value {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let start: u64 = stat.split(' ').nth(21).unwrap().parse().unwrap();
        json!({"pid": self.pid(), "start_ticks": start})
    }

    fn is_unhurt(&self) -> bool {
        is_alive(self.pid())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn destroy_ends_the_guest_and_not_the_process_that_its_journal_names() {
    for is_supervised in [true, false] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        let qemu = host.qemu_pid("v");
        let stranger = Stranger::new();
        if !is_supervised {
            host.kill_supervisor("v");
        }
        host.note("v", NO_TIME, "QEMU", &stranger.as_json());
        host.note("v", NO_TIME, "SPAWNED", &stranger.as_json());
        let destroy = spawn(host.command(&["destroy", "v"]));
        until("the guest's end", || !is_alive(qemu));
        assert!(stranger.is_unhurt());
        // As long as it is there it is taken for the guest.
        drop(stranger);
        finish_child(destroy);
    }
}

#[test]
fn a_supervisor_does_not_kill_the_process_that_a_journal_names() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let qemu = host.qemu_pid("v");
    let stranger = Stranger::new();
    let launched = host.journal("v");
    let launched = launched.lines().find(|line| line.contains("_LAUNCHED"));
    let launched: Value = serde_json::from_str(launched.unwrap()).unwrap();
    host.kill_supervisor("v");
    // A run that QEMU refused to let begin is ended by whoever watches it.
    host.note("v", NO_TIME, "LAUNCHED", &launched["data"]);
    host.note("v", NO_TIME, "SPAWNED", &stranger.as_json());
    host.note("v", NO_TIME, "QEMU", &stranger.as_json());
    host.note("v", NO_TIME, "SPAWN_FAILED", &json!({"message": "forged"}));
    // The query brings a new supervisor about.
    host.ok(&["--reason", "v"]);
    until("a new supervisor", || host.noted_supervisor("v").is_some());
    let checkpoint = host.run_folder("v").join("state.json");
    until("its first checkpoint", || {
        fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("forged"))
    });
    assert!(stranger.is_unhurt());
    host.kill_supervisor("v");
    send(qemu, Signal::SIGKILL);
}

/// Runs a query with little memory; what it answers, at once.
fn answered_with_little_memory(host: &Host, args: &[&str]) -> String {
    let mut command = Command::new("prlimit");
    command.args(["--as=67108864", env!("CARGO_BIN_EXE_domstate")]);
    command.args(args).env("DOMSTATE_DIR", host.state_dir());
    let began = Instant::now();
    let said = finish(command);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{args:?}");
    said.stdout
}

#[test]
fn a_journal_that_its_qemu_stretches_or_fills_with_junk_keeps_no_query_waiting_and_takes_no_memory()
{
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let journal = host.run_folder("v").join("journal");
    let file = fs::OpenOptions::new().append(true).open(&journal).unwrap();
    let stop = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SPICE_INITIALIZED", "data": {}}"#;
    for _ in 0..3 {
        file.set_len(file.metadata().unwrap().len() + (1 << 40))
            .unwrap();
        host.note("v", NO_TIME, "IN_BETWEEN", &json!({}));
    }
    let nested = "[".repeat(10_000) + &"]".repeat(10_000);
    let endless = "x".repeat(64 << 20);
    let many = format!("{stop}\r\n").repeat(50_000);
    for junk in [nested, endless, many] {
        fs::write(host.folder().join("junk"), &junk).unwrap();
        let status = Command::new("sh")
            .args(["-c", "cat \"$1\" >> \"$2\"", "sh"])
            .arg(host.folder().join("junk"))
            .arg(&journal)
            .status();
        assert!(status.unwrap().success());
        for args in [&["--reason", "v"][..], &["list"], &["explain", "v"]] {
            answered_with_little_memory(&host, args);
        }
    }
    assert!(answered_with_little_memory(&host, &["--reason", "v"]).starts_with("running ("));
    host.kill_supervisor("v");
    let _ = fs::remove_file(host.run_folder("v").join("state.json"));
    assert!(answered_with_little_memory(&host, &["--reason", "v"]).starts_with("running ("));
    host.ok(&["destroy", "v"]);
}

/// What terminals obey: C0, DEL, C1, what changes the direction of text, and line ends of other kinds.
const OBEYED: &str =
    "\u{1b}[2J\u{7}\u{8}\r\u{7f}\u{85}\u{9b}31m\u{9d}\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}";

fn obeyed(text: &str) -> Option<char> {
    let harmless = |c: &char| matches!(c, '\n' | '\t');
    let is_obeyed = |c: &char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|c| !harmless(c)).find(is_obeyed)
}

fn assert_looks_are_harmless(host: &Host) {
    for verb in [
        "--reason v",
        "list --all --reason",
        "explain v",
        "history v",
        "dominfo v",
        "domblkerror v",
    ] {
        for format in ["text", "json"] {
            let mut args: Vec<&str> = verb.split(' ').collect();
            args.extend(["--format", format]);
            let said = host.domstate(&args);
            let told = format!("{}{}", said.stdout, said.stderr);
            assert_eq!(obeyed(&told), None, "{args:?}: {told:?}");
            assert!(!told.is_empty(), "{args:?}");
        }
    }
}

#[test]
fn nothing_that_a_guest_or_a_qemu_says_is_obeyed_by_a_terminal() {
    let host = Host::new();
    let mut argv = host.argv("v", &["-name", &format!("a{OBEYED}b")]);
    let _guest = host.start_argv("v", &["--on-crash", "preserve"], &argv);
    let evil = format!("a{OBEYED}b");
    let data = [
        (
            "ASKED",
            json!({"verb": "save", "uid": 0, "pid": NOBODYS_PID, "command": evil, "start_ticks": 1,
                         "began": 5, "file": evil, "ran": true, "then": null}),
        ),
        (
            "FAILED",
            json!({"verb": "save", "pid": NOBODYS_PID, "message": evil}),
        ),
        (
            "ASKED",
            json!({"verb": "suspend", "uid": 0, "pid": 7, "command": evil}),
        ),
        (evil.as_str(), json!({evil.as_str(): evil})),
    ];
    for (event, data) in &data {
        host.note("v", NO_TIME, event.trim(), data);
    }
    let journal = host.run_folder("v").join("journal");
    let append = |line: String| {
        let old = fs::read(&journal).unwrap();
        fs::write(&journal, [old, line.into_bytes()].concat()).unwrap();
    };
    let at = json!({"seconds": 1_900_000_000, "microseconds": 1});
    let event = |name: &str, data: Value| {
        format!(
            "\n{}\n",
            json!({"timestamp": at, "event": name, "data": data})
        )
    };
    let io = json!({"device": evil, "node-name": evil, "operation": evil, "action": "stop", "reason": evil});
    append(event("BLOCK_IO_ERROR", io));
    append(event("STOP", json!({})));
    append(format!("\n{OBEYED} no event\n"));
    let log = host.run_folder("v").join("log");
    fs::write(
        &log,
        format!("{evil}\nqemu: terminating on signal 15 from pid 7 ({evil})\n"),
    )
    .unwrap();
    assert_eq!(host.answer("v"), "paused (I/O error)");
    assert_looks_are_harmless(&host);
    append(event("RESUME", json!({})));
    append(event(
        "GUEST_PANICKED",
        json!({"action": "pause", "info": {"type": evil, evil.as_str(): evil}}),
    ));
    assert_eq!(host.answer("v"), "crashed (panicked)");
    assert_looks_are_harmless(&host);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    host.wait("v");
    assert_looks_are_harmless(&host);
    // To a terminal the log goes escaped as well.
    let typed = format!("{} logs v", env!("CARGO_BIN_EXE_domstate"));
    let mut command = Command::new("script");
    command.args(["-qec", &typed, "/dev/null"]);
    command.env("DOMSTATE_DIR", host.state_dir());
    let seen = finish(command).stdout.replace("\r\n", "\n");
    assert!(seen.contains("terminating on signal"), "{seen:?}");
    assert_eq!(obeyed(&seen), None, "{seen:?}");
    // And what is typed comes back in complaints, and in the definition.
    argv[0] = evil.clone();
    let define = [
        &["define", "w", "--"][..],
        &argv.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    host.ok(&define);
    for args in [
        &[evil.as_str()][..],
        &["show", "w"],
        &["start", "w"],
        &["--state-dir", &evil, "list", &evil],
        &["snapshot-create-as", "v", &evil],
    ] {
        let said = host.domstate(args);
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(!told.is_empty(), "{args:?}");
        assert_eq!(obeyed(&told), None, "{args:?}: {told:?}");
    }
    let shown = host.json("v");
    assert_eq!(s(&shown["state"]), "shut off");
}
