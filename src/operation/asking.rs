//! The trace that a verb leaves: asked, sent, done or failed.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};

use crate::domain::{Actor, Event, Job, StreamAnswer, Verb};
use crate::journal::{JOURNAL_FILE, Journal};
use crate::observe::now;
use crate::store::{Lock, RunFolder};
use crate::sys;

/// The longest command line that is kept of who asked.
const COMMAND_BYTES_MAX: usize = 200;

/// Why a line is not sure to be on the disk.
enum NotWhole {
    /// At most a part of it stands in the journal.
    Unwritten(std::io::Error),
    Unsynced(std::io::Error),
}

impl NotWhole {
    fn into_inner(self) -> std::io::Error {
        match self {
            Self::Unwritten(error) | Self::Unsynced(error) => error,
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Asking {
    journal: Journal,
    verb: Verb,
    pid: u32,
    /// The announcement, while there is no room for it.
    unwritten: RefCell<Option<Event>>,
    /// It was tried to say that the job is carried out: that may come true later, by the next line's newline.
    may_be_carried_out: Cell<bool>,
    /// Says that the worker of the job lives.
    job_lock: Option<Lock>,
}

impl Asking {
    /// Announces in the journal of `run` that this process is about to do `verb`.
    ///
    /// # Errors
    /// When it cannot be written: what nobody could explain afterwards must not be done. Only `destroy` is, on a full
    /// disk.
    pub fn begin(run: &RunFolder, verb: Verb) -> Result<Self> {
        Self::begin_with(run, verb, None)
    }

    /// The same; on return that is on the disk, with everything before it.
    pub fn begin_durably(run: &RunFolder, verb: Verb) -> Result<Self> {
        let asking = Self::begin(run, verb)?;
        asking.journal.sync()?;
        Ok(asking)
    }

    /// The same for a job, which is in the journal on the disk when this returns: whoever finds what it left behind must
    /// know whose it is. As long as the request is there, the job has its worker.
    pub fn begin_job(run: &RunFolder, verb: Verb, job: Job) -> Result<Self> {
        let context = || format!("cannot write {}", run.job_lock().display());
        let Some(lock) = Lock::try_take(&run.job_lock()).with_context(context)? else {
            bail!("Requested operation is not valid: another process is at it");
        };
        let mut asking = Self::begin_with(run, verb, Some(Box::new(job)))?;
        asking.job_lock = Some(lock);
        asking.journal.sync()?;
        Ok(asking)
    }

    fn begin_with(run: &RunFolder, verb: Verb, job: Option<Box<Job>>) -> Result<Self> {
        // What the journal is too large for fails, and does not end us half-way.
        sys::survive_file_size_limit();
        let context = || format!("cannot write {}", run.path().join(JOURNAL_FILE).display());
        let journal = Journal::open(run.path()).with_context(context)?;
        let actor = actor();
        let pid = actor.pid;
        let asked = Event::Asked { verb, actor, job };
        let written = journal.append(now(), &asked);
        let unwritten = match written {
            Ok(()) => None,
            // A full disk must not keep anybody from ending a guest: it may be what fills it.
            Err(error) if verb == Verb::Destroy && is_full(&error) => {
                // Nor may what QEMU says have any.
                let _ = journal.set_loss_feared(true);
                Some(asked)
            }
            Err(error) => return Err(error).with_context(context),
        };
        Ok(Self {
            journal,
            verb,
            pid,
            unwritten: RefCell::new(unwritten),
            may_be_carried_out: Cell::new(false),
            job_lock: None,
        })
    }

    /// Says that the guest which is about to be loaded may have panicked in lines that were lost.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn may_have_panicked(&self) -> Result<()> {
        let lost = self.journal.append(now(), &Event::Gap);
        lost.context("cannot write the journal")
    }

    /// Whether the announcement stands in the journal.
    pub fn is_written(&self) -> bool {
        self.unwritten.borrow().is_none()
    }

    /// Writes down what there was no room for before. Whether everything stands in the journal now.
    fn catch_up(&self) -> bool {
        let mut unwritten = self.unwritten.borrow_mut();
        if let Some(asked) = unwritten.as_ref()
            && self.journal.append(now(), asked).is_ok()
        {
            *unwritten = None;
        }
        unwritten.is_none()
    }

    /// QEMU is about to be told to write the guest: what it begins behind this line is the job's.
    ///
    /// # Errors
    /// When it cannot be written: then QEMU must not be told.
    pub fn stream_asked(&self) -> Result<()> {
        let (verb, pid) = (self.verb, self.pid);
        let written = self
            .journal
            .append(now(), &Event::StreamAsked { verb, pid });
        written.context("cannot write the journal")
    }

    /// QEMU has answered that.
    ///
    /// # Errors
    /// When it cannot be written: then nobody knows whose it is what QEMU writes.
    pub fn stream_answered(&self, answer: StreamAnswer) -> Result<()> {
        let (verb, pid) = (self.verb, self.pid);
        let answered = Event::StreamAnswered { verb, pid, answer };
        let written = self.journal.append(now(), &answered);
        written.context("cannot write the journal")
    }

    /// It acted. A line that cannot be written now is no reason to undo what was done.
    pub fn sent(&self) {
        let (verb, pid) = (self.verb, self.pid);
        if self.catch_up() {
            let _ = self.journal.append(now(), &Event::Sent { verb, pid });
        }
    }

    /// The job is carried out: from here on there is no way back.
    ///
    /// # Errors
    /// When that is not sure to be on the disk. Then it may be, or not.
    pub fn carried_out(&self) -> Result<()> {
        let (verb, pid) = (self.verb, self.pid);
        let written = self.write_whole(&Event::Sent { verb, pid });
        // What stands there in part may come to be a line by the next one's newline. Nothing may.
        let is_there = || self.journal.has_unfinished_line().unwrap_or(true);
        let may_be = match &written {
            Ok(()) | Err(NotWhole::Unsynced(_)) => true,
            Err(NotWhole::Unwritten(_)) => is_there(),
        };
        self.may_be_carried_out.set(may_be);
        written
            .map_err(NotWhole::into_inner)
            .context("cannot write the journal")
    }

    /// Whether it is carried out, or may be by the next line.
    pub fn may_be_carried_out(&self) -> bool {
        self.may_be_carried_out.get()
    }

    /// It is going to be undone. On return that is on the disk: whoever comes in between must not finish what is half undone.
    ///
    /// # Errors
    /// When it is not sure to be: then nothing of it may be undone.
    pub fn taken_back(&self) -> Result<()> {
        let (verb, pid) = (self.verb, self.pid);
        let written = self.write_whole(&Event::TakenBack { verb, pid });
        written
            .map_err(NotWhole::into_inner)
            .context("cannot write the journal")
    }

    /// Puts a line on the disk, all of it or nothing.
    fn write_whole(&self, event: &Event) -> Result<(), NotWhole> {
        let has_room = self.journal.ensure_line_room();
        has_room
            .and_then(|()| self.journal.append(now(), event))
            .map_err(NotWhole::Unwritten)?;
        self.journal.sync().map_err(NotWhole::Unsynced)
    }

    /// What was asked for came true.
    pub fn done(self) {
        let (verb, pid) = (self.verb, self.pid);
        let _ = self.journal.append(now(), &Event::Done { verb, pid });
    }

    /// The same, on the disk with everything that was written before it.
    pub fn done_durably(self) {
        let (verb, pid) = (self.verb, self.pid);
        if self.catch_up() {
            let _ = self.journal.append(now(), &Event::Done { verb, pid });
        }
        let _ = self.journal.sync();
    }

    /// It gave up.
    pub fn failed_durably(self, message: &str) {
        let (verb, pid) = (self.verb, self.pid);
        let message = message.to_owned();
        let failed = Event::Failed { verb, pid, message };
        let _ = self.journal.append(now(), &failed);
        let _ = self.journal.sync();
    }

    /// The same, where a power cut may take it back.
    pub fn failed(self, message: &str) {
        let (verb, pid) = (self.verb, self.pid);
        let message = message.to_owned();
        let _ = self
            .journal
            .append(now(), &Event::Failed { verb, pid, message });
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

/// Who this process acts for.
pub fn actor() -> Actor {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut command = words.join(" ");
    let mut end = command.len().min(COMMAND_BYTES_MAX);
    while !command.is_char_boundary(end) {
        end -= 1;
    }
    command.truncate(end);
    Actor {
        uid: nix::unistd::getuid().as_raw(),
        pid: std::process::id(),
        command,
    }
}

/// The chain of causes on one line, without the number that Rust adds to the system's words.
pub fn one_line(error: &anyhow::Error) -> String {
    let parts: Vec<String> = error
        .chain()
        .map(|part| {
            let os = part
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::raw_os_error);
            let errno = part.downcast_ref::<nix::errno::Errno>().copied();
            let errno = errno.or(os.map(nix::errno::Errno::from_raw));
            errno.map_or_else(|| part.to_string(), |errno| errno.desc().to_owned())
        })
        .collect();
    parts.join(": ").replace('\n', " ")
}
