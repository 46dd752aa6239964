//! `domstate domrename`: another name for an inactive domain.

use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::RenameArgs;
use crate::domain::Name;
use crate::operation::{self, one_line};

pub(super) fn run(args: &RenameArgs, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.domain())?;
    let new: Name = args
        .new_name()
        .parse()
        .map_err(|error| Failure::new("invalid-name", vec![format!("{error}")]))?;
    if let Some(error) = operation::rename(&domain, &context.state.domain(&new))? {
        context.printer.warn(&one_line(&error));
    }
    context.printer.success("Domain successfully renamed")?;
    Ok(Exit::Done)
}
