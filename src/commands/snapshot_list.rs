//! `domstate snapshot-list`: the snapshots of a domain, as virsh lists them.

use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::store::Snapshot;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.as_str())?;
    let snapshots = Snapshot::list(&domain)?;
    context.printer.snapshots(&snapshots)?;
    Ok(Exit::Done)
}
