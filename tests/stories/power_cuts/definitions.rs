//! Definitions come, change, and go.

use super::super::harness::{Guest, Host};
use super::ends::argv;
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
    let mut guest = Guest::connected(&line);
    let ended = ended("shut off (shutdown)", "guest-shutdown");
    let over = |name| World::with(name, "new", std::slice::from_ref(&ended));
    // Not by a verb, which writes while the supervisor does: in which order, only what is left of their file would tell.
    story.runs_while(&["wait", "v"], &[over("v")], || guest.press('o'));
    story.runs(&["domrename", "v", "w"], &[over("w")]);
    story.runs_argv(
        &["define", "w"],
        &old,
        &[World::with("w", "old", std::slice::from_ref(&ended))],
    );
    story.runs(&["undefine", "w"], &[World::default()]);
    story.end()
}
