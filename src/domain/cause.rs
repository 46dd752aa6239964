//! Why a domain is in its state, beyond the one word that libvirt has for it.

use super::event::{Actor, Exit, SignalSender, Verb};

/// Why: one of a closed list that scripts may match on (the names are spelt in `store::encode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The guest powered itself off, or went to sleep on its disk (S4).
    GuestShutdown,
    /// The guest reset itself where a reset ends the run (`-no-reboot`).
    GuestReset,
    /// The guest's kernel reported a panic; `info` is what QEMU knows of it, as JSON text, and `kept` why it stays so
    /// although a policy would have had it restarted.
    GuestPanic {
        info: Option<String>,
        kept: Option<String>,
    },
    /// The guest ended QEMU by its exit device or by semihosting; `status` is the exit status that QEMU gave.
    GuestExit { status: i32 },
    /// A signal ended QEMU.
    Signal { signal: i32, core_dumped: bool },
    /// The kernel ended QEMU for want of memory, and says so.
    OomKill(OomKill),
    /// QEMU ended by itself with this status and no word of a shutdown.
    ExitStatus { status: i32 },
    /// The guest's watchdog fired; `action` is QEMU's word for what it then did.
    Watchdog { action: String },
    /// A disk failed and QEMU stopped the guest for it.
    IoError(IoError),
    /// Somebody sent QEMU a signal that it obeys by quitting. What QEMU did not say is `None`.
    HostSignal(SignalSender),
    /// Somebody told QEMU to quit over its monitor.
    QmpQuit,
    /// Somebody pressed the reset button over QEMU's monitor, and QEMU does not reboot (`-no-reboot`).
    QmpReset,
    /// Somebody closed QEMU's window, or killed it by its debugger stub.
    HostUi,
    /// A domstate verb did it.
    Asked { verb: Verb, actor: Actor },
    /// QEMU ended before it was ready. `message` is the last that it said.
    StartFailure {
        exit: Option<Exit>,
        message: Option<String>,
    },
    /// The host went down, and the guest with it.
    HostRestart,
    /// The domain was defined and never run.
    NeverRun,
    /// The run's record cannot be read; `file` is its path within the domain's folder.
    JournalDamaged { file: String, why: String },
    /// QEMU is gone and nobody was there to see how.
    StatusLost,
    /// QEMU ended while it handed the last of the guest over to another, and had not said yet whether that has it;
    /// or somebody else sent it away, who knows where.
    MaybeMigrated,
    /// QEMU announced that the guest shut down, but calls what others do the same.
    Unattributed { why: String },
}

/// The kernel's word that it killed a very process for want of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomKill {
    pub scope: OomScope,
    /// The kernel's own words.
    pub evidence: String,
}

/// Whose memory was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomScope {
    /// That of its control group, or of one further up.
    Cgroup,
    Host,
}

impl OomScope {
    pub const ALL: &[Self] = &[Self::Cgroup, Self::Host];

    /// The word in JSON and in journals.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Host => "host",
        }
    }
}

/// A failed disk request, as QEMU reports it (BLOCK_IO_ERROR; `node` since 2.8, `error` since 2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IoError {
    pub device: Option<String>,
    pub node: Option<String>,
    /// `read` or `write`.
    pub operation: Option<String>,
    /// Whether the disk was full.
    pub nospace: bool,
    /// The system's words.
    pub error: Option<String>,
}
