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
    /// Those that were to be watched so far, dead or alive.
    met: Vec<Process>,
    /// Something is watched that was not when the last look was taken: it may have changed, or died, since.
    has_news: bool,
    /// A process lives that cannot be watched from here: its end will not wake anybody.
    has_unwatched: bool,
}

impl Watcher {
    /// A watcher of nothing yet.
    pub fn new() -> Self {
        Self {
            alarm: Alarm::new(),
            processes: Vec::new(),
            met: Vec::new(),
            has_news: false,
            has_unwatched: false,
        }
    }

    /// Watches the domain for new runs, and the run that `seen` is about. To be called before the look that the
    /// waiting is based on: watching twice is harmless.
    pub fn watch(&mut self, domain: &DomainFolder, seen: &Observation) {
        self.has_news |= self.alarm.watch(domain.path());
        self.has_news |= self.alarm.watch(&domain.runs());
        if let Some(run) = &seen.run {
            self.has_news |= self.alarm.watch(run.path());
        }
        if !seen.is_active() {
            return;
        }
        if let Some(process) = seen.fold.qemu.or(seen.fold.launcher) {
            // Of another pid namespace, or a wrapper that is gone while its QEMU is not known yet.
            self.has_unwatched |= !self.watch_process(process);
        }
        // What it does not write down tells nobody.
        self.has_unwatched |= seen.may_lack_lines;
        // Its death is no news of the guest; but what it was about to do has to be done by somebody else.
        match seen.supervised {
            Supervised::By(Some(pid)) => {
                // No process has begun with the kernel: this one is gone.
                let gone = Process {
                    pid,
                    start_ticks: 0,
                };
                self.watch_process(process(pid).unwrap_or(gone));
            }
            // It is just beginning, and would die without a trace.
            Supervised::By(None) => self.has_unwatched = true,
            Supervised::Nobody => {}
        }
    }

    /// Watches a process. Whether its end will wake us.
    fn watch_process(&mut self, process: Process) -> bool {
        if !self.met.contains(&process) {
            self.met.push(process);
            self.has_news = true;
        }
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

    /// Watches all that `seen`, the last look, is about, and sleeps until something has happened since, or `deadline`.
    pub fn sleep_on(
        &mut self,
        domain: &DomainFolder,
        seen: &Observation,
        deadline: Option<Instant>,
    ) -> Result<()> {
        self.watch(domain, seen);
        self.sleep(deadline)
    }

    /// Sleeps until something happened, or `deadline`; not at all if something is watched that was not when the last look
    /// was taken.
    pub fn sleep(&mut self, deadline: Option<Instant>) -> Result<()> {
        if std::mem::take(&mut self.has_news) {
            return Ok(());
        }
        // Found anew by the next look, if it is still so.
        let sight = match std::mem::take(&mut self.has_unwatched) {
            true => Sight::Partial,
            false => Sight::Whole,
        };
        let processes = self.processes.iter();
        let processes: Vec<BorrowedFd<'_>> = processes.map(|(_, fd)| fd.as_fd()).collect();
        // Who died will not die again: its descriptor would keep us awake.
        let woken = self.alarm.sleep(&processes, None, deadline, sight)?;
        let mut dead = woken.ready.into_iter();
        self.processes.retain(|_| !dead.next().unwrap_or(false));
        Ok(())
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}
