//! `domstate destroy`: cuts the guest's power.

use super::{Context, Exit, Failure};
use crate::cli::DestroyArgs;
use crate::operation::{self, Mercy};

pub(super) fn run(args: &DestroyArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.domain.as_str())?;
    let name = domain.name();
    let mercy = if args.graceful {
        Mercy::Graceful
    } else {
        Mercy::None
    };
    operation::destroy(&domain, seen, mercy).map_err(|error| {
        Failure::of_command(format!("Failed to destroy domain '{name}'"), &error)
    })?;
    context
        .printer
        .success(&format!("Domain '{name}' destroyed"))?;
    Ok(Exit::Done)
}
