//! `domstate managedsave`: the guest into its domain's own image, which the next start takes up.

use super::job::{Bar, warn_of};
use super::{Context, Exit, Failure};
use crate::cli::ManagedsaveArgs;
use crate::operation::{self, SaveTo};

pub(super) fn run(args: &ManagedsaveArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.domain.as_str())?;
    let name = domain.name();
    let mut bar = Bar::new("Managedsave", args.verbose, &seen, &mut context.printer);
    let begin = args.begin.begin();
    let placed = operation::save(&domain, seen, &SaveTo::Managed, begin, &mut || bar.show())
        .map_err(|error| {
            Failure::of_command(format!("Failed to save domain '{name}' state"), &error)
        })
        .inspect(|_| bar.complete())?;
    warn_of(placed, &mut context.printer);
    context
        .printer
        .success(&format!("Domain '{name}' state saved by domstate"))?;
    Ok(Exit::Done)
}
