//! Everything that is generated and checked in.

use super::{completions, page, reliability};

/// Paths in the repository, and what belongs there.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    vec![
        ("man/domstate.1", page::render()),
        ("man/domstate-states.7", page::states()),
        ("RELIABILITY.md", reliability::render()),
        ("completions/domstate.bash", completions::bash()),
        ("completions/_domstate", completions::zsh()),
        ("completions/domstate.fish", completions::fish()),
    ]
}
