//! Sleeping until something is written or somebody dies: one poll, no timer, no wake-up while nothing happens.
//!
//! A user has few inotify instances (128 by default). Without one, sleep ends after a second at the latest.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How often one looks who cannot be told.
const BLIND_INTERVAL: Duration = Duration::from_secs(1);

/// Wakes its sleeper when a watched file or folder changes.
#[derive(Debug)]
pub struct Alarm {
    inotify: Option<Inotify>,
}

/// Whether everything that the sleeper waits for can wake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Whole,
    /// Something has to be looked for again and again.
    Partial,
}

impl Alarm {
    /// An alarm that watches nothing yet.
    pub fn new() -> Self {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Self {
            inotify: Inotify::init(flags).ok(),
        }
    }

    /// Watches `path` too. What is not there yet appears in a folder that is.
    pub fn watch(&self, path: &Path, changes: AddWatchFlags) {
        if let Some(inotify) = &self.inotify {
            let _ = inotify.add_watch(path, changes);
        }
    }

    /// Sleeps until something watched changes, one of `others` is readable, or `deadline`. Which of `others` are.
    pub fn sleep(
        &self,
        others: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
        sight: Sight,
    ) -> Result<Vec<bool>> {
        let mut left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        if self.inotify.is_none() || sight == Sight::Partial {
            left = Some(left.map_or(BLIND_INTERVAL, |left| left.min(BLIND_INTERVAL)));
        }
        let inotify = self.inotify.as_ref().map(AsFd::as_fd);
        let mut polled: Vec<PollFd<'_>> = others
            .iter()
            .copied()
            .chain(inotify)
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, left.map_or(PollTimeout::NONE, round_up)) {
            // Nothing to read, and reading would take a page of the stack again.
            Ok(0) | Err(Errno::EINTR) => return Ok(vec![false; others.len()]),
            Ok(_) => {}
            Err(errno) => return Err(errno).context("cannot wait"),
        }
        if let Some(inotify) = &self.inotify {
            while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        let ready = polled.iter().take(others.len());
        Ok(ready.map(|polled| polled.any().unwrap_or(false)).collect())
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
