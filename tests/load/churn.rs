//! Starts and ends, as fast as the processors give them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::end::End;
use super::usage::{descriptors, disk, supervisors};
use super::{Figures, figure};
use crate::harness::{Host, processes_with, until};

const DOMAINS: usize = 6;

pub(super) fn run(minutes: usize) -> Figures {
    let host = Host::new();
    let folder = host.folder().to_string_lossy().into_owned();
    let mut figures = Figures::new();
    let before = descriptors();
    let until_when = Instant::now() + Duration::from_secs(60 * minutes as u64);
    let runs = AtomicUsize::new(0);
    std::thread::scope(|scope| {
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
                let first = number.saturating_sub(ends.len());
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
    until("the supervisors' ends", || supervisors(&folder).is_empty());
    let left = processes_with(&folder);
    assert!(left.is_empty(), "{left:?}");
    figure(&mut figures, "processes left", &left.len());
    let (files, bytes) = disk(&host.state_dir());
    figure(
        &mut figures,
        "files and folders of a domain",
        &(files / DOMAINS as u64),
    );
    figure(
        &mut figures,
        "KiB of disk of a domain",
        &(bytes / 1024 / DOMAINS as u64),
    );
    let more = descriptors().saturating_sub(before);
    figure(
        &mut figures,
        "descriptors more on the host than before",
        &more,
    );
    figures
}
