//! `domstate reset`: presses the guest's reset button.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    let name = domain.name();
    operation::reset(&domain, seen)
        .map_err(|error| Failure::of_command(format!("Failed to reset domain '{name}'"), &error))?;
    context
        .printer
        .success(&format!("Domain '{name}' was reset"))?;
    Ok(Exit::Done)
}
