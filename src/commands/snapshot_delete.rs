//! `domstate snapshot-delete`: a snapshot, gone from the disks that hold it.

use super::{Context, Exit, Failure};
use crate::cli::DomainAndSnapshot;
use crate::operation::{self, delete_snapshot};

pub(super) fn run(args: &DomainAndSnapshot, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.domain())?;
    let snapshot = operation::snapshot(&domain, args.snapshot())?;
    let name = &snapshot.name;
    delete_snapshot(&domain, seen, &snapshot).map_err(|error| {
        Failure::of_command(format!("Failed to delete snapshot {name}"), &error)
    })?;
    context
        .printer
        .success(&format!("Domain snapshot {name} deleted"))?;
    Ok(Exit::Done)
}
