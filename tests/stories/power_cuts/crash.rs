//! The states that a power cut may leave, out of what was done and what was synced.
//!
//! What is assumed of the file system is in the theme's own words, `power_cuts.rs`.

use std::collections::BTreeMap;

use super::disk::{Change, Disk, Inode};
use super::operations::{Operation, Operations};
use super::trace::Moment;

/// A page of the guest: nothing else is written in such pieces.
const FILLING_BYTES: usize = 4096;

/// What became of an operation that was not on the disk for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// A file is torn at every byte, at every moment, with every other loss.
    Every,
}

impl Depth {
    /// In one of so many states the commands themselves are run.
    pub(super) fn states_per_command(self) -> usize {
        match self {
            Self::Bounded => 600,
            Self::Every => 1000,
        }
    }

    /// Beside a torn file all else is there, or (2) all other files or all names are lost as well.
    fn losses_beside_files(self) -> usize {
        match self {
            Self::Bounded => 1,
            Self::Every => 2,
        }
    }

    /// Below this number of names every set of them is lost.
    fn subsets_below(self) -> usize {
        match self {
            Self::Bounded => 4,
            Self::Every => 8,
        }
    }

    /// Bytes of a write, at whose every byte it is torn.
    fn bytes_max(self) -> usize {
        match self {
            Self::Bounded => 0,
            Self::Every => 4096,
        }
    }
}

/// What became of each operation that was pending, by its number. The others are kept.
pub(super) type Fates = BTreeMap<usize, Fate>;

/// The disk at a moment, once it was decided what became of what was pending.
pub(super) fn disk_after(operations: &Operations, at: Moment, fates: &Fates) -> Disk {
    let first = fates.iter().find(|(_, fate)| **fate != Fate::Kept);
    let first = first.map_or(usize::MAX, |(number, _)| *number);
    let mut disk = operations.disk_before(first, at);
    let done = operations.all.iter().enumerate().skip(first);
    for (number, operation) in done.take_while(|(_, operation)| operation.begin <= at) {
        match fates.get(&number).unwrap_or(&Fate::Kept) {
            Fate::Kept => disk.apply(&operation.change),
            Fate::Lost => {}
            Fate::Torn(length) => disk.apply(&cut(&operation.change, *length)),
            Fate::Zeroed(length) => disk.apply(&zeroed(&operation.change, *length)),
        }
    }
    disk
}

fn cut(change: &Change, length: usize) -> Change {
    let mut change = change.clone();
    if let Change::Write { bytes, .. } = &mut change {
        *bytes = bytes[..length.min(bytes.len())].to_vec().into();
    }
    change
}

fn zeroed(change: &Change, length: usize) -> Change {
    let mut change = change.clone();
    if let Change::Write { bytes, .. } = &mut change {
        let mut there = bytes.to_vec();
        let length = length.min(there.len());
        there[length..].fill(0);
        *bytes = there.into();
    }
    change
}

/// Every way in which what is pending at a moment may be left, that is tried. What began by `before` was pending at another
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
    let all = |fate: Fate| -> Fates {
        let contents = files.values().flatten();
        contents.map(|number| (*number, fate)).collect()
    };
    let is_new = |pending: &Vec<usize>| {
        let newest = pending.last().map(|number| operations.all[*number].begin);
        depth == Depth::Every || newest.is_some_and(|newest| newest > before)
    };
    let every = |fate| -> Fates { names.iter().map(|number| (*number, fate)).collect() };
    let few = vec![every(Fate::Kept), every(Fate::Lost)];
    let of_names = match is_new(&names) {
        true => fates_of_names(&names, depth),
        false => few.clone(),
    };
    let mut found = Vec::new();
    for of_names in &of_names {
        for rest in [Fate::Kept, Fate::Lost, Fate::Zeroed(0)] {
            found.push(joined(&all(rest), of_names));
        }
    }
    for pending in files.values().filter(|pending| is_new(pending)) {
        for of_file in fates_of_file(operations, pending, before, depth) {
            for rest in [Fate::Kept, Fate::Lost]
                .into_iter()
                .take(depth.losses_beside_files())
            {
                for of_names in few.iter().take(depth.losses_beside_files()) {
                    found.push(joined(&joined(&all(rest), &of_file), of_names));
                }
            }
        }
    }
    found
}

/// Both; what the second says of an operation counts.
fn joined(first: &Fates, second: &Fates) -> Fates {
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

/// A file that ends somewhere in what was written, that is zeros from there on, or in which one write is missing though a
/// later one is there. What was written by `before` is torn no more than that.
fn fates_of_file(
    operations: &Operations,
    pending: &[usize],
    before: Moment,
    depth: Depth,
) -> Vec<Fates> {
    let mut found = Vec::new();
    let all = |numbers: &[usize], fate| -> Fates {
        numbers.iter().map(|number| (*number, fate)).collect()
    };
    for (at, number) in pending.iter().enumerate() {
        let operation = &operations.all[*number];
        // Of the many writes that fill an image one is as good as the other, but for the first and the last.
        let is_seen = operation.begin <= before && depth == Depth::Bounded;
        if is_seen && at > 0 && fills(&operation.change) {
            continue;
        }
        let (earlier, later) = (all(&pending[..at], Fate::Kept), &pending[at + 1..]);
        let mut add = |fate, rest| {
            let this = joined(&earlier, &[(*number, fate)].into());
            found.push(joined(&this, &all(later, rest)));
        };
        add(Fate::Lost, Fate::Lost);
        add(Fate::Lost, Fate::Kept);
        if is_seen {
            continue;
        }
        for length in points(&operation.change, depth) {
            add(Fate::Torn(length), Fate::Lost);
            add(Fate::Zeroed(length), Fate::Zeroed(0));
            add(Fate::Zeroed(length), Fate::Kept);
        }
    }
    found
}

/// Whether a moment is one of many that fill an image, of which some stand for all.
pub(super) fn is_one_of_many(operations: &Operations, at: Moment, depth: Depth) -> bool {
    let began = |operation: &Operation| operation.begin == at && fills(&operation.change);
    let Some(number) = operations.all.iter().position(began) else {
        return false;
    };
    let around = &operations.all[number.saturating_sub(1)..];
    let is_amid = around
        .iter()
        .take(3)
        .filter(|operation| fills(&operation.change))
        .count()
        == 3;
    depth == Depth::Bounded && is_amid && !number.is_multiple_of(8)
}

/// Whether the write is one of those that fill an image or a dump.
fn fills(change: &Change) -> bool {
    matches!(change, Change::Write { bytes, .. } if bytes.len() >= FILLING_BYTES)
}

/// Where a write is torn.
fn points(change: &Change, depth: Depth) -> Vec<usize> {
    let Change::Write { bytes, .. } = change else {
        return Vec::new();
    };
    let length = bytes.len();
    if fills(change) {
        return vec![0, 1, length / 2];
    }
    if length <= depth.bytes_max() {
        return (0..length).collect();
    }
    let mut points = vec![0, 1, length / 2, length.saturating_sub(1)];
    let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    points.extend(lines.map(|(at, _)| at + 1).take(8));
    // A disk's sectors and pages.
    points.extend(
        [512, 4096, length / 4096 * 4096]
            .into_iter()
            .filter(|at| *at < length),
    );
    points.sort_unstable();
    points.dedup();
    points
}
