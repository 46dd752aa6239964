//! What lies between two QEMUs: all that goes over it can be held up or cut off.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::journey::Way;
use crate::return_path::pass_on_all_but_the_last;

/// From `way` in a folder to `there`, where a QEMU waits.
pub(super) struct Open {
    way: PathBuf,
    is_over: Arc<AtomicBool>,
}

impl Open {
    pub(super) fn begin(folder: &Path, kind: Way) -> Self {
        let (way, there) = (folder.join("way"), folder.join("there"));
        let open = Self {
            way,
            is_over: Arc::default(),
        };
        if let Way::Direct | Way::Slow(_) = kind {
            symlink(there, &open.way).unwrap();
            return open;
        }
        let listener = UnixListener::bind(&open.way).unwrap();
        let is_over = Arc::clone(&open.is_over);
        std::thread::spawn(move || {
            for source in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                if let (Ok(source), Ok(destination)) = (source, UnixStream::connect(&there)) {
                    join(source, destination, kind, &is_over);
                }
            }
        });
        open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // So that who accepts sees it.
        let _ = UnixStream::connect(&self.way);
    }
}

/// Carries what both say, as far as this way does.
fn join(source: UnixStream, destination: UnixStream, kind: Way, is_over: &Arc<AtomicBool>) {
    let (mut back, mut home) = (
        destination.try_clone().unwrap(),
        source.try_clone().unwrap(),
    );
    std::thread::spawn(move || {
        if !kind.loses_the_last_word() {
            let _ = std::io::copy(&mut back, &mut home);
            return;
        }
        let _ = pass_on_all_but_the_last(&mut back, &mut home);
        if kind == Way::BreaksLast {
            let _ = home.shutdown(Shutdown::Both);
        }
    });
    let is_over = Arc::clone(is_over);
    std::thread::spawn(move || {
        carry(&source, &destination, kind.bytes());
        while matches!(kind, Way::Silent(_)) && !is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = source.shutdown(Shutdown::Both);
        let _ = destination.shutdown(Shutdown::Both);
    });
}

/// Carries so many bytes, or all that there are.
fn carry(mut from: &UnixStream, mut to: &UnixStream, bytes: u64) {
    let mut left = usize::try_from(bytes).unwrap();
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        let most = left.min(buffer.len());
        match from.read(&mut buffer[..most]) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if to.write_all(&buffer[..count]).is_err() {
                    return;
                }
                left -= count;
            }
        }
    }
}
