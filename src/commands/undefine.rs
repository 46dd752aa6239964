//! `domstate undefine`: forgets an inactive domain and its history.

use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::UndefineArgs;
use crate::operation::{self, Kept, Loss, one_line};

pub(super) fn run(args: &UndefineArgs, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.domain.as_str())?;
    let name = domain.name();
    let kept = |given| if given { Kept::No } else { Kept::Unless };
    let loss = Loss {
        managed_save: kept(args.managed_save),
        snapshots: kept(args.snapshots_metadata),
        dumps: kept(args.remove_dumps),
    };
    let remains = operation::undefine(&domain, &loss).map_err(|error| {
        Failure::of_command(format!("Failed to undefine domain '{name}'"), &error)
    })?;
    if let Some(error) = remains {
        context.printer.warn(&one_line(&error));
    }
    context
        .printer
        .success(&format!("Domain '{name}' has been undefined"))?;
    Ok(Exit::Done)
}
