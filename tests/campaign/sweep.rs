//! Every system call of domstate's in what counts (start, destroy, save, the end of a run, adoption), some of QEMU's, and two of
//! every verb at once. Each is made once under strace, and then a story is played for each of its calls and each thing that can
//! become of it there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::act::{Act, Theme, VERBS, keep_apart};
use crate::fault::{ERRORS, Fault, may_fail};
use crate::harness::{Host, finish, send, until, with_argv};
use crate::machine::{Disk, Machine, Wrapper};
use crate::play::is_call_of_domstate;
use crate::story::Story;

/// Whose calls meet what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Every call of domstate's meets its process's death, and errors.
    Ours,
    /// QEMU makes thousands, and is killed at some of each name: at the first ones, and ever further apart.
    Qemus,
}

/// What is swept.
struct Subject {
    /// The word that stands in the record.
    name: &'static str,
    story: fn(Fault) -> Story,
    whose: Whose,
    /// strace's output where nothing fails.
    trace: fn(&Host) -> String,
}

const SUBJECTS: &[Subject] = &[
    Subject {
        name: "start",
        story: start,
        whose: Whose::Ours,
        trace: |host| trace_start(host, is_call_of_domstate),
    },
    Subject {
        name: "QEMU, in a start",
        story: start_of_qemu,
        whose: Whose::Qemus,
        trace: |host| trace_start(host, |line| line.contains("[\"qemu-system")),
    },
    Subject {
        name: "destroy",
        story: destroy,
        whose: Whose::Ours,
        trace: |host| trace_verb(host, DESTROY),
    },
    Subject {
        name: "the supervisor, in a destroy",
        story: |fault| while_it(DESTROY, Act::SupervisorFault(fault)),
        whose: Whose::Ours,
        trace: |host| trace_while(host, &[], &Host::supervisor_pid, DESTROY),
    },
    Subject {
        name: "QEMU, in a destroy",
        story: |fault| while_it(DESTROY, Act::QemuFault(fault)),
        whose: Whose::Qemus,
        trace: |host| trace_while(host, &["-f"], &Host::qemu_pid, DESTROY),
    },
    Subject {
        name: "save",
        story: save,
        whose: Whose::Ours,
        trace: |host| trace_verb(host, SAVE),
    },
    Subject {
        name: "the supervisor, in a save",
        story: |fault| while_it(SAVE, Act::SupervisorFault(fault)),
        whose: Whose::Ours,
        trace: |host| trace_while(host, &[], &Host::supervisor_pid, SAVE),
    },
    Subject {
        name: "QEMU, in a save",
        story: |fault| while_it(SAVE, Act::QemuFault(fault)),
        whose: Whose::Qemus,
        trace: |host| trace_while(host, &["-f"], &Host::qemu_pid, SAVE),
    },
    Subject {
        name: "the end of a run",
        story: end,
        whose: Whose::Ours,
        trace: trace_end,
    },
    Subject {
        name: "QEMU, in the end of a run",
        story: end_of_qemu,
        whose: Whose::Qemus,
        trace: trace_end_of_qemu,
    },
    Subject {
        name: "who waits, in the end of a run",
        story: end_of_wait,
        whose: Whose::Ours,
        trace: trace_wait,
    },
    Subject {
        name: "adoption",
        story: adoption,
        whose: Whose::Ours,
        trace: trace_adoption,
    },
];

const DESTROY: &[&str] = &["destroy"];
const SAVE: &[&str] = &["save", "@FILE"];
const WAIT: &[&str] = &["wait", "--timeout", "10s"];

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
    for Subject {
        name,
        story,
        whose,
        trace,
    } in SUBJECTS
    {
        let host = Host::new();
        let mut calls = calls(&trace(&host));
        if *whose == Whose::Qemus {
            calls.retain(|(_, number)| is_some_of_many(*number));
        }
        println!("{name}: {} calls", calls.len());
        assert!(calls.len() > 20, "{name}: {calls:?}");
        for (call, number) in calls {
            let call: &'static str = String::leak(call);
            let mut errors = ERRORS.to_vec();
            if !may_fail(call) || *whose == Whose::Qemus {
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
                stories.push((*name, story(fault)));
            }
        }
    }
    stories.extend(pairs());
    stories
}

/// A guest as two verbs find it, with the word for it and what was done before.
struct Found {
    name: &'static str,
    before: fn() -> Vec<Vec<Act>>,
    /// What is done in the same moment.
    beside: Option<Act>,
}

const FOUND: &[Found] = &[
    Found {
        name: "two verbs at once, on a guest that lives",
        before: Vec::new,
        beside: None,
    },
    Found {
        name: "two verbs at once, on one that is gone",
        before: || vec![vec![Act::Verb(DESTROY.to_vec())]],
        beside: None,
    },
    Found {
        name: "two verbs at once, on one that is paused",
        before: || vec![vec![Act::Verb(vec!["suspend"])]],
        beside: None,
    },
    Found {
        name: "two verbs at once, on one that is saved in a file",
        before: || vec![vec![Act::Verb(SAVE.to_vec())]],
        beside: None,
    },
    Found {
        name: "two verbs at once, on one with a snapshot and a managed save image",
        before: || {
            let verbs: [&[&str]; 2] = [&["snapshot-create-as", "s"], &["managedsave"]];
            verbs.map(|verb| vec![Act::Verb(verb.to_vec())]).to_vec()
        },
        beside: None,
    },
    Found {
        name: "two verbs at once, as the supervisor is killed",
        before: Vec::new,
        beside: Some(Act::Supervisor(Signal::SIGKILL)),
    },
];

/// Two of every verb at once, of guests in several states.
fn pairs() -> Vec<(&'static str, Story)> {
    let mut verbs = VERBS.to_vec();
    verbs.sort_unstable();
    verbs.dedup();
    let mut stories = Vec::new();
    for (number, first) in verbs.iter().enumerate() {
        for second in &verbs[number..] {
            let mut pair = [first, second]
                .map(|verb| Act::Verb(verb.to_vec()))
                .to_vec();
            keep_apart(&mut pair, Theme::Plain);
            if pair.len() < 2 {
                continue;
            }
            for found in FOUND {
                let mut groups = (found.before)();
                groups.push(found.beside.iter().chain(&pair).cloned().collect());
                let mut story = story(None, groups);
                // For snapshots.
                story.machine.disk = Disk::Qcow2;
                stories.push((found.name, story));
            }
        }
    }
    println!("two verbs at once: {} stories", stories.len());
    stories
}

/// The first eight, and then two for each doubling.
fn is_some_of_many(number: u32) -> bool {
    let power = number.next_power_of_two();
    number <= 8 || number == power || number == power / 4 * 3
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

/// By what it is about, and not by its place among the others: it is played again without most of them.
fn of_three<T>(fault: &Fault, choices: [T; 3]) -> T {
    let text = fault.to_string();
    let sum: usize = text.bytes().map(usize::from).sum();
    let mut choices = choices.into_iter();
    choices.nth(sum % 3).unwrap()
}

fn end_by(fault: &Fault) -> Act {
    let ends = [
        Act::Letter('o'),
        Act::Signal(Signal::SIGKILL),
        Act::Letter('p'),
    ];
    of_three(fault, ends)
}

fn start(fault: Fault) -> Story {
    let end = vec![end_by(&fault)];
    story(Some(fault), vec![vec![Act::Verb(vec!["start"])], end])
}

/// Nobody else meets it who makes such a call before.
fn start_of_qemu(fault: Fault) -> Story {
    let mut story = start(fault);
    story.machine.wrapper = Wrapper::Breaks;
    story
}

fn destroy(fault: Fault) -> Story {
    story(None, vec![vec![Act::Faulted(DESTROY.to_vec(), fault)]])
}

/// Something else than the command itself meets it.
fn while_it(words: &[&'static str], fault: Act) -> Story {
    story(None, vec![vec![fault], vec![Act::Verb(words.to_vec())]])
}

fn save(fault: Fault) -> Story {
    let restore = vec![Act::Verb(vec!["restore", "@FILE"])];
    story(
        None,
        vec![vec![Act::Faulted(SAVE.to_vec(), fault)], restore],
    )
}

fn end(fault: Fault) -> Story {
    let end = vec![end_by(&fault)];
    story(None, vec![vec![Act::SupervisorFault(fault)], end])
}

/// The guest powers off, falls over three faults, or panics.
fn end_of_qemu(fault: Fault) -> Story {
    let end = Act::Letter(of_three(&fault, ['o', 't', 'p']));
    story(None, vec![vec![Act::QemuFault(fault)], vec![end]])
}

fn end_of_wait(fault: Fault) -> Story {
    // Long enough for it to sleep.
    const BEHIND_MICROS: u64 = 150_000;
    let letter = of_three(&fault, ['o', 'd', 'p']);
    let waits = Act::Faulted(WAIT.to_vec(), fault);
    let end = Act::LetterBehind(letter, BEHIND_MICROS);
    story(None, vec![vec![waits, end]])
}

fn adoption(fault: Fault) -> Story {
    let end = vec![end_by(&fault)];
    story(None, vec![vec![Act::Adoption(fault)], end])
}

/// strace's output of a start, of the processes that began with such a call of execve.
fn trace_start(host: &Host, is_wanted: fn(&str) -> bool) -> String {
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

fn trace_verb(host: &Host, words: &[&str]) -> String {
    let _guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let words = spelt(host, words);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    finish(strace(host, &trace, &[], &words));
    fs::read_to_string(trace).unwrap()
}

/// strace's output of a process that is there already, while a command is run.
fn trace_while(
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

fn trace_end(host: &Host) -> String {
    let _guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let mut child = attach(&["-f"], &trace, host.supervisor_pid("v"));
    send(host.qemu_pid("v"), Signal::SIGKILL);
    child.wait().unwrap();
    fs::read_to_string(trace).unwrap()
}

fn trace_end_of_qemu(host: &Host) -> String {
    let mut guest = host.start("v", &[]);
    let trace = host.folder().join("trace");
    let mut child = attach(&["-f"], &trace, host.qemu_pid("v"));
    guest.press('o');
    child.wait().unwrap();
    fs::read_to_string(trace).unwrap()
}

fn trace_wait(host: &Host) -> String {
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
