//! A story that went wrong, for people.

use std::fmt;

/// A false answer, or whatever else may not be.
pub(crate) struct Failure {
    /// The variables of `make campaign` that play it again.
    pub(crate) replay: String,
    pub(crate) text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
