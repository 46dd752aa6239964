//! Keeping and forgetting definitions.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context, Result, bail};

use super::start::take_folder_lock;
use crate::observe::look;
use crate::store::{Definition, DomainFolder, sync_folder};

/// Keeps `definition` for the domain's next start.
pub fn define(domain: &DomainFolder, definition: &Definition) -> Result<()> {
    make_folder(domain)?;
    let _folder_lock = take_folder_lock(domain)?;
    save(domain, definition)
}

/// Makes the domain's folder, where it is not there yet. Without a definition in it, it is no domain.
pub(super) fn make_folder(domain: &DomainFolder) -> Result<()> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(domain.path());
    made.with_context(|| format!("cannot create {}", domain.path().display()))
}

/// Writes the definition. To be called with the folder's lock held.
pub(super) fn save(domain: &DomainFolder, definition: &Definition) -> Result<()> {
    let path = domain.definition();
    let is_new = !path.exists();
    definition
        .save(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    if is_new && let Some(parent) = domain.path().parent() {
        sync_folder(parent).with_context(|| format!("cannot write {}", parent.display()))?;
    }
    Ok(())
}

/// Forgets a domain that is not active, with everything that is known of its runs.
pub fn undefine(domain: &DomainFolder) -> Result<()> {
    let _folder_lock = take_folder_lock(domain)?;
    if look(domain)?.is_active() {
        bail!("Requested operation is not valid: domain is active");
    }
    let Some(state) = domain.path().parent() else {
        bail!("the domain has no folder");
    };
    // Gone at once for every reader; a name that begins with a dot is no domain's.
    let doomed = state.join(format!(
        ".undefined-{}-{}",
        domain.name(),
        std::process::id()
    ));
    std::fs::rename(domain.path(), &doomed)
        .with_context(|| format!("cannot remove {}", domain.path().display()))?;
    let _ = sync_folder(state);
    std::fs::remove_dir_all(&doomed).with_context(|| format!("cannot remove {}", doomed.display()))
}
