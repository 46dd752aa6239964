//! Whose it is what QEMU writes of a guest: its events name nobody. A part of the fold's table.

use super::duty::{ENDING_JOBS, ends_guest};
use super::event::{StreamAnswer, Verb};
use super::fold::Fold;
use super::intent::Progress;
use super::job::{Job, PendingJob};
use super::state::State;
use super::trace::{Machine, Shutdown};
use super::transfer::{Copying, Transfer};

/// How far QEMU is with what it writes of the guest for a job. What it writes for anybody else looks the same: its events
/// name nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// It was not told to: what it writes is for somebody else.
    NotAsked,
    /// It was told to, or may have been, and writes nothing yet.
    NotBegun,
    /// It writes, or has written.
    Begun,
    /// It has given that up, or the guest ran on behind it: what it writes from then on is not for this job.
    BrokenOff,
}

impl Stream {
    /// What there is of it when the job is asked for.
    pub(super) fn of_new(job: &Job) -> Self {
        match job.announces {
            true => Self::NotAsked,
            false => Self::NotBegun,
        }
    }
}

impl Fold {
    /// Whose it is that QEMU writes from now on. A job has it write one stream.
    pub(super) fn stream_changed(&mut self, status: &str) {
        let is_under_way = self.is_under_way();
        let breaks_off = matches!(self.transfer, Transfer::Leaving(_)) && !self.is_handed_over();
        let runs = matches!(self.live, State::Running(_));
        let is_gone = self.transfer == Transfer::Left && !runs;
        let is_copy = self.is_copied_here();
        let Some(pending) = &mut self.job else {
            return;
        };
        // Of one that announces nothing: for all else the guest stands first.
        let may_be_ours = pending.job.announces || pending.verb == Verb::Migrate || !runs;
        pending.stream = match (status, pending.stream) {
            // Somebody else was first: this is what is left of it here.
            ("setup" | "active", Stream::NotBegun) if is_gone => Stream::NotAsked,
            ("setup", Stream::NotBegun) if may_be_ours => Stream::Begun,
            // The line before it is lost.
            ("active", Stream::NotBegun) if may_be_ours && !is_under_way => Stream::Begun,
            // One before was somebody else's, and has come to its end: QEMU does not do two at once.
            ("setup", Stream::Begun) if !pending.is_taken => Stream::Begun,
            ("setup", Stream::Begun) => Stream::BrokenOff,
            ("failed" | "cancelled", Stream::Begun) if breaks_off => Stream::BrokenOff,
            // The job's own has no end before QEMU's answer is on record.
            ("completed", Stream::Begun) if !pending.is_taken && is_copy => Stream::NotBegun,
            ("completed", Stream::Begun) if !pending.is_taken => Stream::NotAsked,
            (_, stream) => stream,
        };
        if pending.stream == Stream::BrokenOff && pending.verb == Verb::Migrate && breaks_off {
            // It was let go, and has not gone.
            pending.progress = Progress::Asked;
        }
    }

    /// From here on what QEMU begins to write is the job's.
    pub(super) fn stream_asked(&mut self, verb: Verb, pid: u32) {
        let ours = |job: &&mut PendingJob| job.verb == verb && job.job.worker.pid == pid;
        if let Some(pending) = self.job.as_mut().filter(ours) {
            pending.stream = Stream::NotBegun;
            pending.is_taken = false;
        }
    }

    /// Whether it was the job's what has begun since QEMU was told.
    pub(super) fn stream_answered(&mut self, verb: Verb, pid: u32, answer: StreamAnswer) {
        let ours = |job: &&mut PendingJob| job.verb == verb && job.job.worker.pid == pid;
        let Some(pending) = self.job.as_mut().filter(ours) else {
            return;
        };
        match answer {
            StreamAnswer::Taken => pending.is_taken = true,
            StreamAnswer::Refused => pending.stream = Stream::NotAsked,
        }
        if self.transfer == Transfer::Left {
            self.has_left();
        }
        match (answer, self.transfer) {
            (StreamAnswer::Taken, _) if self.is_known_as_jobs() => self.goes_away(),
            (StreamAnswer::Taken, _) => {}
            (StreamAnswer::Refused, Transfer::Leaving(Copying::Undecided)) => {}
            // Nothing holds back the last of what is somebody else's.
            (StreamAnswer::Refused, _) if !matches!(self.live, State::Running(_)) => {
                self.may_leave();
            }
            (StreamAnswer::Refused, _) => {}
        }
    }

    /// Whether what QEMU may be at is cancelled with the job. Where its answer is on no record another may have been first: a
    /// stream into a pipe ends by itself with whoever reads it, and a migration waits for a word of ours before the last of it,
    /// whoever has begun it.
    pub fn is_cancelled_with_job(&self) -> bool {
        self.job.as_ref().is_some_and(|pending| {
            let may_be_ours = matches!(pending.stream, Stream::NotBegun | Stream::Begun);
            may_be_ours && (pending.is_taken || pending.verb == Verb::Migrate)
        })
    }

    /// Whether QEMU may still be at what the job wants, and is to be waited for.
    pub fn may_be_written_for_job(&self) -> bool {
        let stream = self.job.as_ref().map(|pending| pending.stream);
        matches!(stream, Some(Stream::NotBegun | Stream::Begun))
    }

    /// Whether what QEMU writes, or has written, is what the job wants.
    pub fn is_written_for_job(&self) -> bool {
        let stream = self.job.as_ref().map(|pending| pending.stream);
        stream == Some(Stream::Begun)
    }

    /// The same, and QEMU has said that it is the job that it writes for.
    pub(super) fn is_known_as_jobs(&self) -> bool {
        let is_taken = self.job.as_ref().is_some_and(|pending| pending.is_taken);
        is_taken && self.is_written_for_job()
    }

    /// Whether the guest stands for what may be the job's or somebody else's: who holds back the last of it nobody knows.
    pub(super) fn may_be_sent_by_another(&self) -> bool {
        let goes = matches!(
            self.transfer,
            Transfer::Leaving(Copying::Undecided | Copying::PreCopy)
        );
        let ran = |shutdown: &Shutdown| shutdown.machine == Machine::Ran;
        let stands =
            !matches!(self.live, State::Running(_)) && !self.shutdown.as_ref().is_some_and(ran);
        goes && stands && self.is_written_for_job() && !self.is_known_as_jobs()
    }

    /// Whether somebody else sends the guest away, or has: to another QEMU or into a file, QEMU does not say.
    pub fn is_sent_by_another(&self) -> bool {
        let goes = matches!(self.transfer, Transfer::Leaving(_) | Transfer::Left);
        // Where QEMU's answer is on no record (its worker died before that came) another may have been first.
        let is_taken = self.job.as_ref().is_some_and(|pending| pending.is_taken);
        let is_ours = self.is_written_for_job() && (is_taken || !self.may_run_there());
        goes && !is_ours
    }

    /// Whether the job can come to nothing only: what it is to write QEMU has given up, or writes for somebody else.
    pub(super) fn is_in_vain(&self, pending: &PendingJob) -> bool {
        pending.stream == Stream::BrokenOff || self.is_sent_by_another()
    }

    /// Whether somebody else has sent the guest away.
    pub(super) fn was_sent_away(&self) -> bool {
        self.transfer == Transfer::Left && self.is_sent_by_another()
    }

    /// The guest runs on here: what was saved or sent of it is not what it is any more. What is still being written may yet
    /// become that.
    pub(super) fn take_back_job(&mut self) {
        // A STOP will tell when the last of it goes.
        self.goes_away();
        let is_over =
            matches!(self.transfer, Transfer::Left | Transfer::Failed) || self.is_handed_over();
        if let Some(pending) = &mut self.job {
            if pending.is_committed() && ends_guest(pending.verb) {
                pending.progress = Progress::Asked;
            }
            let is_missed = match pending.stream {
                // What is to be written would be of a guest that runs. Once QEMU was told to write, it stops it for the last.
                Stream::NotAsked => pending.verb != Verb::Migrate,
                Stream::NotBegun => pending.verb != Verb::Migrate && !pending.job.announces,
                Stream::Begun if is_over && !pending.is_taken => {
                    // It was a snapshot of somebody else's, just before QEMU was told: the job's own is to come.
                    pending.stream = Stream::NotBegun;
                    false
                }
                Stream::Begun => is_over,
                Stream::BrokenOff => true,
            };
            if is_missed {
                pending.stream = Stream::BrokenOff;
            }
        }
        for (verb, _) in ENDING_JOBS {
            self.intents.take_back(*verb);
        }
        if is_over {
            self.transfer = Transfer::None;
        } else if self.may_have_left() {
            self.transfer = Transfer::Leaving(Copying::PreCopy);
        }
    }
}
