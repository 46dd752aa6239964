//! What was asked for, and how far it came, as JSON.

use serde_json::{Value, json};

use super::encode::{asked_data, job_fields};
use super::parse::{actor_from_json, job_from_json, text, verb};
use crate::domain::{Copying, Intent, PendingJob, Progress, Stream, Timestamp, Transfer};

pub(super) fn intent_to_json(intent: &Intent) -> Value {
    let mut value = asked_data(intent.verb, &intent.actor);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("at".to_owned(), json!(intent.at.0));
        fields.insert("progress".to_owned(), json!(progress_word(intent.progress)));
        if intent.cut {
            fields.insert("cut".to_owned(), json!(true));
        }
    }
    value
}

fn progress_word(progress: Progress) -> &'static str {
    match progress {
        Progress::Asked => "asked",
        Progress::Sent => "sent",
        Progress::Done => "done",
    }
}

fn progress_from(word: &str) -> Option<Progress> {
    let all = [Progress::Asked, Progress::Sent, Progress::Done];
    all.into_iter().find(|p| progress_word(*p) == word)
}

pub(super) fn intent_from_json(value: &Value) -> Option<Intent> {
    let data = value.as_object()?;
    Some(Intent {
        verb: verb(data)?,
        actor: actor_from_json(data)?,
        at: Timestamp(data.get("at")?.as_u64()?),
        progress: progress_from(text(data, "progress")?)?,
        cut: data.get("cut").map_or(Some(false), Value::as_bool)?,
    })
}

pub(super) fn job_to_json(pending: &PendingJob) -> Value {
    let mut fields = job_fields(&pending.job);
    fields.insert("verb".to_owned(), json!(pending.verb.word()));
    fields.insert("pid".to_owned(), json!(pending.job.worker.pid));
    let progress = progress_word(pending.progress);
    fields.insert("progress".to_owned(), json!(progress));
    fields.insert("stream".to_owned(), json!(stream_word(pending.stream)));
    fields.insert("taken".to_owned(), json!(pending.is_taken));
    Value::Object(fields)
}

fn stream_word(stream: Stream) -> &'static str {
    match stream {
        Stream::NotAsked => "not asked",
        Stream::NotBegun => "not begun",
        Stream::Begun => "begun",
        Stream::BrokenOff => "broken off",
    }
}

fn stream_from(word: &str) -> Option<Stream> {
    let all = [
        Stream::NotAsked,
        Stream::NotBegun,
        Stream::Begun,
        Stream::BrokenOff,
    ];
    all.into_iter().find(|stream| stream_word(*stream) == word)
}

/// `transfer`: how far the guest is on its way, of which an older domstate took all for the job's.
pub(super) fn pending_job_from_json(value: &Value, transfer: Transfer) -> Option<PendingJob> {
    let data = value.as_object()?;
    let stream = match (data.get("stream"), transfer) {
        (Some(word), _) => stream_from(word.as_str()?)?,
        (None, Transfer::Leaving(_) | Transfer::Left) => Stream::Begun,
        (None, Transfer::Failed) => Stream::BrokenOff,
        (None, Transfer::None | Transfer::Arriving(_)) => Stream::NotBegun,
    };
    Some(PendingJob {
        verb: verb(data)?,
        progress: progress_from(text(data, "progress")?)?,
        stream,
        // An older domstate took all for its own.
        is_taken: data.get("taken").is_none_or(|taken| *taken == json!(true)),
        job: job_from_json(data)?,
    })
}

/// The words for a guest on its way; none for one that goes nowhere.
const TRANSFERS: &[(Transfer, &str)] = &[
    (Transfer::Arriving(Copying::PreCopy), "arriving"),
    (Transfer::Arriving(Copying::Last), "arriving at last"),
    (Transfer::Arriving(Copying::PostCopy), "arriving post-copy"),
    (Transfer::Arriving(Copying::Broken), "arriving broken"),
    (Transfer::Leaving(Copying::Undecided), "leaving or not"),
    (Transfer::Leaving(Copying::PreCopy), "leaving"),
    (Transfer::Leaving(Copying::Last), "leaving at last"),
    (Transfer::Leaving(Copying::PostCopy), "leaving post-copy"),
    (Transfer::Leaving(Copying::Broken), "leaving broken"),
    (Transfer::Left, "left"),
    (Transfer::Failed, "failed"),
];

pub(super) fn transfer_word(transfer: Transfer) -> Option<&'static str> {
    let row = TRANSFERS.iter().find(|(known, _)| *known == transfer);
    row.map(|(_, word)| *word)
}

pub(super) fn transfer_from(word: &str) -> Option<Transfer> {
    let row = TRANSFERS.iter().find(|(_, known)| *known == word);
    row.map(|(transfer, _)| *transfer)
}
