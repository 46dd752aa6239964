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
        let line = without_folder(line).replace(env!("CARGO_BIN_EXE_domstate"), "domstate");
        let objection = line.chars().take(SHOWN).collect();
        vec![format!("make campaign {}", self.replay), objection]
    }
}

/// The folders of hosts, which lie elsewhere on another machine, as `HOST`.
fn without_folder(line: &str) -> String {
    const END: &str = ".host";
    let begin = std::env::temp_dir().join("domstate-");
    let begin = begin.to_string_lossy();
    let mut parts = line.split(&*begin);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| match part.split_once(END) {
        Some((_, rest)) => format!("{line}HOST{rest}"),
        None => format!("{line}HOST"),
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
