//! What QEMU itself says of its guest, where what it writes may be lost: on a disk that met an error, say, of which the guest
//! is likely to know as well.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::domain::{Doing, Life};
use crate::observe::{Observation, look_at_run};
use crate::qemu::Control;
use crate::store::RunFolder;

/// QEMU answers in a millisecond, if it can at all; whoever only looks is not kept for longer.
const PATIENCE: Duration = Duration::from_millis(100);

/// What was seen, with the answer as it is once QEMU was asked, where its lines may be lost. From one that does not answer, or
/// is busy with somebody else's verb, nothing more is known than is on record.
pub fn inquire(mut seen: Observation) -> Observation {
    let run = seen.run.as_ref();
    let run = run.filter(|_| seen.may_lack_lines && seen.life == Life::Lives);
    if let Some(doing) = run.and_then(doing) {
        if doing == Doing::Panicked
            && let Some(later) = look_later(&seen)
        {
            return later;
        }
        seen.answer = seen.fold.answer_as_told(&seen.answer, doing);
    }
    seen
}

/// What is seen of it now, if it is on record by now that it panicked: then somebody who goes by that may do something about it.
fn look_later(seen: &Observation) -> Option<Observation> {
    let run = seen.run.as_ref()?;
    let later = look_at_run(&run.domain()?, run).ok()?;
    (later.fold.panic.is_some() && seen.fold.panic.is_none()).then_some(later)
}

fn doing(run: &RunFolder) -> Option<Doing> {
    let folder = File::open(run.path()).ok()?;
    let mut control = Control::connect(folder.as_fd(), Instant::now() + PATIENCE).ok()?;
    let status = control.execute("query-status", None).ok()?;
    status.get("status").and_then(Value::as_str).map(doing_of)
}

/// By QEMU's RunState (`qapi/run-state.json`, 7.2 to 11).
fn doing_of(status: &str) -> Doing {
    match status {
        "running" => Doing::Runs,
        "io-error" => Doing::StandsForIoError,
        "watchdog" => Doing::StandsForWatchdog,
        "guest-panicked" => Doing::Panicked,
        "shutdown" => Doing::HasShutDown,
        "suspended" => Doing::Sleeps,
        "prelaunch" => Doing::WasReset,
        // On its way from or to somewhere, too: it does not run.
        _ => Doing::Stands,
    }
}
