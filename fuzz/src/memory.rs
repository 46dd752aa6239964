//! Files that take no disk: made anew 10 million times, they cost a system call or two.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file in memory, with a path by which it can be opened.
pub struct Memory(File);

impl Memory {
    pub fn new() -> Self {
        let file = memfd_create(c"fuzz", MFdFlags::MFD_CLOEXEC).unwrap();
        Self(File::from(file))
    }

    /// Replaces what is in it.
    pub fn hold(&self, bytes: &[u8]) -> &File {
        // Cut afterwards: so the kernel need not give it a fresh page each time.
        self.0.write_all_at(bytes, 0).unwrap();
        self.0.set_len(bytes.len() as u64).unwrap();
        &self.0
    }

    /// Opens as a file of its own, with a position of its own.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}
