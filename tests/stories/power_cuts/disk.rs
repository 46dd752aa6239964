//! A file system as far as domstate can tell: folders, files, links, and what was done to them, operation by operation.
//!
//! An operation knows the thing it was done to and not its path: so each can be left out, and what came after it is still
//! there. A rename is one operation; it takes the thing along whatever became of its old name.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// A file, folder or link, whatever its names.
pub(super) type Inode = usize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(Rc<Vec<u8>>),
    Folder(BTreeMap<String, Inode>),
    Link(String),
}

impl Node {
    pub(super) fn empty_file() -> Self {
        Self::File(Rc::default())
    }
}

/// What an operation does.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A name appears.
    Name {
        folder: Inode,
        name: String,
        inode: Inode,
    },
    /// A name is gone.
    Remove {
        folder: Inode,
        name: String,
    },
    Rename {
        from: (Inode, String),
        to: (Inode, String),
        inode: Inode,
    },
    Write {
        inode: Inode,
        offset: usize,
        bytes: Rc<Vec<u8>>,
    },
    Resize {
        inode: Inode,
        length: usize,
    },
    /// A hole is punched.
    Zero {
        inode: Inode,
        from: usize,
        to: usize,
    },
}

impl Change {
    /// What has to be synced for this to be on the disk.
    pub(super) fn homes(&self) -> Vec<Inode> {
        match self {
            Self::Name { folder, .. } | Self::Remove { folder, .. } => vec![*folder],
            Self::Rename { from, to, .. } => vec![from.0, to.0],
            Self::Write { inode, .. } | Self::Resize { inode, .. } | Self::Zero { inode, .. } => {
                vec![*inode]
            }
        }
    }

    /// The file that it changes the content of.
    pub(super) fn content(&self) -> Option<Inode> {
        match self {
            Self::Name { .. } | Self::Remove { .. } | Self::Rename { .. } => None,
            Self::Write { inode, .. } | Self::Resize { inode, .. } | Self::Zero { inode, .. } => {
                Some(*inode)
            }
        }
    }
}

/// Everything that there is. The first node is the root.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) nodes: Vec<Node>,
}

/// A thing by its path, as it is found when nobody writes.
pub(super) type Tree = BTreeMap<PathBuf, Found>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    File(Rc<Vec<u8>>),
    Folder,
    Link(String),
}

/// As much of a file goes into its digest whole; behind that a word in each [`STRIDE`]. There lies what QEMU has written
/// of a guest's memory, of which nobody reads a word.
const DIGESTED_BYTES: usize = 16 * 1024;

const STRIDE: usize = 64;

impl Found {
    /// A digest by which states are known that were tried already.
    pub(super) fn digest(&self) -> u64 {
        let bytes = match self {
            Self::File(bytes) => bytes.as_slice(),
            Self::Link(target) => target.as_bytes(),
            Self::Folder => return 1,
        };
        let (front, rest) = bytes.split_at(bytes.len().min(DIGESTED_BYTES));
        let mut hasher = DefaultHasher::new();
        (bytes.len(), front).hash(&mut hasher);
        for word in rest.chunks(8).step_by(STRIDE) {
            word.hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Disk {
    /// Reads the folder `root` without the entries that are not `wanted` there. Sockets are nothing: no command looks at
    /// one that nobody listens on.
    pub(super) fn read(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Self {
        let mut disk = Self {
            nodes: vec![Node::Folder(BTreeMap::new())],
        };
        disk.fill(0, root, wanted);
        disk
    }

    fn fill(&mut self, folder: Inode, path: &Path, wanted: &dyn Fn(&str) -> bool) {
        for entry in fs::read_dir(path).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            if !wanted(&name) || !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
                continue;
            }
            let inode = self.nodes.len();
            self.nodes.push(if kind.is_dir() {
                Node::Folder(BTreeMap::new())
            } else if kind.is_file() {
                Node::File(Rc::new(fs::read(entry.path()).unwrap()))
            } else {
                let target = fs::read_link(entry.path()).unwrap();
                Node::Link(target.to_str().unwrap().to_owned())
            });
            if kind.is_dir() {
                self.fill(inode, &entry.path(), &|_| true);
            }
            self.folder(folder).insert(name, inode);
        }
    }

    fn folder(&mut self, inode: Inode) -> &mut BTreeMap<String, Inode> {
        match &mut self.nodes[inode] {
            Node::Folder(entries) => entries,
            other @ (Node::File(_) | Node::Link(_)) => panic!("no folder: {other:?}"),
        }
    }

    fn file(&mut self, inode: Inode) -> &mut Vec<u8> {
        match &mut self.nodes[inode] {
            Node::File(bytes) => Rc::make_mut(bytes),
            other @ (Node::Folder(_) | Node::Link(_)) => panic!("no file: {other:?}"),
        }
    }

    pub(super) fn bytes(&self, inode: Inode) -> &Rc<Vec<u8>> {
        match &self.nodes[inode] {
            Node::File(bytes) => bytes,
            other @ (Node::Folder(_) | Node::Link(_)) => panic!("no file: {other:?}"),
        }
    }

    /// What is at a path below the root, which is not followed if it is a link.
    pub(super) fn find(&self, path: &Path) -> Option<Inode> {
        let mut inode = 0;
        for part in path.components() {
            let Component::Normal(name) = part else {
                continue;
            };
            let Node::Folder(entries) = &self.nodes[inode] else {
                return None;
            };
            inode = *entries.get(name.to_str()?)?;
        }
        Some(inode)
    }

    /// A path that leads to it.
    pub(super) fn path_of(&self, inode: Inode) -> Option<PathBuf> {
        let holds = |node: &Node| match node {
            Node::Folder(entries) => entries
                .iter()
                .find(|(_, it)| **it == inode)
                .map(|(name, _)| name.clone()),
            Node::File(_) | Node::Link(_) => None,
        };
        if inode == 0 {
            return Some(PathBuf::new());
        }
        let found = |(folder, node)| Some((folder, holds(node)?));
        let (folder, name) = self.nodes.iter().enumerate().find_map(found)?;
        Some(self.path_of(folder)?.join(name))
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Name {
                folder,
                name,
                inode,
            } => {
                self.folder(*folder).insert(name.clone(), *inode);
            }
            Change::Remove { folder, name } => {
                self.folder(*folder).remove(name);
            }
            Change::Rename { from, to, inode } => {
                let old = self.folder(from.0);
                if old.get(&from.1) == Some(inode) {
                    old.remove(&from.1);
                }
                self.folder(to.0).insert(to.1.clone(), *inode);
            }
            Change::Write {
                inode,
                offset,
                bytes,
            } => {
                let file = self.file(*inode);
                let end = offset + bytes.len();
                if file.len() < *offset {
                    let zeros = vec![0; offset - file.len()];
                    file.extend_from_slice(&zeros);
                }
                if file.len() == *offset {
                    file.reserve_exact(bytes.len());
                    file.extend_from_slice(bytes);
                    return;
                }
                if file.len() < end {
                    let zeros = vec![0; end - file.len()];
                    file.extend_from_slice(&zeros);
                }
                file[*offset..end].copy_from_slice(bytes);
            }
            Change::Resize { inode, length } => self.file(*inode).resize(*length, 0),
            Change::Zero { inode, from, to } => {
                let file = self.file(*inode);
                let end = (*to).min(file.len());
                file[(*from).min(end)..end].fill(0);
            }
        }
    }

    pub(super) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        self.collect(0, Path::new(""), &mut tree);
        tree
    }

    fn collect(&self, folder: Inode, path: &Path, tree: &mut Tree) {
        let Node::Folder(entries) = &self.nodes[folder] else {
            return;
        };
        for (name, inode) in entries {
            let path = path.join(name);
            let found = match &self.nodes[*inode] {
                Node::File(bytes) => Found::File(bytes.clone()),
                Node::Link(target) => Found::Link(target.clone()),
                Node::Folder(_) => {
                    self.collect(*inode, &path, tree);
                    Found::Folder
                }
            };
            tree.insert(path, found);
        }
    }
}
