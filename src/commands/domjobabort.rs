//! `domstate domjobabort`: cancels the save or dump that is under way. As in virsh, success prints nothing.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    operation::abort_job(&domain, seen)?;
    Ok(Exit::Done)
}
