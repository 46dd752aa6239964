//! Starts, and every kind of end.

use nix::sys::signal::Signal;

use super::super::harness::{Guest, Host, processes_with, send, until, with_argv};
use super::judge::RUNS_KEPT;
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended, inferred, unknown};

/// The command line of a guest that can panic; `tag` is in no other.
pub(super) fn argv(host: &Host, tag: &str) -> Vec<String> {
    host.argv("v", &["-device", "pvpanic", "-m", "2", "-name", tag])
}

/// A QEMU in the foreground whose guest panics, and whose core is dumped before anybody is told of it.
pub(super) fn foreground() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "ends");
    let mut story = Recording::begin(host);
    let world = |runs: &[Run]| World::with("v", "ends", runs);
    let lives = world(&[Run::Lived]);
    let run = with_argv(&["run", "v", "--on-crash", "coredump-destroy"], &argv);
    let run = story.begins(&run, &[world(&[]), lives]);
    let mut guest = Guest::connected(&line);
    let over = world(&[ended("shut off (crashed)", "guest-panic")]);
    // The panic is on the disk before anything of the core is. Until its end is, somebody may have let it run.
    let unsure = world(&[inferred("shut off (crashed)", "guest-panic")]);
    // So it may where a line in between is lost.
    let unknown = world(&[unknown("journal-damaged")]);
    let worlds = [
        unsure.clone(),
        unsure.core(),
        unknown.clone(),
        unknown.core(),
        over.clone(),
        over.core(),
    ];
    let said = story.ends(run, "3", &worlds, || guest.press('p'));
    assert_eq!(said, "shut off (crashed)\n");
    story.end()
}

/// The first start of all, in a state directory that is not there yet, further starts, and an end of each kind that is
/// waited for.
pub(super) fn ends() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "ends");
    let mut story = Recording::begin(host);
    let mut runs: Vec<Run> = Vec::new();
    for (how, end) in [
        ("power off", ended("shut off (shutdown)", "guest-shutdown")),
        ("panic", ended("shut off (crashed)", "guest-panic")),
        ("SIGKILL", ended("shut off (crashed)", "signal")),
        ("SIGTERM", ended("shut off (destroyed)", "host-signal")),
        ("destroy", ended("shut off (destroyed)", "asked")),
    ] {
        let before = World::with("v", "ends", &runs);
        runs.push(Run::Lived);
        let lives = World::with("v", "ends", &runs);
        match how {
            "power off" => story.runs_argv(&["start", "v"], &argv, &[before, lives.clone()]),
            _ => drop(story.runs(&["start", "v"], std::slice::from_ref(&lives))),
        }
        let mut guest = Guest::connected(&line);
        *runs.last_mut().unwrap() = end.clone();
        let over = World::with("v", "ends", &runs);
        if how == "destroy" {
            story.runs(&["destroy", "v"], &destroyed("ends", &runs));
            continue;
        }
        let mut worlds = vec![over];
        if how == "SIGKILL" {
            // Without a line before it: that a verb would send it may be what was lost.
            let mut runs = runs.clone();
            *runs.last_mut().unwrap() = inferred("shut off (crashed)", "signal");
            worlds.insert(0, World::with("v", "ends", &runs));
        }
        let qemu = story.pid_of("id");
        let said = story.runs_while(&["wait", "v"], &worlds, || match how {
            "power off" => guest.press('o'),
            "panic" => guest.press('p'),
            "SIGKILL" => send(qemu, Signal::SIGKILL),
            _ => send(qemu, Signal::SIGTERM),
        });
        assert_eq!(said.trim_end(), answer(&end));
    }
    story.end()
}

/// The start after which a domain has one run more than are kept, and the end of that.
pub(super) fn one_run_too_many() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "ends");
    host.ok(&with_argv(&["define", "v"], &argv));
    let mut runs = Vec::new();
    for _ in 0..RUNS_KEPT {
        host.ok(&["start", "v"]);
        drop(Guest::taken(&line));
        host.ok(&["destroy", "v"]);
        runs.push(ended("shut off (destroyed)", "asked"));
    }
    let state = host.state_dir().to_string_lossy().into_owned();
    until("everybody's end", || processes_with(&state).is_empty());
    let mut story = Recording::begin(host);
    let world = |runs: &[Run]| World::with("v", "ends", runs);
    let before = world(&runs);
    runs.push(Run::Lived);
    let lives = world(&runs).with_or_without_oldest();
    story.runs(&["start", "v"], &[lives]);
    let mut guest = Guest::connected(&line);
    runs.pop();
    runs.push(ended("shut off (shutdown)", "guest-shutdown"));
    let over = world(&runs).with_or_without_oldest();
    story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    let mut recorded = story.end()?;
    recorded.first = before;
    Ok(recorded)
}

/// What may be true while the last of these runs is destroyed, and last what is true then. What QEMU says may be there
/// without what the command said before, or without that it has sent the signal: who the sender was, QEMU says in its log.
/// Or there is something before it that nobody can read, if what the command said was not on the disk by then.
pub(super) fn destroyed(defined_by: &'static str, runs: &[Run]) -> [World; 4] {
    let ends = [
        ended("shut off (destroyed)", "host-signal"),
        inferred("shut off (destroyed)", "journal-damaged"),
        inferred("shut off (destroyed)", "asked"),
        ended("shut off (destroyed)", "asked"),
    ];
    ends.map(|end| {
        let mut runs = runs.to_vec();
        *runs.last_mut().unwrap() = end;
        World::with("v", defined_by, &runs)
    })
}

fn answer(run: &Run) -> &str {
    match run {
        Run::Ended { answer, .. } => answer,
        Run::Lived => "alive",
    }
}
