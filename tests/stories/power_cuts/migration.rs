//! A guest goes to another QEMU, which is another domain of the same host.

use super::super::harness::{Guest, Host};
use super::ends::argv;
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended, maybe_migrated};

/// A guest that goes there, and shuts down there.
pub(super) fn migration() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let way = format!("unix:{}", host.folder().join("way").display());
    // The destination connects to the same serial line, later.
    let line = host.line("v");
    let argv = argv(&host, "migration");
    let mut story = Recording::begin(host);
    let source = |runs: &[Run]| World::with("v", "migration", runs);
    let both = |there: Run, here: Run| World::with("d", "migration", &[there]).and(source(&[here]));
    let lives = source(&[Run::Lived]);
    story.runs_argv(&["start", "v"], &argv, &[source(&[]), lives.clone()]);
    drop(Guest::connected(&line));
    let defined = World::with("d", "migration", &[]).and(lives);
    let start = ["start", "d", "--incoming", &way];
    story.runs_argv(&start, &argv, &[defined, both(Run::Lived, Run::Lived)]);
    let mut guest = Guest::taken(&line);
    let gone = || ended("shut off (migrated)", "asked");
    // Once it may go and before it has arrived, nobody can say where it ran.
    let worlds = [maybe_migrated(), gone()].map(|here| both(Run::Lived, here));
    story.runs(&["migrate", "v", &way], &worlds);
    let over = ended("shut off (shutdown)", "guest-shutdown");
    let over = [both(over, gone())];
    let said = story.runs_while(&["wait", "d"], &over, || guest.press('o'));
    assert_eq!(said.trim_end(), "shut off (shutdown)");
    let mut recorded = story.end()?;
    // It runs there: that it was still here when the power went is not true any more.
    recorded.is_so_from("d/runs/00000001", "\"completed\"", &worlds);
    Ok(recorded)
}
