//! A story as its seed determines it.

use std::fmt;

use fastrand::Rng;

use crate::act::{Act, Fault, Theme};
use crate::machine::Machine;

/// See the module.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) seed: u64,
    pub(crate) machine: Machine,
    pub(crate) theme: Theme,
    /// What fails in everything that the first `start` starts.
    pub(crate) start: Option<Fault>,
    /// One group after the other; what is in a group is done at once.
    pub(crate) groups: Vec<Vec<Act>>,
}

impl Story {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let machine = Machine::any(&mut rng);
        let theme = Theme::any(&mut rng);
        let mut groups: Vec<Vec<Act>> = (0..rng.usize(1..6))
            .map(|_| {
                let at_once = [1, 1, 1, 2, 2, 3][rng.usize(..6)];
                (0..at_once).map(|_| Act::any(&mut rng, theme)).collect()
            })
            .collect();
        if theme != Theme::Plain {
            // Before something that counts, else it would be for nothing.
            let at = rng.usize(..groups.len());
            groups.insert(at, vec![Act::Storage(theme.storage(&mut rng))]);
        }
        let start = (rng.u8(..12) == 0).then(|| Fault::any(&mut rng));
        Self {
            seed,
            machine,
            theme,
            start,
            groups,
        }
    }
}

impl Story {
    /// Whether system calls of QEMU itself may fail.
    pub(crate) fn breaks_qemu(&self) -> bool {
        let followed = self.groups.iter().flatten().filter_map(Act::followed);
        let mut faults = self.start.iter().chain(followed);
        faults.any(|fault| fault.error.is_some())
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.machine)?;
        if let Some(fault) = &self.start {
            writeln!(f, "  start: {fault}")?;
        }
        for (number, group) in self.groups.iter().enumerate() {
            let acts: Vec<String> = group.iter().map(ToString::to_string).collect();
            writeln!(f, "  {number}. {}", acts.join(" | "))?;
        }
        Ok(())
    }
}
