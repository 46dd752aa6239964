//! What a run leaves of itself for RELIABILITY.md: seed, counts, versions, date. Kept in `tests/reliability/NAME.json` if
//! `DOMSTATE_KEEP_RECORD` is set; `make generate` makes the page of it, so no figure on it is typed by hand.
//!
//! Shared by the test binaries that run long; each includes this file.

#![allow(dead_code, reason = "not every binary that includes it uses all of it")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

/// A run on its way, whose time counts from here.
pub(crate) struct Record {
    name: &'static str,
    command: String,
    seed: Option<u64>,
    started: Instant,
    tables: Vec<Value>,
}

impl Record {
    /// A run that anybody repeats by `command`.
    pub(crate) fn begin(name: &'static str, command: impl Into<String>) -> Self {
        Self {
            name,
            command: command.into(),
            seed: None,
            started: Instant::now(),
            tables: Vec::new(),
        }
    }

    pub(crate) fn seed(&mut self, seed: u64) {
        self.seed = Some(seed);
    }

    /// Adds a table: what it shows, the heads of its columns, its rows.
    pub(crate) fn table(&mut self, title: &str, columns: &[&str], rows: &[Vec<String>]) {
        for row in rows {
            assert_eq!(row.len(), columns.len(), "{title}: {row:?}");
        }
        let table = json!({"title": title, "columns": columns, "rows": rows});
        self.tables.push(table);
    }

    /// Writes the record, if it is wanted.
    pub(crate) fn keep(self, qemu: &str) {
        if std::env::var_os("DOMSTATE_KEEP_RECORD").is_none() {
            return;
        }
        let record = json!({
            "name": self.name,
            "command": self.command,
            "date": date(),
            "commit": commit(),
            "domstate": env!("CARGO_PKG_VERSION"),
            "qemu": first_line(qemu, &["--version"]),
            "kernel": first_line("uname", &["-sr"]),
            "processors": std::thread::available_parallelism().map_or(1, usize::from),
            "seed": self.seed,
            "seconds": self.started.elapsed().as_secs(),
            "tables": self.tables,
        });
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reliability");
        let text = serde_json::to_string_pretty(&record).unwrap() + "\n";
        std::fs::write(folder.join(format!("{}.json", self.name)), text).unwrap();
    }
}

/// The day of a run.
pub(crate) fn date() -> String {
    first_line("date", &["-u", "+%Y-%m-%d"])
}

/// Of which domstate a run is.
pub(crate) fn commit() -> String {
    first_line("git", &["describe", "--always", "--dirty", "--abbrev=12"])
}

/// The commit of a run that was kept before, which says so if it is not in the history any more.
pub(crate) fn with_its_place(commit: &str) -> String {
    const GONE: &str = " (not in the history)";
    let commit = commit.strip_suffix(GONE).unwrap_or(commit);
    let mut git = Command::new("git");
    git.args(["merge-base", "--is-ancestor", commit, "HEAD"]);
    match git.output().unwrap().status.success() {
        true => commit.to_owned(),
        false => format!("{commit}{GONE}"),
    }
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}
