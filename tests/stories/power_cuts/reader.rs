//! From system calls to operations on the file system.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::change::Change;
use super::disk::{Disk, Inode, Node};
use super::operations::Operation;
use super::trace::{Call, Moment};

/// All that the calls did to the files.
pub(super) struct Recollection {
    pub(super) all: Vec<Operation>,
    pub(super) syncs: Vec<Sync>,
    /// What it came to.
    pub(super) disk: Disk,
}

/// That a file or folder was put on the disk.
pub(super) struct Sync {
    pub(super) inode: Inode,
    pub(super) begin: Moment,
    pub(super) end: Moment,
}

/// Reads what the calls did to what is in `start`, which lies in the folder `root`. `wanted` are the entries of that folder
/// that count.
pub(super) fn read(
    calls: &[Call],
    start: Disk,
    root: &Path,
    wanted: &'static [&'static str],
) -> Recollection {
    let mut reader = Reader {
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
    Recollection {
        all: reader.all,
        syncs: reader.syncs,
        disk: reader.disk,
    }
}

/// Where the next write through a descriptor goes.
#[derive(Clone, Copy)]
enum Cursor {
    End,
    At(usize),
}

struct Reader {
    disk: Disk,
    root: PathBuf,
    wanted: &'static [&'static str],
    all: Vec<Operation>,
    syncs: Vec<Sync>,
    /// By file and not by descriptor: nobody has a file open twice to write at two places.
    cursors: HashMap<Inode, Cursor>,
}

impl Reader {
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
                    let (begin, end) = (call.begin, call.end);
                    self.syncs.push(Sync { inode, begin, end });
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
        if has("O_TRUNC") && !self.disk.content(inode).bytes().is_empty() {
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
            Some(Cursor::End) => self.disk.content(inode).bytes().len(),
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
        if self.disk.content(inode).bytes().len() != length {
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
        if !mode.contains("KEEP_SIZE") && to > self.disk.content(inode).bytes().len() {
            self.resized(call, inode, to);
        }
    }
}
