//! `domstate inject-nmi`: a non-maskable interrupt. As in virsh, success prints nothing.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    operation::inject_nmi(&domain, seen)?;
    Ok(Exit::Done)
}
