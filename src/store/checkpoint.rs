//! `state.json`: the fold up to some byte of the journal, and the answer that follows from it, for programs
//! that would rather read a file than run a command. It saves time and is never the only truth: a reader that
//! finds it missing, damaged or strange folds the journal instead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::Result;
use serde_json::{Value, json};

use super::digest::digest;
use super::durable::{NewerFormat, read_json_of, write_durably, write_lightly};
use super::encode::answer_fields;
use super::paths::RunFolder;
use crate::domain::{Answer, Fold, Rules, Timestamp};
use crate::journal::{FOLD_FORMAT, fold_from_json, fold_to_json, rules_from_json, rules_to_json};

/// How much of the journal in front of a checkpoint its mark is made of.
const MARK_BYTES: u64 = 64;

/// A fold and where in the journal it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    pub fold: Fold,
    pub rules: Rules,
    /// The first byte of the journal that is not in it.
    pub offset: u64,
    /// The time of the last record in it.
    pub last_at: Option<Timestamp>,
    /// A digest of the bytes in front of `offset`, by which a journal that was tampered with is known.
    mark: u64,
}

/// Whether a journal is the one that a checkpoint was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    Agrees,
    /// The space in front was given up since: a newer checkpoint stands in the journal itself.
    Overtaken,
    /// It is another file, or was cut or overwritten.
    Differs(String),
}

impl StoredCheckpoint {
    /// Sums up `journal` before `offset` as `fold`, which this program has made.
    pub fn new(
        fold: Fold,
        offset: u64,
        last_at: Option<Timestamp>,
        journal: &File,
    ) -> io::Result<Self> {
        let mark = digest(&bytes_before(journal, offset)?);
        Ok(Self {
            fold,
            rules: Rules::Ours,
            offset,
            last_at,
            mark,
        })
    }

    /// Reads the checkpoint of `run`; `None` if there is none that can be believed.
    ///
    /// # Errors
    /// One that a newer domstate wrote: its journal cannot be trusted to mean what it seems to.
    pub fn load(run: &RunFolder) -> Result<Option<Self>> {
        match read_json_of(&run.checkpoint(), FOLD_FORMAT) {
            Ok(value) => Ok(Self::from_json(&value, run.number())),
            Err(error) if error.is::<NewerFormat>() => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn from_json(value: &Value, run: u32) -> Option<Self> {
        let number = |key| value.get(key).and_then(Value::as_u64);
        if number("run") != Some(u64::from(run)) {
            return None;
        }
        Some(Self {
            fold: fold_from_json(value.get("fold")?)?,
            rules: rules_from_json(value.get("rules")),
            offset: number("offset")?,
            last_at: number("last_at").map(Timestamp),
            mark: number("mark")?,
        })
    }

    /// Writes it as the checkpoint of `run`, with `answer` for other programs.
    pub fn save(&self, run: &RunFolder, answer: &Answer, sync: Sync) -> io::Result<()> {
        let mut value = json!({
            "format": FOLD_FORMAT,
            "name": run.domain().map(|d| d.name().to_string()),
            "run": run.number(),
        });
        if let Some(fields) = value.as_object_mut() {
            fields.extend(answer_fields(answer));
            fields.insert("offset".to_owned(), json!(self.offset));
            fields.insert("last_at".to_owned(), json!(self.last_at.map(|t| t.0)));
            fields.insert("mark".to_owned(), json!(self.mark));
            fields.insert("rules".to_owned(), rules_to_json(self.rules));
            fields.insert("fold".to_owned(), fold_to_json(&self.fold));
        }
        let text = format!("{value}\n");
        match sync {
            Sync::Durable => write_durably(&run.checkpoint(), text.as_bytes()),
            Sync::Light => write_lightly(&run.checkpoint(), text.as_bytes()),
        }
    }

    /// Looks whether `journal` still is what this was made of.
    pub fn compare(&self, journal: &File) -> io::Result<Agreement> {
        let length = journal.metadata()?.len();
        if length < self.offset {
            return Ok(Agreement::Differs(format!(
                "it is cut short: {length} bytes are left of at least {}",
                self.offset
            )));
        }
        let bytes = bytes_before(journal, self.offset)?;
        Ok(if digest(&bytes) == self.mark {
            Agreement::Agrees
        } else if bytes.first() == Some(&0) {
            Agreement::Overtaken
        } else {
            Agreement::Differs("it was overwritten".to_owned())
        })
    }
}

/// Whether a write waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    Durable,
    Light,
}

fn bytes_before(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let start = offset.saturating_sub(MARK_BYTES);
    let length = usize::try_from(offset - start).unwrap_or_default();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}
