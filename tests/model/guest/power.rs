//! Panics, power-offs and resets: what may end a guest, and what takes that back.

use domstate::domain::{
    OnPoweroff, PanicAction, Paused, Running, ShutdownCause, State, WatchdogAction,
};

use super::Guest;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Watchdog {
    PoweredOff,
    Reset,
}

/// How a guest went on behind its panic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WentOn {
    IntoCrashKernel,
    Unheeded,
    /// It may have, in lines that are lost.
    Perhaps,
}

impl Guest {
    /// Nothing that was to end it counts any more.
    pub(super) fn afresh(&mut self) {
        self.announced = None;
        self.unexplained = false;
        self.panicked = false;
        self.restarting = false;
        self.outlived |= self.shutdown.is_some();
        self.shutdown = None;
        self.stays = false;
        self.watchdog = None;
        self.asleep = false;
        self.stopped_asleep = false;
    }

    /// Who resets does not matter; the firmware does, again and again.
    pub(super) fn reset(&mut self) {
        self.went_on = None;
        let state = self.state;
        if self.asleep {
            self.afresh();
            self.stand(Paused::User);
            return;
        }
        let restarting = self.restarting;
        self.afresh();
        self.restarting = restarting;
        match state {
            State::Crashed => self.stand(Paused::Crashed),
            // It stayed, and was reset by a third party.
            State::InShutdown => self.stand(Paused::User),
            _ => {}
        }
    }

    /// Its power-off need not be the end of QEMU.
    pub(crate) fn outlives_power_off(&self) -> bool {
        self.held || self.on_poweroff != OnPoweroff::Destroy
    }

    /// Another state was loaded into it.
    pub(super) fn reverted(&mut self) {
        if self.is_on_its_way_out() {
            return;
        }
        self.afresh();
        // The snapshot may be of a guest that panicked in lines that are lost.
        self.went_on = self.gap.then_some(WentOn::Perhaps);
        match self.runs() {
            true => self.run(Running::FromSnapshot),
            false => self.stand(Paused::FromSnapshot),
        }
    }

    pub(super) fn starts_again(&self) -> bool {
        self.reboot || self.on_poweroff == OnPoweroff::Restart
    }

    pub(super) fn shut_down(&mut self, cause: ShutdownCause) {
        if let Some((first, ran)) = self.shutdown {
            // QEMU stayed, and is ended: the first one tells. But a reset of a guest that stood ended nothing.
            let may_have_stood = !ran || self.gap && !self.stays;
            if !may_have_stood || first != ShutdownCause::HostQmpSystemReset {
                return;
            }
        }
        // QEMU stops the processors before it comes to what they asked of it last.
        let just_stopped = self.now - self.stopped_at < 1_000_000;
        let stands = matches!(self.state, State::Paused(_) | State::PmSuspended);
        let ran = self.runs() || stands && just_stopped;
        let stays = self.on_poweroff == OnPoweroff::Preserve;
        if cause == ShutdownCause::HostQmpSystemReset && stays && !self.runs() {
            // The reset that would end it finds a QEMU that does not end, and nothing to stop.
            return;
        }
        let stood = !self.runs();
        self.shutdown = Some((cause, ran));
        self.shut_down_standing = stood;
        self.shut_down_stopped = stands;
        self.shut_down_suspended = self.state == State::Paused(Paused::User);
        self.shut_down_at = self.now;
        self.shut_down_stopped_by_another = match self.state {
            State::Paused(Paused::Unknown) => true,
            State::PmSuspended => self.stopped_asleep,
            _ => false,
        };
        if cause == ShutdownCause::GuestShutdown && ran && self.starts_again() {
            self.ran = match self.state {
                State::Running(reason) => reason,
                // libvirt's word for one that did not run when it was started again.
                _ => Running::Booted,
            };
            self.stand(Paused::ShuttingDown);
        } else if cause == ShutdownCause::HostQmpSystemReset && stood {
            // It stands as it stood, until QEMU is gone.
        } else if self.began && self.state != State::Crashed {
            // One that panicked stays so until QEMU is gone.
            self.state = State::InShutdown;
        }
    }

    pub(super) fn watchdog(&mut self, action: WatchdogAction) {
        match action {
            WatchdogAction::Pause => self.announce(Paused::Watchdog),
            WatchdogAction::Poweroff => {
                self.watchdog = Some(Watchdog::PoweredOff);
                self.state = State::InShutdown;
            }
            WatchdogAction::Reset => self.watchdog = Some(Watchdog::Reset),
            WatchdogAction::Other => {}
        }
    }

    pub(super) fn panicked(&mut self, action: PanicAction) {
        match action {
            PanicAction::Run => {
                self.went_on.get_or_insert(WentOn::Unheeded);
                return;
            }
            PanicAction::Pause => self.state = State::Crashed,
            PanicAction::Poweroff => self.state = State::InShutdown,
        }
        self.panicked = true;
        self.panic_is_past = false;
        self.panic_stands = false;
    }
}
