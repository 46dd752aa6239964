//! Starts and ends, as fast as the processors give them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::end::End;
use super::usage::{Memory, Watching, bounded_disk, nothing_left};
use super::{Figures, figure};
use crate::harness::Host;

const DOMAINS: usize = 6;

/// What a domain keeps.
const RUNS_KEPT: usize = 10;

/// A guest that lives meanwhile, and is suspended and resumed without end: what its supervisor leaks adds up.
const OLD: &str = "old";

/// Files, and KiB of disk, of a domain with as many runs as are kept.
const DISK_MAX: (u64, u64) = (100, 512);

pub(super) fn run(minutes: usize) -> Figures {
    let host = Host::new();
    let folder = host.folder().to_string_lossy().into_owned();
    let mut figures = Figures::new();
    let memory = Memory::now();
    let mut old = host.start(OLD, &[]);
    let watches = [host.supervisor_pid(OLD)];
    let before = Watching::first(&watches);
    before.tell(&mut figures, "at first");
    let changes = AtomicUsize::new(0);
    let until_when = Instant::now() + Duration::from_secs(60 * minutes as u64);
    let runs = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while Instant::now() < until_when {
                change(&host);
                changes.fetch_add(1, Ordering::Relaxed);
            }
        });
        for domain in 0..DOMAINS {
            let (host, runs) = (&host, &runs);
            scope.spawn(move || {
                let domain = format!("v{domain}");
                let mut number = 0;
                while Instant::now() < until_when {
                    let mut guest = host.start(&domain, &["-device", "pvpanic"]);
                    End::of(number).bring_about(host, &domain, &mut guest);
                    number += 1;
                    runs.fetch_add(1, Ordering::Relaxed);
                }
                // It knows the last ones, each by its own end.
                let history = host.ok(&["history", &domain]);
                let ends = history
                    .lines()
                    .skip(1)
                    .filter(|line| !line.trim().is_empty());
                let ends: Vec<&str> = ends.collect();
                assert_eq!(ends.len(), number.min(RUNS_KEPT), "{history}");
                let first = number - ends.len();
                for (line, number) in ends.iter().zip(first..) {
                    assert!(line.contains(End::of(number).answer()), "{history}");
                }
            });
        }
    });
    let runs = runs.into_inner();
    figure(&mut figures, "minutes", &minutes);
    figure(&mut figures, "runs", &runs);
    let pace = runs as f64 / (60.0 * minutes as f64);
    figure(&mut figures, "runs a second", &format!("{pace:.1}"));
    let changes = changes.into_inner();
    // The same one.
    assert_eq!([host.supervisor_pid(OLD)], watches);
    let after = Watching::again(&watches, &before);
    after.tell(&mut figures, &format!("after {changes} suspends"));
    End::PowerOff.bring_about(&host, OLD, &mut old);
    nothing_left(&mut figures, &folder);
    bounded_disk(&mut figures, &host.state_dir(), DOMAINS + 1, DISK_MAX);
    memory.given_back(&mut figures);
    figures
}

fn change(host: &Host) {
    host.ok(&["suspend", OLD]);
    host.ok(&["resume", OLD]);
}
