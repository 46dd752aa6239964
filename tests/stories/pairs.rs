//! Which pairs of state and reason a run of the stories has seen, for tests/pairs.rs, which looks whether all were.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use domstate::domain::State;
use serde_json::Value;

static REACHED: LazyLock<Mutex<Reached>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reached-pairs");
    Mutex::new(Reached {
        pairs: BTreeSet::new(),
        file: File::create(path).unwrap(),
    })
});

struct Reached {
    pairs: BTreeSet<String>,
    file: File,
}

/// Notes the answers in what a command of domstate has printed, as text or as JSON.
pub(super) fn note(stdout: &str) {
    for pair in stdout.lines().filter_map(answer) {
        let pair = pair.to_string();
        let mut reached = REACHED
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if reached.pairs.insert(pair.clone()) {
            writeln!(reached.file, "{pair}").unwrap();
        }
    }
}

fn answer(line: &str) -> Option<State> {
    if !line.starts_with('{') {
        return line.parse().ok();
    }
    let json: Value = serde_json::from_str(line).ok()?;
    let word = |key: &str| json.get(key)?.as_str().map(str::to_owned);
    format!("{} ({})", word("state")?, word("reason")?)
        .parse()
        .ok()
}
