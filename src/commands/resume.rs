//! `domstate resume`: lets the guest's processors go on.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    let name = domain.name();
    operation::resume(&domain, seen).map_err(|error| {
        Failure::of_command(format!("Failed to resume domain '{name}'"), &error)
    })?;
    context
        .printer
        .success(&format!("Domain '{name}' resumed"))?;
    Ok(Exit::Done)
}
