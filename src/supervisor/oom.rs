//! Whether the kernel killed a process of the run for want of memory: by its log where that can be read, else by the counters
//! of the process's control group.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::domain::{OomKill, Process};
use crate::observe::{KernelLog, MemoryEvents, Told};

/// What is watched for it, from some moment on.
#[derive(Debug)]
pub(super) struct OomWitness {
    log: KernelLog,
    /// Those of the control group of QEMU, or of what is to become it.
    events: Option<MemoryEvents>,
}

impl OomWitness {
    /// From now on. QEMU is there by now: what the log says of its pid from here on is said of it.
    pub(super) fn from_now() -> Self {
        Self {
            log: KernelLog::from_now(),
            events: None,
        }
    }

    /// Watches the control group of `process`. A wrapper may have put QEMU into one of its own; else what was counted
    /// before counts.
    pub(super) fn watch(&mut self, process: Process) {
        let known = self.events.take_if(|events| events.is_of(process));
        self.events = known.or_else(|| MemoryEvents::from_now(process));
    }

    /// Takes note of what was counted while `process` lives. When to look again.
    pub(super) fn look(&mut self, process: Process) -> Option<Instant> {
        let looked = self.events.as_mut()?.look(process);
        // Its group is gone.
        looked.unwrap_or_else(|_| {
            self.events = None;
            None
        })
    }

    /// What to poll for change.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref()?.descriptor()
    }

    /// It has changed.
    pub(super) fn woken(&mut self) {
        if let Some(events) = &mut self.events {
            events.woken();
        }
    }

    /// What the kernel tells of `process`, which is dead by SIGKILL and not reaped.
    pub(super) fn told_of(&self, process: Process) -> Option<OomKill> {
        match self.log.told_of(process.pid) {
            Told::Killed(oom) => Some(oom),
            Told::NotKilled => None,
            Told::Nothing => {
                let events = self.events.as_ref()?;
                events.counts_of(process).map(OomKill::Counted)
            }
        }
    }
}
