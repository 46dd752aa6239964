//! A story as its seed determines it.

use std::fmt;

use fastrand::Rng;

use crate::act::{Act, Theme, keep_apart};
use crate::fault::Fault;
use crate::journey::{JOURNEYS, Journey};
use crate::machine::Machine;
use crate::peer;
use crate::volume::FileSystem;

/// See the module.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) seed: u64,
    pub(crate) machine: Machine,
    pub(crate) theme: Theme,
    /// One of its own that the state directory lies on.
    pub(crate) file_system: Option<FileSystem>,
    /// What fails in everything that the first `start` starts.
    pub(crate) start: Option<Fault>,
    /// Then it is no QEMU at all: what it says, and what is asked of it.
    pub(crate) peer: Option<(&'static str, Vec<&'static [&'static str]>)>,
    /// Then the guest goes to another QEMU.
    pub(crate) journey: Option<Journey>,
    /// One group after the other; what is in a group is done at once.
    pub(crate) groups: Vec<Vec<Act>>,
}

impl Story {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut machine = Machine::any(&mut rng);
        let theme = Theme::any(&mut rng);
        let acts_by_policy = theme == Theme::Clock && rng.bool();
        if acts_by_policy {
            machine.follow_policy(&mut rng);
        }
        let mut groups: Vec<Vec<Act>> = (0..rng.usize(1..6))
            .map(|_| {
                let at_once = [1, 1, 1, 2, 2, 3][rng.usize(..6)];
                let mut group = (0..at_once).map(|_| Act::any(&mut rng, theme)).collect();
                keep_apart(&mut group, theme);
                group
            })
            .collect();
        if matches!(theme, Theme::Storage | Theme::Vanishing) {
            // Before something that counts, else it would be for nothing.
            let at = rng.usize(..groups.len());
            groups.insert(at, vec![Act::Storage(theme.storage(&mut rng))]);
        }
        if acts_by_policy {
            let at = rng.usize(..=groups.len());
            let end = ['p', 'p', 'o', 't'][rng.usize(..4)];
            groups.insert(at, vec![Act::Letter(end)]);
        }
        let start = (rng.u8(..12) == 0).then(|| Fault::any(&mut rng));
        let peer = (rng.u8(..30) == 0).then(|| {
            let verbs = (0..rng.usize(1..4)).map(|_| peer::VERBS[rng.usize(..peer::VERBS.len())]);
            let verbs = verbs.collect();
            (peer::KINDS[rng.usize(..peer::KINDS.len())], verbs)
        });
        let is_elsewhere = theme == Theme::Storage || rng.u8(..5) == 0;
        let any = FileSystem::ALL[rng.usize(..FileSystem::ALL.len())];
        Self {
            seed,
            machine,
            theme,
            // A folder that something is mounted on does not vanish.
            file_system: (is_elsewhere && theme != Theme::Vanishing).then_some(any),
            start,
            peer,
            journey: None,
            groups,
        }
    }

    /// A guest that does what QEMU does of itself, and goes to another QEMU.
    pub(crate) fn of_journey(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let journey = Journey::any(&mut rng);
        let machine = Machine {
            paused: rng.u8(..10) == 0,
            has_exit_device: rng.u8(..6) == 0,
            is_bulky: journey.is_slow(),
            ..Machine::plain()
        };
        Self {
            seed,
            machine,
            theme: Theme::Plain,
            file_system: None,
            start: None,
            peer: None,
            journey: Some(journey),
            groups: Vec::new(),
        }
    }

    /// All that is done in it.
    pub(crate) fn acts(&self) -> impl Iterator<Item = &Act> {
        let journey = self.journey.iter().flat_map(|journey| &journey.groups);
        let journey = journey.flatten().map(|(_, act)| act);
        self.groups.iter().flatten().chain(journey)
    }
}

impl Story {
    /// The variables of `make campaign` that play it again. A sweep has no seeds.
    pub(crate) fn replay(&self) -> String {
        let acts = self.acts().filter_map(Act::fault);
        let fault = self.start.iter().chain(acts).next();
        let at_once = self.groups.last().filter(|group| group.len() > 1);
        match (fault, at_once) {
            (Some(fault), _) if self.seed == 0 => format!("RUNS=0 SWEEP=all ONLY='{fault}'"),
            (None, Some(group)) if self.seed == 0 => {
                format!("RUNS=0 SWEEP=all ONLY='{}'", told(group))
            }
            _ if self.journey.is_some() => {
                format!("RUNS=1 SEED={} ONLY='{JOURNEYS}'", self.seed)
            }
            _ => format!("RUNS=1 SEED={}", self.seed),
        }
    }

    /// Whether this is told of it: `write 3` is not of one that tells of `write 30`.
    pub(crate) fn tells(&self, words: &str) -> bool {
        let text = self.to_string();
        let ends = |at: usize| !text[at + words.len()..].starts_with(|c: char| c.is_ascii_digit());
        text.match_indices(words).any(|(at, _)| ends(at))
    }

    /// Whether system calls of QEMU itself may fail.
    pub(crate) fn breaks_qemu(&self) -> bool {
        self.faults_of_qemu().any(|fault| fault.error.is_some())
    }

    /// The same for the calls of a name.
    pub(crate) fn breaks_qemu_at(&self, call: &str) -> bool {
        self.faults_of_qemu()
            .any(|fault| fault.error.is_some() && fault.call == call)
    }

    /// Whether something that is to be on record may not be written, or not reach the disk.
    pub(crate) fn breaks_writing(&self) -> bool {
        let calls = ["write", "fsync", "fdatasync"];
        let faults = self.start.iter().chain(self.acts().filter_map(Act::fault));
        let mut faults = faults.filter(|fault| fault.error.is_some());
        faults.any(|fault| calls.contains(&fault.call))
    }

    /// Whether what the witness is to hear of QEMU, or QEMU of it, may be lost: its sockets, not the journal's pipe.
    pub(crate) fn deafens_witness(&self) -> bool {
        let calls = ["sendmsg", "recvmsg", "sendto", "recvfrom", "poll", "ppoll"];
        calls.iter().any(|call| self.breaks_qemu_at(call))
    }

    fn faults_of_qemu(&self) -> impl Iterator<Item = &Fault> {
        let followed = self.groups.iter().flatten().filter_map(Act::in_qemu);
        self.start.iter().chain(followed)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((kind, verbs)) = &self.peer {
            return writeln!(f, "seed {}: no QEMU, {kind}: {verbs:?}", self.seed);
        }
        writeln!(
            f,
            "seed {}: {:?} on {}, {:?}",
            self.seed,
            self.theme,
            self.file_system.map_or("the host's own", FileSystem::name),
            self.machine
        )?;
        if let Some(journey) = &self.journey {
            return journey.fmt(f);
        }
        if let Some(fault) = &self.start {
            writeln!(f, "  start: {fault}")?;
        }
        for (number, group) in self.groups.iter().enumerate() {
            writeln!(f, "  {number}. {}", told(group))?;
        }
        Ok(())
    }
}

/// What is done at once.
fn told(group: &[Act]) -> String {
    let acts: Vec<String> = group.iter().map(ToString::to_string).collect();
    acts.join(" | ")
}
