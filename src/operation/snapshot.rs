//! Internal snapshots of a guest: its memory and every disk that it can write to, taken by QEMU into those disks.
//!
//! A verb holds QEMU's monitor from its first look to its last line, so that nobody else begins anything meanwhile. What
//! it leaves if it is killed is finished or undone by whoever looks next (`snapshot_duty`).

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::asking::{Asking, one_line};
use super::fulfil::end_after_job;
use super::interrupts::Interrupts;
use super::pump::{Cancelled, cancelled_or};
use super::save::savable;
use super::settle::{Held, hold};
use super::snapshot_duty::{clean_without_qemu, undo_create};
use super::snapshot_job::{JobError, SnapshotJob, dismiss, run_job, settle_job};
use super::stream::clear_capabilities;
use super::undo::{is_left_to_others, left_to_others, recall};
use super::worker::{
    job, may_have_panicked, refuse_ended, refuse_panicked, refuse_what_is_sent, stop_for,
    tell_carried_out, throws_away,
};
use crate::domain::{Before, Begin, Job, Name, ShutOff, State, Verb};
use crate::observe::{Observation, look_at_run};
use crate::qemu::{Control, ControlError, Disk, is_url, writable_disks};
use crate::store::{
    Definition, DomainFolder, Owner, Placed, RunFolder, Snapshot, SnapshotDisk,
    put_snapshot_in_place,
};

/// What becomes of a guest that a snapshot was taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSnapshot {
    GoesOn,
    Halt,
}

/// Takes the monitor, with no job of QEMU's own in the way.
pub(super) fn hold_for_snapshot(domain: &DomainFolder, seen: Observation) -> Result<Held> {
    let mut held = hold(domain, seen)?;
    // What a worker left that died after its last line: its name is to be free.
    settle_job(&mut held.control)?;
    dismiss(&mut held.control);
    Ok(held)
}

/// The disks that a snapshot is in, or will be.
pub(super) fn disks(control: &mut Control) -> Result<Vec<Disk>, ControlError> {
    Ok(writable_disks(&control.execute("query-block", None)?))
}

/// Takes a snapshot of the guest, and ends it if that is wanted.
///
/// # Errors
/// In libvirt's words where the guest, its disks or the name do not allow it; else what failed. The guest then goes on as
/// before, and there is no snapshot.
pub fn create_snapshot(
    domain: &DomainFolder,
    seen: Observation,
    name: &Name,
    after: AfterSnapshot,
) -> Result<Placed> {
    let place = domain.snapshot(name);
    let Held {
        run,
        mut control,
        seen,
    } = hold_for_snapshot(domain, seen)?;
    if seen.fold.suspended {
        bail!(
            "Operation not supported: qemu doesn't support taking snapshots of PMSUSPENDED guests"
        );
    }
    let before = savable(&seen)?;
    refuse_panicked(&seen.fold)?;
    let definition = Definition::of_run(&run)?;
    let disks = disks(&mut control)?;
    refuse_to_create(name, &definition, &disks)?;
    if place
        .try_exists()
        .with_context(|| format!("cannot read {}", place.display()))?
    {
        bail!("operation failed: domain moment {name} already exists");
    }
    let job = job(&place, before)?;
    let create = Create {
        domain,
        run: &run,
        snapshot: Snapshot {
            name: name.clone(),
            created_at: job.began,
            begin: match before {
                Before::Ran => Begin::Running,
                Before::Stood => Begin::Paused,
            },
            run: run.number(),
            may_have_panicked: may_have_panicked(&seen),
            disks: disks
                .iter()
                .map(|disk| SnapshotDisk {
                    node: disk.node.clone(),
                    file: file(&definition, disk),
                })
                .collect(),
        },
        job,
        after,
    };
    let verb = match after {
        AfterSnapshot::GoesOn => Verb::SnapshotCreate,
        AfterSnapshot::Halt => Verb::SnapshotHalt,
    };
    let interrupts = Interrupts::take()?;
    let asking = Asking::begin_job(&run, verb, create.job.clone())?;
    let made = create
        .make(&mut control, &interrupts)
        .and_then(|()| create.commit(&asking))
        .and_then(|()| create.put_in_place());
    let placed = match made {
        Ok(placed) => placed,
        Err(error) => {
            create.take_back(&mut control, &asking, &error)?;
            asking.failed_durably(&one_line(&error));
            return Err(error);
        }
    };
    match (&placed, after) {
        // The job stays, so that whoever looks next tries again.
        (Placed::Unsynced(_), AfterSnapshot::Halt) => drop(asking),
        _ => asking.done_durably(),
    }
    dismiss(&mut control);
    drop(control);
    if after == AfterSnapshot::Halt {
        halt(domain, &run)?;
    }
    Ok(placed)
}

fn halt(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    end_after_job(domain, run, Verb::SnapshotHalt)?;
    let state = look_at_run(domain, run)?.answer.state;
    if state != State::ShutOff(ShutOff::FromSnapshot) {
        // Somebody let it run on meanwhile, or its end came between.
        bail!("the domain is {state}");
    }
    Ok(())
}

/// What QEMU would refuse, or lose, once the guest stands for it.
fn refuse_to_create(name: &Name, definition: &Definition, disks: &[Disk]) -> Result<()> {
    if let Some(option) = throws_away(definition, disks) {
        bail!(
            "Requested operation is not valid: '{option}': what the guest writes is thrown away with QEMU, and a \
             snapshot would be too"
        );
    }
    if disks.is_empty() {
        bail!(
            "unsupported configuration: internal and full system snapshots require all disks to be selected for \
             snapshot"
        );
    }
    if let Some(Disk { name, format, .. }) = disks.iter().find(|disk| disk.format != "qcow2") {
        bail!(
            "unsupported configuration: internal snapshot for disk {name} unsupported for storage type {format}"
        );
    }
    if disks.iter().any(|disk| disk.tag(name.as_str()).is_some()) {
        bail!("operation failed: domain moment {name} already exists");
    }
    Ok(())
}

/// Where `qemu-img` finds the disk.
pub(super) fn file(definition: &Definition, disk: &Disk) -> PathBuf {
    match is_url(&disk.file) {
        true => disk.file.clone(),
        false => definition.workdir.join(&disk.file),
    }
}

/// A snapshot that is being taken.
struct Create<'a> {
    domain: &'a DomainFolder,
    run: &'a RunFolder,
    snapshot: Snapshot,
    job: Job,
    after: AfterSnapshot,
}

impl Create<'_> {
    fn make(&self, control: &mut Control, interrupts: &Interrupts) -> Result<()> {
        self.snapshot
            .announce(&self.job.file)
            .with_context(|| self.cannot_write())?;
        if interrupts.came() {
            return Err(cancelled_or(Cancelled.into(), "snapshot"));
        }
        // QEMU would stop it by itself, and not tell whether it came to an end of its own before that.
        if self.job.before == Before::Ran {
            refuse_panicked(&stop_for(self.domain, self.run, control, "kept")?)?;
        }
        if !self.snapshot.may_have_panicked
            && may_have_panicked(&look_at_run(self.domain, self.run)?)
        {
            bail!(
                "lines of the record were lost just now, and the guest may have panicked in them"
            );
        }
        clear_capabilities(control)?;
        let nodes = self.snapshot.disks.iter().map(|disk| disk.node.as_str());
        let nodes: Vec<&str> = nodes.collect();
        let job = SnapshotJob::save(self.snapshot.name.as_str(), &nodes);
        // QEMU calls it a migration; by its words it is known for none (`domain::Copying::Undecided`).
        refuse_what_is_sent(self.domain, self.run)?;
        run_job(control, &job).map_err(JobError::known)?;
        if self.job.before == Before::Ran && self.after == AfterSnapshot::GoesOn {
            refuse_ended(self.domain, self.run, "kept")?;
            refuse_what_is_sent(self.domain, self.run)?;
            control.execute("cont", None)?;
        }
        Ok(())
    }

    fn commit(&self, asking: &Asking) -> Result<()> {
        match self.after {
            AfterSnapshot::GoesOn => asking.carried_out(),
            AfterSnapshot::Halt => tell_carried_out(self.domain, self.run, asking),
        }
    }

    fn put_in_place(&self) -> Result<Placed> {
        put_snapshot_in_place(&self.job.file, &self.owner()).with_context(|| self.cannot_write())
    }

    fn owner(&self) -> Owner<'_> {
        Owner::new(self.domain, self.run, &self.job)
    }

    fn cannot_write(&self) -> String {
        format!("cannot write {}", self.job.file.display())
    }

    /// Lets the guest go on as if nothing had been asked.
    ///
    /// # Errors
    /// It cannot be: then the job is left for whoever looks next.
    fn take_back(&self, control: &mut Control, asking: &Asking, why: &anyhow::Error) -> Result<()> {
        let (place, owner) = (&self.job.file, self.owner());
        let (domain, run, before) = (self.domain, self.run, self.job.before);
        let undone = recall(domain, run, control, asking)
            .and_then(|()| undo_create(domain, run, control, place, &owner, before));
        let Err(error) = undone else {
            return Ok(());
        };
        let seen = look_at_run(domain, run)?;
        if is_left_to_others(&seen) {
            bail!(left_to_others(why));
        }
        if error.is::<ControlError>() && !seen.is_active() {
            return clean_without_qemu(place, &owner);
        }
        Err(error.context(format!("{why:#}; and the guest cannot be let go on")))
    }
}
