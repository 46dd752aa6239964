//! The client against the real QEMU, and against peers that are no QEMU.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::qemu::wire::SOCKET_NAME;

mod guest;
mod peer;
mod pieces;

/// Far above what anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Long enough for a greeting that would come, short enough to wait for one that does not.
const SHORT: Duration = Duration::from_millis(300);

fn soon() -> Instant {
    Instant::now() + LIMIT
}

/// A folder that goes with the test.
struct Folder {
    path: PathBuf,
    file: File,
}

impl Folder {
    /// A comma and a long name, as a user's path may have.
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("domstate,{}-{count}-{}", std::process::id(), "x".repeat(90));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        let file = File::open(&path).unwrap();
        Self { path, file }
    }

    fn short(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{SOCKET_NAME}", self.file.as_raw_fd()).into()
    }

    fn connect(&self, limit: Duration) -> Result<Control, ControlError> {
        Control::connect(self.file.as_fd(), Instant::now() + limit)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).unwrap();
    }
}

/// The greeting, and the answer to qmp_capabilities before it is asked.
const HELLO: &str = "{\"QMP\":{}}\r\n{\"return\":{},\"id\":1}\r\n";
