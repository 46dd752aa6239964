//! `domstate reboot`: the power button, and a new start once the guest has powered itself off.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    let name = domain.name();
    operation::reboot(&domain, seen).map_err(|error| {
        Failure::of_command(format!("Failed to reboot domain '{name}'"), &error)
    })?;
    context
        .printer
        .success(&format!("Domain '{name}' is being rebooted"))?;
    Ok(Exit::Done)
}
