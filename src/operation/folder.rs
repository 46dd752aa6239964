//! A domain's folder: making it, writing the definition, and the right to change either.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::observe::look;
use crate::store::{Definition, DomainFolder, FolderLock, sync_folder};

/// How long another command that is changing the domain is waited for.
const FOLDER_WAIT: Duration = Duration::from_secs(5);

/// The domain cannot be started now, in virsh's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartRefused {
    AlreadyActive,
}

impl fmt::Display for StartRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyActive => f.write_str("Domain is already active"),
        }
    }
}

impl std::error::Error for StartRefused {}

/// Makes the domain's folder, where it is not there yet. Without a definition in it, it is no domain.
pub(super) fn make_folder(domain: &DomainFolder) -> Result<()> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(domain.path());
    made.with_context(|| format!("cannot create {}", domain.path().display()))?;
    domain.check()
}

/// Writes the definition. To be called with the folder's lock held.
pub(super) fn save(domain: &DomainFolder, definition: &Definition) -> Result<()> {
    let path = domain.definition();
    definition
        .save(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    if let Some(parent) = domain.path().parent() {
        // Also where there was a definition: who wrote it may have been killed before this.
        sync_folder(parent).with_context(|| format!("cannot write {}", parent.display()))?;
    }
    Ok(())
}

/// Takes the right to change the domain. Who holds it either starts it, and is done when it is active, or is done in
/// a moment.
pub(super) fn take_folder_lock(domain: &DomainFolder) -> Result<FolderLock> {
    await_folder_lock(domain, || Ok(()))
}

/// The same for who wants to start it: one that has become active meanwhile is not waited for.
pub(super) fn take_folder_lock_to_start(domain: &DomainFolder) -> Result<FolderLock> {
    await_folder_lock(domain, || match look(domain)?.is_active() {
        true => Err(StartRefused::AlreadyActive.into()),
        false => Ok(()),
    })
}

fn await_folder_lock(
    domain: &DomainFolder,
    may_wait: impl Fn() -> Result<()>,
) -> Result<FolderLock> {
    domain.check()?;
    let deadline = Instant::now() + FOLDER_WAIT;
    loop {
        if let Some(lock) = FolderLock::try_take(domain.path())? {
            return Ok(lock);
        }
        may_wait()?;
        if Instant::now() >= deadline {
            bail!("another command is busy with the domain");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
