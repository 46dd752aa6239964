//! Deleting an internal snapshot from the disks that hold it: by QEMU while it has them, else by `qemu-img`.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::asking::{Asking, one_line};
use super::folder::take_folder_lock;
use super::fulfil::fulfil;
use super::settle::Held;
use super::snapshot::{disks, file, hold_for_snapshot};
use super::snapshot_job::{JobError, SnapshotJob, dismiss, run_job};
use super::worker::job;
use crate::domain::{Before, State, Verb};
use crate::observe::{Observation, look};
use crate::qemu::{Control, Disk, is_url};
use crate::store::{Definition, DomainFolder, RunFolder, Snapshot, forget_snapshot};

/// What `qemu-img` says of a disk that does not hold the snapshot (7.2 to 11.1).
const NOT_THERE: &str = "snapshot not found";

/// Deletes the snapshot.
///
/// # Errors
/// What failed. A snapshot that is gone from some of its disks only is still there to be deleted.
pub fn delete_snapshot(
    domain: &DomainFolder,
    seen: Observation,
    snapshot: &Snapshot,
) -> Result<()> {
    if seen.is_active() {
        return delete_from_qemu(domain, seen, snapshot);
    }
    let _folder_lock = take_folder_lock(domain)?;
    let seen = look(domain)?;
    if let Some(run) = seen.run.as_ref().filter(|_| seen.duty().is_some()) {
        fulfil(domain, run)?;
    }
    if look(domain)?.is_active() {
        bail!("Requested operation is not valid: domain is active");
    }
    delete_from_files(snapshot)?;
    forget(domain, snapshot)
}

fn forget(domain: &DomainFolder, snapshot: &Snapshot) -> Result<()> {
    let place = domain.snapshot(&snapshot.name);
    forget_snapshot(&place).with_context(|| format!("cannot remove {}", place.display()))
}

fn delete_from_qemu(domain: &DomainFolder, seen: Observation, snapshot: &Snapshot) -> Result<()> {
    let Held {
        run,
        mut control,
        seen,
    } = hold_for_snapshot(domain, seen)?;
    let before = match seen.answer.state {
        State::Running(_) => Before::Ran,
        State::Paused(_)
        | State::InShutdown
        | State::ShutOff(_)
        | State::Crashed
        | State::PmSuspended => Before::Stood,
    };
    refuse_elsewhere(domain, &run, &mut control, snapshot)?;
    let place = domain.snapshot(&snapshot.name);
    let asking = Asking::begin_job(&run, Verb::SnapshotDelete, job(&place, before)?)?;
    let deleted = delete_from_nodes(&mut control, snapshot.name.as_str(), |_| true);
    if let Err(error) = deleted {
        let error = match error {
            JobError::Failed(_) => error.known(),
            // What QEMU did is for whoever looks next to find out.
            JobError::Control(_) => return Err(error.known()),
        };
        asking.failed_durably(&one_line(&error));
        dismiss(&mut control);
        return Err(error);
    }
    asking.carried_out()?;
    dismiss(&mut control);
    forget(domain, snapshot)?;
    asking.done_durably();
    Ok(())
}

/// Refuses to forget a snapshot that a disk holds which this QEMU does not have, or may not write to.
fn refuse_elsewhere(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    snapshot: &Snapshot,
) -> Result<()> {
    // An older domstate has kept none of its own for the run.
    let definition = Definition::of_run(run).or_else(|_| Definition::load(&domain.definition()))?;
    // One disk may have several names.
    let place = |path: PathBuf| path.canonicalize().unwrap_or(path);
    let disks = disks(control)?;
    let there: Vec<PathBuf> = disks
        .iter()
        .map(|disk| place(file(&definition, disk)))
        .collect();
    let mut held = snapshot.disks.iter().map(|disk| place(disk.file.clone()));
    match held.find(|file| !there.contains(file) && (is_url(file) || file.exists())) {
        Some(file) => bail!(
            "Requested operation is not valid: {} holds the snapshot, and is no disk that the guest writes to now: \
             delete it while the domain is not active",
            file.display()
        ),
        None => Ok(()),
    }
}

/// Has QEMU delete it from those of its disks that hold it, of those that are `wanted`.
pub(super) fn delete_from_nodes(
    control: &mut Control,
    tag: &str,
    wanted: impl Fn(&Disk) -> bool,
) -> Result<(), JobError> {
    let disks = disks(control)?;
    let holding = disks.iter().filter(|disk| disk.tag(tag).is_some());
    let holding = holding.filter(|disk| wanted(disk));
    let nodes: Vec<&str> = holding.map(|disk| disk.node.as_str()).collect();
    if nodes.is_empty() {
        return Ok(());
    }
    run_job(control, &SnapshotJob::delete(tag, &nodes))
}

/// Deletes it from its files, which nobody has open: from each that lets it, whatever becomes of the others.
pub(super) fn delete_from_files(snapshot: &Snapshot) -> Result<()> {
    let tag = snapshot.name.as_str().as_ref();
    let deleted = snapshot
        .disks
        .iter()
        .map(|disk| delete_from_file(tag, &disk.file));
    let deleted: Vec<Result<()>> = deleted.collect();
    deleted.into_iter().collect()
}

fn delete_from_file(tag: &OsStr, file: &Path) -> Result<()> {
    let mut command = Command::new("qemu-img");
    command.args(["snapshot".as_ref(), "-d".as_ref(), tag, file.as_os_str()]);
    command.stdin(Stdio::null()).env("LC_ALL", "C");
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "cannot execute 'qemu-img', which deletes snapshots while the domain is not active: it is not in PATH"
        ),
        output => output.context("cannot execute 'qemu-img'")?,
    };
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() || words.contains(NOT_THERE) {
        return Ok(());
    }
    let line = words
        .lines()
        .last()
        .unwrap_or("it failed, and says nothing");
    bail!("operation failed: {line}")
}
