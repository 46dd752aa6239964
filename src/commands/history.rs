//! `domstate history`: the runs that are kept, each folded from its own journal.

use anyhow::Context as _;

use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::observe::look_at_run;
use crate::operation::{adopt, inquire};
use crate::output::RunReport;
use crate::store::may_exist;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.as_str())?;
    let reading = || format!("cannot read domain '{}'", domain.name());
    let numbers = domain
        .run_numbers()
        .with_context(reading)?
        .unwrap_or_default();
    let mut runs = Vec::new();
    let mut orphans = Vec::new();
    for number in numbers {
        let run = domain.run(number);
        let seen = look_at_run(&domain, &run);
        if !may_exist(run.path()) {
            // A `start` has removed it meanwhile, perhaps when half of it was read.
            continue;
        }
        let seen = inquire(seen.with_context(reading)?);
        let ended = if seen.is_active() {
            None
        } else {
            seen.answer.since
        };
        runs.push(RunReport {
            name: domain.name().clone(),
            run: number,
            started: seen.fold.launched_at,
            ended,
            answer: seen.answer.clone(),
        });
        orphans.push(seen);
    }
    context.printer.history(&runs)?;
    for seen in &orphans {
        adopt(&domain, seen);
    }
    Ok(Exit::Done)
}
