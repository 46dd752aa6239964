//! Random stories that try to make domstate tell a falsehood: `make campaign RUNS=N SEED=S`.
//!
//! A seed determines a story: a guest, what is done to it and to domstate, and what fails meanwhile. What truly happened is
//! known from outside (`witness`), and every answer is held against that (`judge`). Random story number I of a campaign has
//! the seed SEED + I, so that a story that failed is played again by `make campaign RUNS=1 SEED=THAT`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and prints"
)]

// What the stories of tests/stories use is not all used here.
#[allow(dead_code, unused_imports, reason = "shared with tests/stories")]
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
#[path = "../stories/return_path.rs"]
mod return_path;
#[allow(dead_code, reason = "shared with tests/stories")]
#[path = "../stories/disk/volume.rs"]
mod volume;

/// What can be done in a story.
mod act;
/// A story that went wrong.
mod failure;
/// What strace makes fail.
mod fault;
/// A story that sends the guest to another QEMU.
mod journey;
/// Whether an answer is true.
mod judge;
/// The guest of a story, and what its QEMU does by itself.
mod machine;
/// What there is to object to.
mod objection;
/// Answers that were seen, by how often.
mod pairs;
/// What is no QEMU.
mod peer;
/// A story as it is played.
mod play;
/// A story as its seed determines it.
mod story;
/// Every system call of what counts, and every two verbs.
mod sweep;
/// What is counted, and what is kept of it.
mod tally;
/// An answer of domstate's.
mod told;
/// What is seen from outside.
mod witness;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use self::failure::Failure;
use self::journey::JOURNEYS;
use self::story::Story;
use self::sweep::Breadth;
use self::tally::Tally;

/// A run of fewer random stories renews no record.
const RECORDED_MIN: u64 = 1000;

fn main() -> ExitCode {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let sweep = std::env::var("SWEEP").unwrap_or_default();
    let mut swept = match sweep.as_str() {
        "" => Vec::new(),
        "all" => sweep::stories(Breadth::All),
        _ => sweep::stories(Breadth::One),
    };
    // Of each subject something soon.
    fastrand::Rng::with_seed(0).shuffle(&mut swept);
    let random: u64 = number("RUNS").unwrap_or(300);
    let runs = random + swept.len() as u64;
    let jobs = number("JOBS").unwrap_or(6);
    let seed = number("SEED").unwrap_or_else(seed_of_now);
    // For who looks at one kind of story.
    let only = std::env::var("ONLY").unwrap_or_default();
    println!("{runs} stories from seed {seed}");
    // What a thread says when it panics belongs to its failure, below.
    std::panic::set_hook(Box::new(|_| ()));
    let mut command = format!("make campaign RUNS={random} SEED={seed} SWEEP={sweep}");
    if !only.is_empty() {
        command = format!("{command} ONLY='{only}'");
    }
    let name = record_of(&only).filter(|_| random >= RECORDED_MIN);
    let tally = Mutex::new(Tally::begin(name, command, seed));
    let next = AtomicU64::new(0);
    let failures: Mutex<Vec<Failure>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // Where so many fail, more tell nothing new.
                    if number >= runs || failures.lock().unwrap().len() >= 10 {
                        return;
                    }
                    // A sweep first, then what is random.
                    let of = usize::try_from(number).unwrap();
                    let begun = swept.len() as u64;
                    let any;
                    let (subject, story) = match swept.get(of) {
                        Some((subject, story)) => (*subject, story),
                        None => {
                            let seed = seed.wrapping_add(number - begun);
                            any = match only.as_str() {
                                JOURNEYS => Story::of_journey(seed),
                                _ => Story::of(seed),
                            };
                            ("random", &any)
                        }
                    };
                    if !story.tells(&only) {
                        continue;
                    }
                    if runs == 1 {
                        println!("{story}");
                    }
                    let played = play::play(story);
                    let mut tally = tally.lock().unwrap();
                    tally.add(subject, story, &played);
                    if let Err(failure) = played {
                        eprintln!("{failure}\n");
                        failures.lock().unwrap().push(failure);
                    } else if tally.stories.is_multiple_of(runs.div_ceil(20)) {
                        println!("{} of {runs}", tally.stories);
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{tally}");
    if tally.stories == 0 {
        eprintln!("no such story");
        return ExitCode::FAILURE;
    }
    let failures = failures.into_inner().unwrap();
    // Also of what was objected to: a record that a run leaves only if it likes it is none.
    tally.keep();
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    // Again, at the end: of a long output that is what people keep.
    for failure in &failures {
        eprintln!(
            "{failure}\nfalse or lost: make campaign {}\n",
            failure.replay
        );
    }
    ExitCode::FAILURE
}

/// The record that a run renews. Of what is only a part there is one if it is the journeys.
fn record_of(only: &str) -> Option<&'static str> {
    match only {
        "" => Some("campaign"),
        JOURNEYS => Some("journeys"),
        _ => None,
    }
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Short enough to be typed.
    u64::try_from(now.as_micros() % 10_000_000_000).unwrap() * 1000
}
