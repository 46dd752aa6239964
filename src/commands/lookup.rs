//! From what the user typed to a domain: an id, a UUID or a name, tried in that order as virsh does.

use std::io;

use crate::cli::is_virsh_verb;
use crate::domain::{Name, Uuid};
use crate::observe::{Observation, look};
use crate::operation::inquire;
use crate::store::{Definition, DomainFolder, StateDir, is_newer, refuse_link};

use super::failure::Failure;

/// Finds the domain that `typed` means.
pub(super) fn find(state: &StateDir, typed: &str) -> Result<DomainFolder, Failure> {
    if !state.was_there() {
        return Err(unknown(state, typed));
    }
    if let Some(found) = find_by_id_or_uuid(state, typed)? {
        return Ok(found);
    }
    let name: Option<Name> = typed.parse().ok();
    let named = name
        .map(|name| state.domain(&name))
        .filter(DomainFolder::exists);
    let domain = named.ok_or_else(|| unknown(state, typed))?;
    refuse_link(domain.path())?;
    Ok(domain)
}

/// The same without names: `domname` turns the other two into one.
pub(super) fn find_unnamed(state: &StateDir, typed: &str) -> Result<DomainFolder, Failure> {
    find_by_id_or_uuid(state, typed)?.ok_or_else(|| unknown(state, typed))
}

fn find_by_id_or_uuid(state: &StateDir, typed: &str) -> Result<Option<DomainFolder>, Failure> {
    if let Ok(id) = typed.parse::<u32>() {
        for name in state.names()? {
            let domain = state.domain(&name);
            // A domain that cannot be read has no id to be found by.
            if look(&domain).is_ok_and(|seen| seen.id() == Some(id)) {
                return Ok(Some(domain));
            }
        }
    }
    if let Ok(wanted) = typed.parse::<Uuid>() {
        let names = state.names()?.into_iter().map(|name| state.domain(&name));
        return Ok(names
            .into_iter()
            .find(|domain| uuid(domain) == Some(wanted)));
    }
    Ok(None)
}

/// Looks at a domain that was found. One that was undefined since is unknown, not one that never ran.
pub(super) fn look_at(state: &StateDir, domain: &DomainFolder) -> Result<Observation, Failure> {
    let seen = inquire(look(domain)?);
    if seen.run.is_none() && !domain.exists() {
        return Err(unknown(state, domain.name().as_str()));
    }
    Ok(seen)
}

fn unknown(state: &StateDir, typed: &str) -> Failure {
    let hint = if is_virsh_verb(typed) {
        format!("domstate has not got virsh's '{typed}'; 'domstate --help' lists the verbs")
    } else {
        format!(
            "'domstate list --all' shows the domains in {}",
            state.path().display()
        )
    };
    Failure::new(
        "no-such-domain",
        vec![format!("failed to get domain '{typed}'")],
    )
    .hinting(hint)
}

/// The same, where it is not to be taken for undefined because its definition cannot be read.
pub(super) fn known_uuid(domain: &DomainFolder) -> anyhow::Result<Option<Uuid>> {
    let path = domain.definition();
    match Definition::load(&path) {
        Ok(definition) => Ok(Some(definition.uuid)),
        Err(_) if !path.try_exists()? => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same, of one that is defined anew: what is damaged counts for nothing then.
///
/// # Errors
/// A newer domstate's, or it cannot be read now: it is not to be replaced by one with another UUID.
pub(super) fn own_uuid(domain: &DomainFolder) -> anyhow::Result<Option<Uuid>> {
    match known_uuid(domain) {
        Err(error) if !is_newer(&error) && !error.chain().any(|why| why.is::<io::Error>()) => {
            Ok(None)
        }
        known => known,
    }
}

/// The UUID that the domain is defined with.
pub(super) fn uuid(domain: &DomainFolder) -> Option<Uuid> {
    Definition::load(&domain.definition()).ok().map(|d| d.uuid)
}
