//! `domstate dominfo`: what is known of a domain, under virsh's labels.

use super::context::report;
use super::lookup::uuid;
use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::operation::{adopt, has_managed_image};
use crate::output::Labels;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    let report = report(&domain, &seen, uuid(&domain));
    let dash = || "-".to_owned();
    let lines = [
        ("Id", report.id.map_or_else(dash, |id| id.to_string())),
        ("Name", report.name.to_string()),
        (
            "UUID",
            report.uuid.map_or_else(dash, |uuid| uuid.to_string()),
        ),
        ("State", report.answer.state.word().to_owned()),
        // What was defined stays until it is undefined, and nothing starts by itself.
        ("Persistent", "yes".to_owned()),
        ("Autostart", "disable".to_owned()),
        (
            "Managed save",
            match has_managed_image(&domain) {
                true => "yes".to_owned(),
                false => "no".to_owned(),
            },
        ),
    ];
    context.printer.labels(&report, &lines, Labels::Virsh)?;
    adopt(&domain, &seen);
    Ok(Exit::Done)
}
