//! `domstate explain`: the answer with the evidence behind it.

use anyhow::Context as _;

use super::context::report;
use super::lookup::{find, uuid};
use super::{Context, Exit, Failure};
use crate::cli::ExplainArgs;
use crate::domain::Timestamp;
use crate::journal::{EvidenceLine, JOURNAL_FILE, open_to_read, read_evidence};
use crate::observe::{look, look_at_run, now};
use crate::operation::{adopt, inquire};
use crate::output::{Evidence, Explanation};
use crate::store::{DomainFolder, RunFolder};

/// As much as a person reads, and more than any ordinary end needs.
const EVIDENCE_LINES_MAX: usize = 40;

pub(super) fn run(args: &ExplainArgs, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.domain.as_str())?;
    let seen = match args.run {
        None => look(&domain),
        Some(number) => look_at_run(&domain, &existing_run(&domain, number)?),
    };
    let run = seen.as_ref().ok().and_then(|seen| seen.run.as_ref());
    let evidence = run.map(evidence).unwrap_or_default();
    if let Some(number) = args.run {
        // A `start` may have removed it meanwhile, perhaps when half of it was read.
        existing_run(&domain, number)?;
    }
    let seen = inquire(seen?);
    let explanation = Explanation {
        report: report(&domain, &seen, uuid(&domain)),
        now: now(),
        evidence,
    };
    context.printer.explanation(&explanation)?;
    adopt(&domain, &seen);
    Ok(Exit::Done)
}

/// Run `number` of the domain, if it is still kept.
pub(super) fn existing_run(domain: &DomainFolder, number: u32) -> Result<RunFolder, Failure> {
    let context = || format!("cannot read domain '{}'", domain.name());
    let numbers = domain
        .run_numbers()
        .with_context(context)?
        .unwrap_or_default();
    if numbers.contains(&number) {
        return Ok(domain.run(number));
    }
    let message = format!("domain '{}' has no run {number}", domain.name());
    let hint = format!(
        "'domstate history {}' lists the runs that are kept",
        domain.name()
    );
    Err(Failure::new("no-such-run", vec![message]).hinting(hint))
}

/// A journal that cannot be read has no evidence: the answer says so itself.
fn evidence(run: &RunFolder) -> Vec<Evidence> {
    let file = open_to_read(&run.path().join(JOURNAL_FILE));
    let Ok((left_out, lines)) = file.and_then(|file| read_evidence(&file, EVIDENCE_LINES_MAX))
    else {
        return Vec::new();
    };
    let older = (left_out > 0).then(|| Evidence {
        at: None,
        source: "...",
        text: format!(
            "{left_out} earlier lines, in {}",
            run.path().join(JOURNAL_FILE).display()
        ),
    });
    older
        .into_iter()
        .chain(lines.into_iter().map(shown))
        .collect()
}

fn shown(line: EvidenceLine) -> Evidence {
    let at: Option<Timestamp> = line.at;
    Evidence {
        at,
        source: line.source,
        text: line.text,
    }
}
