//! `domstate managedsave-remove`: the next start boots.

use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation::remove_managed_image;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.as_str())?;
    let name = domain.name();
    let had_one = remove_managed_image(&domain).map_err(|error| {
        let sentence = format!("Failed to remove managed save image for domain '{name}'");
        Failure::of_command(sentence, &error)
    })?;
    // virsh's words, both.
    context.printer.success(&if had_one {
        format!("Removed managedsave image for domain '{name}'")
    } else {
        format!("Domain '{name}' has no manage save image; removal skipped")
    })?;
    Ok(Exit::Done)
}
