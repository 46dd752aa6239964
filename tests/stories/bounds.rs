//! A guest or a QEMU that writes without end: what is kept stays small, and nothing that counts is lost.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use domstate::store::is_held;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{
    Guest, Host, finish_child, is_alive, processes_with, qemu, send, spawn, until, with_argv,
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// "At once", on a machine that is busy with a guest that takes a whole processor and with other tests.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What a file or a folder takes of the disk.
fn disk_bytes(path: &Path) -> u64 {
    // What is gone between two looks takes nothing.
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = metadata.blocks() * 512;
    if !metadata.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| disk_bytes(&entry.path())).sum::<u64>()
}

fn journal_length(host: &Host) -> u64 {
    let journal = host.run_folder("v").join("journal");
    fs::metadata(journal).unwrap().len()
}

/// A guest that can flood its journal, with an event that no QEMU limits the rate of.
fn start_flooder(host: &Host) -> Guest {
    host.start("v", &["-device", "pvpanic"])
}

/// One that has flooded its journal while nobody watched.
fn start_unwatched_flood(host: &Host) -> Guest {
    let mut guest = start_flooder(host);
    host.kill_supervisor("v");
    guest.press('f');
    let length = journal_length(host);
    until("the flood", || journal_length(host) > length + 3 * MIB);
    guest
}

/// Waits until the journal has grown by so much, and checks meanwhile that its folder stays small.
fn flooded(host: &Host, bytes: u64) {
    let wanted = journal_length(host) + bytes;
    let domain = host.state_dir().join("v");
    let mut most = 0;
    until("the flood", || {
        most = most.max(disk_bytes(&domain));
        journal_length(host) >= wanted
    });
    assert!(most <= 2 * MIB, "{most} bytes of disk");
}

fn answered_at_once(host: &Host) -> String {
    let start = Instant::now();
    let answer = host.answer("v");
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    answer
}

fn remove_checkpoint(host: &Host) {
    // It may be gone, or be replaced at any moment.
    let _ = fs::remove_file(host.run_folder("v").join("state.json"));
}

#[test]
fn a_flood_of_events_takes_little_disk_and_hides_no_change() {
    let host = Host::new();
    let mut guest = start_flooder(&host);
    host.supervisor_pid("v");
    guest.press('f');
    flooded(&host, 3 * MIB);
    assert_eq!(answered_at_once(&host), "running (booted)");
    remove_checkpoint(&host);
    assert_eq!(answered_at_once(&host), "running (booted)");
    host.ok(&["suspend", "v"]);
    assert_eq!(answered_at_once(&host), "paused (user)");
    remove_checkpoint(&host);
    assert_eq!(answered_at_once(&host), "paused (user)");
    host.ok(&["resume", "v"]);
    flooded(&host, MIB);
    remove_checkpoint(&host);
    assert_eq!(answered_at_once(&host), "running (unpaused)");
    host.ok(&["suspend", "v"]);
    host.kill_supervisor("v");
    remove_checkpoint(&host);
    assert_eq!(answered_at_once(&host), "paused (user)");
    // That look has started another supervisor, or this one does.
    host.supervisor_pid("v");
    host.ok(&["resume", "v"]);
    flooded(&host, 2 * MIB);
    assert_eq!(answered_at_once(&host), "running (unpaused)");
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let supervisors = || processes_with(&host.state_dir().to_string_lossy());
    until("the supervisor's end", || supervisors().is_empty());
    let before = host.json("v");
    assert_eq!(before["cause"]["signal"], "SIGKILL");
    assert_eq!(before["certainty"], "witnessed");
    remove_checkpoint(&host);
    assert_eq!(host.json("v"), before);
    let explained = host.ok(&["explain", "v"]);
    assert!(explained.contains("GUEST_CRASHLOADED"), "{explained}");
    assert!(explained.contains("signal 9"), "{explained}");
}

#[test]
fn what_is_kept_of_long_lines_does_not_fill_the_disk() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    host.supervisor_pid("v");
    let mut journal = File::options()
        .append(true)
        .open(host.run_folder("v").join("journal"))
        .unwrap();
    let long = "A".repeat(200 * 1024);
    for number in 1..=4 {
        let time = r#"{"timestamp":{"seconds":1,"microseconds":2}"#;
        let data = format!(r#"{{"verb":"suspend","uid":0,"pid":{number},"command":"{long}"}}"#);
        writeln!(
            journal,
            r#"{time},"event":"DOMSTATE_ASKED","data":{data}}}"#
        )
        .unwrap();
    }
    until("a checkpoint", || {
        let journal = fs::read(host.run_folder("v").join("journal")).unwrap();
        String::from_utf8_lossy(&journal).contains("DOMSTATE_CHECKPOINT")
    });
    until("a bound", || {
        disk_bytes(&host.state_dir().join("v")) < MIB / 2
    });
    assert!(journal_length(&host) < MIB, "{}", journal_length(&host));
    assert_eq!(answered_at_once(&host), "running (booted)");
    send(host.qemu_pid("v"), Signal::SIGSEGV);
    assert_eq!(host.wait("v"), "shut off (crashed)");
}

#[test]
fn an_end_that_another_version_has_told_is_told_still_where_the_lines_before_it_are_gone() {
    let host = Host::new();
    let mut guest = start_flooder(&host);
    host.supervisor_pid("v");
    guest.press('f');
    flooded(&host, 2 * MIB);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let supervisors = || processes_with(&host.state_dir().to_string_lossy());
    until("the supervisor's end", || supervisors().is_empty());
    let told = host.json("v");
    assert_eq!(told["certainty"], "witnessed");
    let run = host.run_folder("v");
    let by_others = |bytes: &mut [u8]| {
        let ours = b"\"rules\":\"";
        let found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(ours));
        let found: Vec<usize> = found.collect();
        assert!(!found.is_empty());
        found.iter().for_each(|at| bytes[at + ours.len()] = b'x');
    };
    let mut journal = fs::read(run.join("journal")).unwrap();
    by_others(&mut journal);
    let hole = journal.iter().position(|byte| *byte != 0).unwrap();
    let file = File::options().write(true).open(run.join("journal"));
    let file = file.unwrap();
    file.write_all_at(&journal[hole..], hole as u64).unwrap();
    let path = run.join("state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state["rules"] = json!("x");
    // By which it is known that it is of this journal (FNV-1a).
    let end = usize::try_from(state["offset"].as_u64().unwrap()).unwrap();
    let mark = journal[end - 64..end]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    state["mark"] = json!(mark);
    fs::write(&path, state.to_string()).unwrap();
    assert!(hole > 0);
    assert_eq!(host.json("v"), told);
}

#[test]
fn a_flood_that_nobody_bounded_is_bounded_by_the_next_supervisor() {
    let host = Host::new();
    let _guest = start_unwatched_flood(&host);
    assert_eq!(answered_at_once(&host), "running (booted)");
    let domain = host.state_dir().join("v");
    until("a bound", || disk_bytes(&domain) < MIB);
    flooded(&host, MIB);
    assert_eq!(answered_at_once(&host), "running (booted)");
    host.ok(&["destroy", "v"]);
    assert_eq!(host.answer("v"), "shut off (destroyed)");
}

#[test]
fn who_reads_a_journal_whose_front_is_given_up_meanwhile_reads_it_again() {
    let host = Host::new();
    let _guest = start_unwatched_flood(&host);
    remove_checkpoint(&host);
    // It knows how far it is to read, and has read nothing.
    let journal = host.run_folder("v").join("journal");
    let mut ask = Command::new("strace");
    let trace = host.folder().join("trace");
    ask.args(["-D", "-o"]).arg(&trace).arg("-P").arg(&journal);
    ask.args([
        "-e",
        "trace=statx",
        "-e",
        "inject=statx:signal=SIGSTOP:when=2",
    ]);
    ask.args([env!("CARGO_BIN_EXE_domstate"), "--reason", "v"]);
    ask.env("DOMSTATE_DIR", host.state_dir());
    let ask = spawn(ask);
    let pid = i32::try_from(ask.id()).unwrap();
    until("a reader that stands still", || {
        fs::read_to_string(&trace).is_ok_and(|trace| trace.contains("stopped by SIGSTOP"))
    });
    assert_eq!(host.answer("v"), "running (booted)");
    let domain = host.state_dir().join("v");
    until("a bound", || disk_bytes(&domain) < MIB);
    send(pid, Signal::SIGCONT);
    assert_eq!(finish_child(ask).stdout, "running (booted)\n");
}

/// A wrapper round QEMU that says `words` on its standard error first.
fn wrapper(host: &Host, script: &str) -> String {
    let path = host.folder().join("wrapper");
    let text = format!("#!/bin/sh\n{script}\nexec {} \"$@\"\n", qemu());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

const BABBLE: &str = "echo the first words >&2
yes 'a line of no interest, of which there are very, very many' | head -c 8000000 >&2
echo the last words >&2";

fn start_wrapped(host: &Host, wrapper: &str) -> Guest {
    let line = host.line("v");
    let mut argv = host.argv("v", &[]);
    argv[0] = wrapper.to_owned();
    let args = with_argv(&["start", "v"], &argv);
    host.ok(&args);
    Guest::connected(&line)
}

#[test]
fn a_flooded_log_keeps_its_first_and_last_parts_and_names_what_was_given_up() {
    let host = Host::new();
    let mut guest = start_wrapped(&host, &wrapper(&host, BABBLE));
    let log = host.run_folder("v").join("log");
    until("the bound", || disk_bytes(&log) <= 512 * KIB);
    let check = || {
        let printed = host.ok(&["logs", "v"]);
        assert!(printed.starts_with("the first words\n"), "{printed:.80}");
        assert!(printed.contains("the last words\n"));
        assert!(!printed.contains('\0'));
        let lines = printed.lines();
        let given_up: Vec<u64> = lines
            .filter_map(|line| line.strip_suffix(" bytes of the log were given up here]"))
            .filter_map(|line| line.strip_prefix('[')?.parse().ok())
            .collect();
        assert!(!given_up.is_empty());
        let length = fs::metadata(&log).unwrap().len();
        assert!(given_up.iter().sum::<u64>() + printed.len() as u64 >= length);
    };
    check();
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let supervisors = || processes_with(&host.state_dir().to_string_lossy());
    until("the supervisor's end", || supervisors().is_empty());
    let left = disk_bytes(&log);
    assert!(left <= 128 * KIB, "{left}");
    check();
}

#[test]
fn run_repeats_a_flooded_log_without_inventing_bytes() {
    let host = Host::new();
    let line = host.line("v");
    let mut argv = host.argv("v", &[]);
    argv[0] = wrapper(&host, BABBLE);
    let args = with_argv(&["run", "v"], &argv);
    let said = std::thread::scope(|scope| {
        let running = scope.spawn(|| host.domstate(&args));
        let mut guest = Guest::connected(&line);
        guest.press('o');
        running.join().unwrap()
    });
    assert_eq!(said.code, Some(0), "{:.200}", said.stderr);
    assert_eq!(said.stdout, "shut off (shutdown)\n");
    assert!(said.stderr.starts_with("the first words\n"));
    assert!(said.stderr.contains("the last words\n"));
    assert!(!said.stderr.contains('\0'), "what was given up is no text");
    let log = host.run_folder("v").join("log");
    let left = disk_bytes(&log);
    assert!(left <= 128 * KIB, "{left}");
}

#[test]
fn ten_runs_are_kept_and_what_is_history_is_small() {
    let host = Host::new();
    // Not so large that the flood itself is bounded: between what an old run may keep and what a new one may.
    let mut guest = start_flooder(&host);
    host.supervisor_pid("v");
    guest.press('f');
    let length = journal_length(&host);
    until("some of a flood", || {
        journal_length(&host) > length + 75 * KIB
    });
    host.ok(&["suspend", "v"]);
    let qemu = host.qemu_pid("v");
    send(qemu, Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    drop(guest);
    let mut guest = start_wrapped(&host, &wrapper(&host, BABBLE));
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let small = |run: &Path| {
        let (journal, log) = (
            disk_bytes(&run.join("journal")),
            disk_bytes(&run.join("log")),
        );
        assert!(journal <= 64 * KIB, "{}: journal {journal}", run.display());
        assert!(log <= 128 * KIB, "{}: log {log}", run.display());
    };
    let mut answers = vec!["shut off (crashed)", "shut off (shutdown)"];
    while answers.len() < 12 {
        let mut guest = host.start("v", &[]);
        let all = fs::read_dir(host.state_dir().join("v/runs"))
            .unwrap()
            .flatten();
        let mut all: Vec<_> = all.map(|entry| entry.path()).collect();
        all.sort();
        assert!(all.len() <= 10);
        let (_, old) = all.split_last().unwrap();
        // 'wait' returns when the end is on the disk; what is no longer needed is given up after that.
        let done =
            |run: &Path| !is_held(&File::open(run.join("supervisor.lock")).unwrap()).unwrap();
        until("the old supervisors' ends", || {
            old.iter().all(|run| done(run))
        });
        old.iter().for_each(|run| small(run));
        let history = host.ok(&["history", "v"]);
        let shown: Vec<&str> = history
            .lines()
            .skip_while(|l| !l.contains("shut off"))
            .collect();
        let known = &answers[answers.len().saturating_sub(9)..];
        for (line, answer) in shown.iter().zip(known) {
            assert!(line.contains(answer), "{history}");
        }
        assert_eq!(shown.len(), known.len() + 1, "{history}");
        if answers.len().is_multiple_of(2) {
            guest.press('o');
            assert_eq!(host.wait("v"), "shut off (shutdown)");
            answers.push("shut off (shutdown)");
        } else {
            host.ok(&["destroy", "v"]);
            answers.push("shut off (destroyed)");
        }
        assert!(!is_alive(qemu));
    }
}
