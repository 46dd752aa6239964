//! Every system call of what counts: start, destroy, save, the end of a run, adoption. Each is made once under strace, and
//! then a story is played for each of its calls and each thing that can become of it there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::act::{Act, Theme};
use crate::fault::{ERRORS, Fault, may_fail};
use crate::harness::{Host, finish, send, until, with_argv};
use crate::machine::Machine;
use crate::story::Story;

/// What is swept.
struct Subject {
    /// The word that stands in the record.
    name: &'static str,
    story: fn(Fault, usize) -> Story,
    /// strace's output where nothing fails.
    trace: fn(&Host) -> String,
}

const SUBJECTS: &[Subject] = &[
    Subject {
        name: "start",
        story: start,
        trace: trace_start,
    },
    Subject {
        name: "destroy",
        story: destroy,
        trace: |host| trace_verb(host, &["destroy", "v"]),
    },
    Subject {
        name: "save",
        story: save,
        trace: trace_save,
    },
    Subject {
        name: "the end of a run",
        story: end,
        trace: trace_end,
    },
    Subject {
        name: "adoption",
        story: adoption,
        trace: trace_adoption,
    },
];

/// What a call meets besides the death of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// One error.
    One,
    /// Every error.
    All,
}

/// All stories, with the word for what each is about.
pub(crate) fn stories(breadth: Breadth) -> Vec<(&'static str, Story)> {
    let mut stories = Vec::new();
    for Subject { name, story, trace } in SUBJECTS {
        let host = Host::new();
        let calls = calls(&trace(&host));
        println!("{name}: {} calls", calls.len());
        assert!(calls.len() > 20, "{name}: {calls:?}");
        for (call, number) in calls {
            let call: &'static str = String::leak(call);
            let mut errors = ERRORS.to_vec();
            if !may_fail(call) {
                errors.clear();
            } else if breadth == Breadth::One {
                // Another one for each call, so that each error meets calls of each kind.
                let error = errors[stories.len() / 2 % errors.len()];
                errors = vec![error];
            }
            let faults = errors.into_iter().map(Some).chain([None]);
            for error in faults {
                let fault = Fault {
                    call,
                    number,
                    error,
                };
                stories.push((*name, story(fault, stories.len())));
            }
        }
    }
    stories
}

/// A story with nothing else in it. What ends the guest afterwards alternates.
fn story(start: Option<Fault>, groups: Vec<Vec<Act>>) -> Story {
    Story {
        // It is played again by its words: a sweep has no seeds.
        seed: 0,
        machine: Machine::plain(),
        theme: Theme::Plain,
        file_system: None,
        start,
        peer: None,
        journey: None,
        groups,
    }
}

fn end_by(number: usize) -> Act {
    [
        Act::Letter('o'),
        Act::Signal(Signal::SIGKILL),
        Act::Letter('p'),
    ][number % 3]
        .clone()
}

fn start(fault: Fault, number: usize) -> Story {
    story(
        Some(fault),
        vec![vec![Act::Verb(vec!["start"])], vec![end_by(number)]],
    )
}

fn destroy(fault: Fault, _: usize) -> Story {
    story(None, vec![vec![Act::Faulted(vec!["destroy"], fault)]])
}

fn save(fault: Fault, _: usize) -> Story {
    let restore = vec![Act::Verb(vec!["restore", "@FILE"])];
    story(
        None,
        vec![vec![Act::Faulted(vec!["save", "@FILE"], fault)], restore],
    )
}

fn end(fault: Fault, number: usize) -> Story {
    story(
        None,
        vec![vec![Act::SupervisorFault(fault)], vec![end_by(number)]],
    )
}

fn adoption(fault: Fault, number: usize) -> Story {
    let orphan = vec![Act::Supervisor(Signal::SIGKILL)];
    let adopt = vec![Act::Followed(vec!["--reason"], fault)];
    story(None, vec![orphan, adopt, vec![end_by(number)]])
}

/// strace's output of a start, of the command and of all that it starts but QEMU.
fn trace_start(host: &Host) -> String {
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
    let is_ours = |line: &&str| {
        let is_us = line.contains("/domstate\", [") || line.contains("[\"domstate-supervisor\"");
        line.contains("execve(") && is_us
    };
    let pids: Vec<&str> = text
        .lines()
        .filter(is_ours)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let ours = text.lines().filter(|line| {
        let pid = line.split_whitespace().next();
        pid.is_some_and(|pid| pids.contains(&pid))
    });
    ours.collect::<Vec<_>>().join("\n")
}

fn trace_verb(host: &Host, words: &[&str]) -> String {
    let _guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    finish(strace(host, &trace, &["-f"], words));
    fs::read_to_string(trace).unwrap()
}

fn trace_save(host: &Host) -> String {
    let file = host.folder().join("file").display().to_string();
    trace_verb(host, &["save", "v", &file])
}

fn trace_end(host: &Host) -> String {
    let _guest = host.start("v", &[]);
    let supervisor = host.supervisor_pid("v");
    let trace = host.folder().join("trace");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-o"])
        .arg(&trace)
        .args(["-p", &supervisor.to_string()]);
    let mut child = strace.stderr(Stdio::null()).spawn().unwrap();
    until("strace", || {
        let status = fs::read_to_string(format!("/proc/{supervisor}/status"));
        status.is_ok_and(|status| status.contains(&format!("TracerPid:\t{}", child.id())))
    });
    send(host.qemu_pid("v"), Signal::SIGKILL);
    child.wait().unwrap();
    fs::read_to_string(trace).unwrap()
}

fn trace_adoption(host: &Host) -> String {
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
fn calls(text: &str) -> BTreeSet<(String, u32)> {
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
