//! `domstate list`: the domains, as virsh lists them.

use super::context::report;
use super::lookup::uuid;
use super::{Context, Exit, Failure};
use crate::cli::ListArgs;
use crate::domain::State;
use crate::observe::look;
use crate::operation::{adopt, inquire};
use crate::output::{Detail, Field, Format, Report};

pub(super) fn run(args: &ListArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    let mut reports: Vec<Report> = Vec::new();
    let mut orphans = Vec::new();
    for name in context.state.names()? {
        let domain = context.state.domain(&name);
        let seen = match look(&domain) {
            Ok(seen) => inquire(seen),
            Err(error) => {
                let failure = Failure::from(error);
                context.printer.complain(&failure.complaint);
                exit = failure.exit;
                continue;
            }
        };
        // One that was undefined, or renamed, meanwhile is none that never ran.
        let is_gone = seen.run.is_none() && !domain.exists();
        if is_gone || !is_wanted(args, seen.answer.state) {
            continue;
        }
        let shows_uuid = args.uuid || context.printer.format() == Format::Json;
        let uuid = shows_uuid.then(|| uuid(&domain)).flatten();
        reports.push(report(&domain, &seen, uuid));
        if seen.is_orphaned() {
            orphans.push((domain, seen));
        }
    }
    // virsh: active ones first, by id; then the others, by name (`virshDomainSorter`).
    reports.sort_by_key(|report| (!report.answer.state.is_active(), report.id));
    let fields: Vec<Field> = [
        (args.uuid, Field::Uuid),
        (args.name, Field::Name),
        (args.id, Field::Id),
    ]
    .into_iter()
    .filter_map(|(wanted, field)| wanted.then_some(field))
    .collect();
    if fields.is_empty() {
        let detail = if args.reason {
            Detail::StateAndReason
        } else {
            Detail::State
        };
        context.printer.list(&reports, detail)?;
    } else {
        context.printer.fields(&reports, &fields)?;
    }
    for (domain, seen) in &orphans {
        adopt(domain, seen);
    }
    Ok(exit)
}

/// Two groups of filters, as in virsh: activity and state; within a group any may match. A filter on states alone
/// looks at all domains.
fn is_wanted(args: &ListArgs, state: State) -> bool {
    let by_state =
        args.state_running || args.state_paused || args.state_shutoff || args.state_other;
    let active = state.is_active();
    let activity = if args.all {
        true
    } else if args.inactive {
        !active
    } else {
        active || args.state_shutoff
    };
    let matches_state = match state {
        State::Running(_) => args.state_running,
        State::Paused(_) => args.state_paused,
        State::ShutOff(_) => args.state_shutoff,
        State::InShutdown | State::Crashed | State::PmSuspended => args.state_other,
    };
    activity && (!by_state || matches_state)
}
