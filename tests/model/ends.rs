//! How a run ended: the table of ends, first match wins.

use domstate::domain::{Exit, ShutOff, ShutdownCause, State, Verb};

use super::guest::{End, Guest, Outgoing, Watchdog, WentOn, is_destroy};

impl Guest {
    /// The answer once QEMU is gone; `seen` is what can be seen of its end, if that is not on record.
    pub(crate) fn ended(&self, seen: &End) -> State {
        let end = match &self.end {
            // Somebody who was there may have seen more than was written down.
            Some(end) => End {
                exit: end.exit.or(seen.exit),
                ..end.clone()
            },
            None => seen.clone(),
        };
        State::ShutOff(self.asked_for(&end).unwrap_or_else(|| self.by_itself(&end)))
    }

    /// Whether somebody who saw how it ended has written that down.
    pub(crate) fn is_end_told(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.exit.is_some())
    }

    /// Our own intent, carried out.
    fn asked_for(&self, end: &End) -> Option<ShutOff> {
        let acted = self.asked.iter().rev().filter(|asked| asked.acted);
        // What was made of the guest outlives whoever ends the rest of it.
        let made = acted.clone().find_map(|asked| match asked.verb {
            Verb::Save | Verb::ManagedSave => Some(ShutOff::Saved),
            Verb::DumpCrash => Some(ShutOff::Crashed),
            Verb::SnapshotHalt => Some(ShutOff::FromSnapshot),
            Verb::Migrate if self.outgoing == Outgoing::Arrived && self.is_told_as_ours() => {
                Some(ShutOff::Migrated)
            }
            _ => None,
        });
        let mut acted = acted;
        // Who obeys a signal says so first, and ends with status 0.
        let failed = matches!(end.exit, Some(Exit::Status(status)) if status != 0);
        let silent = self.shutdown.is_none() && !self.gap;
        let by_itself = failed && silent && self.qemu.is_some();
        let destroyed = acted.any(|asked| is_destroy(asked.verb));
        let destroyed = destroyed && !by_itself && !self.ends_for_another(end);
        made.or(destroyed.then_some(ShutOff::Destroyed))
    }

    /// QEMU says for what it ends, and no signal is called that.
    fn ends_for_another(&self, end: &End) -> bool {
        let ends = matches!(end.exit, Some(Exit::Status(_)));
        let outlived = self.stays || self.outlives_power_off();
        !self.gap
            && match self.shutdown {
                Some((ShutdownCause::HostError, _)) => true,
                Some((ShutdownCause::HostQmpSystemReset, _)) => ends && !outlived,
                _ => false,
            }
    }

    fn by_itself(&self, end: &End) -> ShutOff {
        if !self.began {
            return self.without_a_beginning(end);
        }
        let says_so = matches!(self.shutdown, Some((ShutdownCause::GuestPanic, _)));
        if self.panicked && (says_so || !self.panic_is_past) {
            return ShutOff::Crashed;
        }
        // Its policy may have ended it, or it ran on.
        let is_said = self.shutdown.is_some() || matches!(end.exit, Some(Exit::Status(_)));
        let is_gone_with_the_host =
            !self.is_end_told() && end.boot != self.boot && self.state == State::Crashed;
        if self.panicked && is_gone_with_the_host {
            return ShutOff::Crashed;
        }
        if self.panicked && is_said {
            return ShutOff::Unknown;
        }
        match self.shutdown {
            Some((cause, ran)) => self.shut_down_by(cause, ran, end),
            None => self.without_a_word(end),
        }
    }

    fn without_a_beginning(&self, end: &End) -> ShutOff {
        match end.exit {
            // The power may have taken the line that says that it ran.
            None if end.boot != self.boot => ShutOff::Crashed,
            // Restored, and sent away before it ran.
            _ if self.may_be_elsewhere() => ShutOff::Unknown,
            // Or something else has.
            _ if self.gap => match self.shutdown {
                Some((cause, ran)) if end.exit.is_some() => self.shut_down_by(cause, ran, end),
                _ => ShutOff::Unknown,
            },
            _ => ShutOff::Failed,
        }
    }

    /// Whether it may run at another QEMU, and nobody here knows.
    fn may_be_elsewhere(&self) -> bool {
        let ran = matches!(self.shutdown, Some((_, true))) && !self.stopped_first();
        let stands = !matches!(self.state, State::Running(_)) && !ran;
        if stands && self.may_be_anothers() {
            return true;
        }
        match (self.outgoing, self.is_told_as_ours()) {
            // Our own waits before the last step until it is told to take it.
            (Outgoing::Copied, true) => self.may_go(),
            (Outgoing::Undecided, false) => stands && !self.is_being_kept(),
            (Outgoing::Copied, false) => stands,
            // Sent by somebody else, to who knows where.
            (Outgoing::Arrived, false) => true,
            // It runs there.
            (Outgoing::HandedOver | Outgoing::HandedOverAlone, _) => true,
            _ => false,
        }
    }

    fn shut_down_by(&self, cause: ShutdownCause, ran: bool, end: &End) -> ShutOff {
        let by_guest = cause == ShutdownCause::GuestShutdown;
        let is_its_own = by_guest || cause == ShutdownCause::GuestReset;
        let stood = !ran || self.stopped_first();
        let by_watchdog = self.watchdog == Some(Watchdog::Reset);
        if cause == ShutdownCause::GuestReset && by_watchdog {
            return ShutOff::Crashed;
        }
        if is_its_own && stood && self.may_be_elsewhere() {
            return ShutOff::Unknown;
        }
        // gdb's kill finds it standing; its STOP may be lost.
        if by_guest && (stood || self.gap) && end.words.gdb_killed {
            return ShutOff::Destroyed;
        }
        // QEMU was to outlive it, and nobody has told of its own end: what came between may be lost.
        let is_success = is_its_own || cause == ShutdownCause::HostQmpSystemReset;
        let outlived = self.stays || self.outlives_power_off();
        if is_success && outlived && !self.is_end_told() {
            return match end.boot == self.boot {
                true => ShutOff::Unknown,
                false => ShutOff::Crashed,
            };
        }
        // What its crash kernel does is no success; nor is that its kernel reboots for a panic.
        let is_of_panic = match self.went_on {
            Some(WentOn::IntoCrashKernel) => is_its_own,
            Some(WentOn::Unheeded) => cause == ShutdownCause::GuestReset,
            Some(WentOn::Perhaps) | None => false,
        };
        if is_of_panic {
            return match self.gap {
                true => ShutOff::Unknown,
                false => ShutOff::Crashed,
            };
        }
        // Nobody else gives QEMU a status and has it say so.
        let gives_one = matches!(end.exit, Some(Exit::Status(status)) if status != 0);
        // But QEMU keeps that of an earlier one.
        let may_be_kept = self.outlived || self.gap && outlived;
        // Or its crash kernel gave it.
        let may_be_kept = may_be_kept || self.may_be_crash_kernels();
        let gives_one = gives_one && self.exit_device && !may_be_kept;
        if by_guest && gives_one && self.qemu.is_some() {
            return ShutOff::Shutdown;
        }
        // A debugger stops it, too, and kills it.
        if by_guest && self.stopped_by_another() {
            return ShutOff::Unknown;
        }
        // One that stands does not shut down. What is lost may be that it was started again, or a watchdog's word.
        let was_killed = matches!(end.exit, Some(Exit::Signal { .. }));
        let may_be_its = self.went_on == Some(WentOn::Perhaps) && !by_guest;
        if is_its_own && (!ran || may_be_its || self.gap && (was_killed || !by_guest)) {
            return ShutOff::Unknown;
        }
        match cause {
            ShutdownCause::GuestShutdown | ShutdownCause::GuestReset => ShutOff::Shutdown,
            // What is reset here is not the guest any more, or may not be.
            ShutdownCause::HostQmpSystemReset if self.may_be_elsewhere() => ShutOff::Unknown,
            // QEMU may have outlived the reset of a guest that stood.
            ShutdownCause::HostQmpSystemReset
                if (!ran || self.gap && !self.stays)
                    && end.exit != Some(Exit::Status(0))
                    && (end.exit.is_some() || end.boot != self.boot || self.gap) =>
            {
                self.without_a_word(end)
            }
            // virsh: what the user resets under -no-reboot has shut down.
            ShutdownCause::HostQmpSystemReset if self.reset_asked() == Some(true) => {
                ShutOff::Shutdown
            }
            // It may have been somebody else's.
            ShutdownCause::HostQmpSystemReset if self.reset_asked() == Some(false) => {
                ShutOff::Destroyed
            }
            _ if self.may_be_elsewhere() => ShutOff::Unknown,
            ShutdownCause::HostQmpSystemReset
            | ShutdownCause::HostSignal
            | ShutdownCause::HostQmpQuit
            | ShutdownCause::HostUi => ShutOff::Destroyed,
            ShutdownCause::GuestPanic | ShutdownCause::HostError => ShutOff::Crashed,
            ShutdownCause::Unknown => ShutOff::Unknown,
        }
    }

    /// Whether what it was when it ended may have been its crash kernel.
    fn may_be_crash_kernels(&self) -> bool {
        let is_known = self.went_on == Some(WentOn::IntoCrashKernel);
        let is_in_doubt = self.went_on == Some(WentOn::Perhaps);
        is_known || is_in_doubt || self.gap && self.went_on.is_some()
    }

    fn without_a_word(&self, end: &End) -> ShutOff {
        let silent = self.shutdown.is_none();
        let stands = !matches!(self.state, State::Running(_));
        let ended = end.exit == Some(Exit::Status(0)) && silent;
        if ended && self.watchdog == Some(Watchdog::PoweredOff) {
            return ShutOff::Crashed;
        }
        // Behind a wrapper nobody sees the status.
        let is_wrapped = self.launcher != self.qemu && !self.gap;
        let is_told = self.end.is_some() && end.boot == self.boot;
        let unseen = is_wrapped && is_told && end.exit.is_none() && silent;
        let may_be_killed = ended || unseen;
        if may_be_killed && stands && end.words.gdb_killed && !self.may_be_elsewhere() {
            return ShutOff::Destroyed;
        }
        if self.watchdog == Some(Watchdog::PoweredOff) && silent {
            return ShutOff::Crashed;
        }
        if self.may_be_elsewhere() {
            return ShutOff::Unknown;
        }
        match end.exit {
            // By a signal that destroy sends, announced and nobody else's.
            Some(Exit::Signal { signal: 9 | 15, .. }) if self.destroy_announced() => {
                ShutOff::Destroyed
            }
            Some(Exit::Status(status))
                if self.exit_device
                    && status >= 3
                    && status % 2 == 1
                    && !(self.gap && (self.outlived || self.outlives_power_off()))
                    && !self.may_be_crash_kernels() =>
            {
                ShutOff::Shutdown
            }
            // It may be QEMU's, or the guest's by semihosting.
            Some(Exit::Status(_)) if self.exit_device => ShutOff::Unknown,
            Some(Exit::Status(0)) if self.gap => ShutOff::Unknown,
            // Nor does anybody know whether the guest gave one.
            None if (self.gap || self.exit_device) && end.boot == self.boot => ShutOff::Unknown,
            Some(_) | None => ShutOff::Crashed,
        }
    }
}
