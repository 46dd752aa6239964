//! The rules of the house, read from src/: which room may know of which, who prints, who may be unsafe, how
//! long a file may be. The compiler cannot see them.
//!
//! Comments and tests are left out: a test may look where it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, the highest first, and the rooms that it may import. A room that is not here is a room that nobody
/// decided on.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "main",
        &["cli", "commands", "output", "store", "supervisor"],
    ),
    // The list of rooms, and nothing else.
    ("lib", &[]),
    (
        "commands",
        &[
            "cli",
            "output",
            "supervisor",
            "operation",
            "observe",
            "qemu",
            "store",
            "journal",
            "domain",
        ],
    ),
    // Values only: what was typed, and how the output is wanted.
    ("cli", &["output", "domain"]),
    ("output", &["store", "domain"]),
    (
        "supervisor",
        &[
            "operation",
            "observe",
            "qemu",
            "store",
            "journal",
            "domain",
            "sys",
        ],
    ),
    // Not `supervisor`, which is started by path.
    (
        "operation",
        &["observe", "qemu", "store", "journal", "domain", "sys"],
    ),
    ("observe", &["qemu", "store", "journal", "domain", "sys"]),
    ("qemu", &["journal", "domain"]),
    ("store", &["journal", "domain"]),
    ("journal", &["domain"]),
    ("domain", &[]),
    ("sys", &[]),
];

/// Longer than this, a file is two files.
const LINES_MAX: usize = 450;

/// What QEMU calls its events.
const EVENTS: &[&str] = &[
    "BLOCK_IO_ERROR",
    "GUEST_CRASHLOADED",
    "GUEST_PANICKED",
    "MIGRATION",
    "POWERDOWN",
    "RESET",
    "RESUME",
    "SHUTDOWN",
    "STOP",
    "SUSPEND",
    "SUSPEND_DISK",
    "WAKEUP",
    "WATCHDOG",
];

/// A file of src/ without its comments and tests.
struct Source {
    path: PathBuf,
    room: String,
    code: String,
    /// Lines up to the tests, comments included.
    lines: usize,
}

impl Source {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .collect();
        let code: Vec<&str> = lines
            .iter()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect();
        Self {
            room: room(&path),
            code: code.join("\n"),
            lines: lines.len(),
            path,
        }
    }

    /// What this file imports of the own crate: `crate::room`, and each of `crate::{room, room}`.
    fn imports(&self) -> Vec<String> {
        let root = if self.room == "main" {
            "domstate::"
        } else {
            "crate::"
        };
        let mut rooms = Vec::new();
        for (at, _) in self.code.match_indices(root) {
            if self.code[..at].ends_with(is_of_word) {
                continue;
            }
            let rest = &self.code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => rooms.extend(names_of_group(group)),
                None => rooms.push(word(rest).to_owned()),
            }
        }
        rooms
    }

    /// Whether the code has this text, as words of its own.
    fn has(&self, text: &str) -> bool {
        self.code.match_indices(text).any(|(at, _)| {
            let before = &self.code[..at];
            let after = &self.code[at + text.len()..];
            let goes_on = text.ends_with(is_of_word) && after.starts_with(is_of_word);
            !before.ends_with(is_of_word) && !goes_on
        })
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word(text: &str) -> &str {
    let end = text.find(|letter| !is_of_word(letter));
    &text[..end.unwrap_or(text.len())]
}

/// The first word of each name in `a, b::{c, d}, e}`.
fn names_of_group(group: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut depth = 0;
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().unwrap().push(letter),
            _ => {}
        }
    }
    let names = names.iter().map(|name| word(name.trim()).to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn room(path: &Path) -> String {
    let below = path.strip_prefix(source_folder()).unwrap();
    let first = below.components().next().unwrap().as_os_str();
    let first = first.to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Every file of src/ that is no test.
fn sources() -> Vec<Source> {
    let mut folders = vec![source_folder()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                sources.push(Source::read(path));
            }
        }
    }
    assert!(sources.len() > 30, "only {} files were read", sources.len());
    sources
}

/// Fails with every file that breaks a rule at once.
fn assert_none(rule: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{rule}:\n  {}",
        offenders.join("\n  ")
    );
}

fn offenders(breaks: impl Fn(&Source) -> Option<String>) -> Vec<String> {
    let sources = sources();
    let found = sources.iter().filter_map(|source| {
        let what = breaks(source)?;
        Some(format!("{}: {what}", source.path.display()))
    });
    found.collect()
}

#[test]
fn a_room_imports_only_what_it_may_know_of() {
    let found = offenders(|source| {
        let allowed = ROOMS.iter().find(|(room, _)| *room == source.room);
        let Some((_, allowed)) = allowed else {
            return Some("a room that is not in the list".to_owned());
        };
        let imports = source.imports();
        let bad = imports
            .iter()
            .find(|import| **import != source.room && !allowed.contains(&import.as_str()));
        bad.map(|import| format!("{} imports {import}", source.room))
    });
    assert_none("lower rooms do not know of higher ones", &found);
}

#[test]
fn an_import_goes_down_the_list_of_rooms() {
    let place = |room: &str| ROOMS.iter().position(|(name, _)| *name == room).unwrap();
    for (room, allowed) in ROOMS {
        for import in *allowed {
            assert!(place(import) > place(room), "{room} imports {import}");
        }
    }
}

#[test]
fn no_room_reaches_round_its_own_door() {
    let found = offenders(|source| {
        let is_door = source.path.ends_with("mod.rs") || source.path.parent()? == source_folder();
        let up = if is_door { "super::" } else { "super::super::" };
        source.has(up).then(|| format!("says {up}"))
    });
    assert_none("another room is named by crate::", &found);
}

#[test]
fn the_domain_knows_nothing_of_the_outside() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]\n").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let crates: Vec<String> = dependencies
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| format!("{}::", name.trim().replace('-', "_")))
        .collect();
    assert!(crates.contains(&"nix::".to_owned()), "{crates:?}");
    let outside = [
        "std::fs",
        "std::env",
        "std::io",
        "std::os",
        "std::net",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
    ];
    let found = offenders(|source| {
        let mut names = crates.iter().map(String::as_str).chain(outside);
        let name = names.find(|name| source.room == "domain" && source.has(name))?;
        Some(format!("says {name}"))
    });
    assert_none("domain is pure", &found);
}

#[test]
fn parsing_touches_nothing_and_only_cli_knows_clap() {
    let found = offenders(|source| {
        let outside = [
            "std::fs",
            "std::env",
            "std::io",
            "std::process",
            "nix::",
            "rustix::",
        ];
        match source.room.as_str() {
            "cli" => outside.into_iter().find(|name| source.has(name)),
            _ => source.has("clap::").then_some("clap::"),
        }
        .map(|name| format!("says {name}"))
    });
    assert_none("cli declares, and does nothing", &found);
}

#[test]
fn only_output_prints() {
    let found = offenders(|source| {
        let says = |text: &&str| {
            // To look at a stream is not to print on it.
            let code = ["is_terminal()", "as_fd()"]
                .iter()
                .fold(source.code.clone(), |code, look| {
                    code.replace(&format!("{}.{look}", text.trim_start()), "")
                });
            code.contains(*text)
        };
        let streams = ["io::stdout()", "io::stderr()", "print!(", "println!("];
        let text = streams.iter().find(|text| says(text));
        text.filter(|_| source.room != "output")
            .map(|text| format!("says {text}"))
    });
    assert_none("output is the only room that prints", &found);
}

#[test]
fn only_the_journal_spells_the_names_of_events() {
    let found = offenders(|source| {
        let event = EVENTS
            .iter()
            .find(|event| source.code.contains(&format!("\"{event}\"")));
        event
            .filter(|_| source.room != "journal")
            .map(|event| format!("says {event}"))
    });
    assert_none("QEMU's names of events end in journal", &found);
}

#[test]
fn only_sys_is_unsafe() {
    let found = offenders(|source| {
        let is_unsafe = source.room != "sys" && source.has("unsafe");
        is_unsafe.then(|| "has unsafe code".to_owned())
    });
    assert_none("unsafe code stands in sys.rs", &found);
}

/// The stories look by strace at what is executed.
#[test]
fn no_shell_is_ever_run() {
    const SHELLS: &[&str] = &[
        "\"sh\"",
        "\"bash\"",
        "\"/bin/sh\"",
        "\"-c\"",
        "system(",
        "popen(",
    ];
    let found = offenders(|source| {
        let shell = SHELLS.iter().find(|shell| source.code.contains(**shell));
        shell.map(|shell| format!("says {shell}"))
    });
    assert_none("domstate runs no shell", &found);
}

#[test]
fn no_file_is_longer_than_it_can_be_read() {
    let found = offenders(|source| {
        (source.lines > LINES_MAX).then(|| format!("{} lines without tests", source.lines))
    });
    assert_none("split it where its subject splits", &found);
}

#[test]
fn what_this_file_reads_of_a_source_is_right() {
    let source = |code: &str| Source {
        path: PathBuf::new(),
        room: "store".to_owned(),
        code: code.to_owned(),
        lines: 1,
    };
    let imports =
        source("use crate::{domain::{A, B}, journal};\nlet a = crate::cli::X; mycrate::no")
            .imports();
    assert_eq!(imports, ["domain", "journal", "cli"]);
    assert!(source("use nix::poll;").has("nix::"));
    assert!(!source("use unix::poll;").has("nix::"));
    assert!(!source("is_unsafe_now").has("unsafe"));
}
