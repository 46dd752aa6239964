//! Many guests that live.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::end::End;
use super::usage::{Watching, bounded_disk, nothing_left, supervisors};
use super::{Figures, figure};
use crate::guest::Guest;
use crate::harness::Host;

/// How often each guest is suspended and resumed while its supervisor watches.
const CHANGES: usize = 5;

/// Files, and KiB of disk, of a domain that runs for the first time; its journal has room ahead.
const DISK_MAX: (u64, u64) = (20, 256);

pub(super) fn run(count: usize) -> Figures {
    let host = Host::new();
    let folder = host.folder().to_string_lossy().into_owned();
    let mut figures = Figures::new();
    figure(&mut figures, "guests", &count);

    let begun = Instant::now();
    let guests: Vec<Mutex<Guest>> = side_by_side(count, |number| {
        host.start(&name(number), &["-device", "pvpanic"])
    })
    .into_iter()
    .map(Mutex::new)
    .collect();
    let seconds = begun.elapsed().as_secs_f64();
    figure(
        &mut figures,
        "seconds until all run",
        &format!("{seconds:.0}"),
    );

    let begun = Instant::now();
    let list = host.ok(&["list", "--reason"]);
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    assert_eq!(list.matches("running (booted)").count(), count, "{list}");
    figure(
        &mut figures,
        "list of them all, ms",
        &format!("{milliseconds:.0}"),
    );

    let begun = Instant::now();
    assert_eq!(host.answer(&name(0)), "running (booted)");
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    figure(
        &mut figures,
        "answer of one, ms",
        &format!("{milliseconds:.1}"),
    );

    let pids = supervisors(&folder);
    assert_eq!(pids.len(), count);
    let first = Watching::first(&pids);
    first.tell(&mut figures, "at first");
    side_by_side(count, |number| {
        for _ in 0..CHANGES {
            host.ok(&["suspend", &name(number)]);
            host.ok(&["resume", &name(number)]);
        }
    });
    // The same ones.
    assert_eq!(supervisors(&folder), pids);
    let later = Watching::again(&pids, &first);
    later.tell(&mut figures, &format!("after {CHANGES} suspends"));
    bounded_disk(&mut figures, &host.state_dir(), count, DISK_MAX);

    let begun = Instant::now();
    side_by_side(count, |number| {
        let mut guest = guests[number].lock().unwrap();
        End::of(number).bring_about(&host, &name(number), &mut guest);
    });
    let seconds = begun.elapsed().as_secs_f64();
    figure(
        &mut figures,
        "seconds until all have ended",
        &format!("{seconds:.0}"),
    );
    nothing_left(&mut figures, &folder);
    for number in 0..count {
        assert_eq!(host.answer(&name(number)), End::of(number).answer());
    }
    figures
}

fn name(number: usize) -> String {
    format!("v{number}")
}

/// Does something for each number, several at once; what came of it, in order.
pub(super) fn side_by_side<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    const WORKERS: usize = 6;
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return done;
                        }
                        done.push((number, work(number)));
                    }
                })
            })
            .collect();
        let all = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap());
        all.collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, done)| done).collect()
}
