//! What is in use: processes, memory, descriptors and disk, of the host and of a host of the tests.

use std::fs;
use std::time::Duration;

use super::{Figures, figure};
use crate::harness::{processes_with, until};

/// The supervisors of a host's guests.
pub(super) fn supervisors(folder: &str) -> Vec<i32> {
    let mut pids = processes_with(folder);
    pids.retain(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"domstate-supervisor")
    });
    pids
}

/// Files and folders below a folder, and the bytes of disk that they take.
fn disk(folder: &std::path::Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    let mut sum = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.path().symlink_metadata() else {
                continue;
            };
            sum = (sum.0 + 1, sum.1 + metadata.blocks() * 512);
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    sum
}

/// Asserts that each of so many domains takes no more than this of the disk, and tells what it takes.
pub(super) fn bounded_disk(
    figures: &mut Figures,
    state_dir: &std::path::Path,
    domains: usize,
    (files_max, kib_max): (u64, u64),
) {
    let (files, bytes) = disk(state_dir);
    let (files, kib) = (files / domains as u64, bytes / 1024 / domains as u64);
    figure(figures, "files and folders of a domain", &files);
    figure(figures, "KiB of disk of a domain", &kib);
    assert!(files <= files_max, "{files} files and folders of a domain");
    assert!(kib <= kib_max, "{kib} KiB of disk of a domain");
}

/// Waits until nothing of domstate or QEMU is left of a host whose guests have ended.
pub(super) fn nothing_left(figures: &mut Figures, folder: &str) {
    until("the supervisors' ends", || left(folder).is_empty());
    figure(figures, "processes left", &left(folder).len());
}

/// The processes that have a host's folder on their command line, and those of domstate that were given it otherwise.
fn left(folder: &str) -> Vec<i32> {
    let mut pids = processes_with(folder);
    pids.extend(processes_with("domstate").into_iter().filter(|pid| {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        program.starts_with(env!("CARGO_BIN_EXE_domstate"))
            && String::from_utf8_lossy(&environment).contains(folder)
    }));
    pids
}

/// What supervisors take while nothing happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Watching {
    pss_kib: u64,
    private_kib: u64,
    descriptors_most: usize,
}

/// More than a supervisor needs for its run, its folder, QEMU and what it waits on.
const DESCRIPTORS_MAX: usize = 16;

/// The gate of `make bench` for the static program; where it is linked dynamically, the loader's pages come on top.
const PRIVATE_KIB_MAX: [(&str, u64); 2] = [("statically", 64), ("dynamically", 192)];

/// A few pages that a supervisor touches late, and no leak: a byte each of thousands of events is as much.
const GROWTH_KIB_MAX: u64 = 12;

/// Longer than a supervisor waits for more to do before it gives back what it took.
const REST: Duration = Duration::from_secs(1);

impl Watching {
    /// Those of guests that have just been started.
    pub(super) fn first(pids: &[i32]) -> Self {
        let linked = linked();
        let bound = PRIVATE_KIB_MAX.iter().find(|(how, _)| *how == linked);
        let (_, bound) = bound.unwrap();
        Self::at_rest(pids, *bound)
    }

    /// The same ones when they have done something: they may not have grown by that.
    pub(super) fn again(pids: &[i32], first: &Self) -> Self {
        let later = Self::at_rest(pids, first.private_kib + GROWTH_KIB_MAX);
        let (more, before) = (later.descriptors_most, first.descriptors_most);
        assert!(more <= before, "{more} descriptors, before {before}");
        later
    }

    pub(super) fn tell(&self, figures: &mut Figures, when: &str) {
        let mut tell =
            |what, value| figure(figures, &format!("a supervisor {when}, {what}"), value);
        tell("PSS, KiB", &self.pss_kib);
        tell("private, KiB", &self.private_kib);
        tell("most descriptors", &self.descriptors_most);
    }

    /// Waits until they have given back what they took while something happened, which must leave this little.
    fn at_rest(pids: &[i32], private_kib_max: u64) -> Self {
        let mut now = Self::of(pids);
        until(&format!("{private_kib_max} KiB a supervisor"), || {
            let before = now;
            std::thread::sleep(REST);
            now = Self::of(pids);
            now == before && now.private_kib <= private_kib_max
        });
        let most = now.descriptors_most;
        assert!(most <= DESCRIPTORS_MAX, "{most} descriptors");
        now
    }

    /// One of so many, on an average; of descriptors the most that one has.
    fn of(pids: &[i32]) -> Self {
        let each = |field| kib_of(pids, field) / pids.len() as u64;
        let descriptors = pids.iter().map(|pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd"));
            open.map_or(0, Iterator::count)
        });
        Self {
            pss_kib: each("Pss:"),
            private_kib: each("Private_Dirty:"),
            descriptors_most: descriptors.max().unwrap_or_default(),
        }
    }
}

/// A field in the smaps_rollup of processes, summed, in KiB.
fn kib_of(pids: &[i32], field: &str) -> u64 {
    pids.iter()
        .map(|pid| kib_in(&format!("/proc/{pid}/smaps_rollup"), field))
        .sum()
}

fn kib_in(path: &str, field: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0)
}

/// How the program that is measured is linked: `make build` makes a static one, for users.
pub(super) fn linked() -> &'static str {
    const INTERPRETER: usize = 3;
    let program = fs::read(env!("CARGO_BIN_EXE_domstate")).unwrap();
    // ELF of 64 bits: where the program headers begin, how long each is, how many there are.
    let number = |at: usize, length: usize| {
        let bytes = program[at..at + length].iter().rev();
        bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (begin, length, count) = (number(32, 8), number(54, 2), number(56, 2));
    let mut kinds = (0..count).map(|header| number(begin + header * length, 4));
    match kinds.any(|kind| kind == INTERPRETER) {
        true => "dynamically",
        false => "statically",
    }
}

/// The memory of the host, which others use too.
pub(super) struct Memory {
    available_mib: u64,
    kernel_mib: u64,
}

/// What others may have taken meanwhile. That a run leaves a process behind would take more, and is seen besides.
const AVAILABLE_MARGIN_MIB: u64 = 1024;

/// What the kernel may keep for others. A page for each run of ten minutes is a sixth of it.
const KERNEL_MARGIN_MIB: u64 = 128;

impl Memory {
    pub(super) fn now() -> Self {
        let mib = |field| kib_in("/proc/meminfo", field) / 1024;
        Self {
            available_mib: mib("MemAvailable:"),
            kernel_mib: mib("SUnreclaim:") + mib("KernelStack:") + mib("PageTables:"),
        }
    }

    /// Waits until the host has it back, and tells what it has.
    pub(super) fn given_back(&self, figures: &mut Figures) {
        until("the memory that was there before", || {
            let now = Self::now();
            now.available_mib + AVAILABLE_MARGIN_MIB >= self.available_mib
                && now.kernel_mib <= self.kernel_mib + KERNEL_MARGIN_MIB
        });
        let now = Self::now();
        for (when, memory) in [("before", self), ("after", &now)] {
            let mut tell = |what, mib| figure(figures, &format!("{what} {when}, MiB"), mib);
            tell("memory of the host available", &memory.available_mib);
            tell("memory of its kernel", &memory.kernel_mib);
        }
    }
}
