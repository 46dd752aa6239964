//! Printing itself. Each call writes its text at once, so two processes on one terminal do not mix lines.

use std::fmt;
use std::io::{self, ErrorKind, Stderr, Stdout, Write};

use super::cause::cause_text;
use super::escape::{escaped, escaped_lines};
use super::labels::{Labels, evidence_lines, label_lines};
use super::report::{
    Complaint, Explanation, Report, RunReport, complaint_json, explanation_json, report_json,
    run_json, snapshot_json, snapshot_state, warning_json,
};
use super::style::{ERROR, Format, HINT, Stream, Style, Volume, color_of};
use super::table::{self, Rule};
use super::time::{age, text_time, text_time_or_dash};
use super::words::Words;
use crate::domain::State;
use crate::store::Snapshot;
use crate::store::encode::cause_kind;

/// How much of an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// `shut off`
    State,
    /// `shut off (crashed)`
    StateAndReason,
}

/// Whether `NAME: ` stands before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// One domain was asked for.
    Bare,
    /// Several were.
    Named,
}

/// What a domain is called in text, by `domid`, `domuuid`, `domname` and `list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Id,
    Uuid,
    Name,
}

/// Stdout cannot be written to: a full disk, say.
#[derive(Debug)]
pub struct Unprinted(io::Error);

impl fmt::Display for Unprinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl std::error::Error for Unprinted {}

/// Whether anybody reads stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// As far as is known.
    There,
    /// Not any more (`domstate logs v | head -1`). It has what it wanted, so that is no failure.
    Gone,
}

type Printed = Result<(), Unprinted>;

/// Prints to a pair of streams.
#[derive(Debug)]
pub struct Printer<O, E> {
    style: Style,
    stdout: O,
    stderr: E,
    reader: Reader,
}

impl Printer<Stdout, Stderr> {
    /// Prints to the process's own streams.
    pub fn new(style: Style) -> Self {
        Self::with_streams(style, io::stdout(), io::stderr())
    }
}

impl<O: Write, E: Write> Printer<O, E> {
    /// Prints to these streams.
    pub fn with_streams(style: Style, stdout: O, stderr: E) -> Self {
        Self {
            style,
            stdout,
            stderr,
            reader: Reader::There,
        }
    }

    /// Prints one answer.
    ///
    /// # Errors
    /// Here and below: stdout cannot be written to. For a reader that went away nothing is printed, and that is none.
    pub fn answer(&mut self, report: &Report, detail: Detail, naming: Naming) -> Printed {
        if self.style.format == Format::Json {
            return self.write(&report_json(report));
        }
        let answer = self.painted(report.answer.state, detail);
        match naming {
            Naming::Bare => self.write(&format!("{answer}\n")),
            Naming::Named => self.write(&format!("{}: {answer}\n", report.name)),
        }
    }

    /// Prints virsh's table of domains, in the order given.
    pub fn list(&mut self, reports: &[Report], detail: Detail) -> Printed {
        if self.style.format == Format::Json {
            return self.reports(reports);
        }
        let row = |report: &Report| {
            vec![
                field_text(report, Field::Id),
                field_text(report, Field::Name),
                state_text(report.answer.state, detail),
            ]
        };
        let rows: Vec<_> = reports.iter().map(row).collect();
        self.table(&["Id", "Name", "State"], &rows, Rule::Dashes)
    }

    /// Prints these fields of each domain, a line each, with a space between two (`list --uuid --name`).
    pub fn fields(&mut self, reports: &[Report], fields: &[Field]) -> Printed {
        if self.style.format == Format::Json {
            return self.reports(reports);
        }
        let line = |report: &Report| {
            let words = fields.iter().map(|field| field_text(report, *field));
            format!("{}\n", words.collect::<Vec<_>>().join(" "))
        };
        self.write(&reports.iter().map(line).collect::<String>())
    }

    /// Prints the table of a domain's runs, in the order given.
    pub fn history(&mut self, runs: &[RunReport]) -> Printed {
        if self.style.format == Format::Json {
            return self.write(&runs.iter().map(run_json).collect::<String>());
        }
        let row = |run: &RunReport| {
            let cause = run.answer.cause.as_ref().map_or("-", cause_kind);
            vec![
                run.run.to_string(),
                text_time_or_dash(run.started),
                text_time_or_dash(run.ended),
                run.answer.state.to_string(),
                cause.to_owned(),
            ]
        };
        let rows: Vec<_> = runs.iter().map(row).collect();
        let header = ["Run", "Started", "Ended", "Answer", "Cause"];
        self.table(&header, &rows, Rule::Nothing)
    }

    /// Prints virsh's table of a domain's snapshots, in the order given.
    pub fn snapshots(&mut self, snapshots: &[Snapshot]) -> Printed {
        if self.style.format == Format::Json {
            return self.write(&snapshots.iter().map(snapshot_json).collect::<String>());
        }
        let row = |snapshot: &Snapshot| {
            vec![
                snapshot.name.to_string(),
                text_time(snapshot.created_at),
                snapshot_state(snapshot).to_owned(),
            ]
        };
        let rows: Vec<_> = snapshots.iter().map(row).collect();
        self.table(&["Name", "Creation Time", "State"], &rows, Rule::Dashes)
    }

    /// Prints an answer with its cause and the evidence.
    pub fn explanation(&mut self, explanation: &Explanation) -> Printed {
        if self.style.format == Format::Json {
            return self.write(&explanation_json(explanation));
        }
        let Explanation {
            report,
            now,
            evidence,
        } = explanation;
        let answer = &report.answer;
        let since = answer.since.map(|since| {
            let age = age(since, *now);
            format!("{} ({age})", text_time(since))
        });
        let lines = [
            ("Domain", report.name.to_string()),
            ("Answer", self.painted(answer.state, Detail::StateAndReason)),
            ("Since", since.unwrap_or_else(|| "unknown".to_owned())),
            (
                "Cause",
                answer
                    .cause
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), |c| escaped(&cause_text(c)).into_owned()),
            ),
            ("Certainty", answer.certainty.word().to_owned()),
        ];
        let mut text = label_lines(&lines, Labels::Fitted);
        text.push_str("Evidence:\n");
        text.push_str(&evidence_lines(evidence));
        self.write(&text)
    }

    /// Prints a block of `Label: value` lines about a domain; as JSON, the domain's object.
    pub fn labels(&mut self, report: &Report, lines: &[(&str, String)], labels: Labels) -> Printed {
        if self.style.format == Format::Json {
            return self.write(&report_json(report));
        }
        let lines = lines.iter();
        let lines: Vec<_> = lines
            .map(|(label, value)| (*label, escaped(value).into_owned()))
            .collect();
        self.write(&label_lines(&lines, labels))
    }

    /// Prints a line that is asked for and has no form of its own, in either format.
    pub fn line(&mut self, text: &str) -> Printed {
        self.write(&format!("{}\n", escaped(text)))
    }

    /// Prints whole lines as they are, but for what a terminal would obey if stdout is one: a log, or the
    /// command line of `show`, which is to be pasted.
    pub fn verbatim(&mut self, lines: &[u8]) -> Printed {
        match self.style.stdout {
            Stream::Terminal => self.write(&escaped_lines(lines)),
            Stream::Other => self.write_bytes(lines),
        }
    }

    /// Prints a JSON object that has no text form of its own, on one line.
    pub fn object(&mut self, value: &serde_json::Value) -> Printed {
        self.write(&format!(
            "{}\n",
            super::escape::escaped_json(&value.to_string())
        ))
    }

    /// What the output is to be.
    pub fn format(&self) -> Format {
        self.style.format
    }

    /// Whether `-q` was given.
    pub fn is_quiet(&self) -> bool {
        self.style.volume == Volume::Quiet
    }

    /// Whether it is of any use to print more.
    pub fn is_read(&self) -> bool {
        self.reader == Reader::There
    }

    /// Where QEMU's own words go that are repeated as they come, on stderr.
    pub fn words(&mut self) -> Words<'_, E> {
        Words::new(&mut self.stderr, self.style.stderr)
    }

    /// Prints that something was done (`Domain 'v' started`); nothing with -q and in JSON.
    pub fn success(&mut self, message: &str) -> Printed {
        match (self.style.volume, self.style.format) {
            (Volume::Normal, Format::Text) => self.line(message),
            (Volume::Quiet, _) | (_, Format::Json) => Ok(()),
        }
    }

    /// Prints text that is asked for and is domstate's own: help and version.
    pub fn help(&mut self, text: &str) -> Printed {
        self.write(text)
    }

    /// Draws on a terminal how far a job is, over what was drawn before.
    pub fn progress(&mut self, label: &str, percent: u8) {
        let shown = self.style.stderr == Stream::Terminal && !self.is_quiet();
        if shown {
            self.write_error(&format!("\r{label}: [{percent:3} %]"));
        }
    }

    /// Draws that it is over, and ends the line.
    pub fn progress_complete(&mut self, label: &str) {
        self.progress(label, 100);
        if self.style.stderr == Stream::Terminal && !self.is_quiet() {
            self.write_error("\n");
        }
    }

    /// Prints text of domstate's own to stderr: the usage, where nothing was asked for.
    pub fn usage(&mut self, text: &str) {
        self.write_error(text);
    }

    /// Prints what went wrong to stderr. Where that fails there is nobody left to tell.
    pub fn complain(&mut self, complaint: &Complaint) {
        if self.style.format == Format::Json {
            return self.write_error(&complaint_json(complaint));
        }
        let paint = self.style.stderr_paint;
        let mut text = String::new();
        for message in &complaint.messages {
            text.push_str(&format!(
                "{} {}\n",
                paint.paint(Some(ERROR), "error:"),
                escaped(message)
            ));
        }
        for line in &complaint.quoted {
            text.push_str(&format!("  {}\n", escaped(line)));
        }
        if let (Some(hint), Stream::Terminal) = (&complaint.hint, self.style.stderr) {
            text.push_str(&format!(
                "{} {}\n",
                paint.paint(Some(HINT), "hint:"),
                escaped(hint)
            ));
        }
        self.write_error(&text);
    }

    /// Prints to stderr what somebody should know about something that was done.
    pub fn warn(&mut self, message: &str) {
        let text = match self.style.format {
            Format::Json => warning_json(message),
            Format::Text => {
                let word = self.style.stderr_paint.paint(Some(ERROR), "warning:");
                format!("{word} {}\n", escaped(message))
            }
        };
        self.write_error(&text);
    }

    fn painted(&self, state: State, detail: Detail) -> String {
        let word = self.style.stdout_paint.paint(color_of(state), state.word());
        match detail {
            Detail::State => word,
            Detail::StateAndReason => format!("{word} ({})", state.reason()),
        }
    }

    fn reports(&mut self, reports: &[Report]) -> Printed {
        self.write(&reports.iter().map(report_json).collect::<String>())
    }

    fn table(&mut self, header: &[&str], rows: &[Vec<String>], rule: Rule) -> Printed {
        match self.style.volume {
            Volume::Normal => self.write(&table::render(header, rows, rule)),
            Volume::Quiet => self.write(&table::render_rows(rows)),
        }
    }

    /// Ends a line that QEMU may have left open on our stdout.
    pub fn line_end(&mut self) -> Printed {
        self.write("\n")
    }

    fn write(&mut self, text: &str) -> Printed {
        self.write_bytes(text.as_bytes())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Printed {
        if self.reader == Reader::Gone {
            return Ok(());
        }
        let written = self.stdout.write_all(bytes);
        match written.and_then(|()| self.stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.reader = Reader::Gone;
                Ok(())
            }
            written => written.map_err(Unprinted),
        }
    }

    fn write_error(&mut self, text: &str) {
        let _ = self.stderr.write_all(text.as_bytes());
    }
}

fn state_text(state: State, detail: Detail) -> String {
    match detail {
        Detail::State => state.word().to_owned(),
        Detail::StateAndReason => state.to_string(),
    }
}

fn field_text(report: &Report, field: Field) -> String {
    let text = match field {
        Field::Id => report.id.map(|id| id.to_string()),
        Field::Uuid => report.uuid.map(|uuid| uuid.to_string()),
        Field::Name => Some(report.name.to_string()),
    };
    text.unwrap_or_else(|| "-".to_owned())
}
