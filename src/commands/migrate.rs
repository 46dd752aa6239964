//! `domstate migrate`: the guest to another QEMU. As in virsh, success prints nothing.

use super::job::Bar;
use super::{Context, Exit, Failure};
use crate::cli::MigrateArgs;
use crate::operation::{self, Handover};

pub(super) fn run(args: &MigrateArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.domain())?;
    let handover = match args.postcopy {
        true => Handover::PostCopy,
        false => Handover::PreCopy,
    };
    let mut bar = Bar::new("Migration", args.verbose, &seen, &mut context.printer);
    let mut show = || bar.show();
    operation::migrate(&domain, seen, args.uri(), handover, args.timeout, &mut show)?;
    bar.complete();
    Ok(Exit::Done)
}
