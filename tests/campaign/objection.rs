//! What there is to object to in a story.

use std::fmt;

/// See the module.
#[derive(Debug)]
pub(crate) enum Objection {
    /// A command ran past its bound.
    Late(String),
    /// An answer is false, something was lost or left over, or a command misbehaved.
    False(String),
}

impl From<String> for Objection {
    fn from(text: String) -> Self {
        Self::False(text)
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Late(text) | Self::False(text)) = self;
        f.write_str(text)
    }
}
