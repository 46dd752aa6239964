//! From system calls to operations on the file system, and when each of them was on the disk for sure.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::disk::{Change, Disk, Inode, Node};
use super::trace::{Call, Moment};

/// One operation of a story.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) change: Change,
    pub(super) begin: Moment,
    end: Moment,
    /// From here on a power cut does not take it back.
    pub(super) durable_at: Moment,
}

/// All that was done to the files of a story.
pub(super) struct Operations {
    pub(super) all: Vec<Operation>,
    pub(super) syncs: usize,
    /// The disk before each operation, and after all of them. They share what they have in common.
    disks: Vec<Disk>,
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
        let mut reader = Reader {
            start: start.clone(),
            disk: start,
            root: root.to_owned(),
            wanted,
            all: Vec::new(),
            syncs: Vec::new(),
            cursors: HashMap::new(),
        };
        for call in calls {
            reader.take(call);
        }
        reader.finished()
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
        self.disks[self.all.len()].clone()
    }

    /// The disk when everything was done that began by `at` and stands before the operation of this number.
    pub(super) fn disk_before(&self, number: usize, at: Moment) -> Disk {
        let done = self.all.partition_point(|operation| operation.begin <= at);
        self.disks[done.min(number)].clone()
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

/// Where the next write through a descriptor goes.
#[derive(Clone, Copy)]
enum Cursor {
    End,
    At(usize),
}

struct Reader {
    start: Disk,
    disk: Disk,
    root: PathBuf,
    wanted: &'static [&'static str],
    all: Vec<Operation>,
    syncs: Vec<(Inode, Moment, Moment)>,
    /// By file and not by descriptor: nobody has a file open twice to write at two places.
    cursors: HashMap<Inode, Cursor>,
}

impl Reader {
    fn finished(mut self) -> Operations {
        for operation in &mut self.all {
            let homes = operation.change.homes();
            let syncs = self
                .syncs
                .iter()
                .filter(|(inode, begin, _)| homes.contains(inode) && *begin > operation.end);
            operation.durable_at = syncs.map(|(_, _, end)| *end).min().unwrap_or(Moment::MAX);
        }
        self.start.nodes.extend(
            self.disk.nodes[self.start.nodes.len()..]
                .iter()
                .map(|node| match node {
                    Node::File(_) => Node::empty_file(),
                    Node::Folder(_) => Node::Folder(Default::default()),
                    Node::Link(target) => Node::Link(target.clone()),
                }),
        );
        let mut disks = vec![self.start];
        for operation in &self.all {
            let mut disk = disks.last().cloned().unwrap_or_else(|| self.disk.clone());
            disk.apply(&operation.change);
            disks.push(disk);
        }
        Operations {
            all: self.all,
            syncs: self.syncs.len(),
            disks,
        }
    }

    fn take(&mut self, call: &Call) {
        match call.name.as_str() {
            "open" => self.opened(call, call.argument(1)),
            "openat" => self.opened(call, call.argument(2)),
            "creat" => self.opened(call, "O_WRONLY|O_CREAT|O_TRUNC"),
            "write" | "writev" => {
                if let Some(inode) = self.of_descriptor(call, 0) {
                    let offset = self.cursor(inode);
                    self.written(call, inode, offset);
                    if let Some(Cursor::At(at)) = self.cursors.get_mut(&inode) {
                        *at = offset + call.returned();
                    }
                }
            }
            "pwrite64" | "pwritev" | "pwritev2" => {
                if let Some(inode) = self.of_descriptor(call, 0) {
                    self.written(call, inode, call.number(3));
                }
            }
            "lseek" => {
                if let Some(inode) = self.of_descriptor(call, 0)
                    && let Some(Cursor::At(at)) = self.cursors.get_mut(&inode)
                {
                    *at = call.returned();
                }
            }
            "ftruncate" => {
                if let Some(inode) = self.of_descriptor(call, 0) {
                    self.resized(call, inode, call.number(1));
                }
            }
            "fallocate" => self.allocated(call),
            "rename" => self.renamed(call, &call.path(0), &call.path(1)),
            "renameat" | "renameat2" => self.renamed(call, &call.path(1), &call.path(3)),
            "unlink" | "rmdir" => self.removed(call, &call.path(0)),
            "unlinkat" => self.removed(call, &call.path(1)),
            "mkdir" => self.named(call, &call.path(0), Node::Folder(Default::default())),
            "mkdirat" => self.named(call, &call.path(1), Node::Folder(Default::default())),
            "symlink" | "symlinkat" => {
                let link = if call.name == "symlink" { 1 } else { 2 };
                let target = call.path(0).to_str().unwrap().to_owned();
                self.named(call, &call.path(link), Node::Link(target));
            }
            "fsync" | "fdatasync" => {
                if let Some(inode) = self.of_descriptor(call, 0) {
                    self.syncs.push((inode, call.begin, call.end));
                }
            }
            "splice" | "copy_file_range" => {
                assert_eq!(self.of_descriptor(call, 2), None, "{call:?}")
            }
            "sendfile" => assert_eq!(self.of_descriptor(call, 0), None, "{call:?}"),
            // Nobody needs what they would promise.
            "sync" | "syncfs" | "sync_file_range" => {}
            other => panic!("{other} is not known here"),
        }
    }

    /// A path of the story's own, below its root.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let path = path.strip_prefix(&self.root).ok()?;
        let first = path.components().next()?;
        let is_wanted = self.wanted.iter().any(|name| first.as_os_str() == *name);
        is_wanted.then(|| path.to_owned())
    }

    fn of_descriptor(&self, call: &Call, argument: usize) -> Option<Inode> {
        let path = call.descriptor(argument)?;
        if path == self.root {
            return Some(0);
        }
        self.disk.find(&self.inside(&path)?)
    }

    /// The folder and the name of a path of ours.
    fn place(&self, path: &Path) -> Option<(Inode, String)> {
        let path = self.inside(path)?;
        let folder = self.disk.find(path.parent()?);
        let folder = folder.unwrap_or_else(|| panic!("no folder of {path:?}"));
        Some((folder, path.file_name()?.to_str()?.to_owned()))
    }

    fn done(&mut self, call: &Call, change: Change) {
        self.disk.apply(&change);
        self.all.push(Operation {
            change,
            begin: call.begin,
            end: call.end,
            durable_at: Moment::MAX,
        });
    }

    fn opened(&mut self, call: &Call, flags: &str) {
        let Some(path) = call.opened().filter(|path| self.inside(path).is_some()) else {
            return;
        };
        let has = |flag| flags.split('|').any(|it| it == flag);
        if has("O_CREAT") && self.disk.find(&self.inside(&path).unwrap()).is_none() {
            self.named(call, &path, Node::empty_file());
        }
        let Some(inode) = self.disk.find(&self.inside(&path).unwrap()) else {
            return;
        };
        if !has("O_WRONLY") && !has("O_RDWR") {
            return;
        }
        if has("O_TRUNC") && !self.disk.bytes(inode).is_empty() {
            self.resized(call, inode, 0);
        }
        let cursor = match has("O_APPEND") {
            true => Cursor::End,
            false => Cursor::At(0),
        };
        self.cursors.insert(inode, cursor);
    }

    fn named(&mut self, call: &Call, path: &Path, node: Node) {
        if let Some((folder, name)) = self.place(path) {
            let inode = self.disk.nodes.len();
            self.disk.nodes.push(node);
            self.done(
                call,
                Change::Name {
                    folder,
                    name,
                    inode,
                },
            );
        }
    }

    fn removed(&mut self, call: &Call, path: &Path) {
        let is_known = self
            .inside(path)
            .is_some_and(|path| self.disk.find(&path).is_some());
        if let Some((folder, name)) = self.place(path).filter(|_| is_known) {
            self.done(call, Change::Remove { folder, name });
        }
    }

    fn renamed(&mut self, call: &Call, from: &Path, to: &Path) {
        let Some(inode) = self.inside(from).and_then(|path| self.disk.find(&path)) else {
            return;
        };
        if let (Some(from), Some(to)) = (self.place(from), self.place(to)) {
            self.done(call, Change::Rename { from, to, inode });
        }
    }

    fn cursor(&self, inode: Inode) -> usize {
        match self.cursors.get(&inode) {
            Some(Cursor::At(at)) => *at,
            Some(Cursor::End) => self.disk.bytes(inode).len(),
            None => panic!("nobody has opened what is written"),
        }
    }

    fn written(&mut self, call: &Call, inode: Inode, offset: usize) {
        let bytes = Rc::new(call.bytes());
        if !bytes.is_empty() {
            self.done(
                call,
                Change::Write {
                    inode,
                    offset,
                    bytes,
                },
            );
        }
    }

    fn resized(&mut self, call: &Call, inode: Inode, length: usize) {
        if self.disk.bytes(inode).len() != length {
            self.done(call, Change::Resize { inode, length });
        }
    }

    fn allocated(&mut self, call: &Call) {
        let Some(inode) = self.of_descriptor(call, 0) else {
            return;
        };
        let (mode, from) = (call.argument(1), call.number(2));
        let to = from + call.number(3);
        if mode.contains("PUNCH_HOLE") || mode.contains("ZERO_RANGE") {
            self.done(call, Change::Zero { inode, from, to });
        }
        if !mode.contains("KEEP_SIZE") && to > self.disk.bytes(inode).len() {
            self.resized(call, inode, to);
        }
    }
}
