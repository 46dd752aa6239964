//! What is swept, played once where nothing fails: which system calls are made, as strace sees it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use super::WAIT;
use crate::harness::{Host, finish, send, until, with_argv};

/// strace's output of a start, of the processes that began with such a call of execve.
pub(super) fn trace_start(host: &Host, is_wanted: fn(&str) -> bool) -> String {
    let _line = host.line("v");
    let trace = host.folder().join("trace");
    let argv = host.argv("v", &[]);
    let words = with_argv(&["start", "v"], &argv);
    let mut child = strace(host, &trace, &["-f"], &words).spawn().unwrap();
    let runs = || host.domstate(&["--reason", "v"]).stdout == "running (booted)\n";
    until("the guest", runs);
    until("a supervisor that sleeps", || sleeps(host, &trace));
    host.ok(&["destroy", "v"]);
    child.wait().unwrap();
    let text = fs::read_to_string(trace).unwrap();
    let begins = |line: &&str| line.contains("execve(");
    let pids: Vec<&str> = text
        .lines()
        .filter(begins)
        .filter(|line| is_wanted(line))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let theirs = text.lines().filter(|line| {
        let pid = line.split_whitespace().next();
        pid.is_some_and(|pid| pids.contains(&pid))
    });
    theirs.collect::<Vec<_>>().join("\n")
}

/// The words as they are typed.
fn spelt(host: &Host, words: &[&str]) -> Vec<String> {
    let file = host.folder().join("file").display().to_string();
    let (verb, rest) = words.split_first().unwrap();
    let words = [*verb, "v"].into_iter().chain(rest.iter().copied());
    words.map(|word| word.replace("@FILE", &file)).collect()
}

pub(super) fn trace_verb(host: &Host, words: &[&str]) -> String {
    let _guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let words = spelt(host, words);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    finish(strace(host, &trace, &[], &words));
    fs::read_to_string(trace).unwrap()
}

/// strace's output of a process that is there already, while a command is run.
pub(super) fn trace_while(
    host: &Host,
    options: &[&str],
    pid: &dyn Fn(&Host, &str) -> i32,
    words: &[&str],
) -> String {
    let _guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let mut child = attach(options, &trace, pid(host, "v"));
    let words = spelt(host, words);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    host.ok(&words);
    child.wait().unwrap();
    fs::read_to_string(trace).unwrap()
}

/// strace, once it is attached.
fn attach(options: &[&str], trace: &Path, pid: i32) -> Child {
    let mut strace = Command::new("strace");
    strace.args(options).arg("-o").arg(trace);
    strace.args(["-p", &pid.to_string()]);
    let child = strace.stderr(Stdio::null()).spawn().unwrap();
    until("strace", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.contains(&format!("TracerPid:\t{}", child.id())))
    });
    child
}

pub(super) fn trace_end(host: &Host) -> String {
    let _guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let mut child = attach(&["-f"], &trace, host.supervisor_pid("v"));
    send(host.qemu_pid("v"), Signal::SIGKILL);
    child.wait().unwrap();
    fs::read_to_string(trace).unwrap()
}

pub(super) fn trace_end_of_qemu(host: &Host) -> String {
    let mut guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let mut child = attach(&["-f"], &trace, host.qemu_pid("v"));
    guest.press('o');
    child.wait().unwrap();
    fs::read_to_string(trace).unwrap()
}

pub(super) fn trace_wait(host: &Host) -> String {
    let mut guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let words = spelt(host, WAIT);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut child = strace(host, &trace, &[], &words).spawn().unwrap();
    let text = || fs::read_to_string(&trace).unwrap_or_default();
    until("who waits sleeps", || {
        text()
            .lines()
            .last()
            .is_some_and(|line| line.contains("poll("))
    });
    guest.press('o');
    child.wait().unwrap();
    text()
}

pub(super) fn trace_adoption(host: &Host) -> String {
    let _guest = host.start("v", &[]);
    host.kill_supervisor("v");
    let trace = host.folder().join("trace");
    let mut child = strace(host, &trace, &["-f"], &["--reason", "v"])
        .spawn()
        .unwrap();
    until("an adopter that sleeps", || sleeps(host, &trace));
    send(host.qemu_pid("v"), Signal::SIGKILL);
    child.wait().unwrap();
    fs::read_to_string(trace).unwrap()
}

fn strace(host: &Host, trace: &Path, options: &[&str], words: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(options).arg("-o").arg(trace);
    command.arg(env!("CARGO_BIN_EXE_domstate")).args(words);
    command.env("DOMSTATE_DIR", host.state_dir());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Whether the supervisor has nothing left to do.
fn sleeps(host: &Host, trace: &Path) -> bool {
    let text = fs::read_to_string(trace).unwrap_or_default();
    let Some(pid) = host.noted_supervisor("v").map(|pid| pid.to_string()) else {
        return false;
    };
    let its = |line: &&str| line.split_whitespace().next() == Some(&pid);
    let last = text.lines().rfind(its);
    last.is_some_and(|line| line.contains("poll("))
}

/// The calls in strace's output: each name with each of its numbers, as far as any one process came.
pub(super) fn calls(text: &str) -> BTreeSet<(String, u32)> {
    let mut counts = std::collections::HashMap::new();
    let mut calls = BTreeSet::new();
    for line in text.lines() {
        // With -f there is a pid in front; what is resumed has been counted.
        let (pid, call) = match line.split_once(char::is_whitespace) {
            Some((pid, call)) if pid.parse::<u32>().is_ok() => (pid, call.trim_start()),
            _ => ("", line),
        };
        let Some((name, _)) = call.split_once('(') else {
            continue;
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let count = counts.entry((pid.to_owned(), name.to_owned())).or_insert(0);
        *count += 1;
        calls.insert((name.to_owned(), *count));
    }
    calls
}
