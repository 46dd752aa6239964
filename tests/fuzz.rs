//! Lets each reader's fuzzer run, one after the other, and keeps what came of it: `make fuzz` builds them and runs this.
//! Each runs twice: long on short inputs, and for a while on whole files.
//!
//! A fuzzer stops at the first input that breaks a rule, and leaves it behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it finds is for people to read"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

#[path = "reliability/record.rs"]
mod record;

/// Each reader, with the longest input of its long run: what is longer is slower, and of the corpus libFuzzer reads no more
/// than this. A journal of this length is a launch and two or three lines.
const READERS: &[(&str, u32)] = &[
    ("qmp", 512),
    ("definition", 512),
    ("image", 768),
    ("checkpoint", 1024),
    ("journal", 320),
];

/// The longest input of the other run: longer than every file in the corpus, so that these are tried whole.
const WHOLE_BYTES: u32 = 8192;

/// For so many executions of the long run there is one of the other, which takes longer each.
const RUNS_OF_ONE_WHOLE: u64 = 20;

/// A reader that takes more is one that believes a claimed length. The fuzzer itself takes most of it.
const MEMORY_MIB: u32 = 128;

/// The same where a sanitizer keeps what was freed.
const SANITIZED_MEMORY_MIB: u32 = 1024;

/// A file system that takes no disk.
const MEMORY: &str = "/dev/shm";

/// The place of that column.
const LONGEST_INPUT: usize = 4;

/// The place of the last column.
const COMMIT: usize = 10;

const COLUMNS: &[&str] = &[
    "Reader",
    "Executions",
    "Edges",
    "Features",
    "Longest input",
    "Peak memory (MiB)",
    "Crashes",
    "Seconds",
    "Sanitizer",
    "Date",
    "Commit",
];

/// One run of one fuzzer.
struct Leg {
    name: &'static str,
    runs: u64,
    bytes_max: u32,
}

impl Leg {
    /// Both runs of a reader's fuzzer.
    fn both(name: &'static str, bytes_max: u32, runs: u64) -> [Self; 2] {
        let whole = Self {
            name,
            runs: runs / RUNS_OF_ONE_WHOLE,
            bytes_max: WHOLE_BYTES,
        };
        [
            Self {
                name,
                runs,
                bytes_max,
            },
            whole,
        ]
    }

    fn log(&self, folder: &Path, sanitizer: &str) -> PathBuf {
        folder.join(format!("{}-{sanitizer}-{}.log", self.name, self.bytes_max))
    }

    /// Whether a row of the record is of such a run.
    fn is_of(&self, row: &[String]) -> bool {
        row[0] == self.name && row[LONGEST_INPUT] == self.bytes_max.to_string()
    }
}

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let runs: u64 = variable("DOMSTATE_FUZZ_RUNS").parse().unwrap();
    let chosen = variable("DOMSTATE_FUZZ_READER");
    let sanitizer = variable("DOMSTATE_FUZZ_SANITIZER");
    let seconds = variable("DOMSTATE_FUZZ_SECONDS");
    let folder = PathBuf::from(variable("DOMSTATE_FUZZERS"));
    let memory_mib = match sanitizer.as_str() {
        "none" => MEMORY_MIB,
        _ => SANITIZED_MEMORY_MIB,
    };
    let mut record = record::Record::begin("fuzz", format!("make fuzz RUNS={runs}"));
    let is_chosen = |(name, _): &&(&str, u32)| chosen.is_empty() || chosen == *name;
    let readers = READERS.iter().filter(is_chosen);
    let legs: Vec<Leg> = readers
        .flat_map(|(name, bytes_max)| Leg::both(name, *bytes_max, runs))
        .collect();
    if legs.is_empty() {
        eprintln!("error: there is no reader '{chosen}'");
        return ExitCode::FAILURE;
    }
    // One may have been let run alone: of the others stands what is on record already.
    let mut rows = rows_on_record();
    for leg in &legs {
        let Leg {
            name,
            runs,
            bytes_max,
        } = leg;
        println!("{name}: {runs} runs on at most {bytes_max} bytes");
        let log = leg.log(&folder, &sanitizer);
        let limits = [
            format!("-runs={runs}"),
            format!("-max_total_time={seconds}"),
            format!("-max_len={bytes_max}"),
            format!("-rss_limit_mb={memory_mib}"),
            format!("-malloc_limit_mb={}", memory_mib / 4),
        ];
        if let Err(words) = fuzz(&folder, name, &limits, &log) {
            eprintln!("error: {name}: {words}");
            return ExitCode::FAILURE;
        }
        let row = row(&log, leg, &sanitizer);
        println!("{}", row.join("  "));
        rows.retain(|row| !leg.is_of(row));
        rows.push(row);
    }
    let reader = |row: &[String]| READERS.iter().position(|(name, _)| row[0] == *name);
    let bytes_max = |row: &[String]| row[LONGEST_INPUT].parse::<u32>().unwrap();
    rows.sort_by_key(|row| (reader(row), bytes_max(row)));
    let title = format!("Fuzzed by libFuzzer, {memory_mib} MiB at most");
    record.table(&title, COLUMNS, &rows);
    record.keep("qemu-system-x86_64");
    ExitCode::SUCCESS
}

/// The rows of the record that is kept of earlier runs; each says of which domstate it is, and whether that is in the history
/// still.
fn rows_on_record() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reliability/fuzz.json");
    let record: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let words = |row: &Value| -> Vec<String> {
        let words = row.as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let table = &record["tables"][0];
    // Of another form nothing can be kept.
    assert_eq!(words(&table["columns"]), COLUMNS);
    let mut rows: Vec<_> = table["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(words)
        .collect();
    for row in &mut rows {
        row[COMMIT] = record::with_its_place(&row[COMMIT]);
    }
    rows
}

/// What a run has left in its log.
fn row(log: &Path, leg: &Leg, sanitizer: &str) -> Vec<String> {
    let log = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let crashes = log.matches("SUMMARY: libFuzzer").count();
    let done = last_line(&log, "DONE");
    vec![
        leg.name.to_owned(),
        figure(&log, "stat::number_of_executed_units: "),
        figure(done, "cov: "),
        figure(done, "ft: "),
        leg.bytes_max.to_string(),
        figure(&log, "stat::peak_rss_mb: "),
        crashes.to_string(),
        figure(last_line(&log, "Done "), " runs in "),
        sanitizer.to_owned(),
        record::date(),
        record::commit(),
    ]
}

/// Runs one fuzzer to its end; what it writes goes into `log`.
fn fuzz(folder: &Path, name: &str, limits: &[String], log: &Path) -> Result<(), String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    // On a disk, what it finds worth keeping takes longer to write than to find.
    let found = Path::new(MEMORY).join(format!("domstate-fuzz-{}", std::process::id()));
    fs::create_dir_all(&found).unwrap();
    let status = Command::new(folder.join(name))
        .args([&found, &sources.join("corpus").join(name)])
        .arg(format!("-dict={}", sources.join("tokens.dict").display()))
        .args(limits)
        .arg(format!("-artifact_prefix={}/{name}-", folder.display()))
        .args(["-timeout=10", "-print_final_stats=1"])
        .env("TMPDIR", MEMORY)
        // Each error would have one made.
        .env("RUST_LIB_BACKTRACE", "0")
        .stderr(File::create(log).unwrap())
        .status()
        .map_err(|error| format!("cannot execute its fuzzer: {error}"))?;
    fs::remove_dir_all(&found).unwrap();
    match status.success() {
        true => Ok(()),
        false => Err(format!("{status}; what broke it: {}", log.display())),
    }
}

fn last_line<'a>(log: &'a str, word: &str) -> &'a str {
    let mut lines = log.lines().rev();
    lines.find(|line| line.contains(word)).unwrap()
}

/// The number behind `key`.
fn figure(text: &str, key: &str) -> String {
    let (_, rest) = text.split_once(key).unwrap();
    let rest = rest.trim_start();
    let digits = rest.chars().take_while(char::is_ascii_digit);
    let figure: String = digits.collect();
    assert!(!figure.is_empty(), "{key}");
    figure
}
