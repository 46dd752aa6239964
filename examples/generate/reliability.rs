//! RELIABILITY.md: what stands in RELIABILITY.md.in, with each `@NAME@` on a line of its own replaced by the record that the
//! run of this name left in tests/reliability.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

pub(crate) fn render() -> String {
    let mut page = String::new();
    for line in include_str!("RELIABILITY.md.in").lines() {
        let name = line
            .strip_prefix('@')
            .and_then(|rest| rest.strip_suffix('@'));
        match name {
            Some(name) => page.push_str(&section(name)),
            None => {
                page.push_str(line);
                page.push('\n');
            }
        }
    }
    page
}

fn section(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reliability");
    let Ok(text) = std::fs::read_to_string(folder.join(format!("{name}.json"))) else {
        return "No run is on record.\n".to_owned();
    };
    match serde_json::from_str(&text) {
        Ok(record) => shown(&record),
        Err(error) => format!("The record cannot be read: {error}.\n"),
    }
}

fn shown(record: &Value) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "`{}` on {}, commit {}, {} seconds on {} processors; {}; {}{}.",
        word(&record["command"]),
        word(&record["date"]),
        word(&record["commit"]),
        word(&record["seconds"]),
        word(&record["processors"]),
        word(&record["qemu"]),
        word(&record["kernel"]),
        record["seed"]
            .as_u64()
            .map_or_else(String::new, |seed| format!("; seed {seed}")),
    );
    for table in record["tables"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "\n{}\n", word(&table["title"]));
        let columns = words(&table["columns"]);
        let _ = writeln!(text, "| {} |", columns.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(columns.len()));
        for row in table["rows"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "| {} |", words(row).join(" | "));
        }
    }
    text
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(word).collect()
}

/// A value as it reads in a table.
fn word(value: &Value) -> String {
    let text = value.as_str().map(|text| text.replace('|', "\\|"));
    text.unwrap_or_else(|| value.to_string())
}
