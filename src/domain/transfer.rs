//! A guest on its way from one QEMU to another, or into a file: QEMU calls both a migration. A part of the fold's table.
//!
//! The words of QEMU's MIGRATION event are those of `qapi/migration.json`, 7.2 to 11.1; their order differs between them,
//! so that no rule relies on more than one word and what the guest does.

use super::event::{Begin, LaunchKind, Timestamp, Verb};
use super::fold::Fold;
use super::intent::Progress;
use super::job::PendingJob;
use super::state::{Paused, Running, State};
use super::stream::Stream;

/// How long after the end of its way a guest that was handed over may begin to run: QEMU 7.2 loads the last of it and
/// starts it in two threads, and either may be first. Also how long before its word that nothing came of it QEMU may let
/// one go on.
const ARRIVING_MICROS: u64 = 1_000_000;

/// How far a guest is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// It goes nowhere.
    #[default]
    None,
    Arriving(Copying),
    Leaving(Copying),
    /// It has arrived where it went: it must not run here.
    Left,
    /// It did not go; if it stood for that, it still stands.
    Failed,
}

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// QEMU is about to write a guest that stands: a snapshot of somebody else's, if its next word is that it is complete.
    Undecided,
    /// The memory of a guest that runs at its source.
    PreCopy,
    /// The last of it: the guest may run at its destination already, and only QEMU can say.
    Last,
    /// The rest of it: the guest runs at its destination.
    PostCopy,
    /// The way broke off in the middle of that.
    Broken,
}

impl Copying {
    /// Why the guest stands at its source.
    pub(super) fn stands(self) -> Paused {
        match self {
            Self::Undecided | Self::PreCopy | Self::Last => Paused::Migrating,
            Self::PostCopy => Paused::PostCopy,
            Self::Broken => Paused::PostCopyFailed,
        }
    }

    /// Why it runs at its destination.
    pub(super) fn runs(self) -> Running {
        match self {
            Self::Undecided | Self::PreCopy | Self::Last => Running::Migrated,
            Self::PostCopy => Running::PostCopy,
            Self::Broken => Running::PostCopyFailed,
        }
    }
}

impl Fold {
    pub(super) fn migration_changed(&mut self, status: &str, at: Option<Timestamp>) {
        self.stream_changed(status);
        let runs = matches!(self.live, State::Running(_));
        if self.transfer == Transfer::Left && !runs && !self.is_written_for_job() {
            // What is left of it here may be sent after it, or kept: it runs elsewhere all the same.
            return;
        }
        match status {
            "setup" if self.is_here() => self.transfer = Transfer::Leaving(Copying::PreCopy),
            "setup" => self.transfer = Transfer::Arriving(Copying::PreCopy),
            "active" if !self.is_under_way() => {
                self.transfer = match self.is_here() {
                    true => Transfer::Leaving(Copying::PreCopy),
                    false => Transfer::Arriving(Copying::PreCopy),
                };
            }
            "postcopy-active" | "postcopy-device" => self.copies(Copying::PostCopy, at),
            "postcopy-paused" => self.copies(Copying::Broken, at),
            "completed" => self.transferred(at),
            // It runs at its destination already, whatever ends the way there.
            "failed" | "cancelled" if self.is_handed_over() => self.copies(Copying::Broken, at),
            "failed" | "cancelled" => {
                if matches!(self.transfer, Transfer::Leaving(_)) {
                    self.comes_back(at);
                    self.transfer = Transfer::Failed;
                }
            }
            _ => {}
        }
        if !runs {
            match (status, self.transfer) {
                ("setup", Transfer::Leaving(Copying::PreCopy))
                    // Of somebody else's nobody knows then what it is, nor whether the guest stands.
                    if (!self.gap || self.is_being_kept()) && !self.is_known_as_jobs() => {
                    self.transfer = Transfer::Leaving(Copying::Undecided);
                }
                ("setup" | "active" | "device", _) if self.is_written_for_job() => self.goes_away(),
                // Somebody else sends a guest that stands already: no STOP will tell when the last of it goes.
                ("setup" | "active" | "device", _) => self.may_leave(),
                _ => {}
            }
        }
    }

    /// Whether the guest is all here, be it that it has not run yet.
    fn is_here(&self) -> bool {
        self.began.is_some() || self.loaded
    }

    /// Whether the guest runs at its destination while a part of it is still here.
    pub fn is_handed_over(&self) -> bool {
        matches!(
            self.transfer,
            Transfer::Leaving(Copying::PostCopy | Copying::Broken)
        )
    }

    /// Whether the guest may run at its destination, and nobody has said yet that it does.
    pub(super) fn may_have_left(&self) -> bool {
        match self.transfer {
            Transfer::Leaving(Copying::Last) => true,
            // It is the snapshot that the job takes, or what it has QEMU write, until QEMU says otherwise.
            Transfer::Leaving(Copying::Undecided) => {
                !self.is_being_kept() && !self.is_written_for_job()
            }
            Transfer::None
            | Transfer::Arriving(_)
            | Transfer::Leaving(_)
            | Transfer::Left
            | Transfer::Failed => false,
        }
    }

    /// Whether it is a snapshot of ours that QEMU writes, as far as anybody can tell.
    pub(super) fn is_kept_undecided(&self) -> bool {
        self.transfer == Transfer::Leaving(Copying::Undecided) && self.is_being_kept()
    }

    /// Whether a snapshot of the guest is under way. One that is whole is written no more.
    fn is_being_kept(&self) -> bool {
        self.job.as_ref().is_some_and(|pending| {
            matches!(pending.verb, Verb::SnapshotCreate | Verb::SnapshotHalt)
                && !pending.is_committed()
        })
    }

    /// The last of a guest may go.
    pub(super) fn may_leave(&mut self) {
        if let Transfer::Leaving(Copying::Undecided | Copying::PreCopy) = self.transfer {
            self.transfer = Transfer::Leaving(Copying::Last);
        }
    }

    /// It is no snapshot that QEMU writes.
    pub(super) fn goes_away(&mut self) {
        if self.transfer == Transfer::Leaving(Copying::Undecided) {
            self.transfer = Transfer::Leaving(Copying::PreCopy);
        }
    }

    /// Whether what QEMU has written, if that is complete now, is a copy of a guest that stays here.
    pub(super) fn is_copied_here(&self) -> bool {
        match self.transfer {
            // `savevm`, 7.2 to 11.1: a way says `active` before that.
            Transfer::Leaving(Copying::Undecided) => true,
            // Made while it runs (background-snapshot). Of what goes anywhere the last is sent while it stands.
            Transfer::Leaving(Copying::PreCopy) => {
                self.is_seen_running() && !self.is_known_as_jobs()
            }
            Transfer::None
            | Transfer::Arriving(_)
            | Transfer::Leaving(_)
            | Transfer::Left
            | Transfer::Failed => false,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.transfer, Transfer::Arriving(_) | Transfer::Leaving(_))
    }

    /// Whether the guest runs at its destination, or may: it must not be let run here.
    pub fn may_run_there(&self) -> bool {
        self.transfer == Transfer::Left || self.is_handed_over() || self.may_have_left()
    }

    /// Whether a guest is on its way here, and nothing of it runs yet.
    pub fn is_awaited(&self) -> bool {
        matches!(self.transfer, Transfer::Arriving(_)) && self.began.is_none()
    }

    /// Whether a guest runs here of which a part is still elsewhere.
    pub fn is_incomplete(&self) -> bool {
        matches!(
            self.transfer,
            Transfer::Arriving(Copying::PostCopy | Copying::Broken)
        )
    }

    /// Whether the guest stands since all of it came, so recently that its first RESUME is still a part of its arrival: QEMU
    /// 7.2 may say `completed` before it. Not if somebody has asked for that.
    pub(super) fn has_just_arrived(&self, at: Option<Timestamp>) -> bool {
        let runs = self.launch.as_ref().map(|launch| launch.begin) == Some(Begin::Running);
        let stands_since_it_came =
            self.live == State::Paused(Paused::User) && self.began == self.since;
        let is_resumed = self.intents.recent(&[Verb::Resume], at).is_some();
        self.kind() == LaunchKind::Incoming
            && runs
            && stands_since_it_came
            && self.is_younger(ARRIVING_MICROS, at)
            && !is_resumed
    }

    /// The guest runs at its destination from now on, as far as it has arrived there.
    fn copies(&mut self, copying: Copying, at: Option<Timestamp>) {
        match (self.transfer, self.live) {
            (Transfer::Leaving(_), live) => {
                self.transfer = Transfer::Leaving(copying);
                if let State::Paused(
                    Paused::Migrating | Paused::PostCopy | Paused::PostCopyFailed,
                ) = live
                {
                    self.enter(State::Paused(copying.stands()), at);
                }
            }
            (Transfer::Arriving(_), live) => {
                self.transfer = Transfer::Arriving(copying);
                if let State::Running(
                    Running::Migrated | Running::PostCopy | Running::PostCopyFailed,
                ) = live
                {
                    self.enter(State::Running(copying.runs()), at);
                }
            }
            (Transfer::None | Transfer::Left | Transfer::Failed, _) => {}
        }
    }

    fn transferred(&mut self, at: Option<Timestamp>) {
        match self.transfer {
            Transfer::Leaving(_) if self.is_copied_here() => self.transfer = Transfer::None,
            Transfer::Leaving(_) => {
                self.transfer = Transfer::Left;
                self.has_left();
                if self.live == State::Paused(Paused::StartingUp) {
                    // A restored guest, that will not run here any more.
                    self.enter(State::Paused(Paused::Migrating), at);
                }
            }
            _ if self.kind() == LaunchKind::Restore && self.began.is_none() => self.loaded(at),
            Transfer::Arriving(_) if self.began.is_none() => {
                // A guest that was paused at the source: no RESUME will come.
                self.begins(at);
                self.transfer = Transfer::None;
                self.enter(State::Paused(Paused::User), at);
            }
            Transfer::Arriving(_) => {
                self.transfer = Transfer::None;
                if let State::Running(Running::PostCopy | Running::PostCopyFailed) = self.live {
                    self.enter(State::Running(Running::Migrated), at);
                }
            }
            Transfer::None | Transfer::Left | Transfer::Failed => {}
        }
    }

    /// Whether the guest runs, and its STOP cannot be what was lost.
    fn is_seen_running(&self) -> bool {
        matches!(self.live, State::Running(_)) && !self.gap
    }

    /// QEMU's own word is what carries a migration out: whoever asked for it may be dead by then.
    pub(super) fn has_left(&mut self) {
        let ours = |job: &&mut PendingJob| {
            job.verb == Verb::Migrate && job.stream == Stream::Begun && job.is_taken
        };
        if let Some(pending) = self.job.as_mut().filter(ours) {
            pending.progress = Progress::Sent;
            let pid = pending.job.worker.pid;
            self.intents.advance(Verb::Migrate, pid, Progress::Sent);
        }
    }

    /// A guest that QEMU has let go on, as 10 and 11 do before they say that its migration has failed, and all before they say that
    /// it is cancelled.
    fn comes_back(&mut self, at: Option<Timestamp>) {
        // Or one that somebody else had QEMU send.
        let was_sent = self
            .job
            .as_ref()
            .is_none_or(|job| job.verb == Verb::Migrate);
        let is_let_go_on = self.live == State::Running(Running::Unpaused)
            && was_sent
            && self.is_younger(ARRIVING_MICROS, at);
        if is_let_go_on {
            self.live = State::Running(Running::MigrationCanceled);
        }
    }
}
