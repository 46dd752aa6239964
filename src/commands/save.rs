//! `domstate save`: the guest into a file, and its end.

use super::job::{Bar, warn_of};
use super::{Context, Exit, Failure};
use crate::cli::SaveArgs;
use crate::operation::{self, SaveTo};

pub(super) fn run(args: &SaveArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(&args.words.domain())?;
    let (name, file) = (domain.name(), args.words.file());
    let to = SaveTo::File(file.to_owned());
    let mut bar = Bar::new("Save", args.verbose, &seen, &mut context.printer);
    let placed = operation::save(&domain, seen, &to, args.begin.begin(), &mut || bar.show())
        .map_err(|error| {
            let sentence = format!("Failed to save domain '{name}' to {}", file.display());
            Failure::of_command(sentence, &error)
        })
        .inspect(|_| bar.complete())?;
    warn_of(placed, &mut context.printer);
    context
        .printer
        .success(&format!("Domain '{name}' saved to {}", file.display()))?;
    Ok(Exit::Done)
}
