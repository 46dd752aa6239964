//! Many domains that only are there.

use std::time::Instant;

use super::live::side_by_side;
use super::usage::bounded_disk;
use super::{Figures, figure};
use crate::harness::Host;

/// Files, and KiB of disk, of a domain that has not run: its folder and what it is.
const DISK_MAX: (u64, u64) = (4, 32);

pub(super) fn run(count: usize) -> Figures {
    let host = Host::new();
    let mut figures = Figures::new();
    figure(&mut figures, "domains", &count);
    let begun = Instant::now();
    side_by_side(count, |number| {
        host.ok(&["define", &format!("d{number}"), "--", "qemu-system-x86_64"])
    });
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0 / count as f64;
    figure(
        &mut figures,
        "define of one, ms",
        &format!("{milliseconds:.1}"),
    );

    let begun = Instant::now();
    let list = host.ok(&["list", "--all", "--name"]);
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(list.lines().filter(|line| !line.is_empty()).count(), count);
    figure(
        &mut figures,
        "list of them all, seconds",
        &format!("{seconds:.2}"),
    );

    // By its name it is found at once; by its id or uuid all are looked at.
    let uuid = host.ok(&["domuuid", "d7"]);
    for (how, word) in [("its name", "d7"), ("its uuid", uuid.trim_end())] {
        let begun = Instant::now();
        assert_eq!(host.answer(word), "shut off (unknown)");
        let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
        let what = format!("answer of one by {how}, ms");
        figure(&mut figures, &what, &format!("{milliseconds:.1}"));
    }
    bounded_disk(&mut figures, &host.state_dir(), count, DISK_MAX);
    figures
}
