//! Sending a running guest to another QEMU.
//!
//! What carries it out is QEMU's own word in the journal: from `completed` on the guest runs elsewhere and must not run
//! here, whoever is alive to see it. QEMU waits for that until its destination has said that it has everything
//! (return-path), so the guest is never lost between the two.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::asking::{Asking, one_line};
use super::destroy::end_qemu;
use super::interrupts::Interrupts;
use super::limits::lift_downtime;
use super::pump::{Cancelled, cancelled_or};
use super::save::savable;
use super::settle::{Held, NOT_RUNNING, connect, hold};
use super::stream::{SENT_BY_ANOTHER, begin_stream};
use super::undo::{Undone, take_back};
use super::worker::{job, refuse_ended, refuse_panicked, refuse_to_leave_disks, tell_carried_out};
use crate::domain::{Copying, Life, ShutOff, State, Transfer, Verb};
use crate::observe::{Observation, Watcher, look_at_run};
use crate::qemu::{Control, ControlError};
use crate::store::{DomainFolder, RunFolder};

/// QEMU's capability to stop before the last step, after which the guest may run at its destination.
const SWITCHOVER: &str = "pause-before-switchover";

/// QEMU's word for a migration that stands there.
const BEFORE_SWITCHOVER: &str = "pre-switchover";

/// QEMU's word for one that it was told to give up.
const CANCELLING: &str = "cancelling";

/// How often it is told how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// When the guest begins to run at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// When all of its memory is there.
    PreCopy,
    /// At once, or after the time that pre-copy was given: the rest is fetched as it is needed.
    PostCopy,
}

/// Sends the guest to the QEMU that waits at `uri`, and ends it here. `patience`: how long its memory is copied while it
/// runs here; then it is stopped, or handed over.
///
/// # Errors
/// In virsh's words where the guest is in no state to be sent; else what failed. The guest then goes on here, unless it
/// was handed over already; after the last step was allowed it may be at its destination too, which the error says.
pub fn migrate(
    domain: &DomainFolder,
    seen: Observation,
    uri: &str,
    handover: Handover,
    patience: Option<Duration>,
    progress: &mut dyn FnMut(),
) -> Result<()> {
    let Held {
        run,
        mut control,
        seen,
    } = hold(domain, seen)?;
    let before = savable(&seen)?;
    refuse_panicked(&seen.fold)?;
    refuse_one_way(uri)?;
    refuse_to_leave_disks(&run, &mut control)?;
    let interrupts = Interrupts::take()?;
    let asking = Asking::begin_job(&run, Verb::Migrate, job(Path::new(uri), before)?)?;
    let begun = begin(&mut control, handover, patience, &mut |control| {
        begin_stream(domain, &run, &asking, || {
            control.execute("migrate", Some(json!({"uri": uri})))
        })
    });
    drop(control);
    let has_begun = begun.is_ok();
    let mut may_go = MayGo::NotYet;
    let sent = begun.and_then(|()| {
        let mut watch = Watch {
            domain,
            run: &run,
            handover,
            hurry_at: patience.and_then(|patience| Instant::now().checked_add(patience)),
            interrupts,
            asking: &asking,
            may_go,
        };
        let gone = watch.until_gone(progress);
        may_go = watch.may_go;
        gone
    });
    if let Err(error) = sent {
        let error = cancelled_or(error, "migration out");
        let where_it_is = |error| match may_go {
            MayGo::NotYet => error,
            MayGo::Yes => maybe_there(domain, &run, error),
        };
        let undone = take_back(domain, &run, before, Verb::Migrate, &asking, &error);
        let undone = undone.map_err(where_it_is)?;
        // Where nothing has begun, QEMU's word is of an earlier one: of a dump, or of the guest's own arrival.
        if undone == Undone::Yes || !has_begun {
            let error = where_it_is(error);
            asking.failed_durably(&format!("{error:#}"));
            return Err(error);
        }
    }
    asking.done_durably();
    end_qemu(domain, &run)?;
    let state = look_at_run(domain, &run)?.answer.state;
    if state != State::ShutOff(ShutOff::Migrated) {
        bail!("the domain is {state}");
    }
    Ok(())
}

/// Refuses a way on which QEMU would wait for ever for the word that the guest has arrived. By `exec:` it would also run a
/// shell.
pub(super) fn refuse_one_way(uri: &str) -> Result<()> {
    if ["exec:", "file:"].iter().any(|way| uri.starts_with(way)) {
        bail!(
            "unsupported configuration: '{uri}' has no way back, on which the guest's arrival could be told"
        );
    }
    Ok(())
}

/// What to say of a migration that failed after its last step was allowed. QEMU lets the guest go on here if the last word of
/// its destination does not come, be it that nothing came there or that the word was lost: only who looks there can tell.
fn maybe_there(domain: &DomainFolder, run: &RunFolder, error: anyhow::Error) -> anyhow::Error {
    let why = one_line(&error);
    match look_at_run(domain, run) {
        // That part of it is there was told.
        Ok(seen) if seen.is_active() && seen.fold.is_handed_over() => error,
        Ok(seen) if !seen.is_active() => anyhow!("{why}; its destination may have the guest"),
        Ok(_) | Err(_) => anyhow!(
            "{why}; it was on its last step: if its destination has the guest, too, end one of the two"
        ),
    }
}

fn begin(
    control: &mut Control,
    handover: Handover,
    patience: Option<Duration>,
    tell: &mut dyn FnMut(&mut Control) -> Result<()>,
) -> Result<()> {
    let post_copy = handover == Handover::PostCopy;
    control.execute(
        "migrate-set-capabilities",
        Some(capabilities(true, post_copy)),
    )?;
    tell(control)?;
    if post_copy && patience.is_none() {
        hand_over(control)?;
    }
    Ok(())
}

fn capabilities(migrates: bool, post_copy: bool) -> Value {
    let capability = |name: &str, state: bool| json!({"capability": name, "state": state});
    json!({"capabilities": [
        capability("return-path", migrates),
        capability(SWITCHOVER, migrates),
        capability("postcopy-ram", post_copy),
    ]})
}

fn hand_over(control: &mut Control) -> Result<(), ControlError> {
    control.execute("migrate-start-postcopy", None).map(|_| ())
}

/// Watching a guest go.
struct Watch<'a> {
    domain: &'a DomainFolder,
    run: &'a RunFolder,
    handover: Handover,
    hurry_at: Option<Instant>,
    interrupts: Interrupts,
    asking: &'a Asking,
    may_go: MayGo,
}

/// Whether the destination may have the rest of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MayGo {
    NotYet,
    Yes,
}

impl Watch<'_> {
    /// Waits until the guest has left.
    ///
    /// # Errors
    /// It did not, was held back, or its way broke off.
    fn until_gone(&mut self, progress: &mut dyn FnMut()) -> Result<()> {
        let mut watcher = Watcher::new();
        let mut seen = look_at_run(self.domain, self.run)?;
        loop {
            watcher.watch(self.domain, &seen);
            seen = look_at_run(self.domain, self.run)?;
            match seen.fold.transfer {
                Transfer::Left if !seen.fold.is_sent_by_another() => return Ok(()),
                _ if matches!(seen.life, Life::Gone(_)) => bail!(NOT_RUNNING),
                Transfer::Left | Transfer::Leaving(_) if seen.fold.is_sent_by_another() => {
                    bail!(SENT_BY_ANOTHER)
                }
                Transfer::Leaving(Copying::Broken) => {
                    bail!("the way broke off while the guest was handed over")
                }
                Transfer::Leaving(_) if self.may_go == MayGo::NotYet => {
                    if self.interrupts.came() || seen.fold.is_job_aborted() {
                        return Err(Cancelled.into());
                    }
                    self.let_go()?;
                }
                // There is no way back, whatever is pressed.
                Transfer::Leaving(_) => {}
                Transfer::None | Transfer::Arriving(_) | Transfer::Left | Transfer::Failed => {
                    bail!(why_it_failed(self.run))
                }
            }
            if self.hurry_at.take_if(|at| *at <= Instant::now()).is_some() {
                self.hurry()?;
            }
            progress();
            let tick = Instant::now() + PROGRESS_INTERVAL;
            watcher.sleep_on(
                self.domain,
                &seen,
                Some(self.hurry_at.map_or(tick, |at| at.min(tick))),
            )?;
        }
    }

    /// Lets the guest go, once everything is there but the last. That is on the disk first: whoever finds a guest that may
    /// have gone must not let it run here.
    fn let_go(&mut self) -> Result<()> {
        let mut control = connect(self.run)?;
        refuse_ended(self.domain, self.run, "sent")?;
        release_cancelled(&mut control)?;
        if migration_status(&mut control)?.as_deref() != Some(BEFORE_SWITCHOVER) {
            return Ok(());
        }
        // Of who waits QEMU says no more: it may be somebody else's, who has cancelled ours.
        if look_at_run(self.domain, self.run)?
            .fold
            .is_sent_by_another()
        {
            bail!(SENT_BY_ANOTHER);
        }
        // It stands by now.
        refuse_panicked(&refuse_ended(self.domain, self.run, "sent")?)?;
        tell_carried_out(self.domain, self.run, self.asking)?;
        self.may_go = MayGo::Yes;
        switch_over(&mut control)
    }

    /// The time is up: the guest is handed over, or stopped as soon as may be, so that its memory changes no more. By
    /// QEMU, not by us: one that we stop would arrive stopped.
    fn hurry(&self) -> Result<()> {
        let mut control = connect(self.run)?;
        match self.handover {
            Handover::PostCopy => hand_over(&mut control)?,
            Handover::PreCopy => lift_downtime(&mut control)?,
        }
        Ok(())
    }
}

/// Has QEMU take the last step, if it waits for that.
pub(super) fn switch_over(control: &mut Control) -> Result<()> {
    go_on_from(control, BEFORE_SWITCHOVER)
}

/// Has QEMU give up what it was told to. Where that came just as it was about to wait before the switchover, 7.2 overlooks
/// it and waits all the same, for ever; this wakes it. Where it does not wait, it makes no difference.
pub(super) fn release_cancelled(control: &mut Control) -> Result<()> {
    go_on_from(control, CANCELLING)
}

fn go_on_from(control: &mut Control, status: &str) -> Result<()> {
    if migration_status(control)?.as_deref() != Some(status) {
        return Ok(());
    }
    match control.execute("migrate-continue", Some(json!({"state": status}))) {
        // Refused: it has come further meanwhile.
        Ok(_) | Err(ControlError::Refused { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A later migration, of somebody else's, is not to wait for a word that nobody says; and a file has no way back, which
/// 7.2 would miss there.
pub(super) fn forget_capabilities(control: &mut Control) -> Result<(), ControlError> {
    let arguments = capabilities(false, false);
    match control.execute("migrate-set-capabilities", Some(arguments)) {
        // Refused while a migration is under way.
        Ok(_) | Err(ControlError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// QEMU's word for how far a migration is.
pub(super) fn migration_status(control: &mut Control) -> Result<Option<String>> {
    let value = control.execute("query-migrate", None)?;
    Ok(value
        .get("status")
        .and_then(Value::as_str)
        .map(str::to_owned))
}

fn why_it_failed(run: &RunFolder) -> String {
    let asked = connect(run).and_then(|mut control| control.execute("query-migrate", None));
    let Ok(value) = asked else {
        return "the migration failed".to_owned();
    };
    let word = |key: &str| value.get(key).and_then(Value::as_str);
    match (word("status"), word("error-desc")) {
        (Some("cancelled"), _) => {
            "operation aborted: job 'migration out' canceled by client".to_owned()
        }
        (_, Some(desc)) => format!("operation failed: job 'migration out' failed: {desc}"),
        (_, None) => "operation failed: job 'migration out' unexpectedly failed".to_owned(),
    }
}
