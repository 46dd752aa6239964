//! Sleeping until something is written or somebody dies: one poll, no timer, no wake-up while nothing happens.
//!
//! By dnotify (F_NOTIFY), not inotify: a process that has an inotify descriptor to close is 14 ms late at its end (the
//! kernel waits until nobody can still see the watch), and whoever waits for `wait` waits for that; and a user has but
//! 128 inotify instances. dnotify watches folders and tells by SIGIO, which is read from a descriptor here.
//! Where the kernel has not got it, sleep ends after a second at the latest.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::sys;

/// How often one looks who cannot be told.
const BLIND_INTERVAL: Duration = Duration::from_secs(1);

/// Wakes its sleeper when something in a watched folder changes.
#[derive(Debug)]
pub struct Alarm {
    /// SIGIO, blocked and read from here; `None` if that cannot be had.
    signals: Option<SignalFd>,
    folders: Vec<Folder>,
    sight: Sight,
}

/// A watched folder: as long as it is open.
#[derive(Debug)]
struct Folder {
    _open: File,
    identity: (u64, u64),
}

/// Whether everything that the sleeper waits for can wake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Whole,
    /// Something has to be looked for again and again.
    Partial,
}

/// What woke a sleeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Woken {
    /// Which of what it waited for is readable.
    pub ready: Vec<bool>,
    /// Whether the counters have changed.
    pub has_changed: bool,
}

impl Alarm {
    /// An alarm that watches nothing yet. From now on SIGIO is blocked in this process.
    pub fn new() -> Self {
        let mut io = SigSet::empty();
        io.add(Signal::SIGIO);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        // Blocked first: its default action would end us.
        let signals = io
            .thread_block()
            .and_then(|()| SignalFd::with_flags(&io, flags));
        Self {
            signals: signals.ok(),
            folders: Vec::new(),
            sight: Sight::Whole,
        }
    }

    /// Watches the folder at `path` too; whether it was not watched before. What is not there yet appears in a folder that
    /// is.
    pub fn watch(&mut self, path: &Path) -> bool {
        if self.signals.is_none() {
            return false;
        }
        let Ok(folder) = File::open(path) else {
            return false;
        };
        let identity = folder.metadata().map(|m| (m.dev(), m.ino()));
        let known = |identity| self.folders.iter().any(|f| f.identity == identity);
        match identity {
            Ok(identity) if !known(identity) => match sys::signal_changes(folder.as_fd()) {
                Ok(()) => {
                    self.folders.push(Folder {
                        _open: folder,
                        identity,
                    });
                    true
                }
                Err(_) => {
                    self.sight = Sight::Partial;
                    false
                }
            },
            Ok(_) | Err(_) => false,
        }
    }

    /// Sleeps until something watched changes, one of `others` is readable, the file `counters` of a control group has
    /// changed since it was read (cgroups(7)), or `deadline`.
    pub fn sleep(
        &self,
        others: &[BorrowedFd<'_>],
        counters: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
        sight: Sight,
    ) -> Result<Woken> {
        let mut left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let is_blind = self.signals.is_none() || [self.sight, sight].contains(&Sight::Partial);
        if is_blind {
            left = Some(left.map_or(BLIND_INTERVAL, |left| left.min(BLIND_INTERVAL)));
        }
        let signals = self.signals.as_ref().map(AsFd::as_fd);
        let mut polled: Vec<PollFd<'_>> = others
            .iter()
            .copied()
            .chain(signals)
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .chain(counters.map(|counters| PollFd::new(counters, PollFlags::POLLPRI)))
            .collect();
        match poll(&mut polled, left.map_or(PollTimeout::NONE, round_up)) {
            // Nothing to read, and reading would take a page of the stack again.
            Ok(0) | Err(Errno::EINTR) => {
                return Ok(Woken {
                    ready: vec![false; others.len()],
                    has_changed: false,
                });
            }
            Ok(_) => {}
            Err(errno) => return Err(errno).context("cannot wait"),
        }
        // However many changes there were, one signal waits.
        if let Some(signals) = &self.signals {
            while signals.read_signal().is_ok_and(|signal| signal.is_some()) {}
        }
        let any = |polled: &PollFd<'_>| polled.any().unwrap_or(false);
        Ok(Woken {
            ready: polled.iter().take(others.len()).map(any).collect(),
            has_changed: counters.is_some() && polled.last().is_some_and(any),
        })
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}

/// In whole milliseconds, never earlier than asked: a wait of 0.4 ms must not spin.
fn round_up(left: Duration) -> PollTimeout {
    let millis = left.as_micros().div_ceil(1000);
    let millis = i32::try_from(millis).unwrap_or(i32::MAX);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}
