//! From QEMU into a file, through a pipe of ours.
//!
//! QEMU could write the file itself, but no way of naming it works on 7.2, 10 and 11 alike, and a pipe has one virtue
//! more: when we die it breaks, so no job outlives its worker unseen.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use super::interrupts::Interrupts;

/// What is read at once; also how much the pipe is asked to hold.
const CHUNK_BYTES: usize = 256 * 1024;

/// How often it is told how far it came.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

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
        false => error.context("cannot write the file"),
    }
}

/// A pipe that only we have: the end to read from, and the one for QEMU.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (from, to) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    // A larger one means fewer wake-ups; where the limit is reached the usual size does.
    let _ = fcntl(&from, FcntlArg::F_SETPIPE_SZ(CHUNK_BYTES.try_into()?));
    Ok((from, to))
}

/// Copies from `pipe` to `file` until its other end is closed. `progress` is called now and then.
///
/// # Errors
/// [`Cancelled`], or the system's words on writing.
pub(super) fn pump(
    pipe: OwnedFd,
    file: &File,
    interrupts: &Interrupts,
    progress: &mut dyn FnMut(),
) -> Result<()> {
    let mut pipe = File::from(pipe);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut told_at = Instant::now();
    loop {
        let mut polled = [
            PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
            PollFd::new(interrupts.as_fd(), PollFlags::POLLIN),
        ];
        let left = PROGRESS_INTERVAL.saturating_sub(told_at.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let ready = match poll(&mut polled, timeout) {
            Ok(ready) => ready,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        if interrupts.came() {
            return Err(Cancelled.into());
        }
        if told_at.elapsed() >= PROGRESS_INTERVAL {
            progress();
            told_at = Instant::now();
        }
        let [from, _] = &polled;
        if ready == 0 || from.revents().is_none_or(|events| events.is_empty()) {
            continue;
        }
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => write_all(chunk.get(..count).unwrap_or_default(), file, interrupts)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes all of `bytes`, however slow whoever reads it is, unless the user cancels the job.
fn write_all(mut bytes: &[u8], mut file: &File, interrupts: &Interrupts) -> Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(std::io::Error::from(ErrorKind::WriteZero).into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut polled = [
                    PollFd::new(file.as_fd(), PollFlags::POLLOUT),
                    PollFd::new(interrupts.as_fd(), PollFlags::POLLIN),
                ];
                match poll(&mut polled, PollTimeout::NONE) {
                    Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
                if interrupts.came() {
                    return Err(Cancelled.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
