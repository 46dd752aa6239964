//! `domstate undefine`: forgets an inactive domain and its history.

use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.as_str())?;
    let name = domain.name();
    operation::undefine(&domain).map_err(|error| {
        Failure::of_command(format!("Failed to undefine domain '{name}'"), &error)
    })?;
    context
        .printer
        .success(&format!("Domain '{name}' has been undefined"))?;
    Ok(Exit::Done)
}
