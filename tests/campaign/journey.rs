//! A story that sends the guest to another QEMU, as its seed determines it.

use std::fmt;

use fastrand::Rng;
use nix::sys::signal::Signal;

use crate::act::Act;
use crate::fault::Fault;

/// What `ONLY` says for a campaign of these.
pub(crate) const JOURNEYS: &str = "a journey";

/// Which QEMU of a story it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// There is no other.
    Alone,
    Source,
    Destination,
}

impl Role {
    pub(crate) fn domain(self) -> &'static str {
        match self {
            Self::Alone | Self::Source => "v",
            Self::Destination => "d",
        }
    }
}

/// What lies between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    /// As direct, and QEMU sends no more than so many bytes a second.
    Slow(u32),
    /// It breaks off after so many bytes.
    Breaks(u64),
    /// It carries no more after so many bytes, and stays.
    Silent(u64),
    /// It breaks off where the destination says that it has everything.
    BreaksLast,
    /// That is all that it does not carry, and it stays.
    SilentLast,
}

impl Way {
    /// So many go over it.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Breaks(bytes) | Self::Silent(bytes) => bytes,
            Self::Direct | Self::Slow(_) | Self::BreaksLast | Self::SilentLast => u64::MAX,
        }
    }

    pub(crate) fn loses_the_last_word(self) -> bool {
        matches!(self, Self::BreaksLast | Self::SilentLast)
    }

    fn is_silent(self) -> bool {
        matches!(self, Self::Silent(_) | Self::SilentLast)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Journey {
    pub(crate) way: Way,
    /// One group after the other; what is in a group is done at once.
    pub(crate) groups: Vec<Vec<(Role, Act)>>,
}

const MIGRATE: &[&[&str]] = &[
    &["migrate", "@WAY"],
    &["migrate", "@WAY"],
    &["migrate", "@WAY", "--postcopy"],
    &["migrate", "@WAY", "--timeout", "50ms"],
    &["migrate", "@WAY", "--postcopy", "--timeout", "50ms"],
];

const VERBS: &[&[&str]] = &[
    &["suspend"],
    &["resume"],
    &["resume"],
    &["reset"],
    &["shutdown"],
    &["destroy"],
    &["domjobabort"],
    &["domjobabort"],
    &["domjobinfo"],
    &["--reason"],
    &["history"],
    &["explain"],
    &["wait", "--timeout", "100ms"],
    &["save", "@FILE"],
    &["dump", "--memory-only", "@DUMP"],
];

const LETTERS: &[char] = &['o', 'p', 'n', 'h', 'x'];

const SIGNALS: &[Signal] = &[
    Signal::SIGKILL,
    Signal::SIGKILL,
    Signal::SIGTERM,
    Signal::SIGSTOP,
    Signal::SIGCONT,
    Signal::SIGCONT,
];

const COMMANDS: &[&str] = &["stop", "cont", "quit", "system_reset", "migrate_cancel"];

impl Journey {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        // Of what is sent the most is in the first and the last of it.
        let bytes = |rng: &mut Rng| 1 << rng.u32(4..23);
        let way = match rng.u8(..10) {
            0..4 => Way::Direct,
            4..6 => Way::Slow(1 << rng.u32(20..26)),
            6 => Way::Breaks(bytes(rng)),
            7 => Way::Silent(bytes(rng)),
            8 => Way::BreaksLast,
            _ => Way::SilentLast,
        };
        let mut groups: Vec<Vec<(Role, Act)>> = (0..rng.usize(..4))
            .map(|_| (0..rng.usize(1..3)).map(|_| any_act(rng)).collect())
            .collect();
        let mut going: Vec<(Role, Act)> = (0..rng.usize(..3)).map(|_| any_act(rng)).collect();
        // It waits without end for a QEMU that says nothing.
        let all = groups.iter().flatten().chain(&going);
        let mut all = all.map(|(_, act)| act);
        let mut waits = way.is_silent() || all.any(|act| *act == Act::Signal(Signal::SIGSTOP));
        if way == Way::SilentLast && rng.u8(..4) > 0 {
            // The guest is there, and its source will never know it.
            going.push((Role::Source, Act::SignalAtArrival(Signal::SIGKILL)));
            waits = false;
        }
        going.push((Role::Source, migrate(rng, way, waits)));
        groups.insert(rng.usize(..=groups.len()), going);
        Self { way, groups }
    }

    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.way, Way::Slow(_))
    }
}

fn migrate(rng: &mut Rng, way: Way, waits: bool) -> Act {
    let words = MIGRATE[rng.usize(..MIGRATE.len())].to_vec();
    // QEMU 7.2 does not notice, of a guest that it has handed over, that nobody will tell it more.
    let waits = waits || (way == Way::BreaksLast && words.contains(&"--postcopy"));
    let micros = 1 << rng.u32(10..19);
    match rng.u8(..6) {
        _ if waits => Act::Abandoned(words, micros),
        0 => Act::Abandoned(words, micros),
        1 => Act::Faulted(words, Fault::any(rng)),
        _ => Act::Verb(words),
    }
}

fn any_act(rng: &mut Rng) -> (Role, Act) {
    let role = [Role::Source, Role::Destination][rng.usize(..2)];
    let verb = |rng: &mut Rng| VERBS[rng.usize(..VERBS.len())].to_vec();
    let act = match rng.u8(..20) {
        0..3 => Act::Letter(LETTERS[rng.usize(..LETTERS.len())]),
        3..9 => Act::Verb(verb(rng)),
        9..11 => Act::Faulted(verb(rng), Fault::any(rng)),
        11..13 => Act::Signal(SIGNALS[rng.usize(..SIGNALS.len())]),
        13 => Act::Monitor(COMMANDS[rng.usize(..COMMANDS.len())]),
        14..16 => {
            let signals = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCONT];
            Act::Supervisor(signals[rng.usize(..3)])
        }
        16 => Act::SupervisorFault(Fault::any(rng)),
        17 => Act::LoseCheckpoint,
        18 => Act::Halted(verb(rng), 1 << rng.u32(6..18)),
        _ => Act::Interrupted(verb(rng), 1 << rng.u32(6..18)),
    };
    (role, act)
}

impl fmt::Display for Way {
    /// As it is counted: without its figure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "directly",
            Self::Slow(_) => "slowly",
            Self::Breaks(_) => "over a way that breaks off",
            Self::Silent(_) => "over a way that falls silent",
            Self::BreaksLast => "over a way that breaks off at the last word",
            Self::SilentLast => "over a way that keeps the last word",
        })
    }
}

impl fmt::Display for Journey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  a journey, {} ({:?})", self.way, self.way)?;
        for (number, group) in self.groups.iter().enumerate() {
            let acts = group
                .iter()
                .map(|(role, act)| format!("{}: {act}", role.domain()));
            let acts: Vec<String> = acts.collect();
            writeln!(f, "  {number}. {}", acts.join(" | "))?;
        }
        Ok(())
    }
}
