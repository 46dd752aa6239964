//! Every system call of domstate's in what counts (start, destroy, save, the end of a run and `wait` for it, adoption), some of
//! QEMU's, and every two verbs at once. Each is made once under strace, and then a story is played for each of its calls and each
//! thing that can become of it there.

/// Two verbs at once.
mod at_once;
/// What is made where nothing fails.
mod rehearsal;

use nix::sys::signal::Signal;

use self::at_once::pairs;
use self::rehearsal::{
    calls, trace_adoption, trace_end, trace_end_of_qemu, trace_start, trace_verb, trace_wait,
    trace_while,
};
use crate::act::{Act, Theme};
use crate::fault::{ERRORS, Fault, may_fail};
use crate::harness::Host;
use crate::machine::{Machine, Wrapper};
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
