//! `domstate snapshot-create-as`: the guest's memory and disks, kept in its disks.

use super::job::warn_of;
use super::{Context, Exit, Failure};
use crate::cli::SnapshotCreateArgs;
use crate::domain::Name;
use crate::operation::{self, AfterSnapshot};

pub(super) fn run(args: &SnapshotCreateArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.words.domain())?;
    let typed = args.words.snapshot();
    let name: Name = typed.parse().map_err(|error| invalid(&error))?;
    let after = match args.halt {
        true => AfterSnapshot::Halt,
        false => AfterSnapshot::GoesOn,
    };
    let placed = operation::create_snapshot(&domain, seen, &name, after)?;
    warn_of(placed, &mut context.printer);
    context
        .printer
        .success(&format!("Domain snapshot {name} created"))?;
    Ok(Exit::Done)
}

/// A snapshot's name obeys the rules of a domain's.
fn invalid(error: &crate::domain::InvalidName) -> Failure {
    let words = error.to_string();
    let words = words.strip_prefix("invalid domain name").unwrap_or(&words);
    Failure::new(
        "invalid-name",
        vec![format!("invalid snapshot name{words}")],
    )
}
