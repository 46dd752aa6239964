//! What the command line says of QEMU's own actions: what it does by itself when its guest panics, powers itself off or
//! resets itself (`-action`, `-no-shutdown`, `-no-reboot`).
//!
//! All of them fill one list, and of what is said twice the last holds, whichever option says it (tried on 7.2). What
//! QEMU would refuse is left for it to refuse.

/// An action that `-action` knows under one key.
pub trait Action: Copy + Eq + 'static {
    /// The key of `-action`.
    const KEY: &'static str;

    const ALL: &'static [Self];

    /// QEMU's word.
    fn word(self) -> &'static str;
}

/// What QEMU does when the guest panics; `Shutdown` where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPanic {
    Pause,
    /// As when the guest powers itself off: it pauses under [`AtShutdown::Pause`].
    Shutdown,
    /// The same with exit status 1, and it does not pause as a panic. QEMU 7.1 and later.
    ExitFailure,
    None,
}

/// What QEMU does when the guest powers itself off; `Poweroff` where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtShutdown {
    Poweroff,
    Pause,
}

/// What QEMU does when the guest resets itself; `Reset` where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtReboot {
    Reset,
    /// As when the guest powers itself off.
    Shutdown,
}

impl Action for AtPanic {
    const KEY: &'static str = "panic";
    const ALL: &'static [Self] = &[Self::Pause, Self::Shutdown, Self::ExitFailure, Self::None];

    fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Shutdown => "shutdown",
            Self::ExitFailure => "exit-failure",
            Self::None => "none",
        }
    }
}

impl Action for AtShutdown {
    const KEY: &'static str = "shutdown";
    const ALL: &'static [Self] = &[Self::Poweroff, Self::Pause];

    fn word(self) -> &'static str {
        match self {
            Self::Poweroff => "poweroff",
            Self::Pause => "pause",
        }
    }
}

impl Action for AtReboot {
    const KEY: &'static str = "reboot";
    const ALL: &'static [Self] = &[Self::Reset, Self::Shutdown];

    fn word(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Shutdown => "shutdown",
        }
    }
}

/// An action that the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<A> {
    pub action: A,
    /// The option as the user wrote it, its value included, as it can stand in a message.
    pub option: String,
}

/// What the command line names of QEMU's actions; `None` is QEMU's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    pub panic: Option<Said<AtPanic>>,
    pub shutdown: Option<Said<AtShutdown>>,
    pub reboot: Option<Said<AtReboot>>,
}

impl Actions {
    /// Whether a power-off of the guest stops it and QEMU stays.
    pub fn shutdown_pauses(&self) -> bool {
        action(self.shutdown.as_ref()) == Some(AtShutdown::Pause)
    }

    /// Whether a panic stops the guest in run state `guest-panicked` and QEMU stays (qemu_system_guest_panicked, 7.2).
    pub fn panic_pauses(&self) -> bool {
        match action(self.panic.as_ref()) {
            Some(AtPanic::Pause) => true,
            Some(AtPanic::Shutdown) | None => self.shutdown_pauses(),
            Some(AtPanic::ExitFailure | AtPanic::None) => false,
        }
    }

    /// Whether a reset by the guest is a power-off to QEMU.
    pub fn reboot_shuts_down(&self) -> bool {
        action(self.reboot.as_ref()) == Some(AtReboot::Shutdown)
    }

    /// Notes one `key=word` of an option.
    pub(super) fn note(&mut self, pair: &[u8], option: &str) {
        note(&mut self.panic, pair, option);
        note(&mut self.shutdown, pair, option);
        note(&mut self.reboot, pair, option);
    }
}

fn action<A: Action>(said: Option<&Said<A>>) -> Option<A> {
    said.map(|said| said.action)
}

fn note<A: Action>(place: &mut Option<Said<A>>, pair: &[u8], option: &str) {
    let word = pair
        .strip_prefix(A::KEY.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"="));
    let action = A::ALL
        .iter()
        .copied()
        .find(|action| word == Some(action.word().as_bytes()));
    if let Some(action) = action {
        *place = Some(Said {
            action,
            option: option.to_owned(),
        });
    }
}
