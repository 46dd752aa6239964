//! A process that was spawned for a run, by a descriptor that cannot come to mean somebody else. Signals go
//! through it, never through a bare kill(2) of a number.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal,
    waitid,
};

use crate::domain::{Exit, Process};
use crate::observe::{ProcessState, exit_of_wait_status, process_state};
use crate::sys;

/// How long after its death somebody else may take to reap a process whose status we may not read before.
const REAP_GRACE: Duration = Duration::from_secs(2);

/// A process under watch.
#[derive(Debug)]
pub struct Ward {
    process: Process,
    /// `None`: it was gone before it could be opened.
    descriptor: Option<OwnedFd>,
}

impl Ward {
    /// Opens `process`, if it is still there.
    pub fn of(process: Process) -> Self {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let descriptor = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // The pid may have come to be somebody else's before it was opened; since then it cannot.
        let is_it = process_state(process) != ProcessState::Absent;
        Self {
            process,
            descriptor: descriptor.filter(|_| is_it),
        }
    }

    pub fn process(&self) -> Process {
        self.process
    }

    /// Whether it is dead, all its threads with it.
    pub fn has_ended(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let Some(descriptor) = &self.descriptor else {
            return true;
        };
        let mut polled = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// How it ended, as far as the kernel tells: our child's status, a zombie's, or that of one whom somebody else
    /// has reaped (Linux 6.15). Leaves a zombie a zombie.
    pub fn exit(&self) -> Option<Exit> {
        let descriptor = self.descriptor.as_ref()?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        if let Ok(Some(status)) = waitid(WaitId::PidFd(descriptor.as_fd()), look) {
            return exit_of(&status);
        }
        let deadline = Instant::now() + REAP_GRACE;
        loop {
            if let Some(status) = sys::pidfd_wait_status(descriptor.as_fd()) {
                return Some(exit_of_wait_status(status));
            }
            match process_state(self.process) {
                ProcessState::Zombie(Some(exit)) => return Some(exit),
                ProcessState::Zombie(None) if Instant::now() < deadline => {}
                // Reaped between the two looks: the status is there now, or never.
                ProcessState::Absent => {
                    let status = sys::pidfd_wait_status(descriptor.as_fd());
                    return status.map(exit_of_wait_status);
                }
                ProcessState::Zombie(None) | ProcessState::Alive | ProcessState::Stopped => {
                    return None;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the kernel forget it, if it is our child.
    pub fn reap(&self) {
        if let Some(descriptor) = &self.descriptor {
            let take = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = waitid(WaitId::PidFd(descriptor.as_fd()), take);
        }
    }

    /// What to poll: readable when it ends. `None` if it is gone.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// Asks it to end, as `kill` does by default.
    ///
    /// # Errors
    /// EPERM: it is another user's (sudo).
    pub fn terminate(&self) -> io::Result<()> {
        self.send(Signal::TERM)
    }

    /// Ends it, whether it wants to or not.
    ///
    /// # Errors
    /// EPERM: it is another user's (sudo).
    pub fn kill(&self) -> io::Result<()> {
        self.send(Signal::KILL)
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        let Some(descriptor) = &self.descriptor else {
            return Ok(());
        };
        match pidfd_send_signal(descriptor.as_fd(), signal) {
            // Dead already: what was wanted.
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn exit_of(status: &WaitIdStatus) -> Option<Exit> {
    if let Some(code) = status.exit_status() {
        return Some(Exit::Status(code));
    }
    status.terminating_signal().map(|signal| Exit::Signal {
        signal,
        core_dumped: status.dumped(),
    })
}
