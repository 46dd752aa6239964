//! Many guests: `make load`. Nothing is lost and nothing is left behind, however many there are and however fast they come
//! and go: answers, processes, memory, descriptors and disk are each held against a bound. Figures go to RELIABILITY.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints"
)]

// What the stories of tests/stories use is not all used here.
#[allow(dead_code, reason = "shared with tests/stories")]
#[path = "../stories/guest.rs"]
mod guest;
#[allow(dead_code, unused_imports, reason = "shared with tests/stories")]
#[path = "../stories/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with tests/stories")]
#[path = "../stories/monitor.rs"]
mod monitor;
#[allow(dead_code, reason = "shared with tests/stories")]
#[path = "../stories/process.rs"]
mod process;
#[path = "../reliability/record.rs"]
mod record;

/// Starts and ends, as fast as the processors give them.
mod churn;
/// Many domains that only are there.
mod defined;
/// Ends, and how each is told.
mod end;
/// Many guests that live.
mod live;
/// What the host has in use.
mod usage;

/// `process` notes answers here; nobody looks.
mod pairs {
    pub(super) fn note(_: &str) {}
}

use record::Record;

fn main() {
    let number = |name: &str, default: usize| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let guests = number("GUESTS", 300);
    let domains = number("DOMAINS", 10_000);
    let minutes = number("MINUTES", 10);
    let command = format!("make load GUESTS={guests} DOMAINS={domains} MINUTES={minutes}");
    let mut record = Record::begin("load", command);
    // Pages of a program that is not yet on the disk count as private and dirty.
    nix::unistd::sync();
    let program = ("linked".to_owned(), usage::linked().to_owned());
    let mut rows = Vec::new();
    for (what, figures) in [
        ("the program", vec![program]),
        ("guests alive at once", live::run(guests)),
        ("domains defined", defined::run(domains)),
        ("starts and ends in a row", churn::run(minutes)),
    ] {
        for (figure, value) in figures {
            println!("{what}: {figure}: {value}");
            rows.push(vec![what.to_owned(), figure, value]);
        }
    }
    record.table("Figures:", &["", "figure", "value"], &rows);
    record.keep(&harness::qemu());
}

/// Figures by what they are of.
type Figures = Vec<(String, String)>;

fn figure(figures: &mut Figures, what: &str, value: &dyn std::fmt::Display) {
    figures.push((what.to_owned(), value.to_string()));
}
