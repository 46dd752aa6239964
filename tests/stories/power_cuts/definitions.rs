//! Definitions come, change, and go.

use super::super::harness::{Guest, Host};
use super::ends::{self, argv};
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended};

/// A domain is defined, defined anew, started, renamed, and forgotten.
pub(super) fn definitions() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let (old, new) = (argv(&host, "old"), argv(&host, "new"));
    let mut story = Recording::begin(host);
    story.runs_argv(&["define", "v"], &old, &[World::with("v", "old", &[])]);
    story.runs_argv(&["define", "v"], &new, &[World::with("v", "new", &[])]);
    story.runs(&["start", "v"], &[World::with("v", "new", &[Run::Lived])]);
    drop(Guest::connected(&line));
    let destroyed = ended("shut off (destroyed)", "asked");
    let over = |name| World::with(name, "new", std::slice::from_ref(&destroyed));
    story.runs(&["destroy", "v"], &ends::destroyed("new", &[Run::Lived]));
    story.runs(&["domrename", "v", "w"], &[over("w")]);
    story.runs_argv(
        &["define", "w"],
        &old,
        &[World::with("w", "old", std::slice::from_ref(&destroyed))],
    );
    story.runs(&["undefine", "w"], &[World::default()]);
    story.end()
}
