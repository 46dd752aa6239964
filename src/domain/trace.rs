//! What events leave behind in the fold until the guest is started afresh: why it stopped, how it may end, how its
//! process was seen to end.

use super::cause::{IoError, OomKill};
use super::event::{BootId, Exit, LogWords, ShutdownCause, Timestamp};
use super::state::{Paused, Running};

/// A panic and what QEMU knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    pub info: Option<String>,
    pub at: Option<Timestamp>,
    /// Its STOP was seen: only then does a reset reach it and not the kernel that panicked.
    pub stands: bool,
    pub core: Core,
    /// Why nothing more is done about it, where a policy would have had something done.
    pub kept: Option<String>,
    /// Lines are lost behind it: the guest may have been reset in them, and run.
    pub cut: bool,
}

/// A panic for which QEMU does not stop the guest: what shuts that down then is the kernel that comes behind it, or its
/// reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedPanic {
    /// Its crash kernel takes over (kdump; `GUEST_CRASHLOADED`, QEMU 5.0 on).
    CrashLoaded,
    /// QEMU was told to do nothing about it (`-action panic=none`).
    Ignored,
    /// Lines are lost, and it may be in them.
    Lost,
}

/// How far the memory of a guest that panicked was dumped, where the policy wants that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Core {
    #[default]
    Untried,
    Dumped,
    Failed,
}

/// The guest is being started afresh in the same QEMU; the next RESUME is its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    AfterPanic,
    /// With why it ran before, which libvirt goes on telling.
    AfterPoweroff(Option<Running>),
}

/// `reboot` was asked for: the guest's next power-off is no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reboot {
    Armed,
    /// It has powered off and was started again; QEMU is still to be told that the next power-off is an end.
    Restarted,
}

/// Why QEMU stops the guest by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopCause {
    IoError(IoError),
    Watchdog,
}

impl StopCause {
    /// Why the guest then stands.
    pub(super) fn stands(&self) -> Paused {
        match self {
            Self::IoError(_) => Paused::IoError,
            Self::Watchdog => Paused::Watchdog,
        }
    }
}

/// What the watchdog did that may end the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogEnd {
    /// QEMU exits, and sends no SHUTDOWN for it.
    PoweredOff,
    /// The end of the run only where a reset is (`-no-reboot`).
    Reset,
}

/// A SHUTDOWN that nothing has restarted the guest from. Of two the first counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    pub cause: ShutdownCause,
    pub machine: Machine,
    pub at: Option<Timestamp>,
    /// STOP came after it: QEMU was told to stay (`-no-shutdown`).
    pub stayed: bool,
    /// Lines are lost behind it: another SHUTDOWN proves that QEMU outlived it, and then the guest may have run again.
    pub cut: bool,
}

impl Shutdown {
    /// Whether QEMU ends for it, whatever it was told to do when its guest shuts down.
    pub(super) fn is_obeyed(&self) -> bool {
        matches!(
            self.cause,
            ShutdownCause::HostSignal | ShutdownCause::HostQmpQuit
        )
    }

    /// The reset button, under `-no-reboot`, of a guest that stood still. With `-no-shutdown` QEMU stays after it, and
    /// nothing tells: there is nobody to STOP.
    pub fn is_reset_of_standing_guest(&self) -> bool {
        self.cause == ShutdownCause::HostQmpSystemReset && self.machine != Machine::Ran
    }
}

/// Whether the guest was executing. A guest that stands still cannot have shut itself down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    Ran,
    /// It was stopped, or went to sleep, so shortly before that its processors may have been at it then.
    JustStopped,
    /// The same, by a `suspend` as it seems: that it was that, its DONE tells.
    JustSuspended,
    /// The same, and nothing on record tells who stopped it: a debugger does before it kills it.
    JustStoppedByAnother,
    Stood,
}

/// A process of the run was seen to be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exited {
    pub exit: Option<Exit>,
    pub boot: BootId,
    pub words: LogWords,
    pub oom: Option<Box<OomKill>>,
    pub at: Option<Timestamp>,
}
