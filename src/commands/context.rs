//! What every verb works with: where the domains are, and where to print.

use std::io::{Stderr, Stdout};

use crate::domain::Uuid;
use crate::observe::Observation;
use crate::output::{Format, Printer, Report};
use crate::store::{DomainFolder, StateDir};

use super::failure::Failure;
use super::lookup::{find, look_at, uuid};

/// The state directory and the printer.
#[derive(Debug)]
pub struct Context {
    pub state: StateDir,
    pub printer: Printer<Stdout, Stderr>,
}

impl Context {
    /// The domain that the user means, and what it looks like now.
    pub(super) fn look(&self, typed: &str) -> Result<(DomainFolder, Observation), Failure> {
        let domain = find(&self.state, typed)?;
        let seen = look_at(&self.state, &domain)?;
        Ok((domain, seen))
    }

    /// The value to print for a domain. The UUID is read only where it is shown.
    pub(super) fn report(&self, domain: &DomainFolder, seen: &Observation) -> Report {
        let uuid = match self.printer.format() {
            Format::Json => uuid(domain),
            Format::Text => None,
        };
        report(domain, seen, uuid)
    }
}

pub(super) fn report(domain: &DomainFolder, seen: &Observation, uuid: Option<Uuid>) -> Report {
    Report {
        name: domain.name().clone(),
        uuid,
        id: seen.id(),
        run: seen.run.as_ref().map(|run| run.number()),
        supervisor: seen.supervisor(),
        answer: seen.answer.clone(),
    }
}
