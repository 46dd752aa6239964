//! Starts, and every kind of end.

use nix::sys::signal::Signal;

use super::super::harness::{Guest, Host, send};
use super::recording::{Recorded, Recording};
use super::world::{Run, World, ended};

/// The command line of a guest that can panic; `tag` is in no other.
pub(super) fn argv(host: &Host, tag: &str) -> Vec<String> {
    host.argv("v", &["-device", "pvpanic", "-m", "2", "-name", tag])
}

/// The first start of all, in a state directory that is not there yet, further starts, and an end of each kind that is
/// waited for.
pub(super) fn ends() -> Recorded {
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
        // What QEMU says may be there without what the command said before: who the sender was, QEMU knows.
        *runs.last_mut().unwrap() = ended("shut off (destroyed)", "host-signal");
        let signalled = World::with("v", "ends", &runs);
        *runs.last_mut().unwrap() = end.clone();
        if how == "destroy" {
            story.runs(&["destroy", "v"], &[signalled, over]);
            continue;
        }
        let qemu = story.pid_of("id");
        let said = story.runs_while(&["wait", "v"], &[over], || match how {
            "power off" => guest.press('o'),
            "panic" => guest.press('p'),
            "SIGKILL" => send(qemu, Signal::SIGKILL),
            _ => send(qemu, Signal::SIGTERM),
        });
        assert_eq!(said.trim_end(), answer(&end));
    }
    story.end()
}

fn answer(run: &Run) -> &str {
    match run {
        Run::Ended { answer, .. } => answer,
        Run::Lived => "alive",
    }
}
