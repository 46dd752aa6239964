//! `domstate restore`: a saved guest, taken up where it was.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use super::lookup::{known_uuid, uuid};
use super::start::started;
use super::{Context, Exit, Failure, uid};
use crate::cli::RestoreArgs;
use crate::operation::{
    From, Keep, Prepared, StartOptions, StartRefused, finish_save, one_line, prepare,
};
use crate::store::{DomainFolder, OpenImage, StateDir};

pub(super) fn run(args: &RestoreArgs, context: &mut Context) -> Result<Exit, Failure> {
    let file = args.file.as_path();
    let sentence = || format!("Failed to restore domain from {}", file.display());
    let (domain, prepared) = prepared(&context.state, args)
        .map_err(|error| Failure::new("restore-failed", vec![sentence(), one_line(&error)]))?;
    started(&domain, prepared, sentence())?;
    context
        .printer
        .success(&format!("Domain restored from {}", file.display()))?;
    Ok(Exit::Done)
}

fn prepared(state: &StateDir, args: &RestoreArgs) -> Result<(DomainFolder, Prepared)> {
    let image = open(state, &args.file)
        .with_context(|| format!("cannot restore {}", args.file.display()))?;
    let domain = state.domain(&image.image.name);
    let definition = image.image.definition.clone();
    let known = known_uuid(&domain)?;
    if let Some(known) = known.filter(|known| *known != definition.uuid) {
        bail!(
            "operation failed: domain '{}' already exists with uuid {known}",
            domain.name()
        );
    }
    for name in state.names()?.iter().filter(|name| *name != domain.name()) {
        if uuid(&state.domain(name)) == Some(definition.uuid) {
            bail!(
                "operation failed: domain '{name}' is already defined with uuid {}",
                definition.uuid
            );
        }
    }
    let domain = state.create(uid())?.domain(domain.name());
    let options = StartOptions {
        begin: args.begin.begin(),
        passed: args.passed.pass_fds.clone(),
        // A definition that is there may be newer than the image: it stays.
        keep: match known {
            Some(_) => Keep::Nothing,
            None => Keep::Definition,
        },
        policies: crate::domain::Policies::default(),
        incoming: None,
        from: From::Image(image),
    };
    let prepared = prepare(&domain, &definition, options).map_err(|error| {
        match error.downcast_ref::<StartRefused>() {
            Some(StartRefused::AlreadyActive) => anyhow!(
                "Requested operation is not valid: domain '{}' is already active",
                domain.name()
            ),
            _ => error,
        }
    })?;
    Ok((domain, prepared))
}

/// Opens the image; one that was saved whole and has not got its name yet, gets it first.
fn open(state: &StateDir, file: &Path) -> Result<OpenImage> {
    if state.was_there() {
        finish_save(state, file)?;
    }
    OpenImage::open(file)
}
