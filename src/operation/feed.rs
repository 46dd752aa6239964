//! Feeding a saved guest to the QEMU that takes it up, through a pipe, in a process of its own: it goes on if the command
//! is killed, and if it is killed itself QEMU finds the stream cut off and ends.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::order::{FEED, number, ourselves};
use super::pump::pipe;
use crate::domain::Transfer;
use crate::observe::{Watcher, look_at_run};
use crate::store::{OpenImage, RunFolder};

/// A stream on its way to a QEMU that is still to be spawned.
#[derive(Debug)]
pub struct Feed {
    image: File,
    /// QEMU's end of the pipe.
    from: OwnedFd,
    to: OwnedFd,
}

impl Feed {
    pub(super) fn new(image: OpenImage) -> Result<Self> {
        let (from, to) = pipe()?;
        let image = image.into_file();
        // QEMU 7.2 to 11.1 takes a stream without a single byte for one that is still to come, and burns a processor
        // for ever; one that breaks off ends it. So it is sure to get a byte, whatever becomes of the feeder.
        let to = File::from(to);
        let first = io::copy(&mut (&image).take(1), &mut &to);
        first.context("cannot read the image")?;
        Ok(Self {
            image,
            from,
            to: to.into(),
        })
    }

    /// The descriptor that QEMU reads the stream from.
    pub fn descriptor(&self) -> RawFd {
        self.from.as_raw_fd()
    }

    /// Starts feeding the QEMU that `run` is about to have, and has children inherit the descriptor that it reads from. To
    /// be called before anything is spawned that may become QEMU: once that is there, it needs this process no more.
    pub fn start(self, run: &RunFolder) -> Result<OwnedFd> {
        for descriptor in [self.image.as_fd(), self.to.as_fd()] {
            fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        let mut command = ourselves();
        command.args([FEED.into(), text(&self.image), text(&self.to)]);
        command.args([run.path().into(), OsString::from(run.number().to_string())]);
        // Nobody waits for it: it ends with the stream, or with QEMU.
        command.spawn().context("cannot feed QEMU the image")?;
        fcntl(&self.from, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(self.from)
    }
}

fn text(descriptor: &impl AsRawFd) -> OsString {
    descriptor.as_raw_fd().to_string().into()
}

/// What a feeder is told on its command line: the descriptors of the image, at the stream, and of the pipe; and the run.
#[derive(Debug)]
pub struct FeedOrder {
    pub image: RawFd,
    pub pipe: RawFd,
    pub run: RunFolder,
}

impl FeedOrder {
    /// Reads the arguments behind `argv[0]` and the word that says what to do.
    pub fn from_args<'a>(mut args: impl Iterator<Item = &'a OsString>) -> Result<Self> {
        let mut next = || args.next().ok_or_else(|| anyhow!("an argument is missing"));
        Ok(Self {
            image: number(next()?)?,
            pipe: number(next()?)?,
            run: RunFolder::at(PathBuf::from(next()?), number(next()?)?),
        })
    }
}

/// Feeds QEMU the rest of the image, once its recorder listens: then the journal tells when it is loaded. A QEMU that closes
/// its end has its reasons, which it tells by itself.
pub fn feed(run: &RunFolder, image: OwnedFd, pipe: OwnedFd) -> Result<()> {
    let domain = run.domain().context("the run has no domain")?;
    let mut watcher = Watcher::new();
    loop {
        let seen = look_at_run(&domain, run)?;
        watcher.watch(&domain, &seen);
        let seen = look_at_run(&domain, run)?;
        if matches!(seen.fold.transfer, Transfer::Arriving(_)) {
            break;
        }
        if !seen.is_active() {
            bail!("QEMU is gone");
        }
        watcher.sleep_on(&domain, &seen, None)?;
    }
    io::copy(&mut File::from(image), &mut File::from(pipe))?;
    Ok(())
}
