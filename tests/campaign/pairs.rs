//! The answers that the commands of a campaign have printed. `process` notes them here.

use std::collections::BTreeMap;
use std::sync::Mutex;

use domstate::domain::State;

static SEEN: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

pub(super) fn note(stdout: &str) {
    for line in stdout.lines() {
        if let Ok(state) = line.parse::<State>() {
            *SEEN.lock().unwrap().entry(state.to_string()).or_insert(0) += 1;
        }
    }
}

/// Each answer with how often it was given.
pub(super) fn seen() -> BTreeMap<String, u64> {
    SEEN.lock().unwrap().clone()
}
