//! A guest goes into a file and comes back, and its memory into another.

use std::fs;

use super::super::harness::{Guest, Host, processes_with, until, with_argv};
use super::abrupt::{failed, fails, with_disk};
use super::ends::argv;
use super::recorded::{OutOfOrder, Recorded};
use super::recording::Recording;
use super::world::{Run, World, ended, saved};

fn world(runs: &[Run]) -> World {
    World::with("v", "saves", runs)
}

/// A guest that is saved to a file of the user's over an older one, restored, saved for its next start, started from that.
pub(super) fn saves() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "saves");
    let image = host.folder().join("files/image");
    let image = image.to_str().unwrap();
    let mut story = Recording::begin(host);
    let lived = world(&[Run::Lived]);
    story.runs_argv(&["start", "v"], &argv, &[world(&[]), lived]);
    drop(Guest::connected(&line));
    let first = saved("image");
    let over = world(std::slice::from_ref(&first));
    story.runs(
        &["save", "v", image],
        &[over.clone(), over.files(&["image"])],
    );
    let there = |runs: &[Run]| world(runs).files(&["image"]);
    story.runs(&["restore", image], &[there(&[first.clone(), Run::Lived])]);
    drop(Guest::taken(&line));
    // Over the first: the old image is there, or the new one.
    let again = [first.clone(), saved("image")];
    story.runs(&["save", "v", image], &[there(&again)]);
    let lived = there(&[first.clone(), saved("image"), Run::Lived]);
    story.runs(&["restore", image], &[lived]);
    drop(Guest::taken(&line));
    let managed = there(&[first.clone(), saved("image"), saved("managed.save")]);
    story.runs(&["managedsave", "v"], &[managed.clone(), managed.managed()]);
    let taken = |run: Run| {
        let kept = ended("shut off (saved)", "asked");
        there(&[first.clone(), saved("image"), kept, run])
    };
    story.runs(
        &["start", "v"],
        &[taken(Run::Lived).managed(), taken(Run::Lived)],
    );
    let mut guest = Guest::taken(&line);
    let over = taken(ended("shut off (shutdown)", "guest-shutdown"));
    story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    let mut recorded = story.end()?;
    // It runs, and writes to its disks: what was saved does not fit them any more.
    recorded.is_so_from("v/runs/00000004", "\"RESUME\"", &[taken(Run::Lived)]);
    Ok(recorded)
}

/// A guest whose state is dumped while it goes on, then its memory alone, and its state again to end it.
pub(super) fn dumps() -> Result<Recorded, OutOfOrder> {
    let host = Host::new();
    let line = host.line("v");
    let argv = argv(&host, "saves");
    let files = host.folder().join("files");
    let core = files.join("core");
    let core = core.to_str().unwrap();
    let mut story = Recording::begin(host);
    let lives = world(&[Run::Lived]);
    story.runs_argv(&["start", "v"], &argv, &[world(&[]), lives.clone()]);
    drop(Guest::connected(&line));
    let there = lives.clone().files(&["core"]);
    story.runs(&["dump", "v", core], &[there]);
    let memory = files.join("memory");
    let there = lives.files(&["core", "memory"]);
    let dump = ["dump", "v", memory.to_str().unwrap(), "--memory-only"];
    story.runs(&dump, &[there]);
    let over = world(&[ended("shut off (crashed)", "asked")]);
    let over = over.files(&["core", "memory"]);
    story.runs(&["dump", "v", core, "--crash"], &[over]);
    story.end()
}

/// A host with a managed image, whose guest has a disk.
fn managed_host() -> Host {
    let host = Host::new();
    let line = host.line("v");
    let disk = host.folder().join("disk");
    fs::write(&disk, [0; 512]).unwrap();
    let argv = with_disk(&host, &disk, "saves");
    host.ok(&with_argv(&["start", "v"], &argv));
    drop(Guest::connected(&line));
    host.ok(&["managedsave", "v"]);
    let state = host.state_dir().to_string_lossy().into_owned();
    until("everybody's end", || processes_with(&state).is_empty());
    host
}

/// A managed image that is removed, and the guest boots.
pub(super) fn removed() -> Result<Recorded, OutOfOrder> {
    let host = managed_host();
    let line = host.line("v");
    let mut story = Recording::begin(host);
    let kept = || ended("shut off (saved)", "asked");
    story.runs(&["managedsave-remove", "v"], &[world(&[kept()])]);
    story.runs(&["start", "v"], &[world(&[kept(), Run::Lived])]);
    let mut guest = Guest::connected(&line);
    let over = world(&[kept(), ended("shut off (shutdown)", "guest-shutdown")]);
    story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    let mut recorded = story.end()?;
    recorded.first = world(&[saved("managed.save")]).managed();
    Ok(recorded)
}

/// A managed image that is given up for a fresh boot; not by a start that fails, for want of a disk that is away just then.
pub(super) fn given_up() -> Result<Recorded, OutOfOrder> {
    let host = managed_host();
    let line = host.line("v");
    let (disk, away) = (host.folder().join("disk"), host.folder().join("away"));
    let mut story = Recording::begin(host);
    let force = ["start", "v", "--force-boot"];
    let after = |runs: &[Run]| {
        let kept = ended("shut off (saved)", "asked");
        world(&[&[kept], runs].concat())
    };
    fs::rename(&disk, &away).unwrap();
    // As long as it is not on the disk that it has failed, it may have booted.
    let lives = after(&[Run::Lived]);
    let unsure = [lives.clone().managed(), lives];
    fails(&mut story, &force, &unsure, &after(&[failed()]).managed());
    fs::rename(&away, &disk).unwrap();
    let lives = after(&[failed(), Run::Lived]);
    story.runs(&force, &[lives.clone().managed(), lives.clone()]);
    let mut guest = Guest::connected(&line);
    let over = after(&[failed(), ended("shut off (shutdown)", "guest-shutdown")]);
    story.runs_while(&["wait", "v"], &[over], || guest.press('o'));
    let mut recorded = story.end()?;
    recorded.first = after(&[]).managed();
    // It runs, and writes to its disks: what was saved does not fit them any more.
    recorded.is_so_from("v/runs/00000003", "\"RESUME\"", &[lives]);
    Ok(recorded)
}
