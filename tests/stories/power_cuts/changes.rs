//! What happens to a guest while it lives: nothing of it outlives the host but that it was there.

use std::fs;

use nix::sys::signal::Signal;

use super::super::harness::{Guest, Host, is_alive, send, until};
use super::ends::{argv, destroyed};
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended, inferred};

/// A guest that is stopped and let go, whose journal grows beyond its bound, and that is ended then.
pub(super) fn changes() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "changes");
    let mut story = Recording::begin(host);
    let lives = World::with("v", "changes", &[Run::Lived]);
    let defined = World::with("v", "changes", &[]);
    story.runs_argv(
        &["start", "v", "--paused"],
        &argv,
        &[defined, lives.clone()],
    );
    story.runs(&["resume", "v"], std::slice::from_ref(&lives));
    let mut guest = Guest::connected(&line);
    for verb in ["suspend", "resume", "reset"] {
        story.runs(&[verb, "v"], std::slice::from_ref(&lives));
    }
    // Letters that come while it boots are lost.
    guest.hears("READY");
    let over = World::with(
        "v",
        "changes",
        &[ended("shut off (shutdown)", "guest-shutdown")],
    );
    flood(&mut story, &lives);
    story.runs(&["suspend", "v"], std::slice::from_ref(&lives));
    story.runs(&["resume", "v"], &[lives]);
    let said = story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    assert_eq!(said.trim_end(), "shut off (shutdown)");
    story.end()
}

/// Makes the journal longer than a supervisor lets it be, with few lines, and waits until its front was given up.
fn flood(story: &mut Recording, lives: &World) {
    let journal = story.host.run_folder("v").join("journal");
    let filler = story.host.folder().join("story/filler");
    let line = |letter: &str| {
        let text = letter.repeat(100_000);
        format!(
            r#"{{"timestamp":{{"seconds":1,"microseconds":2}},"event":"OTHER","data":"{text}"}}"#
        )
    };
    let lines: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(line).into();
    fs::write(&filler, format!("\n{}\n", lines.join("\n"))).unwrap();
    story.happens(std::slice::from_ref(lives), |story| {
        story.tell_shell(&format!("cat {} >>{}", filler.display(), journal.display()));
        until("a bounded journal", || {
            fs::read(&journal).unwrap().first() == Some(&0)
        });
    });
}

/// A supervisor dies, another adopts the run and sees its end; and one dies with the guest, and the end is found.
pub(super) fn adoption() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "adoption");
    let mut story = Recording::begin(host);
    let shutdown = ended("shut off (shutdown)", "guest-shutdown");
    let world = |runs: &[Run]| World::with("v", "adoption", runs);
    let first = world(&[Run::Lived]);
    story.runs_argv(&["start", "v"], &argv, &[world(&[]), first.clone()]);
    let mut guest = Guest::connected(&line);
    kill(story.pid_of("supervisor"));
    story.runs(&["suspend", "v"], std::slice::from_ref(&first));
    story.runs(&["resume", "v"], &[first]);
    story.pid_of("supervisor");
    let over = world(std::slice::from_ref(&shutdown));
    story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    let second = |run: Run| world(&[shutdown.clone(), run]);
    story.runs(&["start", "v"], &[second(Run::Lived)]);
    let mut guest = Guest::connected(&line);
    let (qemu, supervisor) = (story.pid_of("id"), story.pid_of("supervisor"));
    // Nobody is there to see the end: whoever comes finds what QEMU said.
    kill(supervisor);
    let over = [second(shutdown.clone())];
    story.happens(&over, |_| {
        guest.press('o');
        until("QEMU's end", || !is_alive(qemu));
    });
    let said = story.runs(&["wait", "v"], &over);
    assert_eq!(said.trim_end(), "shut off (shutdown)");
    let third = |run: Run| world(&[shutdown.clone(), shutdown.clone(), run]);
    story.runs(&["start", "v"], &[third(Run::Lived)]);
    let _guest = Guest::connected(&line);
    let (qemu, supervisor) = (story.pid_of("id"), story.pid_of("supervisor"));
    kill(supervisor);
    kill(qemu);
    // Whether its status can still be had, depends on who has reaped it; what was said of it once is not taken back.
    let seen = third(ended("shut off (crashed)", "signal"));
    let lost = third(inferred("shut off (crashed)", "status-lost"));
    // Without a line before it: that a verb would send that signal may be what was lost.
    let unsure = third(inferred("shut off (crashed)", "signal"));
    let said = story.runs(&["wait", "v"], &[unsure, seen.clone(), lost.clone()]);
    assert_eq!(said.trim_end(), "shut off (crashed)");
    let is_lost = story
        .asks(&["--format", "json", "v"])
        .contains("status-lost");
    story.so_it_is(if is_lost { lost } else { seen });
    story.end()
}

/// A guest that powers itself off and is started again, as its policy has it: by its supervisor, and by a command that comes
/// first. No power-off of it was ever an end.
pub(super) fn restarts() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "restarts");
    let mut story = Recording::begin(host);
    let lives = World::with("v", "restarts", &[Run::Lived]);
    let defined = World::with("v", "restarts", &[]);
    story.runs_argv(
        &["start", "v", "--on-poweroff", "restart"],
        &argv,
        &[defined, lives.clone()],
    );
    let mut guest = Guest::connected(&line);
    story.happens(std::slice::from_ref(&lives), |_| {
        guest.press('o');
        guest.hears("READY");
    });
    let supervisor = story.pid_of("supervisor");
    kill(supervisor);
    story.happens(std::slice::from_ref(&lives), |story| {
        guest.press('o');
        let journal = story.host.run_folder("v").join("journal");
        until("the power-off", || {
            fs::read_to_string(&journal)
                .unwrap()
                .matches("\"STOP\"")
                .count()
                == 2
        });
    });
    story.runs(&["suspend", "v"], std::slice::from_ref(&lives));
    story.runs(&["resume", "v"], std::slice::from_ref(&lives));
    story.runs(&["destroy", "v"], &destroyed("restarts", &[Run::Lived]));
    story.end()
}

fn kill(pid: i32) {
    send(pid, Signal::SIGKILL);
    until("a death", || !is_alive(pid));
}
