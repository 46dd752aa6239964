//! What is done to a file system.

use std::rc::Rc;

use super::disk::Inode;

/// A page of the guest: QEMU writes nothing else in such pieces.
const FILLING_BYTES: usize = 4096;

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

    /// Whether it is one of the many writes that fill an image or a dump.
    pub(super) fn fills(&self) -> bool {
        matches!(self, Self::Write { bytes, .. } if bytes.len() >= FILLING_BYTES)
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
