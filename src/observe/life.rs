//! Does QEMU live? Not by a pid file: by its pid together with its start time, and by the lock that it
//! inherited, which the kernel drops with it.
//!
//! Neither alone would do. A process that a wrapper left behind may hold the lock long after QEMU is dead, and what
//! was spawned need not be QEMU. So a held lock counts only with a process that has this run's journal open for
//! writing only, as QEMU's chardev has it (our own processes open it to read as well).

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Error, Result, bail};

use super::host::{boot_id, pid_namespace};
use super::process::{ProcessState, is_named_as_qemu, parent_pid, process, process_state};
use crate::domain::{Exit, Exited, Fold, Life, Process};
use crate::journal::{JOURNAL_FILE, open_to_read};
use crate::qemu::listener_pid;
use crate::store::{DomainFolder, Log, RunFolder, is_held};

/// Whether a run has a supervisor now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervised {
    /// Its pid, where it has noted it already.
    By(Option<u32>),
    Nobody,
}

impl Supervised {
    /// Looks who holds the supervisor's lock of `run`.
    pub fn look(run: &RunFolder) -> Self {
        let Ok(mut file) = open_to_read(&run.supervisor_lock()) else {
            return Self::Nobody;
        };
        if !is_held(&file).unwrap_or(false) {
            return Self::Nobody;
        }
        let mut text = String::new();
        let _ = file.by_ref().take(32).read_to_string(&mut text);
        Self::By(text.trim().parse().ok())
    }

    /// Whether nobody looks after the run.
    pub fn is_nobody(self) -> bool {
        self == Self::Nobody
    }
}

/// Looks whether the QEMU of a run that was folded to `fold` lives.
///
/// # Errors
/// When the host's boot id cannot be read, without which every pid would be a guess, or when QEMU's process cannot be
/// looked at.
pub(super) fn life(domain: &DomainFolder, run: &RunFolder, fold: &Fold) -> Result<Life> {
    let boot = boot_id()?;
    let gone = |exit: Option<Exit>| {
        let words = Log::open_read_only(run.path()).and_then(|log| log.words());
        Ok(Life::Gone(Exited {
            exit,
            boot: boot.clone(),
            words: words.unwrap_or_default(),
            oom: None,
            at: None,
        }))
    };
    let launch = fold.launch.as_ref();
    let same_namespace = launch.is_some_and(|l| pid_namespace().ok() == Some(l.pid_namespace));
    if launch.is_some_and(|launch| launch.boot != boot) {
        // A container may have a boot id of its own. What ended with its host holds no lock; a start of the next run may.
        let is_held = || is_newest(domain, run) && lock_is_held(domain).unwrap_or(false);
        let is_there = || {
            let known = fold.qemu.or(fold.launcher).map(process_state);
            matches!(known, Some(ProcessState::Alive | ProcessState::Stopped))
                || find_qemu(run).is_some()
        };
        let may_live = !fold.has_end() && is_held() && (!same_namespace || is_there());
        return match may_live {
            true => Ok(Life::MayLive),
            false => gone(None),
        };
    }
    // An end on record is an end, unless what ended was only the wrapper.
    if fold.qemu_exit.is_some() {
        return gone(None);
    }
    // It says nothing of an older run: a start takes it, or a new one in its place.
    let context = || format!("cannot read {}", domain.lock().display());
    let lock_is_held =
        || Ok::<_, Error>(is_newest(domain, run) && lock_is_held(domain).with_context(context)?);
    let known = fold.qemu.or(fold.launcher).filter(|_| same_namespace);
    match known.map(process_state) {
        Some(ProcessState::Alive | ProcessState::Stopped) => {
            let is_wrapper = |it: Process| fold.qemu.is_none() && !is_named_as_qemu(it);
            // A wrapper may outlive its QEMU, of which nobody knows more than that it spoke.
            return Ok(match known.filter(|_| fold.began.is_some()) {
                Some(known) if is_wrapper(known) && find_qemu(run).is_none() => Life::MayLive,
                Some(_) | None => Life::Lives,
            });
        }
        Some(ProcessState::Unseen) => bail!("cannot look whether QEMU lives"),
        Some(ProcessState::Zombie(exit)) if fold.qemu.is_some() || !lock_is_held()? => {
            return gone(exit);
        }
        Some(ProcessState::Zombie(_) | ProcessState::Absent) | None => {}
    }
    if !lock_is_held()? {
        return gone(None);
    }
    // The lock is held by who is about to spawn QEMU, by what was spawned and is about to be QEMU (its supervisor may
    // have died before it could say so), or by a wrapper's child; the supervisor, or the one that adopts, decides how
    // long that is believed, and then records the end.
    let starting = fold.qemu.is_none()
        && fold.began.is_none()
        && fold.refusal.is_none()
        && fold.launcher_exit.is_none();
    if same_namespace && starting {
        return Ok(Life::Lives);
    }
    match find_qemu(run) {
        Some(_) => Ok(Life::Lives),
        // From the namespace that surrounds its own it can be seen; from elsewhere nobody can.
        None if !same_namespace => Ok(Life::MayLive),
        // In a time namespace it seems to have begun at another time, and in a user namespace nobody may look closer.
        None if known.is_some_and(|known| hides_its_files(known.pid)) => Ok(Life::MayLive),
        None => gone(match known.map(process_state) {
            Some(ProcessState::Zombie(exit)) => exit,
            Some(_) | None => None,
        }),
    }
}

/// Whether no other run of the domain has begun since.
pub fn is_newest(domain: &DomainFolder, run: &RunFolder) -> bool {
    let newest = domain.latest_run().ok().flatten();
    newest.is_none_or(|newest| newest.number() <= run.number())
}

/// Whether QEMU's lock is held: by QEMU, by what is to become it, or by what a wrapper left behind.
///
/// # Errors
/// Nobody can look. Where there is no lock nobody holds it.
pub fn lock_is_held(domain: &DomainFolder) -> io::Result<bool> {
    match open_to_read(&domain.lock()).and_then(|file| is_held(&file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        held => held,
    }
}

/// Searches all processes for one that has the journal of `run` open as QEMU's chardev opens it. Slow: only where
/// nothing better is known.
pub fn find_qemu(run: &RunFolder) -> Option<Process> {
    let journal = fs::metadata(run.path().join(JOURNAL_FILE)).ok()?;
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        has_open(pid, &journal, Mode::WriteOnly).then(|| process(pid))?
    })
}

/// Whether `process` is one of the run's own. A QEMU that a guest broke out of may write any line into its journal, so a
/// process is sent no signal only because it stands there.
pub fn is_of_run(run: &RunFolder, process: Process) -> bool {
    let pid = process.pid;
    let is_child = || match Supervised::look(run) {
        // It is a subreaper, too: what it has for children was started for this run.
        Supervised::By(Some(supervisor)) => parent_pid(pid) == Some(supervisor),
        Supervised::By(None) | Supervised::Nobody => false,
    };
    is_child()
        || writes_to(run, pid)
        || has_lock_open(run, pid)
        // Last, because it may take a second: one whose descriptors are hidden from us.
        || fs::File::open(run.path())
            .and_then(|folder| listener_pid(folder.as_fd()))
            .is_ok_and(|listener| listener == pid)
}

/// Whether a process has the journal of `run` open as QEMU has it.
pub(super) fn writes_to(run: &RunFolder, pid: u32) -> bool {
    let journal = fs::symlink_metadata(run.path().join(JOURNAL_FILE));
    journal.is_ok_and(|journal| has_open(pid, &journal, Mode::WriteOnly))
}

/// Whether a process has the lock open that the QEMU of `run` has inherited.
pub(super) fn has_lock_open(run: &RunFolder, pid: u32) -> bool {
    let lock = run
        .domain()
        .and_then(|domain| fs::symlink_metadata(domain.lock()).ok());
    lock.is_some_and(|lock| has_open(pid, &lock, Mode::Any))
}

/// Whether QEMU, which lives, does not have the journal of `run` open any more, and nobody else has: another program has its process
/// now (cpr-exec, QEMU 11), and nobody writes down what its guest does. What cannot be looked at is no proof.
pub(super) fn has_let_go(run: &RunFolder, fold: &Fold, qemu: Process) -> bool {
    let is_here = fold.launch.as_ref().map(|launch| launch.pid_namespace) == pid_namespace().ok();
    let is_alive = || {
        matches!(
            process_state(qemu),
            ProcessState::Alive | ProcessState::Stopped
        )
    };
    is_here
        && has_closed(run, qemu.pid).unwrap_or(false)
        && find_qemu(run).is_none()
        // One that is dying has closed all.
        && shows_its_files(qemu.pid)
        && is_alive()
}

/// Whether a process has the journal of `run` not open, by all of its descriptors.
fn has_closed(run: &RunFolder, pid: u32) -> io::Result<bool> {
    let journal = fs::symlink_metadata(run.path().join(JOURNAL_FILE))?;
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
        match fs::metadata(descriptor?.path()) {
            Ok(file) if file.ino() == journal.ino() && file.dev() == journal.dev() => {
                return Ok(false);
            }
            Ok(_) => {}
            // Closed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Whether its descriptors cannot only be listed, but followed.
pub(super) fn shows_its_files(pid: u32) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    descriptors.is_ok_and(|descriptors| {
        let mut all = descriptors.filter_map(Result::ok);
        all.any(|descriptor| fs::metadata(descriptor.path()).is_ok())
    })
}

fn hides_its_files(pid: u32) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    files.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// How a file is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    WriteOnly,
    Any,
}

fn has_open(pid: u32, file: &fs::Metadata, mode: Mode) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors.filter_map(Result::ok).any(|descriptor| {
        let is_it = fs::metadata(descriptor.path())
            .is_ok_and(|m| m.ino() == file.ino() && m.dev() == file.dev());
        let number = descriptor.file_name();
        is_it && (mode == Mode::Any || is_write_only(pid, &number.to_string_lossy()))
    })
}

/// O_WRONLY is 1 in the lowest two bits of the flags, which are octal (proc(5), fdinfo).
fn is_write_only(pid: u32, descriptor: &str) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")) else {
        return false;
    };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 0o3 == 1)
}
