//! It is stopped, and goes on.

use domstate::domain::{LaunchKind, Paused, Running, State, Verb};

use super::requests::{Asked, ends_guest};
use super::{Guest, Outgoing, Written};

impl Guest {
    pub(super) fn stopped(&mut self) {
        if self.outgoing == Outgoing::Undecided && !self.is_written_for_job() {
            // A snapshot stops it before it is begun.
            self.outgoing = Outgoing::Copied;
        }
        self.panic_stands |= self.panicked;
        if self.shutdown.is_some() {
            self.stays = true;
            return;
        }
        self.stopped_asleep = self.asleep;
        if !self.runs() {
            return;
        }
        let announced = self.announced.take();
        // QEMU's own word for it outweighs who only asked, or was about to stop it.
        let asked = self.is_asked_to_stand().then_some(Paused::User);
        let why = announced.or(self.reason_of_job()).or(asked);
        let why = why.or(self.reason_outgoing());
        self.unexplained = why.is_none();
        self.stand(why.unwrap_or(Paused::Unknown));
        self.stopped_at = self.now;
    }

    pub(super) fn resumed(&mut self) {
        if self.runs() {
            return;
        }
        if self.asleep && self.stopped_asleep {
            self.stopped_asleep = false;
            self.state = State::PmSuspended;
            self.stopped_at = self.now;
            self.goes_on();
            return;
        }
        let asked = |verb| self.newest().any(|asked| asked.verb == verb);
        let reverted = || {
            self.newest()
                .any(|asked| asked.verb == Verb::SnapshotRevert && asked.acted)
        };
        let reason = match self.state {
            _ if !self.began => match self.kind {
                LaunchKind::Boot => Running::Booted,
                LaunchKind::Incoming if self.post_copy => Running::PostCopy,
                LaunchKind::Incoming => Running::Migrated,
                LaunchKind::Restore => Running::Restored,
                LaunchKind::Snapshot => Running::FromSnapshot,
            },
            State::Paused(Paused::Crashed) if self.restarting => Running::Crashed,
            State::Paused(Paused::ShuttingDown) => self.ran,
            // Whoever lets it go on: what is being written is written on, until QEMU stops it for the last of it.
            _ if self.written == Written::ForJob && !self.may_go() => Running::Unpaused,
            // A save of which nothing is written, or all, comes to nothing.
            _ if asked(Verb::Save) => Running::SaveCanceled,
            // Somebody else's copy of a guest that runs stops it for a moment, and goes on.
            State::Paused(Paused::Migrating)
                if self.job().is_none()
                    && matches!(self.outgoing, Outgoing::Undecided | Outgoing::Copied) =>
            {
                Running::Unpaused
            }
            State::Paused(Paused::Migrating) if self.outgoing != Outgoing::Arrived => {
                Running::MigrationCanceled
            }
            State::Paused(Paused::FromSnapshot) if reverted() => Running::FromSnapshot,
            _ => Running::Unpaused,
        };
        self.reboot &= self.state != State::Paused(Paused::ShuttingDown);
        let stood_for_user = self.state == State::Paused(Paused::User);
        self.afresh();
        if stood_for_user {
            self.acted_unseen();
        }
        self.asked
            .retain(|asked| asked.verb != Verb::Suspend || !asked.acted);
        self.asked.retain(|asked| asked.verb != Verb::Resume);
        self.said_otherwise = None;
        self.goes_on();
        self.run(reason);
    }

    /// What is made of it for a job may not be of this guest any more.
    pub(super) fn goes_on(&mut self) {
        self.may_be_snapshot = false;
        // Where it went, or what was written of it, is not what it is any more; what is being written still may be.
        let migrates = self.job() == Some(Verb::Migrate);
        let lasts = match self.written {
            Written::Nothing | Written::ForJob => true,
            Written::Unasked => migrates,
            // What was before QEMU's answer was another's snapshot: the job's own is to come.
            Written::Whole if !self.is_taken && self.job().is_some() => {
                self.written = Written::Nothing;
                true
            }
            Written::Whole | Written::Lost => false,
        };
        for asked in self.asked.iter_mut().filter(|asked| ends_guest(asked.verb)) {
            (asked.acted, asked.void) = (false, asked.void || !lasts);
        }
        if !lasts {
            self.written = Written::Lost;
        }
        self.outgoing = match self.outgoing {
            Outgoing::Undecided | Outgoing::Copied => Outgoing::Copied,
            // It runs here.
            _ => Outgoing::No,
        };
    }

    /// Before its STOP, or late: QEMU limits how often it says such things.
    pub(super) fn announce(&mut self, reason: Paused) {
        if self.runs() {
            self.announced = Some(reason);
        } else if self.unexplained {
            self.unexplained = false;
            self.stand(reason);
        } else {
            self.said_otherwise = Some(reason);
        }
    }

    /// It was stopped just before it shut down, and nobody says that it was he.
    pub(crate) fn stopped_by_another(&self) -> bool {
        let at = self.shut_down_at;
        // It was recent as it stopped it, a second before.
        let is_before =
            |asked: &Asked| asked.is_before(at) || asked.is_before(at.saturating_sub(1_000_000));
        let is_recent = |asked: &Asked| is_before(asked) && asked.verb == Verb::Suspend;
        let mut asked = self.asked.iter().filter(|asked| is_recent(asked));
        let is_presumed = !asked.any(|asked| asked.acted);
        self.shut_down_stopped_by_another || self.shut_down_suspended && is_presumed
    }

    /// It stood, if only for a moment, when it shut down.
    pub(crate) fn stopped_first(&self) -> bool {
        self.shut_down_stopped
    }
}
