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
use crate::observe::{ProcessState, exit_of_wait_status, is_of_run, process_state};
use crate::store::RunFolder;
use crate::sys;

/// How long after its death somebody else may take to reap a process whose status we may not read before.
const REAP_GRACE: Duration = Duration::from_secs(2);

/// A process under watch.
#[derive(Debug)]
pub struct Ward {
    process: Process,
    handle: Handle,
}

#[derive(Debug)]
enum Handle {
    Open(OwnedFd),
    /// It was gone before it could be opened.
    Gone,
    /// No descriptor was to be had: too many are open, or the kernel or a sandbox has none. The process is looked at
    /// by its number and start time, and sent no signal.
    Refused(Errno),
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Made,
    /// Nobody was there any more: what ended it was something else.
    Late,
}

impl Ward {
    /// Opens `process`, if it is still there.
    pub fn of(process: Process) -> Self {
        let pid = pid(process).ok_or(Errno::SRCH);
        let handle = match pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            // The pid may have come to be somebody else's before it was opened; since then it cannot.
            Ok(descriptor) => match process_state(process) {
                ProcessState::Absent => Handle::Gone,
                ProcessState::Unseen => Handle::Refused(Errno::AGAIN),
                ProcessState::Alive | ProcessState::Stopped | ProcessState::Zombie(_) => {
                    Handle::Open(descriptor)
                }
            },
            Err(Errno::SRCH) => Handle::Gone,
            Err(errno) => Handle::Refused(errno),
        };
        Self { process, handle }
    }

    pub fn process(&self) -> Process {
        self.process
    }

    /// Whether it is dead, all its threads with it.
    pub fn has_ended(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let descriptor = match &self.handle {
            Handle::Open(descriptor) => descriptor,
            Handle::Gone => return true,
            Handle::Refused(_) => {
                let state = process_state(self.process);
                return matches!(state, ProcessState::Absent | ProcessState::Zombie(_));
            }
        };
        let mut polled = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// How it ended, as far as the kernel tells: our child's status, a zombie's, or that of one whom somebody else
    /// has reaped (Linux 6.15). Leaves a zombie a zombie.
    pub fn exit(&self) -> Option<Exit> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        if let Ok(Some(status)) = waitid(self.wait_id()?, look) {
            return exit_of(&status);
        }
        let reaped = || sys::pidfd_wait_status(self.descriptor()?);
        let deadline = Instant::now() + REAP_GRACE;
        loop {
            if let Some(status) = reaped() {
                return Some(exit_of_wait_status(status));
            }
            match process_state(self.process) {
                ProcessState::Zombie(Some(exit)) => return Some(exit),
                ProcessState::Zombie(None) if Instant::now() < deadline => {}
                // Reaped between the two looks: the status is there now, or never.
                ProcessState::Absent => {
                    return reaped().map(exit_of_wait_status);
                }
                ProcessState::Zombie(None)
                | ProcessState::Alive
                | ProcessState::Stopped
                | ProcessState::Unseen => {
                    return None;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the kernel forget it, if it is our child.
    pub fn reap(&self) {
        if let Some(id) = self.wait_id() {
            let take = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = waitid(id, take);
        }
    }

    fn wait_id(&self) -> Option<WaitId<'_>> {
        match &self.handle {
            Handle::Open(descriptor) => Some(WaitId::PidFd(descriptor.as_fd())),
            Handle::Gone => None,
            // A child's number stays its own until we reap it; of others this tells nothing.
            Handle::Refused(_) => pid(self.process).map(WaitId::Pid),
        }
    }

    /// What to poll: readable when it ends. `None` if it is gone or has to be looked at instead.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.handle {
            Handle::Open(descriptor) => Some(descriptor.as_fd()),
            Handle::Gone | Handle::Refused(_) => None,
        }
    }

    /// Whether its end wakes nobody who polls.
    pub fn is_unwatched(&self) -> bool {
        matches!(self.handle, Handle::Refused(_))
    }

    /// Asks it to end, as `kill` does by default.
    ///
    /// # Errors
    /// EPERM: it is another user's (sudo). Or no descriptor of it was to be had, or it is none of the processes of `run`.
    pub fn terminate(&self, run: &RunFolder) -> io::Result<Delivery> {
        self.send(run, Signal::TERM)
    }

    /// Ends it, whether it wants to or not.
    ///
    /// # Errors
    /// As [`Self::terminate`] has them.
    pub fn kill(&self, run: &RunFolder) -> io::Result<Delivery> {
        self.send(run, Signal::KILL)
    }

    fn send(&self, run: &RunFolder, signal: Signal) -> io::Result<Delivery> {
        let descriptor = match &self.handle {
            Handle::Open(_) if self.has_ended() => return Ok(Delivery::Late),
            // Looked at by its number, which stays its own while we have its descriptor.
            Handle::Open(_) if !is_of_run(run, self.process) => {
                let pid = self.process.pid;
                return Err(io::Error::other(format!(
                    "process {pid} is no QEMU of this run"
                )));
            }
            Handle::Open(descriptor) => descriptor,
            Handle::Gone => return Ok(Delivery::Late),
            Handle::Refused(_) if self.has_ended() => return Ok(Delivery::Late),
            Handle::Refused(errno) => return Err((*errno).into()),
        };
        match pidfd_send_signal(descriptor.as_fd(), signal) {
            Ok(()) => Ok(Delivery::Made),
            // Dead already, and reaped since.
            Err(Errno::SRCH) => Ok(Delivery::Late),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn pid(process: Process) -> Option<Pid> {
    i32::try_from(process.pid).ok().and_then(Pid::from_raw)
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
