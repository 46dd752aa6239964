//! Definitions come, change, and go.

use super::super::harness::{Guest, Host};
use super::ends::argv;
use super::recording::{Recorded, Recording};
use super::world::{World, ended};

/// A domain is defined, defined anew, started, renamed, and forgotten.
pub(super) fn definitions() -> Recorded {
    let host = Host::new();
    let line = host.line("v");
    let (old, new) = (argv(&host, "old"), argv(&host, "new"));
    let mut story = Recording::begin(host);
    story.runs_argv(&["define", "v"], &old, &[World::with("v", "old", &[])]);
    story.runs_argv(&["define", "v"], &new, &[World::with("v", "new", &[])]);
    story.runs(
        &["start", "v"],
        &[World::with("v", "new", &[super::world::Run::Lived])],
    );
    drop(Guest::connected(&line));
    let destroyed = ended("shut off (destroyed)", "asked");
    let signalled = World::with("v", "new", &[ended("shut off (destroyed)", "host-signal")]);
    let over = |name| World::with(name, "new", std::slice::from_ref(&destroyed));
    story.runs(&["destroy", "v"], &[signalled, over("v")]);
    story.runs(&["domrename", "v", "w"], &[over("w")]);
    story.runs_argv(
        &["define", "w"],
        &old,
        &[World::with("w", "old", std::slice::from_ref(&destroyed))],
    );
    story.runs(&["undefine", "w"], &[World::default()]);
    story.end()
}
