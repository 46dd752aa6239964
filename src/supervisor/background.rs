//! The watcher as a process of its own: how it comes to its run, and its loop.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use nix::sys::signal::{SigSet, Signal};

use super::watch::{Patience, Turn, Watch};
use crate::operation::{FeedOrder, feed, fulfil, number};
use crate::store::{Lock, RunFolder};
use crate::sys;

/// Watches the run that the arguments behind `argv[0]` name, with the lock that they hand over or one of its own.
pub(super) fn watch_by_args<'a>(args: impl Iterator<Item = &'a OsString>) -> Result<()> {
    match take_charge(args)? {
        Some((run, lock)) => watch(run, lock),
        None => Ok(()),
    }
}

/// The run that the arguments name, and its lock. `None` if somebody else has it. Not inlined: as long as the run is
/// watched, its frame would lie on the stack.
#[inline(never)]
fn take_charge<'a>(
    mut args: impl Iterator<Item = &'a OsString>,
) -> Result<Option<(RunFolder, Lock)>> {
    let missing = || anyhow!("an argument is missing");
    let path = PathBuf::from(args.next().ok_or_else(missing)?);
    let run_number = number(args.next().ok_or_else(missing)?)?;
    let run = RunFolder::at(path, run_number);
    let lock = match args.next() {
        Some(descriptor) => {
            let descriptor = number(descriptor)?;
            sys::close_descriptors_except(&[descriptor])?;
            Lock::inherited(sys::inherited_descriptor(descriptor)?)
        }
        None => {
            sys::close_descriptors_except(&[])?;
            let _ = nix::unistd::setsid();
            std::env::set_current_dir("/")?;
            // Two commands at once adopt once: the second finds the lock taken.
            let Some(lock) = Lock::try_take(&run.supervisor_lock())? else {
                return Ok(None);
            };
            sign(&lock);
            lock
        }
    };
    Ok(Some((run, lock)))
}

/// Does what is to be done about the run that the arguments name, and ends.
pub(super) fn serve_by_args<'a>(mut args: impl Iterator<Item = &'a OsString>) -> Result<()> {
    let missing = || anyhow!("an argument is missing");
    let path = PathBuf::from(args.next().ok_or_else(missing)?);
    let run = RunFolder::at(path, number(args.next().ok_or_else(missing)?)?);
    sys::close_descriptors_except(&[])?;
    sys::default_signal_actions();
    // Ctrl-C at a `run` in the foreground is the guest's.
    let _ = nix::unistd::setsid();
    std::env::set_current_dir("/")?;
    let domain = run
        .domain()
        .ok_or_else(|| anyhow!("the run has no domain"))?;
    fulfil(&domain, &run)
}

/// Feeds QEMU a saved image, by descriptors that the arguments name.
pub(super) fn feed_by_args<'a>(args: impl Iterator<Item = &'a OsString>) -> Result<()> {
    let order = FeedOrder::from_args(args)?;
    sys::close_descriptors_except(&[order.image, order.pipe])?;
    sys::default_signal_actions();
    let _ = nix::unistd::setsid();
    std::env::set_current_dir("/")?;
    let image = sys::inherited_descriptor(order.image)?;
    let pipe = sys::inherited_descriptor(order.pipe)?;
    feed(&order.run, image, pipe)
}

/// Notes this process in the lock's file, for those who want to know who supervises. On a full disk nobody learns it:
/// the lock tells that there is somebody.
pub(super) fn sign(lock: &Lock) {
    let _ = lock.file().and_then(|mut file| {
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())
    });
}

/// Watches `run` to its end, in the background.
pub(super) fn watch(run: RunFolder, lock: Lock) -> Result<()> {
    // A host that shuts down sends these to everybody; we are needed until QEMU has ended.
    let mut blocked = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGPIPE,
    ] {
        blocked.add(signal);
    }
    blocked.thread_block()?;
    // Not moved: the stack would hold it twice for as long as it watches.
    let mut made = Watch::new(run, lock, Patience::Endless);
    match &mut made {
        Ok(watch) => while watch.turn(&[], None)? == Turn::Continues {},
        Err(error) => bail!("{error:#}"),
    }
    Ok(())
}
