//! A journal for people: each line as who said what, the newest lines only.

use std::collections::VecDeque;
use std::fs::File;
use std::io;

use serde_json::{Map, Value};

use super::os_text::os_from_json;
use super::parse::{oom_from_json, owned, parse_line, text};
use super::reader::{Line, last_start, read_lines};
use crate::domain::Timestamp;

/// As much of a damaged line as is shown.
const DAMAGED_BYTES_SHOWN: usize = 80;

/// A hole in the journal, in words.
const LOST: &str = "lines were given up or lost here";

/// That lines may have been lost without a trace, in words.
const LOST_UNSEEN: &str =
    "lines may have been lost here: the end could not be written down at once";

/// One line of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceLine {
    pub at: Option<Timestamp>,
    /// `QEMU`, `exit`, `asked` ...
    pub source: &'static str,
    pub text: String,
}

/// The newest lines of a journal, and how many older ones there are.
pub fn read_evidence(file: &File, lines_max: usize) -> io::Result<(usize, Vec<EvidenceLine>)> {
    let mut newest: VecDeque<EvidenceLine> = VecDeque::new();
    let mut left_out = 0;
    read_lines(file, &mut 0, &mut |line, _| {
        for line in describe(line) {
            if newest.len() == lines_max {
                newest.pop_front();
                left_out += 1;
            }
            newest.push_back(line);
        }
    })?;
    Ok((left_out, newest.into()))
}

fn describe(line: Line<'_>) -> Vec<EvidenceLine> {
    let gap = |text: String| EvidenceLine {
        at: None,
        source: "gap",
        text,
    };
    let bytes = match line {
        Line::Lost => return vec![gap(LOST.to_owned())],
        Line::Whole(bytes) => bytes.trim_ascii(),
    };
    if bytes.is_empty() {
        return Vec::new();
    }
    let Some(record) = parse_line(bytes) else {
        // As the reader reads it: a whole line may stand behind what broke off.
        let start = last_start(bytes).filter(|start| {
            let rest = bytes.get(*start..);
            rest.and_then(parse_line).is_some()
        });
        let (broken, whole) = bytes.split_at(start.unwrap_or(bytes.len()));
        if broken.iter().all(|byte| *byte == 0) {
            return vec![gap(LOST.to_owned())];
        }
        let shown = broken
            .get(..broken.len().min(DAMAGED_BYTES_SHOWN))
            .unwrap_or(broken);
        let mut lines = vec![gap(format!(
            "a damaged line: {}",
            String::from_utf8_lossy(shown)
        ))];
        lines.extend(describe(Line::Whole(whole)));
        return lines;
    };
    let Ok(Value::Object(object)) = serde_json::from_slice(bytes) else {
        return Vec::new();
    };
    match text(&object, "event") {
        Some(name) => {
            let data = object.get("data").and_then(Value::as_object).cloned();
            event_lines(record.at, name, &data.unwrap_or_default())
        }
        None => reply_line(&object).into_iter().collect(),
    }
}

/// The recorder's replies: only what it was told about the guest, or refused.
fn reply_line(object: &Map<String, Value>) -> Option<EvidenceLine> {
    let words = match (object.get("error"), object.get("return")) {
        (Some(error), _) => format!("refused: {}", owned(error.as_object()?, "desc")?),
        (None, Some(reply)) => format!("status {}", owned(reply.as_object()?, "status")?),
        (None, None) => return None,
    };
    Some(EvidenceLine {
        at: None,
        source: "QEMU",
        text: words,
    })
}

fn event_lines(at: Option<Timestamp>, name: &str, data: &Map<String, Value>) -> Vec<EvidenceLine> {
    let line = |source, text: String| EvidenceLine { at, source, text };
    let Some(own) = name.strip_prefix("DOMSTATE_") else {
        return vec![line("QEMU", format!("{name}{}", fields(data)))];
    };
    let verb = || owned(data, "verb").unwrap_or_default();
    let who = || {
        let number = |key| data.get(key).map(Value::to_string).unwrap_or_default();
        let command = owned(data, "command").unwrap_or_default();
        format!(
            "by uid {}, pid {} ({command})",
            number("uid"),
            number("pid")
        )
    };
    match own {
        "LAUNCHED" => vec![line(
            "start",
            format!("run {} {}", number(data, "run"), who()),
        )],
        "SPAWNED" => vec![line("spawned", format!("process {}", number(data, "pid")))],
        "QEMU" => vec![line(
            "found",
            format!("QEMU is process {}", number(data, "pid")),
        )],
        "ASKED" => {
            let file = data.get("file").and_then(os_from_json);
            let file = file.map(|file| format!(" to {}", file.display()));
            let what = format!("{}{}", verb(), file.unwrap_or_default());
            vec![line("asked", format!("{what} {}", who()))]
        }
        "SENT" => vec![line("sent", verb())],
        "DONE" => vec![line("done", verb())],
        "FAILED" => vec![line(
            "failed",
            format!("{}: {}", verb(), owned(data, "message").unwrap_or_default()),
        )],
        "SPAWN_FAILED" => vec![line("failed", owned(data, "message").unwrap_or_default())],
        "EXITED" => exit_lines(at, data),
        "GAP" => vec![line("gap", LOST_UNSEEN.to_owned())],
        "CHECKPOINT" => Vec::new(),
        _ => vec![line("domstate", format!("{own}{}", fields(data)))],
    }
}

/// The process's end, and before it what QEMU said of it on its standard error.
fn exit_lines(at: Option<Timestamp>, data: &Map<String, Value>) -> Vec<EvidenceLine> {
    let words = data
        .get("log")
        .and_then(|log| log.get("last_line"))
        .and_then(Value::as_str);
    let how = match (data.get("signal"), data.get("status")) {
        (Some(signal), _) => {
            let dumped = data.get("core_dumped").and_then(Value::as_bool) == Some(true);
            let dumped = if dumped { ", core dumped" } else { "" };
            let oom = oom_from_json(data.get("oom"));
            let oom = oom
                .map(|oom| format!("; kernel: {}", oom.evidence()))
                .unwrap_or_default();
            format!("signal {signal}{dumped}{oom}")
        }
        (None, Some(status)) => format!("status {status}"),
        (None, None) if data.get("pid").is_none_or(Value::is_null) => {
            "there is no process".to_owned()
        }
        (None, None) => "found gone, nobody saw how".to_owned(),
    };
    let word = words.map(|words| EvidenceLine {
        at: None,
        source: "QEMU",
        text: format!("\"{words}\""),
    });
    let end = EvidenceLine {
        at,
        source: "exit",
        text: how,
    };
    word.into_iter().chain([end]).collect()
}

fn number(data: &Map<String, Value>, key: &str) -> String {
    data.get(key).map(Value::to_string).unwrap_or_default()
}

/// ` key=value` for each field, texts without their quotes.
fn fields(data: &Map<String, Value>) -> String {
    let field = |(key, value): (&String, &Value)| match value.as_str() {
        Some(text) => format!(" {key}={text}"),
        None => format!(" {key}={value}"),
    };
    data.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_who_said_what() {
        let said = |line: &str| -> Vec<String> {
            let lines = describe(Line::Whole(line.as_bytes()));
            lines
                .iter()
                .map(|l| format!("{} {}", l.source, l.text))
                .collect()
        };
        let event = |name: &str, data: &str| {
            format!(
                r#"{{"timestamp":{{"seconds":1,"microseconds":2}},"event":"{name}","data":{data}}}"#
            )
        };
        assert_eq!(
            said(&event(
                "SHUTDOWN",
                r#"{"guest":false,"reason":"host-signal"}"#
            )),
            ["QEMU SHUTDOWN guest=false reason=host-signal"]
        );
        assert_eq!(
            said(&event(
                "DOMSTATE_EXITED",
                r#"{"boot":"b","status":0,"log":{"last_line":"bye"}}"#
            )),
            ["QEMU \"bye\"", "exit status 0"]
        );
        assert_eq!(
            said(&event(
                "DOMSTATE_ASKED",
                r#"{"verb":"destroy","uid":0,"pid":7,"command":"x"}"#
            )),
            ["asked destroy by uid 0, pid 7 (x)"]
        );
        assert_eq!(said(r#"{"timesta"#), [r#"gap a damaged line: {"timesta"#]);
        let glued = format!("{{\"timesta{}", event("STOP", "{}"));
        assert_eq!(
            said(&glued),
            [r#"gap a damaged line: {"timesta"#, "QEMU STOP"]
        );
        assert_eq!(said(r#"{"return":{}}"#), Vec::<String>::new());
    }
}
