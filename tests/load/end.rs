//! Ends, and how each is told.

use nix::sys::signal::Signal;

use crate::guest::Guest;
use crate::harness::{Host, send};

/// How guest number N of many ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    PowerOff,
    Panic,
    Killed,
    Destroyed,
}

impl End {
    pub(super) fn of(number: usize) -> Self {
        [Self::PowerOff, Self::Panic, Self::Killed, Self::Destroyed][number % 4]
    }

    pub(super) fn answer(self) -> &'static str {
        match self {
            Self::PowerOff => "shut off (shutdown)",
            Self::Panic | Self::Killed => "shut off (crashed)",
            Self::Destroyed => "shut off (destroyed)",
        }
    }

    /// Ends a guest, and asserts that this is how it is told.
    pub(super) fn bring_about(self, host: &Host, domain: &str, guest: &mut Guest) {
        match self {
            Self::PowerOff => guest.press('o'),
            Self::Panic => guest.press('p'),
            Self::Killed => send(host.qemu_pid(domain), Signal::SIGKILL),
            Self::Destroyed => drop(host.ok(&["destroy", domain])),
        }
        assert_eq!(host.wait(domain), self.answer(), "{domain}");
    }
}
