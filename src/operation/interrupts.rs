//! Ctrl-C and its like while a job is under way: they cancel the job, and what it has done is taken back first.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that cancel a job, as a descriptor to poll.
#[derive(Debug)]
pub(super) struct Interrupts {
    signals: SignalFd,
}

impl Interrupts {
    /// From now on SIGINT, SIGTERM and SIGHUP do not end this process. Nobody gives them back: a verb with a job does
    /// nothing after it. Nor does SIGXFSZ: a file that may not become so large is an error like a full disk.
    pub(super) fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        SigSet::from(Signal::SIGXFSZ).thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&set, flags)?;
        Ok(Self { signals })
    }

    /// Whether one has come. It is forgotten by that.
    pub(super) fn came(&self) -> bool {
        self.signals
            .read_signal()
            .is_ok_and(|signal| signal.is_some())
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}
