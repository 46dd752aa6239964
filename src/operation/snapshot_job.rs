//! QEMU's own jobs on internal snapshots (`snapshot-save`, `snapshot-load`, `snapshot-delete`; 6.0 and later).
//!
//! QEMU does them in its main loop and answers nobody meanwhile. A job that is over keeps its id, and what came of it,
//! until it is dismissed: so whoever finds one whose worker died learns how far it came.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::settle::answer_by;
use crate::qemu::{Control, ControlError};

/// The id of our jobs: there is one at a time.
const JOB_ID: &str = "domstate-snapshot";

/// How long a job may take: it writes or reads the guest's memory.
const JOB_TIMEOUT: Duration = Duration::from_secs(3600);

/// How often it is asked for.
const JOB_INTERVAL: Duration = Duration::from_millis(5);

/// What QEMU is to do.
pub(super) struct SnapshotJob {
    command: &'static str,
    arguments: Value,
}

impl SnapshotJob {
    /// Takes a snapshot of this name into all of `nodes`, the guest's memory into the first.
    pub(super) fn save(tag: &str, nodes: &[&str]) -> Self {
        let memory = nodes.first().unwrap_or(&"");
        Self {
            command: "snapshot-save",
            arguments: json!({"job-id": JOB_ID, "tag": tag, "vmstate": memory, "devices": nodes}),
        }
    }

    /// Loads it from `nodes`, the guest's memory from the node `memory`.
    pub(super) fn load(tag: &str, nodes: &[&str], memory: &str) -> Self {
        Self {
            command: "snapshot-load",
            arguments: json!({"job-id": JOB_ID, "tag": tag, "vmstate": memory, "devices": nodes}),
        }
    }

    /// Deletes it from `nodes`, as far as they hold it.
    pub(super) fn delete(tag: &str, nodes: &[&str]) -> Self {
        Self {
            command: "snapshot-delete",
            arguments: json!({"job-id": JOB_ID, "tag": tag, "devices": nodes}),
        }
    }
}

/// Why a job was not done.
#[derive(Debug)]
pub(super) enum JobError {
    /// The monitor failed: what became of the job is not known.
    Control(ControlError),
    /// QEMU's own words for what went wrong.
    Failed(String),
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control(error) => error.fmt(f),
            Self::Failed(why) => write!(f, "operation failed: {}", why.trim_end()),
        }
    }
}

impl std::error::Error for JobError {}

impl From<ControlError> for JobError {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

impl JobError {
    /// The same as an error that is known for the monitor's, if it is.
    pub(super) fn known(self) -> anyhow::Error {
        match self {
            Self::Control(error) => error.into(),
            Self::Failed(_) => self.into(),
        }
    }
}

/// Has QEMU do it and waits for the end. What came of it can be asked for until it is dismissed.
pub(super) fn run_job(control: &mut Control, job: &SnapshotJob) -> Result<(), JobError> {
    control.set_deadline(answer_by());
    let begun = control.execute(job.command, Some(job.arguments.clone()));
    match begun {
        Ok(_) => {}
        Err(ControlError::Refused { desc, .. }) => return Err(JobError::Failed(desc)),
        Err(error) => return Err(error.into()),
    }
    match settle_job(control)? {
        Some(Ended { error: Some(why) }) => Err(JobError::Failed(why)),
        Some(Ended { error: None }) => Ok(()),
        None => Err(JobError::Failed(
            "QEMU does not say what came of it".to_owned(),
        )),
    }
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
}

/// Waits until the job that QEMU has is over; `None` if it has none.
pub(super) fn settle_job(control: &mut Control) -> Result<Option<Ended>, ControlError> {
    let deadline = Instant::now() + JOB_TIMEOUT;
    loop {
        control.set_deadline(deadline);
        let jobs = control.execute("query-jobs", None)?;
        control.set_deadline(answer_by());
        let mut jobs = jobs.as_array().into_iter().flatten();
        let Some(job) = jobs.find(|job| word(job, "id") == Some(JOB_ID)) else {
            return Ok(None);
        };
        if word(job, "status") == Some("concluded") {
            let error = word(job, "error").map(str::to_owned);
            return Ok(Some(Ended { error }));
        }
        if Instant::now() >= deadline {
            return Err(ControlError::Timeout);
        }
        std::thread::sleep(JOB_INTERVAL);
    }
}

/// Frees the job's id. That there is none is no error.
pub(super) fn dismiss(control: &mut Control) {
    let _ = control.execute("job-dismiss", Some(json!({"id": JOB_ID})));
}

fn word<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
