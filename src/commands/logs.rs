//! `domstate logs`: what QEMU wrote on its standard output and error.

use std::ops::ControlFlow;

use super::explain::existing_run;
use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::LogsArgs;
use crate::observe::{Watcher, look, look_at_run};
use crate::operation::adopt;
use crate::output::Unprinted;
use crate::store::{DomainFolder, Log, RunFolder};

pub(super) fn run(args: &LogsArgs, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.domain.as_str())?;
    let run = match args.run {
        Some(number) => Some(existing_run(&domain, number)?),
        None => look(&domain)?.run,
    };
    // A domain that never ran has written nothing.
    let Some(run) = run else {
        return Ok(Exit::Done);
    };
    let log = Log::open_read_only(run.path()).map_err(|error| {
        anyhow::Error::from(error)
            .context(format!("cannot read {}", run.path().join("log").display()))
    })?;
    if args.follow {
        return follow(&domain, &run, &log, context);
    }
    print(&log, 0, context)?;
    adopt(&domain, &look_at_run(&domain, &run)?);
    Ok(Exit::Done)
}

fn follow(
    domain: &DomainFolder,
    run: &RunFolder,
    log: &Log,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let mut watcher = Watcher::new();
    let mut offset = 0;
    let mut seen = look_at_run(domain, run)?;
    adopt(domain, &seen);
    loop {
        watcher.watch(domain, &seen);
        seen = look_at_run(domain, run)?;
        offset = print(log, offset, context)?;
        if !seen.is_active() || !context.printer.is_read() {
            return Ok(Exit::Done);
        }
        watcher.sleep_on(domain, &seen, None)?;
    }
}

/// Prints from `offset` on; the middle that was given up is named, not shown. Returns where it came to.
fn print(log: &Log, offset: u64, context: &mut Context) -> Result<u64, Failure> {
    let mut printed: Result<(), Unprinted> = Ok(());
    let end = log.read(offset, &mut |part| {
        printed = context.printer.verbatim(&part.shown());
        match printed {
            Ok(()) if context.printer.is_read() => ControlFlow::Continue(()),
            Ok(()) | Err(_) => ControlFlow::Break(()),
        }
    })?;
    printed?;
    Ok(end)
}
