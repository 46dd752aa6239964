//! Saving a guest into a file, and ending it.
//!
//! Asked; stopped; the stream into a file under another name; sealed; carried out (from here on the save is finished by
//! whoever finds it); the file gets its name; done; QEMU ends. Killed before it was carried out, nothing of it stays.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::asking::{Asking, one_line};
use super::fulfil::{end_after_job, fulfil};
use super::interrupts::Interrupts;
use super::jobs::look_after;
use super::pump::{cancelled_or, pump};
use super::settle::{Held, NOT_RUNNING, hold};
use super::stream::{await_transfer, migrate_into_pipe};
use super::undo::take_back;
use super::worker::{
    commit, job, may_have_panicked, refuse_panicked, refuse_to_leave_disks, stop_for,
};
use crate::domain::{Before, Begin, Paused, ShutOff, State, Transfer, Verb};
use crate::observe::{Observation, look_at_run};
use crate::qemu::Control;
use crate::store::{
    Definition, DomainFolder, NewImage, OpenImage, Owner, Placed, RunFolder, SaveImage, StateDir,
    discard, part_of, place_of, put_in_place, refuse_link,
};

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
            Self::Managed => {
                refuse_link(&managed)?;
                &managed
            }
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
    let Held {
        run,
        mut control,
        seen,
    } = hold(domain, seen)?;
    let before = savable(&seen)?;
    refuse_panicked(&seen.fold)?;
    refuse_to_leave_disks(&run, &mut control)?;
    let place = to.place(domain)?;
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
        may_have_panicked: may_have_panicked(&seen),
        definition: Definition::of_run(&run)?,
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
    let begun = write(domain, &run, &mut control, &asking, before);
    drop(control);
    let placed = begun.and_then(|pipe| {
        finish(domain, &run, &mut new, pipe, &interrupts, progress)?;
        // Somebody may have let it run meanwhile.
        refuse_panicked(&look_at_run(domain, &run)?.fold)?;
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
            take_back(domain, &run, before, to.verb(), &asking, &error)?;
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
    end_after_job(domain, &run, to.verb())?;
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

/// Stops the guest and has QEMU begin to write; the pipe to read it from.
fn write(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    asking: &Asking,
    before: Before,
) -> Result<OwnedFd> {
    if before == Before::Ran {
        refuse_panicked(&stop_for(domain, run, control, "saved")?)?;
    }
    migrate_into_pipe(domain, run, control, asking)
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
    if may_have_panicked(&look_at_run(domain, run)?) {
        image.doubt();
    }
    image.seal().context("cannot write the image")
}
