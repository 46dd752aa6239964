//! A file system as far as domstate can tell: folders, files, links, and what was done to them, operation by operation.
//!
//! An operation knows the thing it was done to and not its path: so each can be left out, and what came after it is still
//! there. A rename is one operation; it takes the thing along whatever became of its old name.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::change::Change;
use super::content::Content;

/// A file, folder or link, whatever its names.
pub(super) type Inode = usize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(Rc<Content>),
    Folder(Rc<BTreeMap<String, Inode>>),
    Link(String),
}

impl Node {
    pub(super) fn empty_file() -> Self {
        Self::File(Rc::default())
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
    File(Rc<Content>),
    Folder,
    Link(String),
}

impl Found {
    /// A digest by which states are known that were tried already.
    pub(super) fn digest(&self) -> u64 {
        match self {
            Self::File(content) => content.digest(),
            Self::Link(target) => {
                let mut hasher = DefaultHasher::new();
                target.hash(&mut hasher);
                hasher.finish()
            }
            Self::Folder => 1,
        }
    }
}

impl Disk {
    pub(super) fn empty() -> Self {
        Self {
            nodes: vec![Node::Folder(Rc::default())],
        }
    }

    /// Reads the folder `root` without the entries that are not `wanted` there. Sockets are nothing: no command looks at
    /// one that nobody listens on.
    pub(super) fn read(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Self {
        let mut disk = Self::empty();
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
                Node::Folder(Rc::default())
            } else if kind.is_file() {
                Node::File(Rc::new(fs::read(entry.path()).unwrap().into()))
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
            Node::Folder(entries) => Rc::make_mut(entries),
            other @ (Node::File(_) | Node::Link(_)) => panic!("no folder: {other:?}"),
        }
    }

    fn file(&mut self, inode: Inode) -> &mut Vec<u8> {
        match &mut self.nodes[inode] {
            Node::File(content) => Rc::make_mut(content).bytes_mut(),
            other @ (Node::Folder(_) | Node::Link(_)) => panic!("no file: {other:?}"),
        }
    }

    pub(super) fn content(&self, inode: Inode) -> &Rc<Content> {
        match &self.nodes[inode] {
            Node::File(content) => content,
            other @ (Node::Folder(_) | Node::Link(_)) => panic!("no file: {other:?}"),
        }
    }

    /// The same with all that comes to be until `later`: empty, and without a name.
    pub(super) fn with_nodes_of(mut self, later: &Self) -> Self {
        let nodes = later.nodes[self.nodes.len()..].iter();
        self.nodes.extend(nodes.map(|node| match node {
            Node::File(_) => Node::empty_file(),
            Node::Folder(_) => Node::Folder(Rc::default()),
            Node::Link(target) => Node::Link(target.clone()),
        }));
        self
    }

    pub(super) fn put_content(&mut self, inode: Inode, content: Rc<Content>) {
        self.nodes[inode] = Node::File(content);
    }

    /// Makes all folders those of `other`.
    pub(super) fn take_folders(&mut self, other: &Self) {
        for (node, other) in self.nodes.iter_mut().zip(&other.nodes) {
            if let Node::Folder(entries) = other {
                *node = Node::Folder(entries.clone());
            }
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
        for (name, inode) in &**entries {
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
