//! What was asked of domstate, and for how long that counts.

use domstate::domain::{Exit, Paused, ShutdownCause, State, Verb};

use super::{Guest, Outgoing, Watchdog, Written};

/// For how long a request can be why something happens.
const ASKED_MICROS: u64 = 30_000_000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    pub(super) pid: u32,
    pub(super) at: u64,
    /// SENT or DONE was written.
    pub(crate) acted: bool,
    /// The guest ran on: whatever was made of it, it is not that any more.
    pub(super) void: bool,
}

impl Asked {
    /// Whether what happened then may come from it.
    pub(super) fn is_before(&self, at: u64) -> bool {
        self.at <= at && at - self.at <= ASKED_MICROS
    }
}

impl Guest {
    pub(super) fn is_asked_to_stand(&self) -> bool {
        self.newest().any(|asked| asked.verb == Verb::Suspend)
    }

    /// It stood since somebody asked for it, and he has not said that it was he: of several it was the first.
    pub(super) fn acted_unseen(&mut self) {
        let since = self.stands_since;
        let may_be = |asked: &Asked| asked.verb == Verb::Suspend && asked.is_before(since);
        if self.asked.iter().any(|asked| may_be(asked) && asked.acted) {
            return;
        }
        if let Some(first) = self.asked.iter().position(may_be) {
            self.asked.remove(first);
        }
    }

    /// The job that the guest is stopped for.
    pub(super) fn reason_of_job(&self) -> Option<Paused> {
        self.newest().find_map(|asked| match asked.verb {
            Verb::Save | Verb::ManagedSave => Some(Paused::Saving),
            Verb::Dump | Verb::DumpCrash | Verb::DumpReset | Verb::CrashDump => {
                Some(Paused::Dumping)
            }
            Verb::SnapshotCreate | Verb::SnapshotHalt => Some(Paused::CreatingSnapshot),
            Verb::SnapshotRevert => Some(Paused::FromSnapshot),
            _ => None,
        })
    }

    pub(crate) fn destroy_announced(&self) -> bool {
        self.newest().any(|asked| is_destroy(asked.verb))
    }

    /// Whether a reset was asked for, and whether it was sent.
    pub(crate) fn reset_asked(&self) -> Option<bool> {
        let mut newest = self.newest();
        let reset = newest.find(|asked| asked.verb == Verb::Reset);
        reset.map(|asked| asked.acted)
    }

    /// Requests that count still, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Asked> {
        // A job is under way until it is over, however long it takes.
        let is_young = |asked: &Asked| self.now.abs_diff(asked.at) <= ASKED_MICROS;
        let counts = move |asked: &&Asked| is_young(asked) || is_job(asked.verb);
        self.asked.iter().rev().filter(counts)
    }

    pub(super) fn ask(&mut self, verb: Verb, pid: u32) {
        if is_destroy(verb) && self.is_on_its_way_out() {
            // It is not why.
            return;
        }
        if verb == Verb::Reboot && !self.is_on_its_way_out() {
            (self.reboot, self.held) = (true, true);
        }
        self.asked.push(Asked {
            verb,
            pid,
            at: self.now,
            acted: false,
            void: false,
        });
    }

    pub(super) fn is_on_its_way_out(&self) -> bool {
        let shut_down = match self.shutdown {
            Some((ShutdownCause::HostSignal | ShutdownCause::HostQmpQuit, _)) => true,
            Some((_, ran)) => ran && !self.shut_down_stopped && !self.outlives_power_off(),
            None => false,
        };
        let shut_down = shut_down && !self.stays;
        let panicked = self.panicked && self.state == State::InShutdown;
        shut_down || panicked || self.watchdog == Some(Watchdog::PoweredOff) || self.end.is_some()
    }

    pub(super) fn acted(&mut self, verb: Verb, pid: u32) {
        if is_destroy(verb) && self.has_ended_by_itself() {
            // His signal found nobody, or one on its way out.
            let is_late = |asked: &Asked| (asked.verb, asked.pid) == (verb, pid) && !asked.acted;
            self.asked.retain(|asked| !is_late(asked));
        }
        if verb == Verb::Suspend && self.runs() {
            // What he did is over.
            self.asked
                .retain(|asked| (asked.verb, asked.pid) != (verb, pid));
        }
        let is_kept = matches!(verb, Verb::Save | Verb::ManagedSave | Verb::SnapshotHalt);
        // It would be saved as it is not: it has panicked, or shut down, or sleeps.
        let own = |(cause, _)| {
            matches!(
                cause,
                ShutdownCause::GuestShutdown
                    | ShutdownCause::GuestReset
                    | ShutdownCause::GuestPanic
            )
        };
        let is_over = self.panicked || self.shutdown.is_some_and(own) || self.asleep;
        let is_too_late =
            ends_guest(verb) && (self.end.is_some() || self.is_in_vain(verb) || is_kept && is_over);
        let mut asked = self.asked.iter_mut().rev();
        if let Some(asked) = asked.find(|asked| (asked.verb, asked.pid) == (verb, pid)) {
            asked.void |= is_too_late;
            asked.acted = !asked.void || asked.acted;
        }
    }

    /// The last of them has acted for nothing, as long as anything is left of the guest but what he made of it.
    pub(super) fn is_undone(&mut self, verb: Verb, pid: u32) {
        if self.end.is_some() {
            return;
        }
        let mut asked = self.asked.iter_mut().rev();
        if let Some(asked) = asked.find(|asked| (asked.verb, asked.pid) == (verb, pid)) {
            asked.acted = false;
        }
    }

    /// What was written for it is not what the guest is, or somebody else has sent that away.
    fn is_in_vain(&self, verb: Verb) -> bool {
        let is_sent = matches!(self.outgoing, Outgoing::Copied | Outgoing::Arrived);
        let by_another = is_sent && !self.is_told_as_ours();
        let runs_on = verb != Verb::Migrate && self.runs();
        self.written == Written::Lost || by_another || runs_on
    }

    /// It comes to nothing: a guest that still stands for it was not let go on.
    pub(super) fn failed(&mut self, verb: Verb) {
        self.restarting &= verb != Verb::CrashRestart;
        let was_down = self.state == State::Paused(Paused::ShuttingDown);
        if verb == Verb::PoweroffRestart && self.gap && was_down {
            // It is not as it was said to be.
            self.stand(Paused::Unknown);
        }
        if !is_job(verb)
            || self
                .reason_of_job()
                .is_none_or(|why| self.state != State::Paused(why))
        {
            return;
        }
        if self.outgoing == Outgoing::Arrived && !self.is_told_as_ours() {
            // Somebody else was first.
            self.stand(Paused::Migrating);
        } else if !self.stood_before {
            self.stand(Paused::ApiError);
        } else if verb != Verb::SnapshotRevert {
            self.stands_for_nothing();
        }
    }

    /// The job that it stands for is over.
    fn stands_for_nothing(&mut self) {
        self.unexplained = self.said_otherwise.is_none();
        self.stand(self.said_otherwise.unwrap_or(Paused::Unknown));
    }

    fn has_ended_by_itself(&self) -> bool {
        use ShutdownCause::{GuestPanic, GuestReset, GuestShutdown};
        let shut_down = matches!(
            self.shutdown,
            Some((GuestShutdown | GuestReset | GuestPanic, _))
        );
        let crashed = match self.end.as_ref().and_then(|end| end.exit) {
            Some(Exit::Signal { signal, .. }) => signal != 9 && signal != 15,
            // QEMU may have kept that of an earlier end.
            Some(Exit::Status(status)) => {
                let keeps = self.shutdown.is_some() && (!self.stays || self.exit_device);
                status != 0 && !keeps
            }
            None => false,
        };
        let leaves = shut_down && !self.stays && !self.outlives_power_off();
        let powered_off = self.watchdog == Some(Watchdog::PoweredOff);
        let panics_away = self.panicked && !self.panic_stands && self.state != State::Crashed;
        leaves || powered_off || panics_away || crashed
    }

    /// QEMU did what it was told behind the reset of a guest that stood, which it announces as its end: it goes on.
    pub(super) fn has_answered(&mut self, verb: Verb, pid: u32) {
        let reset = ShutdownCause::HostQmpSystemReset;
        let is_reset = self.shutdown.is_some_and(|(cause, _)| cause == reset);
        let mut asked = self.asked.iter().rev();
        let asked = asked.find(|asked| (asked.verb, asked.pid) == (verb, pid));
        let behind = asked.is_some_and(|asked| asked.at > self.shut_down_at);
        self.stays |= is_reset && self.shut_down_standing && behind && !is_destroy(verb);
    }

    /// Jobs that leave the guest here are over and done with.
    pub(super) fn done(&mut self, verb: Verb) {
        if matches!(verb, Verb::Shutdown | Verb::Reboot) {
            (self.reboot, self.held) = (false, false);
        }
        let over = matches!(
            verb,
            Verb::Dump | Verb::DumpReset | Verb::SnapshotCreate | Verb::SnapshotRevert
        );
        if over {
            let stands = self.reason_of_job().map(State::Paused) == Some(self.state);
            if stands && verb != Verb::SnapshotRevert {
                self.stands_for_nothing();
            }
            self.asked.retain(|asked| asked.verb != verb);
        }
    }
}

/// Requests that end the guest when they are carried out, and leave something of it.
pub(super) fn ends_guest(verb: Verb) -> bool {
    use Verb::{DumpCrash, ManagedSave, Migrate, Save, SnapshotHalt};
    matches!(
        verb,
        Save | ManagedSave | DumpCrash | SnapshotHalt | Migrate
    )
}

pub(crate) fn is_destroy(verb: Verb) -> bool {
    matches!(verb, Verb::Destroy | Verb::Run | Verb::RunTimeout)
}

/// Requests that take their time.
pub(super) fn is_job(verb: Verb) -> bool {
    use Verb::{Dump, DumpReset, SnapshotCreate, SnapshotRevert};
    ends_guest(verb) || matches!(verb, Dump | DumpReset | SnapshotCreate | SnapshotRevert)
}
