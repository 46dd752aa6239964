//! A story as its seed determines it.

use std::fmt;

use fastrand::Rng;

use crate::act::{Act, Theme};
use crate::machine::Machine;

/// See the module.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) seed: u64,
    pub(crate) machine: Machine,
    pub(crate) theme: Theme,
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
        Self {
            seed,
            machine,
            theme,
            groups,
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.machine)?;
        for (number, group) in self.groups.iter().enumerate() {
            let acts: Vec<String> = group.iter().map(ToString::to_string).collect();
            writeln!(f, "  {number}. {}", acts.join(" | "))?;
        }
        Ok(())
    }
}
