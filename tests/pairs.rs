//! Whether the stories that have just run reached every pair of state and reason on the real QEMU: `make check` runs it
//! after them.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it finds is for people to read"
)]

use std::path::Path;
use std::process::ExitCode;

use domstate::domain::State;

fn main() -> ExitCode {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reached-pairs");
    let reached = match std::fs::read_to_string(&path) {
        Ok(reached) => reached,
        Err(error) => {
            eprintln!(
                "error: cannot read {}: {error}: run the stories first",
                path.display()
            );
            return ExitCode::FAILURE;
        }
    };
    let all: Vec<String> = State::all().map(|state| state.to_string()).collect();
    let is_reached = |pair: &&String| reached.lines().any(|line| line == pair.as_str());
    let (reached, missing): (Vec<&String>, Vec<&String>) = all.iter().partition(is_reached);
    println!("{} of {} pairs reached", reached.len(), all.len());
    for pair in &missing {
        eprintln!("error: {pair}: no story reached it");
    }
    match missing.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
