//! What can be done in a story, by whom and with what failing meanwhile.

use std::fmt;

use fastrand::Rng;
use nix::sys::signal::Signal;

use crate::fault::Fault;
use crate::judge::words;

/// What happens to the file system that the state directory lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Full,
    Roomy,
    ReadOnly,
    Writable,
    /// Another name, as when an automounter takes it away.
    Gone,
    Back,
}

/// What happens in a control group that is made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freezer {
    Qemu,
    Supervisor,
    Thaws,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A command of domstate on the domain; its words but for the domain.
    Verb(Vec<&'static str>),
    /// The same, and something fails.
    Faulted(Vec<&'static str>, Fault),
    /// The same, and it fails in all that the command starts too.
    Followed(Vec<&'static str>, Fault),
    /// The same, and it is stopped after so many microseconds, for a while.
    Halted(Vec<&'static str>, u64),
    /// The same, and somebody types Ctrl-C after so many microseconds.
    Interrupted(Vec<&'static str>, u64),
    /// The same, and it is killed a second later.
    Abandoned(Vec<&'static str>, u64),
    /// A letter for the guest.
    Letter(char),
    /// The same, so many microseconds behind what is done beside it.
    LetterBehind(char, u64),
    /// A signal to QEMU.
    Signal(Signal),
    /// The same, once its guest is at its destination.
    SignalAtArrival(Signal),
    /// A third party's command at QEMU's monitor.
    Monitor(&'static str),
    /// A signal to the supervisor.
    Supervisor(Signal),
    Freezer(Freezer),
    /// Something fails in the supervisor from now on.
    SupervisorFault(Fault),
    /// The supervisor is killed, and something fails in who asks next and in the supervisor that he starts.
    Adoption(Fault),
    /// The same in QEMU.
    QemuFault(Fault),
    /// The checkpoint is deleted.
    LoseCheckpoint,
    Storage(Storage),
    /// A process that has nothing to do with it gets the pid that QEMU had.
    ReusePid,
    /// A copy of the state directory is damaged at random, and asked.
    AskDamagedCopy(u64),
    /// A copy of the state directory is asked as after another boot.
    AskAfterBoot,
}

const LETTERS: &[char] = &[
    'o', 'o', 'p', 'p', 'l', 'f', 'r', 't', 's', 'd', 'w', 'g', 'h', 'x', 'n',
];

pub(crate) const VERBS: &[&[&str]] = &[
    &["suspend"],
    &["suspend"],
    &["resume"],
    &["resume"],
    &["reset"],
    &["reboot"],
    &["shutdown"],
    &["destroy"],
    &["destroy", "--graceful"],
    &["inject-nmi"],
    &["dompmwakeup"],
    &["save", "@FILE"],
    &["restore", "@FILE"],
    &["managedsave"],
    &["managedsave-remove"],
    &["start"],
    &["start"],
    &["start", "--force-boot"],
    &["run", "--timeout", "1s"],
    &["run", "--timeout", "1s", "@DEFINITION"],
    &["define", "@DEFINITION"],
    &["domrename", "@NEW"],
    &["dump", "--memory-only", "@DUMP"],
    &["dump", "--memory-only", "--crash", "@DUMP"],
    &["dump", "--memory-only", "--reset", "@DUMP"],
    &["--reason"],
    &["list", "--all", "--reason"],
    &["history"],
    &["explain"],
    &["dominfo"],
    &["domjobabort"],
    &["wait", "--timeout", "100ms"],
    &["undefine"],
    &["snapshot-create-as", "s"],
    &["snapshot-create-as", "s", "--halt"],
    &["snapshot-revert", "s"],
    &["snapshot-revert", "s", "--running"],
    &["snapshot-delete", "s"],
];

const SIGNALS: &[Signal] = &[
    Signal::SIGKILL,
    Signal::SIGKILL,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGSEGV,
    Signal::SIGABRT,
    Signal::SIGSTOP,
    Signal::SIGCONT,
    Signal::SIGCONT,
];

const COMMANDS: &[&str] = &[
    "stop",
    "cont",
    "cont",
    "quit",
    "system_reset",
    "system_wakeup",
    // Into a file that nobody reads.
    "migrate",
    "migrate",
    "migrate_cancel",
    "savevm",
];

/// Which kinds of act a story has besides the common ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Plain,
    /// Its state directory lies on a file system of its own, which fails.
    Storage,
    /// Its state directory vanishes and comes back.
    Vanishing,
    /// The host's clock is stepped.
    Clock,
}

impl Act {
    pub(crate) fn any(rng: &mut Rng, theme: Theme) -> Self {
        let verb = |rng: &mut Rng| VERBS[rng.usize(..VERBS.len())].to_vec();
        match rng.u8(..100) {
            0..22 => Self::Letter(LETTERS[rng.usize(..LETTERS.len())]),
            22..50 => Self::Verb(verb(rng)),
            50..64 => Self::Faulted(verb(rng), Fault::any(rng)),
            64..66 => Self::Followed(verb(rng), Fault::any(rng)),
            66..74 => Self::Signal(SIGNALS[rng.usize(..SIGNALS.len())]),
            74..79 => Self::Monitor(COMMANDS[rng.usize(..COMMANDS.len())]),
            79..85 => {
                let signals = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCONT];
                Self::Supervisor(signals[rng.usize(..3)])
            }
            85 => Self::Adoption(Fault::any(rng)),
            86..91 => Self::SupervisorFault(Fault::any(rng)),
            91..93 => Self::LoseCheckpoint,
            93 => Self::ReusePid,
            94..96 => Self::AskDamagedCopy(rng.u64(..)),
            96 if rng.bool() => Self::AskAfterBoot,
            96 => {
                let what = [Freezer::Qemu, Freezer::Supervisor, Freezer::Thaws];
                Self::Freezer(what[rng.usize(..what.len())])
            }
            97 => Self::Halted(verb(rng), 1 << rng.u32(6..18)),
            98 => Self::Interrupted(verb(rng), 1 << rng.u32(6..18)),
            _ => match theme {
                Theme::Plain | Theme::Clock => Self::Verb(verb(rng)),
                Theme::Storage | Theme::Vanishing => Self::Storage(theme.storage(rng)),
            },
        }
    }
}

impl Theme {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        match rng.u8(..20) {
            0..2 => Self::Storage,
            2 => Self::Vanishing,
            3..6 => Self::Clock,
            _ => Self::Plain,
        }
    }

    pub(crate) fn storage(self, rng: &mut Rng) -> Storage {
        use Storage::{Back, Full, Gone, ReadOnly, Roomy, Writable};
        match self {
            Self::Vanishing => [Gone, Back][rng.usize(..2)],
            Self::Plain | Self::Clock | Self::Storage => {
                [Full, Roomy, ReadOnly, Writable][rng.usize(..4)]
            }
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verb(words) => write!(f, "domstate {} v", words.join(" ")),
            Self::Faulted(words, fault) => write!(f, "domstate {} v, {fault}", words.join(" ")),
            Self::Followed(words, fault) => {
                write!(
                    f,
                    "domstate {} v and what it starts, {fault}",
                    words.join(" ")
                )
            }
            Self::Halted(words, micros) => {
                write!(
                    f,
                    "domstate {} v, stopped after {micros} us",
                    words.join(" ")
                )
            }
            Self::Interrupted(words, micros) => {
                write!(f, "domstate {} v, ^C after {micros} us", words.join(" "))
            }
            Self::Abandoned(words, micros) => {
                let words = words.join(" ");
                write!(
                    f,
                    "domstate {words} v, ^C after {micros} us and SIGKILL after that"
                )
            }
            Self::Letter(letter) => write!(f, "letter {letter}"),
            Self::LetterBehind(letter, micros) => {
                write!(f, "letter {letter} after {micros} us")
            }
            Self::Signal(signal) => write!(f, "{signal} to QEMU"),
            Self::SignalAtArrival(signal) => {
                write!(f, "{signal} to QEMU whose guest has arrived elsewhere")
            }
            Self::Monitor(command) => write!(f, "third party: {command}"),
            Self::Supervisor(signal) => write!(f, "{signal} to the supervisor"),
            Self::Freezer(Freezer::Qemu) => f.write_str("QEMU's control group is frozen"),
            Self::Freezer(Freezer::Supervisor) => {
                f.write_str("the supervisor's control group is frozen")
            }
            Self::Freezer(Freezer::Thaws) => f.write_str("what is frozen is thawed"),
            Self::SupervisorFault(fault) => write!(f, "the supervisor: {fault}"),
            Self::Adoption(fault) => {
                write!(
                    f,
                    "SIGKILL to the supervisor, and who takes its place, {fault}"
                )
            }
            Self::QemuFault(fault) => write!(f, "QEMU: {fault}"),
            Self::LoseCheckpoint => f.write_str("state.json is deleted"),
            Self::Storage(storage) => write!(f, "the state directory: {storage:?}"),
            Self::ReusePid => f.write_str("QEMU's pid is used again"),
            Self::AskDamagedCopy(seed) => write!(f, "a damaged copy is asked ({seed})"),
            Self::AskAfterBoot => f.write_str("a copy is asked after another boot"),
        }
    }
}

impl Act {
    /// What fails in it.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        if let Self::Faulted(_, fault)
        | Self::Followed(_, fault)
        | Self::SupervisorFault(fault)
        | Self::Adoption(fault)
        | Self::QemuFault(fault) = self
        {
            return Some(fault);
        }
        None
    }

    /// What fails in QEMU itself, or in all that this starts.
    pub(crate) fn in_qemu(&self) -> Option<&Fault> {
        if let Self::Followed(_, fault) | Self::QemuFault(fault) = self {
            return Some(fault);
        }
        None
    }

    /// The kind, for counting.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Verb(words) => format!("verb {}", words[0]),
            Self::Faulted(words, fault) | Self::Followed(words, fault) => match fault.error {
                Some(error) => format!("{error} in a verb ({})", words[0]),
                None => format!("verb killed ({})", words[0]),
            },
            Self::Halted(words, _) => format!("verb stopped on its way ({})", words[0]),
            Self::Interrupted(words, _) => format!("Ctrl-C at a verb ({})", words[0]),
            Self::Abandoned(words, _) => format!("Ctrl-C and SIGKILL at a verb ({})", words[0]),
            Self::Letter(letter) | Self::LetterBehind(letter, _) => {
                format!("guest does {letter}")
            }
            Self::SupervisorFault(Fault { error: None, .. }) => {
                "supervisor killed at a call".to_owned()
            }
            Self::SupervisorFault(_) => "error in the supervisor".to_owned(),
            Self::Adoption(Fault { error: None, .. }) => "adopter killed at a call".to_owned(),
            Self::Adoption(_) => "error in the adopter".to_owned(),
            Self::QemuFault(_) => "QEMU killed at a call".to_owned(),
            Self::AskDamagedCopy(_) => "damaged copy asked".to_owned(),
            Self::Signal(_)
            | Self::SignalAtArrival(_)
            | Self::Monitor(_)
            | Self::Supervisor(_)
            | Self::Freezer(_)
            | Self::LoseCheckpoint
            | Self::Storage(_)
            | Self::ReusePid
            | Self::AskAfterBoot => self.to_string(),
        }
    }
}

impl Act {
    /// Whether it may keep domstate from seeing or recording what happens.
    pub(crate) fn obscures(&self) -> bool {
        match self {
            Self::Faulted(..)
            | Self::Followed(..)
            | Self::Interrupted(..)
            | Self::Abandoned(..)
            | Self::Supervisor(_)
            | Self::Freezer(Freezer::Supervisor)
            | Self::SupervisorFault(_)
            | Self::Adoption(_)
            | Self::QemuFault(_)
            | Self::Storage(_) => true,
            Self::Verb(_)
            | Self::Halted(..)
            | Self::Letter(_)
            | Self::LetterBehind(..)
            | Self::Signal(_)
            | Self::SignalAtArrival(_)
            | Self::Monitor(_)
            | Self::Freezer(Freezer::Qemu | Freezer::Thaws)
            | Self::LoseCheckpoint
            | Self::ReusePid
            | Self::AskDamagedCopy(_)
            | Self::AskAfterBoot => false,
        }
    }

    /// Whether it does nothing to a guest, nor to what is told of it: it only looks, or takes away what is not needed.
    pub(crate) fn leaves_alone(&self) -> bool {
        let looks = [
            "--reason", "list", "history", "explain", "dominfo", "wait", "define",
        ];
        match self {
            Self::Verb(words)
            | Self::Faulted(words, _)
            | Self::Halted(words, _)
            | Self::Interrupted(words, _)
            | Self::Abandoned(words, _) => looks.contains(&words[0]),
            Self::Supervisor(_)
            | Self::Freezer(_)
            | Self::SupervisorFault(_)
            | Self::Adoption(_)
            | Self::LoseCheckpoint
            | Self::ReusePid
            | Self::AskDamagedCopy(_)
            | Self::AskAfterBoot => true,
            Self::Followed(..)
            | Self::QemuFault(_)
            | Self::Letter(_)
            | Self::LetterBehind(..)
            | Self::Signal(_)
            | Self::SignalAtArrival(_)
            | Self::Monitor(_)
            | Self::Storage(_) => false,
        }
    }
}

/// Takes out of a group what cannot be judged while the domain has another name, or may be nowhere: what makes one of the old name,
/// and what looks into its folder.
pub(crate) fn keep_apart(group: &mut Vec<Act>, theme: Theme) {
    let renames = |act: &Act| words(act).is_some_and(|words| words[0] == "domrename");
    let is_renamed = group.iter().any(renames);
    group.retain(|act| {
        let makes_one = words(act).is_some_and(|words| words.contains(&"@DEFINITION"));
        let looks_into = matches!(
            act,
            Act::AskDamagedCopy(_) | Act::AskAfterBoot | Act::LoseCheckpoint | Act::Storage(_)
        );
        let may_be_nowhere = is_renamed || theme == Theme::Vanishing;
        !(makes_one && may_be_nowhere || looks_into && is_renamed)
    });
}
