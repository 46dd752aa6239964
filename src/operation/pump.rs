//! From QEMU into a file, through a pipe of ours.
//!
//! QEMU could write the file itself, but no way of naming it works on 7.2, 10 and 11 alike, and a pipe has one virtue
//! more: when we die it breaks, so no job outlives its worker unseen.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use super::interrupts::Interrupts;

/// What is read at once; also how much the pipe is asked to hold.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a pipe of the system's holds.
const USUAL_BYTES: usize = 64 * 1024;

/// How often it is told how far it came, and looked whether there is any use in going on.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The user cancelled the job.
#[derive(Debug)]
pub(super) struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canceled by client")
    }
}

impl std::error::Error for Cancelled {}

/// What has stopped a job of this name: in libvirt's words (9.0.0) where it was the user.
pub(super) fn cancelled_or(error: anyhow::Error, job: &str) -> anyhow::Error {
    match error.is::<Cancelled>() {
        true => anyhow!("operation aborted: job '{job}' {Cancelled}"),
        false => error,
    }
}

/// A pipe that only we have: the end to read from, and the one for QEMU.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (from, to) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    widen(from.as_fd());
    Ok((from, to))
}

/// The same that holds no more than a page, so that no stream of QEMU's comes to its end in it while nobody reads.
pub(super) fn narrow_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (from, to) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    set_size(from.as_fd(), 1).context("cannot make a small pipe")?;
    Ok((from, to))
}

/// Lets a pipe hold more, which means fewer wake-ups. Where the limit is reached the usual size does.
pub(super) fn widen(pipe: BorrowedFd<'_>) {
    let _ = set_size(pipe, CHUNK_BYTES).or_else(|_| set_size(pipe, USUAL_BYTES));
}

/// The kernel makes whole pages of it.
fn set_size(pipe: BorrowedFd<'_>, bytes: usize) -> Result<()> {
    fcntl(pipe, FcntlArg::F_SETPIPE_SZ(bytes.try_into()?))?;
    Ok(())
}

/// Copies from `pipe` to `file` until its other end is closed. A file that does not block is waited for. `look` is called
/// now and then: it tells how far it came, and fails if there is no use in going on.
///
/// # Errors
/// [`Cancelled`], what `look` says, or the system's words on writing.
pub(super) fn pump(
    pipe: OwnedFd,
    file: &File,
    interrupts: &Interrupts,
    look: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let mut pipe = File::from(pipe);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut pump = Pump {
        file,
        interrupts,
        look,
        looked_at: Instant::now(),
    };
    loop {
        if !pump.is_ready(pipe.as_fd(), PollFlags::POLLIN)? {
            continue;
        }
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => pump.write(chunk.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read from QEMU"),
        }
    }
}

struct Pump<'a> {
    file: &'a File,
    interrupts: &'a Interrupts,
    look: &'a mut dyn FnMut() -> Result<()>,
    looked_at: Instant,
}

impl Pump<'_> {
    /// Writes it all. Whoever reads a FIFO may take his time, or never come to it.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => {
                    let error = std::io::Error::from(ErrorKind::WriteZero);
                    return Err(error).context("cannot write the file");
                }
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_ready(self.file.as_fd(), PollFlags::POLLOUT)?;
                }
                Err(error) => return Err(error).context("cannot write the file"),
            }
        }
        Ok(())
    }

    /// Waits for the descriptor, but not for ever. Whether it is ready.
    fn is_ready(&mut self, descriptor: BorrowedFd<'_>, events: PollFlags) -> Result<bool> {
        let mut polled = [
            PollFd::new(descriptor, events),
            PollFd::new(self.interrupts.as_fd(), PollFlags::POLLIN),
        ];
        let left = LOOK_INTERVAL.saturating_sub(self.looked_at.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [awaited, _] = &polled;
        let is_ready = awaited.revents().is_some_and(|events| !events.is_empty());
        if self.interrupts.came() {
            return Err(Cancelled.into());
        }
        if self.looked_at.elapsed() >= LOOK_INTERVAL {
            (self.look)()?;
            self.looked_at = Instant::now();
        }
        Ok(is_ready)
    }
}
