//! Saving a guest into a file, and ending it.
//!
//! Asked; stopped; the stream into a file under another name; sealed; carried out (from here on the save is finished by
//! whoever finds it); the file gets its name; done; QEMU ends. Killed before it was carried out, nothing of it stays.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::asking::{Asking, actor, one_line};
use super::destroy::end_qemu;
use super::fulfil::fulfil;
use super::interrupts::Interrupts;
use super::jobs::look_after;
use super::migrate::forget_switchover;
use super::pump::{Cancelled, cancelled_or, pipe, pump};
use super::settle::{NOT_RUNNING, connect, refuse_while_busy, settled_active};
use super::undo::{Undone, undo};
use crate::domain::{
    Before, Begin, Job, Life, Paused, PendingJob, Process, ShutOff, State, Transfer, Verb,
};
use crate::observe::{Observation, Watcher, look_at_run, now, start_ticks};
use crate::qemu::{Control, ControlError};
use crate::store::{
    Definition, DomainFolder, NewImage, OpenImage, Owner, Placed, RunFolder, SaveImage, StateDir,
    discard, part_of, place_of, put_in_place,
};

/// How long QEMU may take to say what came of a stream that it has closed.
const TRANSFER_GRACE: Duration = Duration::from_secs(10);

/// Where the guest goes.
#[derive(Clone, Debug)]
pub enum SaveTo {
    /// A file of the user's, as it was typed.
    File(PathBuf),
    /// The domain's own, for its next start.
    Managed,
}

impl SaveTo {
    fn verb(&self) -> Verb {
        match self {
            Self::File(_) => Verb::Save,
            Self::Managed => Verb::ManagedSave,
        }
    }

    fn place(&self, domain: &DomainFolder) -> Result<PathBuf> {
        let managed = domain.managed_save();
        let path = match self {
            Self::File(path) => path,
            Self::Managed => &managed,
        };
        place_of(path).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Saves the guest and ends it. `begin`: what it is to do after the restore, if not what it does now.
///
/// # Errors
/// In virsh's words where the guest is in no state to be saved; else what failed. The guest then goes on as before, and
/// there is no file.
pub fn save(
    domain: &DomainFolder,
    seen: Observation,
    to: &SaveTo,
    begin: Option<Begin>,
    progress: &mut dyn FnMut(),
) -> Result<Placed> {
    let seen = settled_active(domain, seen)?;
    let place = to.place(domain)?;
    let Some(run) = seen.run else {
        bail!(NOT_RUNNING);
    };
    let mut control = connect(&run)?;
    // While we have the monitor, nobody else begins a job.
    let seen = look_at_run(domain, &run)?;
    refuse_while_busy(&seen)?;
    let before = savable(&seen)?;
    let job = job(&place, before)?;
    let owner = Owner::new(domain, &run, &job);
    let image = SaveImage {
        name: domain.name().clone(),
        run: run.number(),
        saved_at: job.began,
        begin: begin.unwrap_or(match before {
            Before::Ran => Begin::Running,
            Before::Stood => Begin::Paused,
        }),
        definition: Definition::load(&run.definition())?,
    };
    let interrupts = Interrupts::take()?;
    let asking = Asking::begin_job(&run, to.verb(), job.clone())?;
    let context = || format!("cannot write {}", place.display());
    let mut new = match NewImage::create(&place, &image).with_context(context) {
        Ok(new) => new,
        // Nothing was done yet; what is there may be somebody else's.
        Err(error) => {
            asking.failed_durably(&one_line(&error));
            return Err(error);
        }
    };
    let begun = write(domain, &run, &mut control, before);
    drop(control);
    let placed = begun.and_then(|pipe| {
        finish(domain, &run, &mut new, pipe, &interrupts, progress)?;
        commit(domain, &run, &asking, "domain save")?;
        let placed = put_in_place(&place, &owner).with_context(context)?;
        if !new.is_at(&place) {
            bail!(
                "cannot write {}: somebody else has put a file there",
                place.display()
            );
        }
        Ok(placed)
    });
    let placed = match placed {
        Ok(placed) => placed,
        Err(error) => {
            take_back(domain, &run, before, to.verb(), &error)?;
            let _ = discard(&place, &owner);
            asking.failed_durably(&one_line(&error));
            return Err(error);
        }
    };
    if let Placed::Durably = placed {
        asking.done_durably();
    } else {
        // The job stays, so that whoever looks next tries again; for want of a way back it is no failure.
        drop(asking);
    }
    end_qemu(domain, &run)?;
    let seen = look_at_run(domain, &run);
    let seen = seen.context("the guest is saved, and its end cannot be looked at")?;
    let state = seen.answer.state;
    if state != State::ShutOff(ShutOff::Saved) {
        // Somebody let it run on meanwhile, or its end came between.
        bail!("the domain is {state}");
    }
    Ok(placed)
}

/// Finishes a save to `path` that was carried out by somebody who died before the file had its name.
pub fn finish_save(state: &StateDir, path: &Path) -> Result<()> {
    let Ok(place) = place_of(path) else {
        return Ok(());
    };
    let Ok(image) = OpenImage::open(&part_of(&place)) else {
        return Ok(());
    };
    let domain = state.domain(&image.image.name);
    if !domain.exists() {
        return Ok(());
    }
    fulfil(&domain, &domain.run(image.image.run))
}

/// Whether the guest runs, if it is in a state that can be saved.
pub(super) fn savable(seen: &Observation) -> Result<Before> {
    match seen.answer.state {
        State::Running(_) => Ok(Before::Ran),
        // QEMU 7.2 wakes a guest that sleeps in memory when it saves it, 10 and 11 abort when such a save is taken back.
        _ if seen.fold.suspended => {
            bail!("Requested operation is not valid: domain is pmsuspended")
        }
        State::Paused(Paused::ShuttingDown) => bail!(NOT_RUNNING),
        State::Paused(_) if seen.fold.began.is_some() && seen.fold.transfer != Transfer::Left => {
            Ok(Before::Stood)
        }
        State::PmSuspended => bail!("Requested operation is not valid: domain is pmsuspended"),
        State::Crashed => bail!("Requested operation is not valid: domain is crashed"),
        State::Paused(_) | State::InShutdown | State::ShutOff(_) => bail!(NOT_RUNNING),
    }
}

/// A job of this process.
pub(super) fn job(place: &Path, before: Before) -> Result<Job> {
    let pid = actor().pid;
    let start_ticks = start_ticks(pid).ok_or_else(|| anyhow!("cannot read /proc/self/stat"))?;
    Ok(Job {
        worker: Process { pid, start_ticks },
        began: now(),
        file: place.to_owned(),
        before,
        then: None,
    })
}

/// Stops the guest and has QEMU begin to write; the pipe to read it from.
fn write(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    before: Before,
) -> Result<OwnedFd> {
    if before == Before::Ran {
        stop_for(domain, run, control, "saved")?;
    }
    migrate_into_pipe(control)
}

/// Stops a guest that ran when it was looked at, for it to be `done` something.
///
/// # Errors
/// It did not wait for that.
pub(super) fn stop_for(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    done: &str,
) -> Result<()> {
    control.execute("stop", None)?;
    let seen = look_at_run(domain, run)?;
    let fold = &seen.fold;
    if fold.panic.is_some() || fold.shutdown.is_some() || fold.suspended {
        bail!("the guest came to an end of its own, or fell asleep, before it could be {done}");
    }
    Ok(())
}

/// Writes down that a job is carried out that ends the guest, unless it was overtaken. While we have the monitor, no verb
/// lets the guest go on or aborts the job.
pub(super) fn commit(
    domain: &DomainFolder,
    run: &RunFolder,
    asking: &Asking,
    job: &str,
) -> Result<()> {
    let _control = connect(run)?;
    look_after(domain, run).map_err(|error| cancelled_or(error, job))?;
    tell_carried_out(domain, run, asking)
}

/// The same for whoever has the monitor.
pub(super) fn tell_carried_out(
    domain: &DomainFolder,
    run: &RunFolder,
    asking: &Asking,
) -> Result<()> {
    asking.carried_out()?;
    let seen = look_at_run(domain, run)?;
    let is_committed = seen.fold.job.as_ref().is_some_and(PendingJob::is_committed);
    if !is_committed {
        bail!("the guest was let run on meanwhile, or has ended");
    }
    Ok(())
}

/// Has QEMU write the guest, which stands, into a pipe.
pub(super) fn migrate_into_pipe(control: &mut Control) -> Result<OwnedFd> {
    const NAME: &str = "domstate-job";
    let (from, to) = pipe()?;
    lift_limit(control)?;
    forget_switchover(control)?;
    control.pass(NAME, to.as_fd())?;
    control.execute("migrate", Some(json!({"uri": format!("fd:{NAME}")})))?;
    Ok(from)
}

/// QEMU's default limit for a migration, in bytes per second: meant for a network, and obeyed into a file too.
const DEFAULT_BANDWIDTH: u64 = 128 << 20;

/// How long a guest may stand at the end of a migration, in milliseconds: QEMU's default, and the most that it takes.
const DEFAULT_DOWNTIME: u64 = 300;
const MAX_DOWNTIME: u64 = 2_000_000;

/// Lifts that limit. One that a user has set holds.
fn lift_limit(control: &mut Control) -> Result<(), ControlError> {
    replace_limit(control, "max-bandwidth", DEFAULT_BANDWIDTH, 0)
}

/// Lets a migration come to its end now, however long the guest stands for it.
pub(super) fn lift_downtime(control: &mut Control) -> Result<(), ControlError> {
    let arguments = json!({"downtime-limit": MAX_DOWNTIME});
    control
        .execute("migrate-set-parameters", Some(arguments))
        .map(|_| ())
}

/// Undoes both.
pub(super) fn restore_limit(control: &mut Control) -> Result<(), ControlError> {
    replace_limit(control, "max-bandwidth", 0, DEFAULT_BANDWIDTH)?;
    replace_limit(control, "downtime-limit", MAX_DOWNTIME, DEFAULT_DOWNTIME)
}

fn replace_limit(
    control: &mut Control,
    name: &str,
    from: u64,
    to: u64,
) -> Result<(), ControlError> {
    let parameters = control.execute("query-migrate-parameters", None)?;
    if parameters.get(name).and_then(Value::as_u64) == Some(from) {
        control.execute("migrate-set-parameters", Some(json!({name: to})))?;
    }
    Ok(())
}

/// Copies the stream, and makes the file whole.
fn finish(
    domain: &DomainFolder,
    run: &RunFolder,
    image: &mut NewImage,
    pipe: OwnedFd,
    interrupts: &Interrupts,
    progress: &mut dyn FnMut(),
) -> Result<()> {
    let mut look = || {
        progress();
        look_after(domain, run)
    };
    pump(pipe, image.file(), interrupts, &mut look)
        .and_then(|()| await_transfer(domain, run))
        .map_err(|error| cancelled_or(error, "domain save"))?;
    image.seal().context("cannot write the image")
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
        if fold.transfer == Transfer::Left && !matches!(fold.live, State::Running(_)) {
            return Ok(());
        }
        if !matches!(fold.transfer, Transfer::Leaving(_) | Transfer::Left) {
            return Err(why_it_failed(run));
        }
        if Instant::now() >= deadline {
            bail!("QEMU does not say what came of it");
        }
        watcher.sleep(Some(deadline))?;
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

/// Lets the guest go on as if nothing had been asked.
///
/// # Errors
/// It cannot be: then the job is left for whoever looks next.
pub(super) fn take_back(
    domain: &DomainFolder,
    run: &RunFolder,
    before: Before,
    verb: Verb,
    why: &anyhow::Error,
) -> Result<Undone> {
    let undone = connect(run)
        .map_err(anyhow::Error::from)
        .and_then(|mut control| undo(&mut control, before, verb));
    let error = match undone {
        Ok(undone) => return Ok(undone),
        Err(error) => error,
    };
    let is_gone =
        error.downcast_ref::<ControlError>().is_some() && !look_at_run(domain, run)?.is_active();
    if is_gone {
        return Ok(Undone::Yes);
    }
    Err(error.context(format!("{why:#}; and the guest cannot be let go on")))
}
