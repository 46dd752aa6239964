//! Keeping and forgetting definitions.

use anyhow::{Context, Result, bail};

use super::folder::{make_folder, save, take_folder_lock};
use crate::observe::look;
use crate::store::{Definition, DomainFolder, sync_folder};

/// Keeps `definition` for the domain's next start.
pub fn define(domain: &DomainFolder, definition: &Definition) -> Result<()> {
    make_folder(domain)?;
    let _folder_lock = take_folder_lock(domain)?;
    save(domain, definition)
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
