//! State and reason as one value, so that a pair libvirt has not got cannot be written.
//!
//! The words are those of virsh (libvirt 9.0 to 11.3, `tools/virsh-domain-monitor.c`), untranslated.

use std::fmt;
use std::str::FromStr;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every reason, in libvirt's order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that virsh prints between the brackets.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

reasons!(
    /// Why a domain runs.
    Running {
        Unknown = "unknown",
        Booted = "booted",
        Migrated = "migrated",
        Restored = "restored",
        FromSnapshot = "from snapshot",
        Unpaused = "unpaused",
        MigrationCanceled = "migration canceled",
        SaveCanceled = "save canceled",
        EventWakeup = "event wakeup",
        Crashed = "crashed",
        PostCopy = "post-copy",
        PostCopyFailed = "post-copy failed",
    }
);

reasons!(
    /// Why a domain's virtual processors stand still.
    Paused {
        Unknown = "unknown",
        User = "user",
        Migrating = "migrating",
        Saving = "saving",
        Dumping = "dumping",
        IoError = "I/O error",
        Watchdog = "watchdog",
        FromSnapshot = "from snapshot",
        ShuttingDown = "shutting down",
        CreatingSnapshot = "creating snapshot",
        /// Reset after a panic, not yet resumed.
        Crashed = "crashed",
        StartingUp = "starting up",
        PostCopy = "post-copy",
        PostCopyFailed = "post-copy failed",
        ApiError = "api error",
    }
);

reasons!(
    /// Why a domain's QEMU is gone.
    ShutOff {
        Unknown = "unknown",
        /// The guest shut itself down. The one reason that means success.
        Shutdown = "shutdown",
        Destroyed = "destroyed",
        Crashed = "crashed",
        Migrated = "migrated",
        Saved = "saved",
        /// QEMU ended before the guest ran.
        Failed = "failed",
        FromSnapshot = "from snapshot",
    }
);

/// A domain's state together with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Running(Running),
    Paused(Paused),
    /// The guest has shut down and QEMU is still there (its reason is always `unknown`).
    InShutdown,
    ShutOff(ShutOff),
    /// The guest panicked and QEMU is still there (its reason is always `panicked`).
    Crashed,
    /// Suspended to RAM by the guest (its reason is always `unknown`).
    PmSuspended,
}

impl State {
    /// virsh's word for the state alone.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Paused(_) => "paused",
            Self::InShutdown => "in shutdown",
            Self::ShutOff(_) => "shut off",
            Self::Crashed => "crashed",
            Self::PmSuspended => "pmsuspended",
        }
    }

    /// virsh's word for the reason alone.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Running(reason) => reason.word(),
            Self::Paused(reason) => reason.word(),
            Self::ShutOff(reason) => reason.word(),
            Self::Crashed => "panicked",
            Self::InShutdown | Self::PmSuspended => "unknown",
        }
    }

    /// Every state with every reason.
    pub fn all() -> impl Iterator<Item = Self> {
        let running = Running::ALL.iter().copied().map(Self::Running);
        let paused = Paused::ALL.iter().copied().map(Self::Paused);
        let off = ShutOff::ALL.iter().copied().map(Self::ShutOff);
        let single = [Self::InShutdown, Self::Crashed, Self::PmSuspended];
        running.chain(paused).chain(off).chain(single)
    }

    /// Whether QEMU is there (libvirt: the domain is active).
    pub fn is_active(self) -> bool {
        !matches!(self, Self::ShutOff(_))
    }
}

impl fmt::Display for State {
    /// `state (reason)`, as `virsh domstate --reason` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.word(), self.reason())
    }
}

impl FromStr for State {
    type Err = ();

    /// Reads `state (reason)` as it is printed.
    fn from_str(text: &str) -> Result<Self, ()> {
        // Without printing them: every query reads one of these.
        let (word, reason) = text.split_once(" (").ok_or(())?;
        let reason = reason.strip_suffix(')').ok_or(())?;
        let matches = |state: &Self| state.word() == word && state.reason() == reason;
        Self::all().find(matches).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_prints_and_parses_back() {
        let all: Vec<State> = State::all().collect();
        assert_eq!(all.len(), 12 + 15 + 8 + 3);
        for state in all {
            assert_eq!(state.to_string().parse::<State>(), Ok(state));
        }
        assert!("running (dead)".parse::<State>().is_err());
    }
}
