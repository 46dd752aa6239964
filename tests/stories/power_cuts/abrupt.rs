//! Ends that a guest's devices bring about, or somebody at QEMU's monitor, and those that nobody has asked for.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::super::harness::{Guest, Host, with_argv};
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended, inferred, unknown};

fn world(runs: &[Run]) -> World {
    World::with("v", "abrupt", runs)
}

const EXIT_DEVICE: &str = "isa-debug-exit,iobase=0xf4,iosize=4";

/// A guest that resets itself where it may not reboot, and one that hangs and is powered off for it.
pub(super) fn devices() -> Result<Recorded, OutOfOrder> {
    let reset = ended("shut off (shutdown)", "guest-reset");
    let watchdog = ended("shut off (crashed)", "watchdog");
    unrebooted([("r", reset), ("g", watchdog)])
}

/// Guests whose QEMU a third party tells to quit, and of which it presses the reset button where they may not reboot.
pub(super) fn monitor() -> Result<Recorded, OutOfOrder> {
    let quit = ended("shut off (destroyed)", "qmp-quit");
    let reset = ended("shut off (destroyed)", "qmp-reset");
    unrebooted([("quit", quit), ("system_reset", reset)])
}

/// Guests that may not reboot, each with what ends it: a letter of its own, or a third party's command.
fn unrebooted(ends: [(&str, Run); 2]) -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let third_party = host.third_party_socket("v");
    let watchdog = ["-device", "ib700", "-action", "watchdog=poweroff"];
    let others = ["-no-reboot", "-qmp", &third_party, "-m", "2", "-name"];
    let argv = host.argv("v", &[&watchdog[..], &others, &["abrupt"]].concat());
    let mut story = Recording::begin(host);
    let mut runs: Vec<Run> = Vec::new();
    for (how, end) in ends {
        let before = world(&runs);
        runs.push(Run::Lived);
        story.runs_argv(&["start", "v"], &argv, &[before, world(&runs)]);
        let mut guest = Guest::connected(&line);
        let mut monitor = story.host.third_party("v");
        *runs.last_mut().unwrap() = end;
        story.runs_while(&["wait", "v"], &[world(&runs)], || match how.len() {
            1 => how.chars().for_each(|letter| guest.press(letter)),
            _ => monitor.tell(how, &json!({})),
        });
    }
    story.end()
}

/// Guests that end QEMU with a status of its own: by a device that is seen on the command line, and by one that is not.
pub(super) fn statuses() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let bare = ["-m", "2", "-name", "abrupt"];
    let device = ["-device", EXIT_DEVICE];
    let seen = host.argv("v", &[&bare[..], &device].concat());
    let script = host.folder().join("qemu.sh");
    let text = format!("exec \"$@\" -device {EXIT_DEVICE}\n");
    fs::write(&script, text).unwrap();
    let mut unseen = vec!["sh".to_owned(), script.to_string_lossy().into_owned()];
    unseen.extend(host.argv("v", &bare));
    let mut story = Recording::begin(host);
    let mut runs: Vec<Run> = Vec::new();
    let exit = ended("shut off (shutdown)", "guest-exit");
    let crash = ended("shut off (crashed)", "exit-status");
    // Whose status it is, is not known where the line is lost that says which process QEMU is.
    let unsure = unknown("exit-status");
    let inferred = inferred("shut off (crashed)", "exit-status");
    for (argv, unsure, end, answer) in [
        (&seen, unsure, exit, "shut off (shutdown)\n"),
        (&unseen, inferred, crash, "shut off (crashed)\n"),
    ] {
        let before = world(&runs);
        runs.push(Run::Lived);
        story.runs_argv(&["start", "v"], argv, &[before, world(&runs)]);
        let mut guest = Guest::connected(&line);
        let worlds = [unsure, end].map(|run| {
            *runs.last_mut().unwrap() = run;
            world(&runs)
        });
        let said = story.runs_while(&["wait", "v"], &worlds, || guest.press('x'));
        assert_eq!(said, answer);
    }
    story.end()
}

/// Starts that fail, for want of a disk that is there later.
pub(super) fn failures() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let _line = host.line("v");
    let disk = host.folder().join("disk");
    let argv = with_disk(&host, &disk, "abrupt");
    let mut story = Recording::begin(host);
    let lives = world(&[Run::Lived]);
    let start = with_argv(&["start", "v"], &argv);
    fails(
        &mut story,
        &start,
        &[world(&[]), lives],
        &world(&[failed()]),
    );
    let lives = world(&[failed(), Run::Lived]);
    let run = story.begins(&["run", "v"], &[lives]);
    let over = world(&[failed(), failed()]);
    let said = story.ends(run, "5", &[over], || {});
    assert_eq!(said, "shut off (failed)\n");
    let recorded = story.end();
    fs::write(disk, [0; 512]).unwrap();
    recorded
}

/// Runs a `start` that fails, and tells of that. `worlds`: what may be true before it has failed, and `over` then.
pub(super) fn fails(story: &mut Recording, start: &[&str], worlds: &[World], over: &World) {
    let over = std::slice::from_ref(over);
    let start = story.begins(start, &[worlds, over].concat());
    story.ends(start, "1", over, || {});
}

/// A start that has failed.
pub(super) fn failed() -> Run {
    ended("shut off (failed)", "start-failure")
}

/// The command line of a guest with a disk, which need not be there.
pub(super) fn with_disk(host: &Host, disk: &Path, tag: &str) -> Vec<String> {
    let drive = format!("file={},format=raw,if=ide", disk.display());
    host.argv("v", &["-drive", &drive, "-m", "2", "-name", tag])
}
