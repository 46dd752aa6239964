//! `domstate dump`: the guest's memory into a file.

use super::job::{Bar, warn_of};
use super::{Context, Exit, Failure};
use crate::cli::DumpArgs;
use crate::operation::{self, AfterDump, DumpForm};

pub(super) fn run(args: &DumpArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(&args.words.domain())?;
    let (name, file) = (domain.name(), args.words.file());
    let form = match args.memory_only {
        true => DumpForm::Memory,
        false => DumpForm::Stream,
    };
    let after = match (args.crash, args.reset) {
        (true, _) => AfterDump::Crash,
        (false, true) => AfterDump::Reset,
        (false, false) => AfterDump::GoesOn,
    };
    let mut bar = Bar::new("Dump", args.verbose, &seen, &mut context.printer);
    let placed = operation::dump(&domain, seen, file, form, after, &mut || bar.show())
        .map_err(|error| {
            let sentence = format!("Failed to core dump domain '{name}' to {}", file.display());
            Failure::of_command(sentence, &error)
        })
        .inspect(|_| bar.complete())?;
    warn_of(placed, &mut context.printer);
    context
        .printer
        .success(&format!("Domain '{name}' dumped to {}", file.display()))?;
    Ok(Exit::Done)
}
