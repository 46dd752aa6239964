//! What is in a file. Thousands of states have it in common: what it comes to is worked out once.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash, Hasher};

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    digest: OnceCell<u64>,
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.digest.take();
        &mut self.bytes
    }

    /// A digest by which states are known that were tried already.
    pub(super) fn digest(&self) -> u64 {
        *self.digest.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.bytes.hash(&mut hasher);
            hasher.finish()
        })
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            digest: OnceCell::new(),
        }
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

// With it two that are one and the same are not compared byte by byte.
impl Eq for Content {}
