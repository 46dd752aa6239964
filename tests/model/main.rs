//! A model beside the fold: two accounts of the same rules, of which neither leans on the other, held against each other
//! over what a QEMU may send. Where they differ one is wrong, or domstate differs from virsh and says so in its man page.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod arbitrary;
mod clock;
mod compare;
mod ends;
mod guest;
mod lines;
mod machine;
mod moves;
mod realistic;
#[path = "../reliability/record.rs"]
mod record;
mod script;
mod walk;

/// Random runs a property; `DOMSTATE_MODEL_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var("DOMSTATE_MODEL_CASES").ok();
    asked.map_or(500, |cases| cases.parse().unwrap())
}

/// Random runs that a record is made of.
const RECORDED_CASES: u32 = 10_000;

/// Keeps what was held against each other, if that is wanted: with more random runs than a test has time for.
fn keep_record(walk: &walk::Walk, moves: u32) {
    if std::env::var_os("DOMSTATE_KEEP_RECORD").is_none() {
        return;
    }
    let mut record = record::Record::begin("model", "cargo test --test model");
    let lines = realistic::agree_on(RECORDED_CASES);
    let row = |what: String, runs: u64, lines: u64| {
        let looks = lines * compare::looks() as u64;
        [
            what,
            runs.to_string(),
            lines.to_string(),
            looks.to_string(),
            "0".to_owned(),
        ]
        .to_vec()
    };
    let every = format!(
        "every one of at most {moves} moves, of {} guests",
        walk.setups
    );
    let random = format!("at random, of at most {} moves", realistic::MOVES);
    record.table(
        "The fold and the model, after each line of each run",
        &["Runs", "Number", "Lines", "Answers compared", "Differences"],
        &[
            row(every, walk.runs, walk.lines),
            row(random, u64::from(RECORDED_CASES), lines),
        ],
    );
    record.keep("qemu-system-x86_64");
}
