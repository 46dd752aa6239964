//! The guest as QEMU's migration stream, into a pipe.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::asking::Asking;
use super::limits::lift_limit;
use super::pump::{Cancelled, narrow_pipe, widen};
use super::settle::{NOT_RUNNING, connect};
use super::worker::refuse_what_is_sent;
use crate::domain::{Life, State, StreamAnswer, Transfer};
use crate::observe::{Watcher, look_at_run};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, RunFolder};

/// How long QEMU may take to say what came of a stream that it has closed.
const TRANSFER_GRACE: Duration = Duration::from_secs(10);

/// Why nothing of ours is done with the guest.
pub(super) const SENT_BY_ANOTHER: &str = "somebody else has QEMU send the guest away";

/// Has QEMU write the guest, which stands, into a pipe. Until it is on record that it does, the stream must not come to its
/// end: of a worker that died before that nobody could tell whether it was its own.
pub(super) fn migrate_into_pipe(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    asking: &Asking,
) -> Result<OwnedFd> {
    const NAME: &str = "domstate-job";
    let (from, to) = narrow_pipe()?;
    lift_limit(control)?;
    clear_capabilities(control)?;
    control.pass(NAME, to.as_fd())?;
    begin_stream(domain, run, asking, || {
        control.execute("migrate", Some(json!({"uri": format!("fd:{NAME}")})))
    })?;
    widen(from.as_fd());
    Ok(from)
}

/// Has QEMU write the guest by `tell`, unless somebody else has had it sent away by now. Before that it is written down, and
/// what QEMU answers behind that: if he is first in between, QEMU refuses, and what has begun is his.
pub(super) fn begin_stream(
    domain: &DomainFolder,
    run: &RunFolder,
    asking: &Asking,
    tell: impl FnOnce() -> Result<Value, ControlError>,
) -> Result<()> {
    refuse_what_is_sent(domain, run)?;
    asking.stream_asked()?;
    let told = tell();
    match &told {
        Ok(_) => asking.stream_answered(StreamAnswer::Taken)?,
        Err(ControlError::Refused { .. }) => asking.stream_answered(StreamAnswer::Refused)?,
        // Nobody knows.
        Err(_) => {}
    }
    told?;
    Ok(())
}

/// Switches off whatever capability somebody has set: what is written with some of them cannot be read by a QEMU that has them
/// not (`x-ignore-shared`, `compress`), or a file cannot take it (`return-path`, `multifd`). Not `events`: the journal lives
/// on those.
pub(super) fn clear_capabilities(control: &mut Control) -> Result<(), ControlError> {
    let known = control.execute("query-migrate-capabilities", None)?;
    let known = known.as_array().into_iter().flatten();
    let set = known.filter(|capability| {
        let is = |key: &str| capability.get(key);
        is("state").and_then(Value::as_bool) == Some(true)
            && is("capability").and_then(Value::as_str) != Some("events")
    });
    let off: Vec<Value> = set
        .filter_map(|capability| capability.get("capability"))
        .map(|name| json!({"capability": name, "state": false}))
        .collect();
    if !off.is_empty() {
        let arguments = json!({"capabilities": off});
        control.execute("migrate-set-capabilities", Some(arguments))?;
    }
    Ok(())
}

/// Waits until QEMU says what came of a stream that it has closed.
///
/// # Errors
/// It failed, was cancelled by somebody else ([`Cancelled`]), or QEMU is gone.
pub(super) fn await_transfer(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    let deadline = Instant::now() + TRANSFER_GRACE;
    let mut watcher = Watcher::new();
    let mut seen = look_at_run(domain, run)?;
    loop {
        watcher.watch(domain, &seen);
        seen = look_at_run(domain, run)?;
        let fold = &seen.fold;
        if matches!(seen.life, Life::Gone(_)) {
            bail!(NOT_RUNNING);
        }
        if fold.is_sent_by_another() {
            bail!(SENT_BY_ANOTHER);
        }
        if fold.transfer == Transfer::Left && !matches!(fold.live, State::Running(_)) {
            return Ok(());
        }
        if !matches!(fold.transfer, Transfer::Leaving(_) | Transfer::Left) {
            return Err(why_it_failed(run));
        }
        if Instant::now() >= deadline {
            bail!("QEMU does not say what came of it");
        }
        watcher.sleep_on(domain, &seen, Some(deadline))?;
    }
}

fn why_it_failed(run: &RunFolder) -> anyhow::Error {
    let asked = connect(run).and_then(|mut control| control.execute("query-migrate", None));
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    match asked {
        Ok(value) => match (
            word(&value, "status").as_deref(),
            word(&value, "error-desc"),
        ) {
            (Some("cancelled"), _) => Cancelled.into(),
            (_, Some(desc)) => anyhow!("QEMU could not write it: {desc}"),
            (_, None) => anyhow!("QEMU could not write it"),
        },
        Err(error) => anyhow!("QEMU could not write it, and does not say why: {error}"),
    }
}
