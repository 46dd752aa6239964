//! `domstate snapshot-revert`: the guest as a snapshot found it, in the QEMU that it has, or in a new one.

use anyhow::Context as _;

use super::start::started;
use super::{Context, Exit, Failure};
use crate::cli::SnapshotRevertArgs;
use crate::domain::{Begin, Policies};
use crate::operation::{
    self, From, Keep, StartOptions, one_line, prepare, revert_snapshot, sweep_managed_image,
};
use crate::store::{Definition, DomainFolder, Snapshot};

pub(super) fn run(args: &SnapshotRevertArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.words.domain())?;
    let snapshot = operation::snapshot(&domain, args.words.snapshot())?;
    let name = &snapshot.name;
    let begin = args.begin.begin();
    if seen.is_active() {
        revert_snapshot(&domain, seen, &snapshot, begin)
            .map_err(|error| Failure::of_command(sentence(&snapshot), &error))?;
    } else {
        start(&domain, &snapshot, begin)?;
    }
    context
        .printer
        .success(&format!("Domain snapshot {name} reverted"))?;
    Ok(Exit::Done)
}

fn sentence(snapshot: &Snapshot) -> String {
    format!("Failed to revert snapshot {}", snapshot.name)
}

fn start(domain: &DomainFolder, snapshot: &Snapshot, begin: Option<Begin>) -> Result<(), Failure> {
    let options = StartOptions {
        begin: Some(begin.unwrap_or(snapshot.begin)),
        passed: Vec::new(),
        keep: Keep::Nothing,
        policies: Policies::default(),
        incoming: None,
        from: From::Snapshot(snapshot.clone()),
    };
    let definition = Definition::load(&domain.definition())
        .with_context(|| format!("cannot read domain '{}'", domain.name()));
    let prepared = definition.and_then(|definition| prepare(domain, &definition, options));
    let prepared = prepared.map_err(|error| {
        Failure::new("start-failed", vec![sentence(snapshot), one_line(&error)])
    })?;
    started(domain, prepared, sentence(snapshot))?;
    sweep_managed_image(domain);
    Ok(())
}
