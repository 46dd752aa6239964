//! A guest on its way from one QEMU to another, or out of a file.

use domstate::domain::{Begin, LaunchKind, Paused, Running, State, StreamAnswer, Verb};

use super::Guest;
use super::requests::{Asked, is_job};

/// Where a guest is that is sent to another QEMU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outgoing {
    No,
    /// QEMU is at it while it stands, and has not said of what kind it is.
    Undecided,
    /// Its memory is copied while it runs here.
    Copied,
    /// It runs there, and fetches from here.
    HandedOver,
    HandedOverAlone,
    Arrived,
}

/// What QEMU writes of a guest for a job. Its words name nobody: a job has it write once, and all else is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Written {
    /// It was not told to.
    Unasked,
    Nothing,
    ForJob,
    /// All of it.
    Whole,
    /// It gave up, or the guest ran on.
    Lost,
}

/// For so long after a guest was let go on QEMU may still say that nothing came of its migration.
const COMES_BACK_MICROS: u64 = 1_000_000;

impl Guest {
    /// The job that is under way, or was carried out.
    pub(super) fn job(&self) -> Option<Verb> {
        let job = self.asked.iter().rev().find(|asked| is_job(asked.verb));
        job.map(|asked| asked.verb)
    }

    /// It may take the last step to where we send it.
    pub(crate) fn may_go(&self) -> bool {
        let acted = |asked: &Asked| asked.verb == Verb::Migrate && asked.acted;
        self.asked.iter().any(acted)
    }

    /// What QEMU is at is a snapshot of ours, unless it says otherwise, or that one is whole.
    pub(crate) fn is_being_kept(&self) -> bool {
        let job = self.asked.iter().rev().find(|asked| is_job(asked.verb));
        let keeps = |verb| matches!(verb, Verb::SnapshotCreate | Verb::SnapshotHalt);
        job.is_some_and(|job| keeps(job.verb) && !job.acted)
    }

    /// The same, and once it has gone QEMU has said so.
    pub(crate) fn is_told_as_ours(&self) -> bool {
        let is_there = self.outgoing == Outgoing::Arrived || self.may_go();
        self.is_written_for_job() && (self.is_taken || !is_there)
    }

    /// QEMU writes it, and has not answered yet whether for us.
    pub(crate) fn may_be_anothers(&self) -> bool {
        self.job().is_some() && self.written == Written::ForJob && !self.is_taken
    }

    pub(crate) fn is_written_for_job(&self) -> bool {
        self.job().is_some() && matches!(self.written, Written::ForJob | Written::Whole)
    }

    /// QEMU is about to be told to write it, whatever was of it before.
    pub(super) fn told_to_write(&mut self, verb: Verb, pid: u32) {
        let is_it = |asked: &&mut Asked| (asked.verb, asked.pid) == (verb, pid);
        if self.job() == Some(verb)
            && let Some(asked) = self.asked.iter_mut().rev().find(is_it)
        {
            asked.void = false;
            self.written = Written::Nothing;
            self.is_taken = false;
        }
    }

    /// QEMU's answer to that: before it another may have been first.
    pub(super) fn told_whose_it_is(&mut self, verb: Verb, pid: u32, answer: StreamAnswer) {
        let is_it = |asked: &Asked| (asked.verb, asked.pid) == (verb, pid);
        if self.job() != Some(verb) || !self.asked.iter().any(is_it) {
            return;
        }
        match answer {
            StreamAnswer::Taken => self.is_taken = true,
            StreamAnswer::Refused => self.written = Written::Unasked,
        }
        if self.is_taken && self.outgoing == Outgoing::Arrived && self.is_written_for_job() {
            if verb == Verb::Migrate {
                self.is_carried_out();
            } else {
                self.outgoing = Outgoing::No;
            }
        }
    }

    /// The guest is where it was to go, whoever lives to see it.
    fn is_carried_out(&mut self) {
        let mut asked = self.asked.iter_mut();
        if let Some(asked) = asked.find(|asked| asked.verb == Verb::Migrate) {
            asked.acted = !asked.void;
        }
    }

    fn write(&mut self, word: &str) {
        let has_gone = self.outgoing == Outgoing::Arrived && !self.runs();
        let is_copy = self.may_be_snapshot || self.runs() && !self.gap;
        self.written = match (self.written, word) {
            // The rest of what somebody else has sent away.
            (Written::Nothing, "setup") if has_gone => Written::Unasked,
            (Written::Nothing, "setup") => Written::ForJob,
            // Ours ends after QEMU's answer: this was another's.
            (Written::ForJob, "completed") if !self.is_taken && is_copy => Written::Nothing,
            (Written::ForJob, "completed") if !self.is_taken => Written::Unasked,
            (Written::ForJob, "completed") => Written::Whole,
            // One before was another's, and is over.
            (Written::ForJob | Written::Whole, "setup") if !self.is_taken => Written::ForJob,
            (Written::ForJob | Written::Whole, "setup") => Written::Lost,
            (Written::ForJob, "failed" | "cancelled") => Written::Lost,
            (written, _) => written,
        };
    }

    pub(super) fn reason_outgoing(&self) -> Option<Paused> {
        match self.outgoing {
            Outgoing::No | Outgoing::Arrived => None,
            Outgoing::HandedOver => Some(Paused::PostCopy),
            Outgoing::HandedOverAlone => Some(Paused::PostCopyFailed),
            Outgoing::Undecided | Outgoing::Copied => Some(Paused::Migrating),
        }
    }

    pub(super) fn migration(&mut self, word: &str) {
        if let Some(job) = self.job() {
            let was_written = self.is_written_for_job();
            self.write(word);
            if was_written && !self.is_written_for_job() && word == "completed" {
                self.outgoing = match self.written {
                    Written::Nothing => Outgoing::No,
                    _ => Outgoing::Arrived,
                };
                if self.outgoing == Outgoing::Arrived {
                    self.will_not_run_here();
                }
                return;
            }
            self.may_be_snapshot = word == "setup" && !self.runs() && !self.gap && !self.is_taken;
            // A file, or the guest's own disks, are where it goes.
            if job != Verb::Migrate && self.is_written_for_job() {
                return;
            }
        }
        match self.kind {
            LaunchKind::Incoming if !self.all_here => self.incoming(word),
            LaunchKind::Restore if !self.began && !self.all_here => self.loading(word),
            _ => self.outgoing(word),
        }
    }

    /// A restored guest that has gone.
    fn will_not_run_here(&mut self) {
        if self.state == State::Paused(Paused::StartingUp) {
            self.stand(Paused::Migrating);
        }
    }

    pub(super) fn loading(&mut self, word: &str) {
        if word == "completed" {
            self.all_here = true;
            if self.begin == Begin::Paused {
                self.arrived_standing();
            }
        }
    }

    pub(super) fn incoming(&mut self, word: &str) {
        match word {
            "postcopy-active" => {
                self.post_copy = true;
                if self.runs() {
                    self.run(Running::PostCopy);
                }
            }
            "postcopy-paused" if self.runs() => self.run(Running::PostCopyFailed),
            "completed" => {
                self.all_here = true;
                match self.state {
                    State::Running(Running::PostCopy | Running::PostCopyFailed) => {
                        self.run(Running::Migrated);
                    }
                    _ if !self.began => self.arrived_standing(),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    pub(super) fn outgoing(&mut self, word: &str) {
        if self.outgoing == Outgoing::Arrived && !self.runs() && !self.is_written_for_job() {
            // It is elsewhere, whatever is made of what is left here.
            return;
        }
        let was_copied = matches!(self.outgoing, Outgoing::Undecided | Outgoing::Copied);
        let is_anothers = !self.is_written_for_job() && !self.runs();
        self.outgoing = match word {
            "setup" if is_anothers && (!self.gap || self.is_being_kept()) => Outgoing::Undecided,
            "setup" | "active" => Outgoing::Copied,
            // A snapshot.
            "completed" if self.outgoing == Outgoing::Undecided => Outgoing::No,
            // A copy of it.
            "completed" if self.runs() && !self.gap && !self.is_written_for_job() => Outgoing::No,
            "postcopy-active" | "postcopy-device" => Outgoing::HandedOver,
            "postcopy-paused" => Outgoing::HandedOverAlone,
            "completed" => Outgoing::Arrived,
            "failed" | "cancelled" => Outgoing::No,
            _ => self.outgoing,
        };
        let is_there = self.outgoing == Outgoing::Arrived;
        if is_there {
            self.will_not_run_here();
        }
        if is_there && word == "completed" && self.is_written_for_job() && self.is_taken {
            self.is_carried_out();
        }
        let was_sent = self.job().is_none_or(|verb| verb == Verb::Migrate);
        let is_young = self.now.abs_diff(self.runs_since) < COMES_BACK_MICROS;
        if matches!(word, "failed" | "cancelled")
            && was_copied
            && was_sent
            && self.state == State::Running(Running::Unpaused)
            && is_young
        {
            self.state = State::Running(Running::MigrationCanceled);
        }
        let is_for_it = matches!(
            self.state,
            State::Paused(Paused::Migrating | Paused::PostCopy | Paused::PostCopyFailed)
        );
        if is_for_it {
            match self.outgoing {
                Outgoing::HandedOver => self.stand(Paused::PostCopy),
                Outgoing::HandedOverAlone => self.stand(Paused::PostCopyFailed),
                _ => {}
            }
        }
    }
}
