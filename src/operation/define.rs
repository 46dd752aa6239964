//! Keeping and forgetting definitions.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::folder::{make_folder, save, take_folder_lock};
use super::fulfil::fulfil;
use super::managed::{Kept, Loss, has_managed_image, refuse_to_lose, refuse_unread};
use super::settle::refuse_while_busy;
use crate::domain::{Duty, Verb};
use crate::observe::{Observation, look};
use crate::store::{Definition, DomainFolder, FolderLock, StoredCheckpoint, Sync, sync_folder};

/// Keeps `definition` for the domain's next start.
pub fn define(domain: &DomainFolder, definition: &Definition) -> Result<()> {
    make_folder(domain)?;
    let _folder_lock = take_folder_lock(domain)?;
    save(domain, definition)
}

/// Forgets a domain that is not active, with everything that is known of its runs.
///
/// # Errors
/// In virsh's words if it is active, or if more would be lost than `loss` allows. `Some`: it is forgotten, and what could not be
/// removed of it is left to the next who undefines one.
pub fn undefine(domain: &DomainFolder, loss: &Loss) -> Result<Option<Error>> {
    let _folder_lock = take_folder_lock(domain)?;
    let seen = look(domain)?;
    if seen.is_active() {
        bail!("Requested operation is not valid: domain is active");
    }
    // What it saves would go with it.
    refuse_while_busy(&seen)?;
    if loss.managed_save == Kept::Unless {
        refuse_unread(domain, &seen, "'undefine --managed-save' gives that up")?;
    }
    if let Some(run) = seen.run.as_ref().filter(|_| seen.duty().is_some()) {
        // What a job has left elsewhere nobody would find any more. Where it cannot be removed it must not keep the domain.
        let done = fulfil(domain, run);
        if loss.managed_save == Kept::Unless && is_unplaced(&look(domain)?) {
            done?;
        }
    }
    refuse_to_lose(domain, loss)?;
    let Some(state) = domain.path().parent() else {
        bail!("the domain has no folder");
    };
    // Gone at once for every reader; a name that begins with a dot is no domain's.
    let doomed = state.join(format!("{DOOMED}{}-{}", domain.name(), std::process::id()));
    std::fs::rename(domain.path(), &doomed)
        .or_else(|error| {
            let in_the_way = [ErrorKind::DirectoryNotEmpty, ErrorKind::AlreadyExists];
            if !in_the_way.contains(&error.kind()) {
                return Err(error);
            }
            // What one that was killed has left: in another container, or long ago, with our pid.
            remove_remains(state);
            std::fs::rename(domain.path(), &doomed)
        })
        .with_context(|| format!("cannot remove {}", domain.path().display()))?;
    let _ = sync_folder(state);
    remove_remains(state);
    let removed = std::fs::remove_dir_all(&doomed)
        .with_context(|| format!("cannot remove {}", doomed.display()));
    Ok(removed.err())
}

/// Whether the guest is in a managed save that has not got its name yet.
fn is_unplaced(seen: &Observation) -> bool {
    let job = seen.fold.job.as_ref();
    let is_managed = job.is_some_and(|pending| pending.verb == Verb::ManagedSave);
    is_managed && seen.duty() == Some(Duty::PlaceFile)
}

/// How the folder of a domain that was undefined begins, until it is removed.
const DOOMED: &str = ".undefined-";

/// Removes what an `undefine` that was killed has left. What another is about to remove has its lock held.
fn remove_remains(state: &Path) {
    let entries = std::fs::read_dir(state).into_iter().flatten().flatten();
    let remains =
        entries.filter(|entry| entry.file_name().as_bytes().starts_with(DOOMED.as_bytes()));
    for remains in remains.map(|entry| entry.path()) {
        // In the way of nobody: what cannot be removed now is left to the next.
        if let Ok(Some(_lock)) = FolderLock::try_take(&remains) {
            let _ = std::fs::remove_dir_all(&remains);
        }
    }
}

/// Gives a domain that is not active another name, with everything that is known of its runs. The domain's folder
/// under its new name.
///
/// # Errors
/// In virsh's words where it cannot be. `Some`: it has that name, and what other programs read of it does not say so.
pub fn rename(domain: &DomainFolder, renamed: &DomainFolder) -> Result<Option<Error>> {
    let _folder_lock = take_folder_lock(domain)?;
    let seen = look(domain)?;
    if seen.is_active() {
        bail!("Requested operation is not valid: cannot rename active domain");
    }
    refuse_while_busy(&seen)?;
    refuse_unread(domain, &seen, "'managedsave-remove' gives that up")?;
    if let Some(run) = seen.run.as_ref().filter(|_| seen.duty().is_some()) {
        // Under another name nobody would know whose it is.
        fulfil(domain, run)?;
    }
    if has_managed_image(domain) {
        bail!(
            "Requested operation is not valid: domain with a managed saved state can't be renamed"
        );
    }
    if domain.name() == renamed.name() {
        bail!("Requested operation is not valid: Can't rename domain to itself");
    }
    let moved = renameat_with(
        CWD,
        domain.path(),
        CWD,
        renamed.path(),
        RenameFlags::NOREPLACE,
    );
    match moved {
        Ok(()) => {}
        // virsh's words; a folder that is no domain's stands in the way all the same.
        Err(Errno::EXIST | Errno::NOTEMPTY) => bail!(
            "Requested operation is not valid: domain with name '{}' already exists",
            renamed.name()
        ),
        Err(errno) => {
            return Err(errno)
                .with_context(|| format!("cannot rename {}", domain.path().display()));
        }
    }
    Ok(tell_its_name(renamed).err())
}

fn tell_its_name(renamed: &DomainFolder) -> Result<()> {
    if let Some(state) = renamed.path().parent() {
        sync_folder(state).with_context(|| format!("cannot write {}", state.display()))?;
    }
    // The checkpoint names the domain, for other programs.
    let seen = look(renamed)?;
    if let Some(run) = &seen.run
        && let Some(checkpoint) = StoredCheckpoint::load(run)?
    {
        let saved = checkpoint.save(run, &seen.answer, Sync::Durable);
        saved.with_context(|| format!("cannot write {}", run.checkpoint().display()))?;
    }
    Ok(())
}
