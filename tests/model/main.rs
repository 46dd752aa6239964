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

/// Random runs a property; `DOMSTATE_MODEL_CASES` asks for others: `make model`.
fn cases() -> u32 {
    let asked = std::env::var("DOMSTATE_MODEL_CASES").ok();
    asked.map_or(500, |cases| cases.parse().unwrap())
}

/// The record of what is held against each other.
fn begin_record() -> record::Record {
    record::Record::begin("model", format!("make model CASES={}", cases()))
}

/// Keeps what was held against each other, if that is wanted. Where the two differed nobody comes here.
fn keep_record(mut record: record::Record, walk: &walk::Walk, moves: u32) {
    if std::env::var_os("DOMSTATE_KEEP_RECORD").is_none() {
        return;
    }
    let lines = realistic::agree_on(cases());
    let row = |what: String, runs: u64, lines: u64| {
        let looks = lines * compare::looks() as u64;
        vec![what, runs.to_string(), lines.to_string(), looks.to_string()]
    };
    let every = format!(
        "every one of at most {moves} moves, of {} guests",
        walk.setups
    );
    let random = format!("at random, of at most {} moves", realistic::MOVES);
    record.table(
        "The fold and the model, after each line of each run:",
        &["Runs", "Number", "Lines", "Answers compared"],
        &[
            row(every, walk.runs, walk.lines),
            row(random, u64::from(cases()), lines),
        ],
    );
    record.keep("qemu-system-x86_64");
}
