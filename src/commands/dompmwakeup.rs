//! `domstate dompmwakeup`: wakes a guest that sleeps in memory.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    let name = domain.name();
    operation::wake_up(&domain, seen).map_err(|error| {
        Failure::of_command(format!("Domain '{name}' could not be woken up"), &error)
    })?;
    context
        .printer
        .success(&format!("Domain '{name}' successfully woken up"))?;
    Ok(Exit::Done)
}
