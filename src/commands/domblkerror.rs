//! `domstate domblkerror`: the disk that failed, while the guest is paused for it.

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::domain::{Cause, IoError};
use crate::operation::adopt;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    if !seen.is_active() {
        let message = "Requested operation is not valid: domain is not running";
        return Err(Failure::new("operation-invalid", vec![message.to_owned()]));
    }
    let line = match &seen.answer.cause {
        Some(Cause::IoError(error)) => describe(error),
        // The line that would tell may be lost.
        Some(Cause::JournalDamaged { .. }) => return Err(unknown()),
        Some(_) | None if seen.fold.gap || seen.may_lack_lines => return Err(unknown()),
        Some(_) | None => "No errors found".to_owned(),
    };
    context.printer.line(&line)?;
    adopt(&domain, &seen);
    Ok(Exit::Done)
}

fn unknown() -> Failure {
    let message = "whether a disk has failed cannot be known";
    Failure::new("unknown", vec![message.to_owned()])
}

/// `hda: no space`, with QEMU's name for the disk: the device's, else the node's.
fn describe(error: &IoError) -> String {
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let disk = named(&error.device).or_else(|| named(&error.node));
    let what = if error.nospace {
        "no space"
    } else {
        "unspecified error"
    };
    format!("{}: {what}", disk.unwrap_or_else(|| "?".to_owned()))
}
