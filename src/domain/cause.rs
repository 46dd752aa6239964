//! Why a domain is in its state, beyond the one word that libvirt has for it.

use std::fmt;

use super::event::{Actor, Exit, SignalSender, Verb};

/// Why: one of a closed list that scripts may match on (the names are spelt in `store::encode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The guest powered itself off, or went to sleep on its disk (S4).
    GuestShutdown,
    /// The guest reset itself where a reset ends the run (`-no-reboot`), or its processor did for a triple fault.
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
    /// The kernel ended QEMU for want of memory: it says so, or its counters do.
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

impl Cause {
    /// Whether it tells of the record, not of the guest.
    pub(super) fn is_of_record(&self) -> bool {
        matches!(self, Self::JournalDamaged { .. })
    }
}

/// What the kernel tells of whether it killed a process for want of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OomKill {
    /// Its log names that very process: proof. `evidence` is the line.
    Logged { scope: OomScope, evidence: String },
    /// The counters of the process's control group, where the log cannot be read. That they rose is no proof: the kernel
    /// may have killed another of the group, and somebody else this one.
    Counted(OomCounts),
}

impl OomKill {
    /// Whose memory was used up, as far as is known.
    pub fn scope(&self) -> Option<OomScope> {
        match self {
            Self::Logged { scope, .. } => Some(*scope),
            Self::Counted(_) => None,
        }
    }

    /// The kernel's own words, or its figures.
    pub fn evidence(&self) -> String {
        match self {
            Self::Logged { evidence, .. } => evidence.clone(),
            Self::Counted(counts) => counts.to_string(),
        }
    }
}

/// `memory.events` of a control group (cgroup v2) a moment before a process of it died, and when it was dead, not reaped, and
/// of the same group still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomCounts {
    /// `oom_kill`: how many of its processes the kernel has killed for want of memory, be it the group's or the host's.
    pub kills: Count,
    /// `oom_group_kill` (since Linux 5.18): how often all of its processes at once.
    pub group_kills: Option<Count>,
}

impl OomCounts {
    /// Whether the kernel has killed one of the group meanwhile.
    pub fn rose(&self) -> bool {
        self.kills.after > self.kills.before
    }
}

/// `memory.events of its control group: oom_kill 3 before, 4 after`, and the other one where it tells anything.
impl fmt::Display for OomCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { before, after } = self.kills;
        write!(
            f,
            "memory.events of its control group: oom_kill {before} before, {after} after"
        )?;
        match self.group_kills {
            Some(Count { before, after }) if after > before => {
                write!(f, ", oom_group_kill {before} before, {after} after")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A counter, at two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub before: u64,
    pub after: u64,
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
