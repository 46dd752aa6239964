//! A run's journal, folded, from its checkpoint on where that can be believed.

use std::fs::File;
use std::io;

use anyhow::{Context, Result};

use super::host::now;
use crate::domain::{Damage, Event, Fold, Record, Rules, Timestamp};
use crate::journal::{JOURNAL_FILE, Journal};
use crate::store::{Agreement, RunFolder, StoredCheckpoint};

/// So often a journal is read again whose front went meanwhile: each time its guest has flooded it with a hundred kilobytes more,
/// which takes a tenth of a second, and the reading of what is left a millisecond.
const REREADS_MAX: usize = 16;

/// A run's journal, folded.
#[derive(Clone, Debug)]
pub struct Replay {
    pub fold: Fold,
    /// The first byte of the journal that is not in `fold`.
    pub offset: u64,
    pub last_at: Option<Timestamp>,
    /// A line without its end stands behind `offset`.
    pub unfinished: bool,
    /// Why the journal cannot be believed whole.
    pub damage: Option<Damage>,
    /// Nobody could read on: what was written since the checkpoint is not in `fold`.
    pub(super) is_unread: bool,
    /// Lines may be lost that left no trace.
    pub(super) is_loss_feared: bool,
    /// Up to here nothing was read: it had been given back, or a checkpoint stands for it.
    front: u64,
}

impl Replay {
    pub(super) fn apply(&mut self, record: &Record) {
        self.fold.apply(record);
        self.last_at = record.at.or(self.last_at);
    }

    /// Takes the last line, which has no end, for what it will be once whoever writes next has given it one, so that nothing else is
    /// told until then: a whole one, or lines that are lost.
    pub fn end_line(&mut self, run: &RunFolder) {
        let read = || Journal::open_read_only(run.path())?.read_unended(self.offset);
        let whole = match self.damage {
            None => read().ok().flatten(),
            Some(_) => None,
        };
        self.apply(&whole.unwrap_or_else(gap));
    }
}

/// Folds the journal of `run`, from its checkpoint on where that can be believed.
///
/// # Errors
/// A checkpoint in a newer format. A journal that cannot be read is damage, which the answer tells of.
pub fn replay(run: &RunFolder) -> Result<Replay> {
    let mut replay = replay_once(run)?;
    // Its front may have been given up meanwhile, for a checkpoint that was written behind what was read.
    for _ in 0..REREADS_MAX {
        if replay.fold.launch.is_some() && !replay.fold.gap {
            break;
        }
        let journal = Journal::open_read_only(run.path());
        if !journal.is_ok_and(|journal| journal.front() > replay.front) {
            break;
        }
        replay = replay_once(run)?;
    }
    Ok(replay)
}

fn replay_once(run: &RunFolder) -> Result<Replay> {
    let checkpoint =
        StoredCheckpoint::load(run).with_context(|| format!("{}", run.checkpoint().display()))?;
    let damage = |why: String| {
        Some(Damage {
            file: run.relative(JOURNAL_FILE),
            why,
        })
    };
    let read = Journal::open_read_only(run.path()).and_then(|journal| {
        // Before it is read: whoever takes that back has written there first.
        let is_loss_feared = journal.is_loss_feared();
        let mut replay = read(&journal, checkpoint.as_ref(), &damage)?;
        replay.is_loss_feared = is_loss_feared;
        Ok((replay, journal))
    });
    let (mut replay, journal) = match read {
        Ok(read) => read,
        Err(error) => {
            let mut replay = start(checkpoint.as_ref());
            replay.damage = damage(error.to_string());
            replay.is_unread = true;
            return Ok(replay);
        }
    };
    if replay.fold.launch.is_none() && replay.damage.is_none() {
        replay.damage = damage(describe(journal.file()));
    }
    Ok(replay)
}

/// Folds `journal` on top of `checkpoint`, as far as they fit together.
fn read(
    journal: &Journal,
    checkpoint: Option<&StoredCheckpoint>,
    damage: &dyn Fn(String) -> Option<Damage>,
) -> io::Result<Replay> {
    let read = |replay: &mut Replay, newer_than: Option<Timestamp>| -> io::Result<()> {
        // What a checkpoint stands for is not read.
        replay.front = match replay.offset {
            0 => journal.front(),
            offset => offset,
        };
        let end = journal.read(replay.offset, &mut |record| {
            if newer_than.is_none_or(|last| record.at.is_some_and(|at| at > last)) {
                replay.apply(&record);
                if newer_than.is_some() && record.event.is_whole_fold() {
                    // The clock was set back since it was written: what was known of lost lines is to be known still.
                    replay.fold.apply(&gap());
                }
            }
        })?;
        (replay.offset, replay.unfinished) = (end.offset, end.unfinished);
        Ok(())
    };
    let agreement = checkpoint.map(|c| c.compare(journal.file()));
    // Of what others have told of an end there may be no more than that.
    let is_believed = checkpoint.is_some_and(|c| {
        let is_all = || c.fold.has_end() && journal.has_lost_front();
        c.rules == Rules::Ours || is_all()
    });
    Ok(match agreement.transpose()? {
        Some(Agreement::Agrees) if is_believed => {
            let mut replay = start(checkpoint);
            read(&mut replay, None)?;
            replay
        }
        Some(Agreement::Differs(why)) => {
            // What the checkpoint knew, and what was written since into whatever the journal is now.
            let mut replay = start(checkpoint);
            replay.damage = damage(why);
            replay.apply(&gap());
            let last = replay.last_at.unwrap_or_default();
            replay.offset = 0;
            read(&mut replay, Some(last))?;
            replay
        }
        // What others have folded is there to be folded by our rules.
        Some(Agreement::Agrees | Agreement::Overtaken) | None => {
            let mut replay = start(None);
            read(&mut replay, None)?;
            replay
        }
    })
}

/// What stands for lines that are lost.
pub(super) fn gap() -> Record {
    Record {
        at: None,
        event: Event::Gap,
    }
}

/// The same where they are only feared to be, wherever that may be.
pub(super) fn feared_loss() -> Record {
    Record {
        at: Some(now()),
        event: Event::Gap,
    }
}

fn start(checkpoint: Option<&StoredCheckpoint>) -> Replay {
    Replay {
        fold: match checkpoint.map(|c| (c.rules, &c.fold)) {
            Some((Rules::Ours, fold)) => fold.clone(),
            Some((Rules::Others, fold)) => fold.of_others(),
            None => Fold::default(),
        },
        offset: checkpoint.map_or(0, |c| c.offset),
        last_at: checkpoint.and_then(|c| c.last_at),
        unfinished: false,
        damage: None,
        is_unread: false,
        is_loss_feared: false,
        front: 0,
    }
}

fn describe(journal: &File) -> String {
    match journal.metadata() {
        Ok(metadata) if metadata.len() == 0 => "it is empty".to_owned(),
        Ok(_) => "its beginning cannot be read".to_owned(),
        Err(error) => error.to_string(),
    }
}
