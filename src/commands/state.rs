//! `domstate [--reason] DOMAIN...`

use super::{Context, Exit, Failure};
use crate::cli::StateArgs;
use crate::operation::adopt;
use crate::output::{Detail, Naming};

pub(super) fn run(args: &StateArgs, context: &mut Context) -> Result<Exit, Failure> {
    let detail = if args.reason {
        Detail::StateAndReason
    } else {
        Detail::State
    };
    let naming = if args.domains.count() > 1 {
        Naming::Named
    } else {
        Naming::Bare
    };
    let mut exit = Exit::Done;
    let mut orphans = Vec::new();
    for typed in args.domains.iter() {
        match context.look(typed) {
            Ok((domain, seen)) => {
                let report = context.report(&domain, &seen);
                context.printer.answer(&report, detail, naming)?;
                if seen.is_orphaned() {
                    orphans.push((domain, seen));
                }
            }
            // The others are still answered.
            Err(failure) => {
                context.printer.complain(&failure.complaint);
                exit = failure.exit;
            }
        }
    }
    for (domain, seen) in &orphans {
        adopt(domain, seen);
    }
    Ok(exit)
}
