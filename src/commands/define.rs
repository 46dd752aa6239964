//! `domstate define`: keeps a command line without starting it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::lookup::{own_uuid, uuid};
use super::{Context, Exit, Failure, uid};
use crate::cli::DefineArgs;
use crate::domain::{Name, Policies, Uuid};
use crate::operation;
use crate::qemu;
use crate::store::{Definition, DomainFolder, StateDir};

pub(super) fn run(args: &DefineArgs, context: &mut Context) -> Result<Exit, Failure> {
    let sentence = "Failed to define domain";
    let typed = args.domain.as_str();
    let name: Name = typed
        .parse()
        .map_err(|e| Failure::new("invalid-name", vec![format!("{e}")]))?;
    let domain = context.state.domain(&name);
    let policies = args.policy.policies();
    definition(&context.state, &domain, &args.qemu, policies)
        .and_then(|definition| {
            let state = context.state.create(uid())?;
            operation::define(&state.domain(&name), &definition)
        })
        .map_err(|error| Failure::of_command(format!("{sentence} '{name}'"), &error))?;
    context
        .printer
        .success(&format!("Domain '{name}' defined"))?;
    Ok(Exit::Done)
}

/// The definition of `domain` with this command line and these policies: the UUID is the user's `-uuid`, else the one that the domain
/// has, else a new one; the working directory is the caller's.
pub(super) fn definition(
    state: &StateDir,
    domain: &DomainFolder,
    argv: &[OsString],
    policies: Policies,
) -> Result<Definition> {
    let workdir = workdir()?;
    let facts = operation::examine(argv, &workdir)?;
    qemu::lifecycle(&policies, &facts.actions)?;
    let uuid = match (facts.uuid, own_uuid(domain)?) {
        (Some(given), own) if own != Some(given) => {
            refuse_taken(state, domain, given)?;
            given
        }
        (_, Some(own)) => own,
        (_, None) => random_uuid()?,
    };
    Ok(Definition {
        uuid,
        argv: argv.to_vec(),
        workdir,
        policies,
    })
}

/// Only a UUID that the user gave can be another domain's: where there are thousands, to look takes as long as a start.
fn refuse_taken(state: &StateDir, domain: &DomainFolder, given: Uuid) -> Result<()> {
    for name in state.names()?.iter().filter(|name| *name != domain.name()) {
        if uuid(&state.domain(name)) == Some(given) {
            bail!("operation failed: domain '{name}' already exists with uuid {given}");
        }
    }
    Ok(())
}

fn workdir() -> Result<PathBuf> {
    std::env::current_dir().context("cannot tell the working directory")
}

fn random_uuid() -> Result<Uuid> {
    use std::io::Read;
    let path = "/dev/urandom";
    let mut bytes = [0; 16];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.with_context(|| format!("cannot read {path}"))?;
    Ok(Uuid::from_random(bytes))
}
