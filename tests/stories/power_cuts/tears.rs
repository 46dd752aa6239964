//! How a file is torn whose writes were not synced.

use super::change::Change;
use super::crash::{Depth, Fate, Fates, all, joined};
use super::operations::Operations;
use super::trace::Moment;

/// How finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    /// At lines and sectors, and the first, the middle and the last byte.
    Line,
    Byte,
}

/// A file that ends somewhere in what was written, that is zeros from there on, or in which one write is missing though a
/// later one is there. What was written by `before` is torn no more than that.
pub(super) fn tears(
    operations: &Operations,
    pending: &[usize],
    before: Moment,
    depth: Depth,
) -> Vec<(Grain, Fates)> {
    let mut found = Vec::new();
    for (at, number) in pending.iter().enumerate() {
        let operation = &operations.all[*number];
        let is_seen = operation.begin <= before;
        let (earlier, later) = (all(&pending[..at], Fate::Kept), &pending[at + 1..]);
        // Of the many writes that fill an image one is as good as the other, but for the first and the last.
        if at > 0 && !later.is_empty() && operation.change.fills() {
            continue;
        }
        let mut add = |grain, fate, rest| {
            let this = joined(&earlier, &[(*number, fate)].into());
            found.push((grain, joined(&this, &all(later, rest))));
        };
        add(Grain::Line, Fate::Lost, Fate::Lost);
        if !later.is_empty() {
            add(Grain::Line, Fate::Lost, Fate::Kept);
        }
        for (grain, length) in points(&operation.change, is_seen, depth) {
            add(grain, Fate::Torn(length), Fate::Lost);
            add(grain, Fate::Zeroed(length), Fate::Kept);
            if !later.is_empty() {
                add(grain, Fate::Zeroed(length), Fate::Zeroed(0));
            }
        }
    }
    found
}

/// Where a write is torn, and how finely that is.
fn points(change: &Change, is_seen: bool, depth: Depth) -> Vec<(Grain, usize)> {
    let Change::Write { bytes, .. } = change else {
        return Vec::new();
    };
    let lines = match (depth, is_seen) {
        (Depth::Bounded, true) => return Vec::new(),
        _ if change.fills() => vec![0, 1, bytes.len() / 2],
        _ => lines(bytes),
    };
    let is_line = |length: &usize| lines.contains(length);
    let of_line = lines.iter().map(|length| (Grain::Line, *length));
    if is_seen || depth == Depth::Bounded || change.fills() {
        return of_line.collect();
    }
    let bytes = (0..bytes.len()).filter(|length| !is_line(length));
    of_line
        .chain(bytes.map(|length| (Grain::Byte, length)))
        .collect()
}

fn lines(bytes: &[u8]) -> Vec<usize> {
    let length = bytes.len();
    let mut points = vec![0, 1, length / 2, length.saturating_sub(1)];
    let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    points.extend(lines.map(|(at, _)| at + 1));
    // A disk's sectors.
    points.extend((512..length).step_by(512));
    points.sort_unstable();
    points.dedup();
    points
}
