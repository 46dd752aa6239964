//! Where the disk is made that a power cut has left.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::super::harness::Host;
use super::disk::{Found, Tree};

/// A host whose files are what a power cut has left.
pub(super) struct Place<'a> {
    host: &'a Host,
    there: Option<Tree>,
}

impl<'a> Place<'a> {
    pub(super) fn new(host: &'a Host) -> Self {
        Self { host, there: None }
    }

    /// Somebody has changed what is there.
    pub(super) fn forget(&mut self) {
        self.there = None;
    }

    /// Makes the files those of `tree`.
    pub(super) fn put(&mut self, tree: &Tree) {
        let root = self.host.folder();
        let old = self.there.take().unwrap_or_else(|| {
            for folder in ["state", "files"] {
                let _ = fs::remove_dir_all(root.join(folder));
            }
            Tree::new()
        });
        let is_kept = |path: &PathBuf, found: &Found| match (tree.get(path), found) {
            // A file that is there is written over.
            (Some(Found::Folder), Found::Folder) | (Some(Found::File(_)), Found::File(_)) => true,
            (now, _) => now == Some(found),
        };
        // What is in a folder comes behind it.
        for (path, found) in old
            .iter()
            .rev()
            .filter(|(path, found)| !is_kept(path, found))
        {
            let path = root.join(path);
            match found {
                Found::Folder => fs::remove_dir_all(path).unwrap(),
                Found::File(_) | Found::Link(_) => fs::remove_file(path).unwrap(),
            }
        }
        for (path, found) in tree
            .iter()
            .filter(|(path, found)| old.get(*path) != Some(found))
        {
            let path = root.join(path);
            match found {
                Found::Folder => {
                    fs::create_dir(&path).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
                }
                Found::File(content) => {
                    fs::write(&path, content.bytes()).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                }
                Found::Link(target) => symlink(target, &path).unwrap(),
            }
        }
        self.there = Some(tree.clone());
    }
}
