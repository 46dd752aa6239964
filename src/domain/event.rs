//! What can happen to a domain, in domstate's own words: what QEMU announced, what a user asked for, and
//! how the process ended. The `journal` room reads and writes the lines that these come from.

use super::cause::{IoError, OomKill};
use super::fold::Fold;
use super::job::Job;
use super::policy::Lifecycle;

/// Microseconds since 1970-01-01 00:00:00 UTC, by the host's clock (which may step).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

/// One line of a journal. `at` is `None` for lines that carry no time (QMP replies).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub at: Option<Timestamp>,
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The run begins: written before QEMU is spawned.
    Launched(Box<Launch>),
    /// The process that was spawned: QEMU, or a wrapper that starts it.
    Spawned(Process),
    /// QEMU itself, as the control socket's peer.
    Identified(Process),
    /// QEMU's answer to the recorder's first question.
    StatusReported(RunStatus),
    /// QEMU refused to let the guest run; its words.
    ContinueRefused(String),
    Stopped,
    Resumed,
    Reset(ResetBy),
    ShutDown(ShutdownCause),
    /// The guest sleeps in RAM (S3). No `Stopped` comes with it.
    Suspended,
    /// The guest sleeps on its disk (S4); `ShutDown` follows.
    SuspendedToDisk,
    Woken,
    WatchdogFired(WatchdogAction),
    /// `info` is JSON text.
    Panicked {
        action: PanicAction,
        info: Option<String>,
    },
    CrashLoaded,
    IoFailed {
        error: IoError,
        stops_guest: bool,
    },
    /// The outgoing or incoming migration reached this status (QEMU's word).
    MigrationChanged(String),
    /// A verb is about to act.
    Asked {
        verb: Verb,
        actor: Actor,
        /// For verbs that take their time.
        job: Option<Box<Job>>,
    },
    /// For a job, QEMU is about to be told to write the guest: what it begins to write from here on is for that.
    StreamAsked {
        verb: Verb,
        pid: u32,
    },
    /// QEMU has answered that.
    StreamAnswered {
        verb: Verb,
        pid: u32,
        answer: StreamAnswer,
    },
    /// It acted; a job is carried out. `pid` is the asking process.
    Sent {
        verb: Verb,
        pid: u32,
    },
    /// What was said to be carried out is going to be undone: from here on it is not.
    TakenBack {
        verb: Verb,
        pid: u32,
    },
    /// It saw that what it asked for came true.
    Done {
        verb: Verb,
        pid: u32,
    },
    /// It gave up, and nothing that it did is still to take effect.
    Failed {
        verb: Verb,
        pid: u32,
        message: String,
    },
    /// A process of the run ended. `exit` is `None` when it was found gone and nobody knows how.
    Exited {
        pid: Option<u32>,
        exit: Option<Exit>,
        /// The boot in which it was seen to be gone.
        boot: BootId,
        words: LogWords,
        oom: Option<Box<OomKill>>,
    },
    /// Everything before this line, folded.
    Checkpoint(Box<Checkpoint>),
    /// The program could not be started at all; the system's words.
    SpawnFailed {
        message: String,
    },
    /// Lines were lost here: a full disk cut them, or something else wrote into the file.
    Gap,
    /// A line that tells nothing about the state.
    Other,
}

impl Event {
    /// Whether the fold is what this says, whatever came before.
    pub fn is_whole_fold(&self) -> bool {
        matches!(self, Self::Launched(_) | Self::Checkpoint(_))
    }
}

/// A fold kept in the journal itself, so that the space in front of it can be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub fold: Fold,
    pub rules: Rules,
    /// Where in the journal it was meant to stand. QEMU writes at any moment: a line that slipped in between is
    /// not in the fold, and a checkpoint that stands elsewhere is void.
    pub offset: u64,
}

/// By whose rules a fold was made: what is mended in ours may be wrong in a fold of an older domstate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    Ours,
    Others,
}

/// What the run was started with, as far as its answers depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub run: u32,
    pub kind: LaunchKind,
    pub begin: Begin,
    pub boot: BootId,
    /// Inode number of the pid namespace that the run's pids belong to.
    pub pid_namespace: u64,
    /// The journal itself, by which a copy of it is known; `None` of a run that an older domstate has started, and where files do
    /// not tell when they were made.
    pub journal: Option<FileId>,
    pub exit_device: ExitDevice,
    /// It comes from a file or a snapshot, and may have panicked before, in lines that were lost.
    pub may_have_panicked: bool,
    /// Whether a debugger may attach (`-s`, `-gdb`): QEMU 11 calls its kill a guest-shutdown.
    pub debugger: bool,
    pub bmc: Bmc,
    pub lifecycle: Lifecycle,
    pub actor: Actor,
}

/// By what the guest can end QEMU with a status, on some versions without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitDevice {
    None,
    /// isa-debug-exit, the test device or semihosting: what it gives is its own affair.
    Own,
    /// A board's device whose statuses mean that it failed, too, or a plugin of the user's, which ends QEMU as well: what a
    /// status means is not known.
    Unclear,
}

impl ExitDevice {
    pub fn is_there(self) -> bool {
        self != Self::None
    }
}

/// What else ends a guest, and QEMU says that it was the guest itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bmc {
    None,
    /// A watchdog of the board resets it without announcing that (pseries, 7.1 to 11: `hw/watchdog/spapr_watchdog.c`; 405 and
    /// ETRAX, 7.2).
    Resets,
    /// There is, or may be, a BMC, whose watchdog or owner may cut its power: that is a guest-shutdown.
    CutsPower,
}

/// Where the guest's first instruction comes from; it decides what its first RESUME is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchKind {
    Boot,
    Incoming,
    Snapshot,
    /// A saved image.
    Restore,
}

/// Whether the guest runs as soon as QEMU is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    Running,
    Paused,
}

/// The kernel's name for one boot of the host (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootId(pub String);

/// What statx(2) calls a file, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Holds for one boot, and as long as its file system is mounted.
    pub device: u64,
    pub inode: u64,
    /// When it was made: the next one may have the same number.
    pub born: Timestamp,
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// `/proc/PID/stat` field 22: clock ticks since the host's boot.
    pub start_ticks: u64,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub uid: u32,
    pub pid: u32,
    pub command: String,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Status(i32),
    Signal { signal: i32, core_dumped: bool },
}

/// What QEMU said about its own end on its standard error, where its events say less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogWords {
    /// "terminating on signal N", with the sender where there was one.
    pub terminated: Option<SignalSender>,
    /// "Terminated via GDBstub".
    pub gdb_killed: bool,
    /// The last line that it wrote.
    pub last_line: Option<String>,
}

/// A signal and who sent it. QEMU does not name a sender for Ctrl-C.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalSender {
    pub signal: Option<i32>,
    pub pid: Option<u32>,
    pub command: Option<String>,
}

impl SignalSender {
    /// Somebody of several that QEMU's log names.
    pub fn of_several() -> Self {
        Self::default()
    }

    /// Whether it is that.
    pub fn is_of_several(&self) -> bool {
        *self == Self::of_several()
    }
}

/// QEMU's RunState as far as a run can begin in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    Running,
    Prelaunch,
    Paused,
    InMigrate,
    Other,
}

/// What QEMU says when it is told to write the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamAnswer {
    /// It does.
    Taken,
    /// It does not: what has begun since it was told is somebody else's.
    Refused,
}

/// Who reset the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetBy {
    Guest,
    Host,
}

/// QEMU's ShutdownCause (`qapi/run-state.json`, reasons since 4.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownCause {
    GuestShutdown,
    GuestReset,
    GuestPanic,
    HostError,
    HostQmpQuit,
    HostQmpSystemReset,
    HostSignal,
    HostUi,
    /// One that this domstate does not know.
    Unknown,
}

/// What QEMU did when the watchdog fired (`qapi/run-state.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogAction {
    Pause,
    Poweroff,
    Reset,
    /// Anything that leaves the guest running or says of itself what it does.
    Other,
}

/// What QEMU did when the guest panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicAction {
    Pause,
    Poweroff,
    Run,
}

/// The verbs that leave their intent in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Destroy,
    /// `run` was told to stop: it destroys.
    Run,
    /// The time that `run` was given is up: it destroys.
    RunTimeout,
    Shutdown,
    Suspend,
    Resume,
    Reset,
    InjectNmi,
    Wakeup,
    /// A command of the user's own to QEMU's monitor.
    Monitor,
    Reboot,
    Save,
    ManagedSave,
    Dump,
    DumpCrash,
    DumpReset,
    JobAbort,
    Migrate,
    SnapshotCreate,
    SnapshotHalt,
    SnapshotRevert,
    SnapshotDelete,
    /// What the policies ask for, done by whoever finds it to be done.
    CrashRestart,
    CrashDump,
    CrashDestroy,
    PoweroffRestart,
    /// A restored guest is let go.
    LetGo,
}

impl Verb {
    /// Every verb that leaves an intent.
    pub const ALL: &[Self] = &[
        Self::Destroy,
        Self::Run,
        Self::RunTimeout,
        Self::Shutdown,
        Self::Suspend,
        Self::Resume,
        Self::Reset,
        Self::InjectNmi,
        Self::Wakeup,
        Self::Monitor,
        Self::Reboot,
        Self::Save,
        Self::ManagedSave,
        Self::Dump,
        Self::DumpCrash,
        Self::DumpReset,
        Self::JobAbort,
        Self::Migrate,
        Self::SnapshotCreate,
        Self::SnapshotHalt,
        Self::SnapshotRevert,
        Self::SnapshotDelete,
        Self::CrashRestart,
        Self::CrashDump,
        Self::CrashDestroy,
        Self::PoweroffRestart,
        Self::LetGo,
    ];

    /// The verb as the user types it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Destroy => "destroy",
            Self::Run => "run",
            Self::RunTimeout => "run --timeout",
            Self::Shutdown => "shutdown",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Reset => "reset",
            Self::InjectNmi => "inject-nmi",
            Self::Wakeup => "dompmwakeup",
            Self::Monitor => "qemu-monitor-command",
            Self::Reboot => "reboot",
            Self::Save => "save",
            Self::ManagedSave => "managedsave",
            Self::Dump => "dump",
            Self::DumpCrash => "dump --crash",
            Self::DumpReset => "dump --reset",
            Self::JobAbort => "domjobabort",
            Self::Migrate => "migrate",
            Self::SnapshotCreate => "snapshot-create-as",
            Self::SnapshotHalt => "snapshot-create-as --halt",
            Self::SnapshotRevert => "snapshot-revert",
            Self::SnapshotDelete => "snapshot-delete",
            Self::CrashRestart => "on-crash restart",
            Self::CrashDump => "on-crash coredump",
            Self::CrashDestroy => "on-crash destroy",
            Self::PoweroffRestart => "on-poweroff restart",
            Self::LetGo => "restore",
        }
    }
}
