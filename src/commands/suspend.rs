//! `domstate suspend`: stops the guest's processors.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    let name = domain.name();
    operation::suspend(&domain, seen).map_err(|error| {
        Failure::of_command(format!("Failed to suspend domain '{name}'"), &error)
    })?;
    context
        .printer
        .success(&format!("Domain '{name}' suspended"))?;
    Ok(Exit::Done)
}
