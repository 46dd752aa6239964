//! A story that went wrong, for people.

use std::fmt;

/// A false answer, or whatever else may not be.
pub(crate) struct Failure {
    /// The variables of `make campaign` that play it again.
    pub(crate) replay: String,
    pub(crate) text: String,
}

impl Failure {
    /// How it is played again, and what is objected, in short.
    pub(crate) fn row(&self) -> Vec<String> {
        const SHOWN: usize = 400;
        let line = self.text.lines().next().unwrap_or_default();
        let objection = line.chars().take(SHOWN).collect();
        vec![format!("make campaign {}", self.replay), objection]
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
