//! `domid`, `domuuid`, `domname`: one of a domain's names for another.

use super::context::report;
use super::lookup::{find, find_unnamed, uuid};
use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::observe::look;
use crate::operation::adopt;
use crate::output::Field;
use crate::store::DomainFolder;

pub(super) fn domid(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.as_str())?;
    print(&domain, Field::Id, context)
}

pub(super) fn domuuid(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.as_str())?;
    print(&domain, Field::Uuid, context)
}

/// As in virsh, a name is not accepted: it would be its own answer.
pub(super) fn domname(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find_unnamed(&context.state, args.as_str())?;
    print(&domain, Field::Name, context)
}

fn print(domain: &DomainFolder, field: Field, context: &mut Context) -> Result<Exit, Failure> {
    let seen = look(domain)?;
    let report = report(domain, &seen, uuid(domain));
    context.printer.fields(&[report], &[field])?;
    adopt(domain, &seen);
    Ok(Exit::Done)
}
