//! The values that commands hand over to be printed, and their JSON: one object a line, every key always
//! there, in the order of domstate(1).

use serde_json::{Value, json};

use super::escape::escaped_json;
use crate::domain::{Answer, Begin, Cause, Name, Timestamp, Uuid};
use crate::store::Snapshot;
use crate::store::encode::{answer_fields, cause_fields, time_to_json};

/// A domain and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub name: Name,
    pub uuid: Option<Uuid>,
    /// QEMU's pid while the domain is active, if it has one here.
    pub id: Option<u32>,
    /// The last run's number; `None` for a domain that was never run.
    pub run: Option<u32>,
    /// The pid of domstate's own process for this domain, where there is one with a pid here.
    pub supervisor: Option<u32>,
    pub answer: Answer,
}

/// One run of a domain, for `history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    pub name: Name,
    pub run: u32,
    pub started: Option<Timestamp>,
    /// `None` while it goes on, and where nobody knows.
    pub ended: Option<Timestamp>,
    pub answer: Answer,
}

/// An answer with what stands behind it, for `explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub report: Report,
    /// The clock, for the age of the answer.
    pub now: Timestamp,
    pub evidence: Vec<Evidence>,
}

/// One line of a journal, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub at: Option<Timestamp>,
    /// Who says it: `QEMU`, `exit`, `domstate`.
    pub source: &'static str,
    pub text: String,
}

/// One thing that went wrong, for stderr.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// The word for programs: `no-such-domain`.
    pub kind: &'static str,
    /// What failed, then why: a line each, without `error: `.
    pub messages: Vec<String>,
    /// QEMU's own last lines.
    pub quoted: Vec<String>,
    /// What to try, without `hint: `.
    pub hint: Option<String>,
}

/// Keys and the JSON text of their values, in the order in which they are printed (serde_json sorts its own).
type Fields = Vec<(&'static str, String)>;

pub(super) fn report_json(report: &Report) -> String {
    line(&report_fields(report))
}

pub(super) fn run_json(run: &RunReport) -> String {
    let mut fields = vec![
        ("name", text(&json!(run.name.as_str()))),
        ("run", text(&json!(run.run))),
        ("started", text(&time_to_json(run.started))),
        ("ended", text(&time_to_json(run.ended))),
    ];
    fields.extend(ordered_answer(&run.answer));
    line(&fields)
}

pub(super) fn snapshot_json(snapshot: &Snapshot) -> String {
    let disks = snapshot
        .disks
        .iter()
        .map(|disk| disk.file.to_string_lossy());
    let disks: Vec<_> = disks.collect();
    line(&[
        ("name", text(&json!(snapshot.name.as_str()))),
        ("created", text(&time_to_json(Some(snapshot.created_at)))),
        ("state", text(&json!(snapshot_state(snapshot)))),
        ("run", text(&json!(snapshot.run))),
        ("disks", text(&json!(disks))),
    ])
}

/// virsh's word for what the guest did when it was taken.
pub(super) fn snapshot_state(snapshot: &Snapshot) -> &'static str {
    match snapshot.begin {
        Begin::Running => "running",
        Begin::Paused => "paused",
    }
}

pub(super) fn explanation_json(explanation: &Explanation) -> String {
    let evidence = explanation.evidence.iter().map(|evidence| {
        object(&[
            ("at", text(&time_to_json(evidence.at))),
            ("source", text(&json!(evidence.source))),
            ("text", text(&json!(evidence.text))),
        ])
    });
    let evidence: Vec<String> = evidence.collect();
    let mut fields = report_fields(&explanation.report);
    fields.push(("evidence", format!("[{}]", evidence.join(","))));
    line(&fields)
}

/// `{"error":{"kind":...,"message":...}}`.
pub(super) fn complaint_json(complaint: &Complaint) -> String {
    let error = object(&[
        ("kind", text(&json!(complaint.kind))),
        ("message", text(&json!(complaint.messages.join(": ")))),
    ]);
    line(&[("error", error)])
}

pub(super) fn warning_json(message: &str) -> String {
    let warning = object(&[("message", text(&json!(message)))]);
    line(&[("warning", warning)])
}

fn report_fields(report: &Report) -> Fields {
    let uuid = report.uuid.map(|uuid| uuid.to_string());
    let mut fields = vec![
        ("name", text(&json!(report.name.as_str()))),
        ("uuid", text(&json!(uuid))),
        ("id", text(&json!(report.id))),
        ("run", text(&json!(report.run))),
    ];
    fields.extend(ordered_answer(&report.answer));
    fields.push(("supervisor", text(&json!(report.supervisor))));
    fields
}

fn ordered_answer(answer: &Answer) -> Fields {
    let values = answer_fields(answer);
    let plain = ["state", "reason", "since", "certainty"];
    let plain = plain.map(|key| (key, text(values.get(key).unwrap_or(&Value::Null))));
    let cause = answer.cause.as_ref().map(ordered_cause);
    let cause = ("cause", cause.unwrap_or_else(|| "null".to_owned()));
    plain.into_iter().chain([cause]).collect()
}

fn ordered_cause(cause: &Cause) -> String {
    let fields = cause_fields(cause).into_iter();
    let fields: Fields = fields.map(|(key, value)| (key, text(&value))).collect();
    object(&fields)
}

fn text(value: &Value) -> String {
    value.to_string()
}

fn object(fields: &[(&'static str, String)]) -> String {
    let fields = fields
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"));
    let fields: Vec<String> = fields.collect();
    format!("{{{}}}", fields.join(","))
}

fn line(fields: &[(&'static str, String)]) -> String {
    format!("{}\n", escaped_json(&object(fields)))
}
