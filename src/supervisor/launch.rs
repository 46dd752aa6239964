//! Stage one: spawn QEMU with nothing of the caller's but what it was promised, then become the watcher.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::background;
use crate::domain::{Event, Process};
use crate::journal::Journal;
use crate::observe::{now, start_ticks};
use crate::operation::{LaunchOrder, PROGRAM_NAME, SUPERVISOR_ENVIRONMENT, watch_args};
use crate::store::{LOG_FILE, Lock, RunFolder};
use crate::sys;

/// Spawns QEMU and goes on as its watcher, in the background.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an order is carried out once"
)]
pub(super) fn launch(order: LaunchOrder) {
    let _ = try_launch(&order);
}

fn try_launch(order: &LaunchOrder) -> Result<()> {
    // First of all, while nothing of ours is open: a script's `flock 9` must be free after the script.
    let mut keep = order.passed.clone();
    keep.extend([order.lock, order.supervisor_lock]);
    sys::close_descriptors_except(&keep)?;
    let lock = Lock::inherited(sys::inherited_descriptor(order.lock)?);
    let supervisor_lock = Lock::inherited(sys::inherited_descriptor(order.supervisor_lock)?);
    let _ = nix::unistd::setsid();
    sys::default_signal_actions();
    background::sign(&supervisor_lock);

    let log = OpenOptions::new()
        .append(true)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(order.run.path().join(LOG_FILE))?;
    let mut command = command(&order.argv);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let journal = Journal::open(order.run.path())?;
    let _ = spawn_qemu(&mut command, &order.argv, &journal, lock, &order.passed);
    drop(journal);
    for number in &order.passed {
        drop(sys::inherited_descriptor(*number));
    }
    become_watcher(&order.run, supervisor_lock)
}

fn command(argv: &[OsString]) -> Command {
    let mut words = argv.iter();
    let mut command = Command::new(words.next().cloned().unwrap_or_default());
    command.args(words);
    command
}

/// Spawns QEMU as a child of this process and writes down which process it is, or why there is none.
///
/// QEMU gets no descriptor but 0 to 2, `lock` and `passed`. Our copy of the lock is closed as soon as QEMU has its
/// own: a supervisor that is stopped must not keep a dead guest alive.
///
/// # Errors
/// The system's, if the program cannot be executed.
pub(super) fn spawn_qemu(
    command: &mut Command,
    argv: &[OsString],
    journal: &Journal,
    lock: Lock,
    passed: &[RawFd],
) -> std::io::Result<Process> {
    let mut inherited = passed.to_vec();
    inherited.push(lock.as_fd().as_raw_fd());
    sys::close_on_exec_except(&inherited)?;
    let _ = fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()));
    // A QEMU that its wrapper leaves behind becomes our child: its true exit status comes to us.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    sys::spawn_with_no_signal_blocked(command);
    let spawned = command.spawn();
    drop(lock);
    let child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let program = argv
                .first()
                .map(|p| p.display().to_string())
                .unwrap_or_default();
            let words = system_words(&error);
            let message = format!("cannot execute '{program}': {words}");
            journal.append(now(), &Event::SpawnFailed { message })?;
            return Err(error);
        }
    };
    let pid = child.id();
    let process = Process {
        pid,
        start_ticks: start_ticks(pid).unwrap_or_default(),
    };
    // Its zombie is reaped when its end is on record, not by dropping this handle (std does not wait on drop).
    drop(child);
    let _ = journal.append(now(), &Event::Spawned(process));
    Ok(process)
}

/// The system's words for an error, without the number that Rust adds.
fn system_words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

fn become_watcher(run: &RunFolder, supervisor_lock: Lock) -> Result<()> {
    std::env::set_current_dir("/")?;
    fcntl(supervisor_lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    let number = supervisor_lock.as_fd().as_raw_fd();
    let error = Command::new("/proc/self/exe")
        .arg0(PROGRAM_NAME)
        .env_clear()
        .envs(SUPERVISOR_ENVIRONMENT)
        .args(watch_args(run, Some(number)))
        .exec();
    // Not replaced after all (no memory, say): go on in this image.
    background::watch(run.clone(), supervisor_lock).with_context(|| error.to_string())
}
