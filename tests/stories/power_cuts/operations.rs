//! What was done to the file system, operation by operation, and when each of them was on the disk for sure.

use std::collections::BTreeSet;
use std::path::Path;

use super::change::Change;
use super::disk::{Disk, Inode};
use super::reader::{Recollection, Sync, read};
use super::trace::{Call, Moment};

/// One operation of a story.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) change: Change,
    pub(super) begin: Moment,
    pub(super) end: Moment,
    /// From here on a power cut does not take it back.
    pub(super) durable_at: Moment,
}

/// All that was done to the files of a story.
pub(super) struct Operations {
    pub(super) all: Vec<Operation>,
    pub(super) syncs: usize,
    /// The disk before each operation, and after all of them. They share what they have in common. Where an image is
    /// filled, most are left out.
    disks: Vec<Option<Disk>>,
}

impl Operation {
    /// What it was, for people; `operations` are those of its story.
    pub(super) fn describe(&self, operations: &Operations) -> String {
        let last = operations.last();
        let path = |inode: Inode| {
            last.path_of(inode)
                .unwrap_or_else(|| format!("#{inode}").into())
        };
        let text = match &self.change {
            Change::Name { folder, name, .. } => {
                format!("{name} appears in {}", path(*folder).display())
            }
            Change::Remove { folder, name } => {
                format!("{name} goes from {}", path(*folder).display())
            }
            Change::Rename { from, to, .. } => {
                format!("{} becomes {} in {}", from.1, to.1, path(to.0).display())
            }
            Change::Write {
                inode,
                offset,
                bytes,
            } => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                format!(
                    "{} at {offset} of {}: {text:.200?}",
                    bytes.len(),
                    path(*inode).display()
                )
            }
            Change::Resize { inode, length } => {
                format!("{} gets {length} bytes", path(*inode).display())
            }
            Change::Zero { inode, from, to } => {
                format!("{from} to {to} of {} are given up", path(*inode).display())
            }
        };
        format!("line {}: {text}", self.begin)
    }
}

impl Operations {
    /// Makes operations of the calls that touch what is in `start`, which lies in the folder `root`. `wanted` are the
    /// entries of that folder that count.
    pub(super) fn of(
        calls: &[Call],
        start: Disk,
        root: &Path,
        wanted: &'static [&'static str],
    ) -> Self {
        let Recollection {
            mut all,
            syncs,
            disk,
        } = read(calls, start.clone(), root, wanted);
        for operation in &mut all {
            let homes = operation.change.homes();
            let later = |sync: &&Sync| homes.contains(&sync.inode) && sync.begin > operation.end;
            let synced = syncs.iter().filter(later).map(|sync| sync.end);
            operation.durable_at = synced.min().unwrap_or(Moment::MAX);
        }
        let mut disk = start.with_nodes_of(&disk);
        let mut disks = vec![Some(disk.clone())];
        for (number, operation) in all.iter().enumerate() {
            disk.apply(&operation.change);
            disks.push((!is_one_of_many(&all, number)).then(|| disk.clone()));
        }
        Self {
            all,
            syncs: syncs.len(),
            disks,
        }
    }

    /// The moments at which a power cut finds something else than just before.
    pub(super) fn moments(&self) -> BTreeSet<Moment> {
        let moments = self
            .all
            .iter()
            .flat_map(|operation| [operation.begin, operation.durable_at]);
        moments.filter(|moment| *moment != Moment::MAX).collect()
    }

    /// The disk when everything is over and nothing was lost.
    pub(super) fn last(&self) -> Disk {
        self.disk_after(self.all.len())
    }

    /// The disk when everything was done that began by `at` and stands before the operation of this number.
    pub(super) fn disk_before(&self, number: usize, at: Moment) -> Disk {
        let done = self.all.partition_point(|operation| operation.begin <= at);
        self.disk_after(done.min(number))
    }

    /// The disk after so many operations.
    fn disk_after(&self, count: usize) -> Disk {
        let is_there = |at: &usize| self.disks[*at].is_some();
        let last = (0..=count).rev().find(is_there).unwrap();
        let mut disk = self.disks[last].clone().unwrap();
        for operation in &self.all[last..count] {
            disk.apply(&operation.change);
        }
        disk
    }

    /// Whether a moment is one of many at which an image is filled, of which some stand for all.
    pub(super) fn is_one_of_many(&self, at: Moment) -> bool {
        let mut all = self.all.iter();
        let number = all.position(|operation| operation.begin == at && operation.change.fills());
        number.is_some_and(|number| is_one_of_many(&self.all, number))
    }

    /// What is still to be synced at a moment, by its place in `all`.
    pub(super) fn pending(&self, at: Moment) -> Vec<usize> {
        let is_pending = |(number, operation): (usize, &Operation)| {
            (operation.begin <= at && at < operation.durable_at).then_some(number)
        };
        self.all.iter().enumerate().filter_map(is_pending).collect()
    }

    /// When something with all of `parts` in it was first written to the file at `path`.
    pub(super) fn written(&self, path: &Path, text: &str) -> Option<Moment> {
        let inode = self.last().find(path)?;
        let has_text = |operation: &&Operation| match &operation.change {
            Change::Write {
                inode: it, bytes, ..
            } => *it == inode && String::from_utf8_lossy(bytes).contains(text),
            Change::Name { .. }
            | Change::Remove { .. }
            | Change::Rename { .. }
            | Change::Resize { .. }
            | Change::Zero { .. } => false,
        };
        self.all
            .iter()
            .find(has_text)
            .map(|operation| operation.begin)
    }
}

/// Whether it is one of many operations that fill an image. Of these one in eight stands for all.
fn is_one_of_many(all: &[Operation], number: usize) -> bool {
    let around = all.get(number.wrapping_sub(1)..=number + 1);
    let is_amid = around.is_some_and(|around| around.iter().all(|it| it.change.fills()));
    is_amid && !number.is_multiple_of(8)
}
