//! Waiting for something to happen to a domain: an alarm on what is written, pidfds on what lives.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use anyhow::Result;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::alarm::{Alarm, Sight};
use super::process::{process, process_state};
use super::{Observation, ProcessState, Supervised};
use crate::domain::Process;
use crate::store::DomainFolder;

/// Wakes when a watched domain may have changed.
#[derive(Debug)]
pub struct Watcher {
    alarm: Alarm,
    processes: Vec<(Process, OwnedFd)>,
    /// A process lives that cannot be watched from here: its end will not wake anybody.
    has_unwatched: bool,
}

impl Watcher {
    /// A watcher of nothing yet.
    pub fn new() -> Self {
        Self {
            alarm: Alarm::new(),
            processes: Vec::new(),
            has_unwatched: false,
        }
    }

    /// Watches the domain for new runs, and the run that `seen` is about. To be called before the look that the
    /// waiting is based on, and again after each: watching twice is harmless.
    pub fn watch(&mut self, domain: &DomainFolder, seen: &Observation) {
        self.alarm.watch(domain.path());
        self.alarm.watch(&domain.runs());
        if let Some(run) = &seen.run {
            self.alarm.watch(run.path());
        }
        if !seen.is_active() {
            return;
        }
        if let Some(process) = seen.fold.qemu.or(seen.fold.launcher) {
            // Of another pid namespace, or a wrapper that is gone while its QEMU is not known yet.
            self.has_unwatched |= !self.watch_process(process);
        }
        // Its death is no news of the guest; but what it was about to do has to be done by somebody else.
        if let Supervised::By(Some(pid)) = seen.supervised
            && let Some(supervisor) = process(pid)
        {
            self.watch_process(supervisor);
        }
    }

    /// Watches a process. Whether its end will wake us.
    fn watch_process(&mut self, process: Process) -> bool {
        let watched = self.processes.iter().any(|(known, _)| *known == process);
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        if watched {
            return true;
        }
        if let Some(Ok(descriptor)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty()))
            // The pid may have been reused before it was opened, but not since. One that is dead already (a wrapper
            // whose QEMU is still to come) would keep us awake.
            && matches!(process_state(process), ProcessState::Alive | ProcessState::Stopped)
        {
            self.processes.push((process, descriptor));
            return true;
        }
        false
    }

    /// Sleeps until something happened, or `deadline`.
    pub fn sleep(&mut self, deadline: Option<Instant>) -> Result<()> {
        // Found anew by the next look, if it is still so.
        let sight = match std::mem::take(&mut self.has_unwatched) {
            true => Sight::Partial,
            false => Sight::Whole,
        };
        let processes = self.processes.iter();
        let processes: Vec<BorrowedFd<'_>> = processes.map(|(_, fd)| fd.as_fd()).collect();
        // Who died will not die again: its descriptor would keep us awake.
        let mut dead = self.alarm.sleep(&processes, deadline, sight)?.into_iter();
        self.processes.retain(|_| !dead.next().unwrap_or(false));
        Ok(())
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}
