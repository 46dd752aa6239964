//! Waiting for something to happen to a domain: inotify on what is written, pidfds on what lives. No polling,
//! unless the user's inotify instances (128 by default) are used up: then a look a second.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::process::process_state;
use super::{Observation, ProcessState};
use crate::domain::Process;
use crate::store::DomainFolder;

/// How often a watcher looks that is not woken by everything.
const BLIND_INTERVAL: Duration = Duration::from_secs(1);

/// Wakes when a watched domain may have changed.
#[derive(Debug)]
pub struct Watcher {
    inotify: Option<Inotify>,
    processes: Vec<(Process, OwnedFd)>,
    /// A process lives that cannot be watched from here: its end will not wake anybody.
    has_unwatched: bool,
}

impl Watcher {
    /// A watcher of nothing yet.
    pub fn new() -> Self {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Self {
            inotify: Inotify::init(flags).ok(),
            processes: Vec::new(),
            has_unwatched: false,
        }
    }

    /// Watches the domain for new runs, and the run that `seen` is about. To be called before the look that the
    /// waiting is based on, and again after each: watching twice is harmless.
    pub fn watch(&mut self, domain: &DomainFolder, seen: &Observation) {
        let appears = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        self.watch_path(domain.path(), appears);
        self.watch_path(&domain.runs(), appears);
        if let Some(run) = &seen.run {
            self.watch_path(run.path(), appears | AddWatchFlags::IN_MODIFY);
        }
        let known = seen.fold.qemu.or(seen.fold.launcher);
        if seen.is_active()
            && let Some(process) = known
        {
            self.watch_process(process);
        }
    }

    fn watch_path(&self, path: &Path, flags: AddWatchFlags) {
        if let Some(inotify) = &self.inotify {
            // A folder that is not there yet appears in one that is.
            let _ = inotify.add_watch(path, flags);
        }
    }

    fn watch_process(&mut self, process: Process) {
        let watched = self.processes.iter().any(|(known, _)| *known == process);
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        if watched {
            return;
        }
        if let Some(Ok(descriptor)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty()))
            // The pid may have been reused before it was opened, but not since.
            && process_state(process) != ProcessState::Absent
        {
            self.processes.push((process, descriptor));
        } else {
            // Of another pid namespace, or a wrapper that is gone while its QEMU is not known yet.
            self.has_unwatched = true;
        }
    }

    /// Sleeps until something happened, or `deadline`.
    pub fn sleep(&mut self, deadline: Option<Instant>) -> Result<()> {
        let mut left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        // Found anew by the next look, if it is still so.
        if std::mem::take(&mut self.has_unwatched) || self.inotify.is_none() {
            left = Some(left.map_or(BLIND_INTERVAL, |left| left.min(BLIND_INTERVAL)));
        }
        let timeout = left.map_or(PollTimeout::NONE, round_up);
        let descriptors = self
            .processes
            .iter()
            .map(|(_, descriptor)| descriptor.as_fd());
        let inotify: Option<BorrowedFd<'_>> = self.inotify.as_ref().map(AsFd::as_fd);
        let mut polled: Vec<PollFd<'_>> = descriptors
            .chain(inotify)
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("cannot wait"),
        }
        // Who died will not die again: its descriptor would keep us awake.
        let dead: Vec<bool> = polled.iter().map(|p| p.any().unwrap_or(false)).collect();
        let mut dead = dead.into_iter();
        self.processes.retain(|_| !dead.next().unwrap_or(false));
        if let Some(inotify) = &self.inotify {
            while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        Ok(())
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

/// In whole milliseconds, never earlier than asked: a wait of 0.4 ms must not spin.
fn round_up(left: Duration) -> PollTimeout {
    let millis = left.as_micros().div_ceil(1000);
    let millis = u32::try_from(millis).unwrap_or(u32::MAX);
    PollTimeout::try_from(millis.min(i32::MAX.unsigned_abs())).unwrap_or(PollTimeout::MAX)
}
