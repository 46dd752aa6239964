//! Jobs that come to nothing: the guest goes on, and no file is left.

use std::fs;

use super::super::harness::{Guest, Host, until};
use super::super::jobs::UNLIMITED;
use super::ends::destroyed;
use super::recorded::{OutOfOrder, Recorded};
use super::recording::{Background, Recording};
use super::world::{Run, World, ended, saved};

/// A limit, in bytes per second, at which the smallest of guests takes seconds to be written.
const SLOW: u64 = 20_000;

fn world(runs: &[Run]) -> World {
    World::with("v", "jobs", runs)
}

/// A save and a dump that are aborted.
pub(super) fn aborted() -> Result<Recorded, OutOfOrder> {
    let (mut story, _guest, image) = slow();
    let lives = [world(&[Run::Lived])];
    for (verb, number) in [("save", 1), ("dump", 2)] {
        let job = under_way(&mut story, &[verb, "v", &image], number);
        story.runs(&["domjobabort", "v"], &lives);
        story.ends(job, "1", &lives, || {});
    }
    story.runs(&["destroy", "v"], &destroyed("jobs", &[Run::Lived]));
    story.end()
}

/// A save that is taken back: what it has written is whole, and cannot be given its name.
pub(super) fn taken_back() -> Result<Recorded, OutOfOrder> {
    let (mut story, mut guest, image) = slow();
    let lives = world(&[Run::Lived]);
    let job = under_way(&mut story, &["save", "v", &image], 1);
    // Until it is taken back, it is saved.
    let whole = world(&[saved("image")]);
    story.happens(&[lives.clone(), whole], |story| {
        story.tell_shell(&format!("mkdir {image}"));
        until("another in its place", || fs::exists(&image).unwrap());
        story.host.limit(UNLIMITED);
    });
    story.ends(job, "1", &[lives], || {});
    let journal = story.host.journal("v");
    assert!(journal.contains("\"taken_back\":true"), "{journal}");
    guest.answers();
    let over = world(&[ended("shut off (shutdown)", "guest-shutdown")]);
    story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    story.end()
}

/// A story with a guest that is written slowly, which is ready, and a place for its image.
fn slow() -> (Recording, Guest, String) {
    let host = Host::new();
    let line = host.line("v");
    let third_party = host.third_party_socket("v");
    let argv = host.argv("v", &["-qmp", &third_party, "-m", "2", "-name", "jobs"]);
    let image = host.path("files/image");
    let mut story = Recording::begin(host);
    let lives = world(&[Run::Lived]);
    story.runs_argv(&["start", "v"], &argv, &[world(&[]), lives]);
    let guest = Guest::connected(&line);
    story.host.limit(SLOW);
    (story, guest, image)
}

/// Begins the job of this number, up to where QEMU is at it.
fn under_way(story: &mut Recording, args: &[&str], number: usize) -> Background {
    let job = story.begins(args, &[world(&[Run::Lived])]);
    until("the stream", || {
        story.host.journal("v").matches("\"active\"").count() == number
    });
    job
}
