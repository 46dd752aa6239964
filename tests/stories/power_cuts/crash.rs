//! The states that a power cut may leave, out of what was done and what was synced.
//!
//! What is assumed of the file system is in the theme's own words, `power_cuts.rs`.

use std::collections::BTreeMap;

use super::disk::Inode;
use super::operations::Operations;
use super::tears::{Grain, tears};
use super::trace::Moment;

/// What became of an operation that was not on the disk for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// The first bytes of it are there, and there the file ends.
    Torn(usize),
    /// The first bytes are there, and zeros in place of the others.
    Zeroed(usize),
}

/// How many states are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// A file is torn at its lines and within them, at the first moment at which it can be.
    Bounded,
    /// It is torn there at every byte, and at its lines at every moment and with every other loss.
    Every,
}

impl Depth {
    /// In one of so many states the commands themselves are run.
    pub(super) fn states_per_command(self) -> usize {
        match self {
            Self::Bounded => 600,
            Self::Every => 3000,
        }
    }

    /// What becomes of all other files and of all names beside a file that is torn.
    fn beside(self, grain: Grain) -> &'static [(Fate, Fate)] {
        use Fate::{Kept, Lost};
        match (self, grain) {
            (Self::Bounded, _) => &[(Kept, Kept)],
            (Self::Every, Grain::Byte) => &[(Kept, Kept), (Lost, Lost)],
            (Self::Every, Grain::Line) => &[(Kept, Kept), (Lost, Lost), (Lost, Kept), (Kept, Lost)],
        }
    }

    /// Below this number of names every set of them is lost.
    fn subsets_below(self) -> usize {
        match self {
            Self::Bounded => 4,
            Self::Every => 8,
        }
    }
}

/// What became of each operation that was pending, by its number. The others are kept.
pub(super) type Fates = BTreeMap<usize, Fate>;

/// The ways in which what is pending at a moment may be left, that are tried. What began by `before` was pending at another
/// moment that is tried.
pub(super) fn fates(
    operations: &Operations,
    at: Moment,
    before: Moment,
    depth: Depth,
) -> Vec<Fates> {
    let mut names = Vec::new();
    let mut files: BTreeMap<Inode, Vec<usize>> = BTreeMap::new();
    for number in operations.pending(at) {
        match operations.all[number].change.content() {
            Some(inode) => files.entry(inode).or_default().push(number),
            None => names.push(number),
        }
    }
    let all_files = |fate| all(files.values().flatten(), fate);
    let is_new = |pending: &Vec<usize>| {
        let newest = pending.last().map(|number| operations.all[*number].begin);
        depth == Depth::Every || newest.is_some_and(|newest| newest > before)
    };
    let of_names = match is_new(&names) {
        true => fates_of_names(&names, depth),
        false => [Fate::Kept, Fate::Lost]
            .map(|fate| all(&names, fate))
            .into(),
    };
    let mut found = Vec::new();
    for of_names in &of_names {
        for rest in [Fate::Kept, Fate::Lost, Fate::Zeroed(0)] {
            found.push(joined(&all_files(rest), of_names));
        }
    }
    for pending in files.values().filter(|pending| is_new(pending)) {
        for (grain, of_file) in tears(operations, pending, before, depth) {
            for (of_files, of_names) in depth.beside(grain) {
                let around = joined(&all_files(*of_files), &all(&names, *of_names));
                found.push(joined(&around, &of_file));
            }
        }
    }
    found
}

/// The same for all of them.
pub(super) fn all<'a>(numbers: impl IntoIterator<Item = &'a usize>, fate: Fate) -> Fates {
    numbers.into_iter().map(|number| (*number, fate)).collect()
}

/// Both; what the second says of an operation counts.
pub(super) fn joined(first: &Fates, second: &Fates) -> Fates {
    let mut joined = first.clone();
    joined.extend(second);
    joined
}

/// Names that come to the disk in their order up to one of them, all but one of them, one of them alone, and where they
/// are few every set of them.
fn fates_of_names(names: &[usize], depth: Depth) -> Vec<Fates> {
    let count = names.len();
    let kept_if = |is_kept: &dyn Fn(usize) -> bool| -> Fates {
        let fate = |at| if is_kept(at) { Fate::Kept } else { Fate::Lost };
        names
            .iter()
            .enumerate()
            .map(|(at, number)| (*number, fate(at)))
            .collect()
    };
    if count < depth.subsets_below() {
        return (0..1_usize << count)
            .map(|set| kept_if(&|at| set >> at & 1 == 1))
            .collect();
    }
    let mut found: Vec<Fates> = (0..=count).map(|end| kept_if(&|at| at < end)).collect();
    for one in 0..count {
        found.push(kept_if(&|at| at != one));
        found.push(kept_if(&|at| at == one));
    }
    found
}
