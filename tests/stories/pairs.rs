//! Which pairs of state and reason a run of the stories has seen, for tests/pairs.rs, which looks whether all were.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use domstate::domain::State;

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

/// Notes the answers in what a command of domstate has printed.
pub(super) fn note(stdout: &str) {
    for line in stdout.lines().filter(|line| line.parse::<State>().is_ok()) {
        let mut reached = REACHED
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if reached.pairs.insert(line.to_owned()) {
            writeln!(reached.file, "{line}").unwrap();
        }
    }
}
