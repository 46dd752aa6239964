//! What becomes of a guest by its policies, and by what it is asked for.

use super::super::harness::{Guest, Host, until};
use super::ends::{argv, destroyed};
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended, inferred};

fn world(runs: &[Run]) -> World {
    World::with("v", "policies", runs)
}

/// A guest that panics and is started again for it, sleeps in memory and is woken up, is rebooted, and shuts down at last.
pub(super) fn lives() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "policies");
    let mut story = Recording::begin(host);
    let lives = world(&[Run::Lived]);
    let only = std::slice::from_ref(&lives);
    let start = ["start", "v", "--on-crash", "restart"];
    story.runs_argv(&start, &argv, &[world(&[]), lives.clone()]);
    let mut guest = Guest::connected(&line);
    let panicked = world(&[inferred("shut off (crashed)", "guest-panic")]);
    story.happens(&[lives.clone(), panicked], |_| {
        guest.press('p');
        guest.hears("READY");
    });
    story.runs(&["suspend", "v"], only);
    story.runs(&["resume", "v"], only);
    story.happens(only, |story| {
        guest.press('s');
        until("its sleep", || {
            story.host.journal("v").contains("\"SUSPEND\"")
        });
    });
    story.runs(&["dompmwakeup", "v"], only);
    guest.hears("READY");
    story.runs(&["reboot", "v"], only);
    story.happens(only, |story| {
        guest.press('o');
        guest.hears("READY");
        let done = |line: &str| line.contains("DOMSTATE_DONE") && line.contains("\"reboot\"");
        until("the end of the reboot", || {
            story.host.journal("v").lines().any(done)
        });
    });
    story.runs(&["shutdown", "v"], only);
    let over = world(&[ended("shut off (shutdown)", "guest-shutdown")]);
    story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    story.end()
}

/// A guest that panics and is kept, and is destroyed then; and a QEMU in the foreground whose time is up.
pub(super) fn destroyed_late() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "policies");
    let mut story = Recording::begin(host);
    let lives = world(&[Run::Lived]);
    let start = ["start", "v", "--on-crash", "preserve"];
    story.runs_argv(&start, &argv, &[world(&[]), lives.clone()]);
    let mut guest = Guest::connected(&line);
    let panicked = world(&[inferred("shut off (crashed)", "guest-panic")]);
    story.happens(&[lives, panicked], |story| {
        guest.press('p');
        assert_eq!(story.asks(&["wait", "v"]), "crashed (panicked)\n");
    });
    story.runs(&["destroy", "v"], &destroyed("policies", &[Run::Lived]));
    let first = || ended("shut off (destroyed)", "asked");
    let over = destroyed("policies", &[first(), Run::Lived]);
    // A machine that is busy needs a part of that time to begin.
    let lives = [world(&[first(), Run::Lived])];
    let may_be = [&lives[..], &over].concat();
    let run = story.begins(&["run", "v", "--timeout", "2s"], &may_be);
    drop(Guest::taken(&line));
    let said = story.ends(run, "124", &over, || {});
    assert_eq!(said, "shut off (destroyed)\n");
    story.end()
}
