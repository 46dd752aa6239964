//! The supervisor's side of the record: the running fold, its checkpoints, and the bounds of journal and log.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::domain::{
    Answer, BootId, Checkpoint, Event, Exit, Exited, Fold, Life, OomKill, Record, Rules, Timestamp,
};
use crate::journal::{Journal, LINE_ROOM_BYTES};
use crate::observe::{boot_id, now, replay};
use crate::store::{Log, RunFolder, StoredCheckpoint, Sync};

/// How much journal may gather in front of the next checkpoint in the journal itself. A guest that floods it writes
/// about a megabyte a second, and on a busy host goes on for a second or two before the front is given up.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024;

/// The room for last words that is always kept behind the journal's end.
const RESERVE_BYTES_MIN: u64 = 16 * 1024;

/// What is kept in front of a checkpoint in the journal, as evidence.
const KEPT_BYTES: u64 = 32 * 1024;

/// What the journal of a run that has ended may take.
const OLD_JOURNAL_BYTES_MAX: u64 = 64 * 1024;

/// How often a checkpoint in the journal is tried while QEMU writes in between.
const CHECKPOINT_TRIES: u32 = 50;

/// How long after a failed checkpoint the next is tried.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the journal had grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Some,
    None,
}

/// What was seen of the end of a process.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) pid: Option<u32>,
    pub(super) exit: Option<Exit>,
    pub(super) oom: Option<OomKill>,
}

/// Whether lines may have been lost that left no stump: QEMU, too, may have had no room for what it had to say, or a file
/// system that nobody may write to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Or it is on record.
    None,
    Feared,
}

#[derive(Debug)]
pub(super) struct Recorder {
    run: RunFolder,
    /// The same folder, whatever its path leads to by now.
    folder: File,
    journal: Journal,
    log: Log,
    boot: BootId,
    fold: Fold,
    offset: u64,
    last_at: Option<Timestamp>,
    /// Everything before this was given up.
    front: u64,
    /// Up to here the disk has room for what is written, as far as is known.
    reserved_to: u64,
    /// What the checkpoint on the disk says, and whether it knows QEMU's process.
    saved: Option<(Answer, bool)>,
    retry_at: Option<Instant>,
    /// Behind the last checkpoint in the journal itself, if one was met.
    checkpoint_end: Option<u64>,
    qemu_spoke: bool,
    loss: Loss,
    /// What we did, while there is no room for it: oldest first.
    owed: Vec<Record>,
    /// The end of a process is in the journal, and not on the disk yet.
    is_exit_written: bool,
}

impl Recorder {
    /// Opens the record of `run` and folds it as every reader does.
    pub(super) fn open(run: &RunFolder) -> Result<Self> {
        let folder = File::open(run.path())?;
        let journal = Journal::open(run.path())?;
        let replay = replay(run)?;
        // What the one before us feared is on record only now.
        let loss = match journal.is_loss_feared() {
            true => Loss::Feared,
            false => Loss::None,
        };
        Ok(Self {
            run: run.clone(),
            folder,
            journal,
            log: Log::open(run.path())?,
            boot: boot_id()?,
            qemu_spoke: replay.offset > 0,
            fold: replay.fold,
            offset: replay.offset,
            last_at: replay.last_at,
            front: 0,
            reserved_to: 0,
            saved: None,
            retry_at: None,
            checkpoint_end: None,
            loss,
            owed: Vec::new(),
            is_exit_written: false,
        })
    }

    pub(super) fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Whether the journal has grown since it was opened, so that QEMU may listen by now.
    pub(super) fn qemu_spoke(&self) -> bool {
        self.qemu_spoke
    }

    /// When to look again although nothing happened: a checkpoint could not be written, or lines of QEMU's.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        let is_feared = self.loss == Loss::Feared;
        let feared = is_feared.then(|| Instant::now() + RETRY_INTERVAL);
        self.retry_at.or(feared)
    }

    /// Folds what was written since.
    pub(super) fn catch_up(&mut self) -> io::Result<News> {
        // Somebody cut the journal: what is written now stands in front of where we came to. Read from its
        // beginning, as every reader does, but nothing twice.
        let is_cut = self.journal.length()? < self.offset;
        let newer_than = is_cut.then(|| self.last_at.unwrap_or_default());
        let gap = Record {
            at: None,
            event: Event::Gap,
        };
        if is_cut {
            (self.offset, self.front) = (0, 0);
            self.fold.apply(&gap);
        }
        let (fold, last_at, mark) = (&mut self.fold, &mut self.last_at, &mut self.checkpoint_end);
        let mut spoke = false;
        // What was folded before an error is not folded again.
        let read = self
            .journal
            .read_on(&mut self.offset, &mut |record: Record| {
                if newer_than.is_some_and(|last| record.at.is_none_or(|at| at <= last)) {
                    return;
                }
                spoke = true;
                *last_at = record.at.or(*last_at);
                if let Event::Checkpoint(checkpoint) = &record.event {
                    *mark = Some(checkpoint.offset);
                }
                fold.apply(&record);
                if is_cut && record.event.is_whole_fold() {
                    // The clock was set back since it was written: what was known of lost lines is to be known still.
                    fold.apply(&gap);
                }
            });
        self.qemu_spoke |= spoke;
        read?;
        Ok(if spoke { News::Some } else { News::None })
    }

    /// Writes an event of ours and folds it with what stands before it.
    pub(super) fn append(&mut self, event: &Event) -> io::Result<()> {
        self.journal.append(now(), event)?;
        self.catch_up().map(|_| ())
    }

    /// Writes down what we did; where there is no room for it, in front of the end at the latest.
    pub(super) fn note(&mut self, event: Event) {
        // What is tried again and again is owed once.
        self.owed.retain(|owed| owed.event != event);
        let at = Some(now());
        self.owed.push(Record { at, event });
        if self.pay().is_err() {
            self.fear_loss();
        }
    }

    fn pay(&mut self) -> io::Result<()> {
        while let Some(owed) = self.owed.first() {
            let at = owed.at.unwrap_or_default();
            self.journal.append(at, &owed.event)?;
            self.owed.remove(0);
            self.catch_up()?;
        }
        Ok(())
    }

    /// Puts an end on the disk.
    pub(super) fn record_exit(&mut self, end: &End) -> io::Result<()> {
        if self.is_exit_written {
            // Not again and again. But the kernel tells once that what was written is lost, and no second time.
            self.journal.sync()?;
        }
        let written = self.write_exit(end);
        if written.is_err() {
            self.fear_loss();
        }
        written?;
        self.is_exit_written = true;
        self.journal.sync()?;
        self.is_exit_written = false;
        Ok(())
    }

    fn write_exit(&mut self, end: &End) -> io::Result<()> {
        self.note_loss()?;
        self.pay()?;
        let event = self.exited(end);
        self.append(&event)
    }

    /// Takes an end as known that could not be written down.
    pub(super) fn presume_exit(&mut self, end: &End) {
        if std::mem::take(&mut self.is_exit_written) {
            return;
        }
        let exited = self.exited(end);
        let record = |event| Record {
            at: Some(now()),
            event,
        };
        let owed = std::mem::take(&mut self.owed);
        self.fold.apply(&record(Event::Gap));
        owed.iter().for_each(|owed| self.fold.apply(owed));
        self.fold.apply(&record(exited));
    }

    fn exited(&self, end: &End) -> Event {
        Event::Exited {
            pid: end.pid,
            exit: end.exit,
            boot: self.boot.clone(),
            // By the open file: its folder may have another name by now.
            words: self.log.words().unwrap_or_default(),
            oom: end.oom.clone().map(Box::new),
        }
    }

    /// Writes the checkpoint if the answer is another than the one on the disk. Whether it was written.
    pub(super) fn checkpoint_if_news(&mut self) -> bool {
        let news = (self.fold.answer(&Life::Lives), self.fold.qemu.is_some());
        let is_due = self.retry_at.is_none_or(|at| at <= Instant::now());
        if self.saved.as_ref() == Some(&news) || !is_due {
            return false;
        }
        // The journal first: a checkpoint must never know more than the journal that it sums up.
        let written = self
            .journal
            .sync()
            .and_then(|()| self.save(&news.0, Sync::Light));
        self.retry_at = written.is_err().then(|| Instant::now() + RETRY_INTERVAL);
        if written.is_ok() {
            self.saved = Some(news);
        }
        written.is_ok()
    }

    /// The run's folder, whatever its path leads to by now.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Whether the run's folder still is ours: the domain may have been undefined, and one of the same name started, with
    /// a first run of its own.
    pub(super) fn is_current(&self) -> bool {
        let identity = |folder: Metadata| (folder.dev(), folder.ino());
        let there = std::fs::metadata(self.run.path()).map(identity);
        let ours = self.folder.metadata().map(identity);
        there.is_ok_and(|there| ours.is_ok_and(|ours| ours == there))
    }

    fn save(&self, answer: &Answer, sync: Sync) -> io::Result<()> {
        if !self.is_current() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the run's folder is gone",
            ));
        }
        let last = (self.offset, self.last_at);
        let stored = StoredCheckpoint::new(self.fold.clone(), last.0, last.1, self.journal.file())?;
        stored.save(&self.run, answer, sync)
    }

    /// Gives up what the journal and the log no longer need. A disk or file system that cannot is no reason to
    /// stop watching.
    pub(super) fn bound(&mut self) {
        let _ = self.log.bound();
        if self.offset.saturating_sub(self.front) > JOURNAL_BYTES_MAX {
            let _ = self.give_up_front();
        }
        if self.offset + RESERVE_BYTES_MIN > self.reserved_to {
            match self.journal.reserve() {
                Ok(reserved_to) => self.reserved_to = reserved_to,
                Err(_) => return self.make_do(),
            }
        }
        let _ = self.note_loss().and_then(|()| self.pay());
    }

    /// On a full disk what room there is must do; more is asked for at the next event.
    fn make_do(&mut self) {
        let needed_to = self.offset + LINE_ROOM_BYTES;
        // To ask is news to all who watch the folder, us among them: not twice for the same.
        if needed_to > self.reserved_to {
            match self.journal.keep_line_room() {
                Ok(reserved_to) => {
                    self.reserved_to = reserved_to;
                    let _ = self.note_loss();
                }
                // xfs wants as much again for what is kept already.
                Err(_) if self.journal.keeps_room().unwrap_or(false) => {
                    self.reserved_to = needed_to;
                }
                // Nor has QEMU any, and what it cannot write it forgets.
                Err(_) => self.fear_loss(),
            }
        }
    }

    /// Readers are to know at once, and whoever comes after us.
    pub(super) fn fear_loss(&mut self) {
        if self.loss == Loss::None {
            self.loss = Loss::Feared;
            // One that nobody may write to at all says so itself.
            let _ = self.journal.set_loss_feared(true);
        }
    }

    fn note_loss(&mut self) -> io::Result<()> {
        // A verb may have found that it has no room.
        if self.loss == Loss::Feared || self.journal.is_loss_feared() {
            self.append(&Event::Gap)?;
            self.loss = Loss::None;
            let _ = self.journal.set_loss_feared(false);
        }
        Ok(())
    }

    /// Gives up the journal up to its last part, which is kept for people to read.
    fn give_up_front(&mut self) -> io::Result<()> {
        let Some(offset) = self.checkpoint_in_journal()? else {
            return Ok(());
        };
        // On the disk before what it replaces is gone.
        self.journal.sync()?;
        let front = offset.saturating_sub(KEPT_BYTES);
        self.journal.give_up_front(front)?;
        self.front = front;
        Ok(())
    }

    /// Appends the whole fold where it counts: directly behind the last line that is in it.
    fn checkpoint_in_journal(&mut self) -> io::Result<Option<u64>> {
        for _ in 0..CHECKPOINT_TRIES {
            self.catch_up()?;
            let offset = self.offset;
            let checkpoint = Checkpoint {
                fold: self.fold.clone(),
                rules: Rules::Ours,
                offset,
            };
            self.checkpoint_end = None;
            self.append(&Event::Checkpoint(Box::new(checkpoint)))?;
            if self.checkpoint_end == Some(offset) {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// The run is over: makes the files small and writes the last checkpoint.
    ///
    /// # Errors
    /// When there is no room for the checkpoint. Then there is none: an old one would tell other programs of a guest
    /// that runs.
    pub(super) fn conclude(&mut self) -> io::Result<()> {
        let _ = self.journal.release_reserve();
        let large = |bytes| bytes > OLD_JOURNAL_BYTES_MAX;
        if self.journal.disk_bytes().is_ok_and(large) {
            let _ = self.give_up_front();
        }
        let _ = self.log.shrink();
        let saved = self.save(&self.conclusion(), Sync::Durable);
        if saved.is_err() && self.is_current() {
            let _ = std::fs::remove_file(self.run.checkpoint());
        }
        saved
    }

    /// Puts what others have written on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.journal.sync()
    }

    /// Writes a checkpoint of a run that has ended, and leaves the one that is there if it cannot.
    pub(super) fn sum_up(&self) -> io::Result<()> {
        self.save(&self.conclusion(), Sync::Durable)
    }

    /// The answer now that QEMU is gone.
    pub(super) fn conclusion(&self) -> Answer {
        self.fold.answer(&Life::Gone(Exited {
            boot: self.boot.clone(),
            ..Exited::default()
        }))
    }
}
