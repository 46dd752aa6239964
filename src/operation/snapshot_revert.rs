//! Taking a guest back to where a snapshot found it, in the QEMU that it has.
//!
//! Asked; stopped; loaded; carried out (from here on the guest is another one, and there is no way back); let go on, if
//! it is to run; done.

use anyhow::{Result, anyhow, bail};

use super::asking::{Asking, one_line};
use super::interrupts::Interrupts;
use super::pump::{Cancelled, cancelled_or};
use super::save::savable;
use super::settle::Held;
use super::snapshot::{disks, hold_for_snapshot};
use super::snapshot_duty::go_on_unless_touched;
use super::snapshot_job::{JobError, SnapshotJob, dismiss, run_job};
use super::undo::is_running;
use super::worker::{job, refuse_what_is_sent, stop_for, tell_carried_out};
use crate::domain::{Before, Begin, Job, Name, State, Verb};
use crate::observe::Observation;
use crate::qemu::{Control, ControlError, Disk, Memory};
use crate::store::{DomainFolder, RunFolder, Snapshot};

/// The snapshot of this name.
///
/// # Errors
/// In libvirt's words where there is none.
pub fn snapshot(domain: &DomainFolder, name: &str) -> Result<Snapshot> {
    let found = match name.parse::<Name>() {
        Ok(name) => Snapshot::load(&domain.snapshot(&name))?,
        // No snapshot ever had such a name.
        Err(_) => None,
    };
    found.ok_or_else(|| {
        anyhow!("Domain snapshot not found: no domain snapshot with matching name '{name}'")
    })
}

/// Takes the guest of an active domain back to the snapshot. `begin`: what it is to do then, if not what it did when the
/// snapshot was taken.
///
/// # Errors
/// In virsh's words where it is not running; else what failed. If QEMU had begun to load the snapshot, the guest stands;
/// else it goes on as before.
pub fn revert_snapshot(
    domain: &DomainFolder,
    seen: Observation,
    snapshot: &Snapshot,
    begin: Option<Begin>,
) -> Result<()> {
    let Held {
        run,
        mut control,
        seen,
    } = hold_for_snapshot(domain, seen)?;
    // What is loaded has not panicked.
    let before = match seen.answer.state == State::Crashed && !seen.fold.is_sent_by_another() {
        true => Before::Stood,
        false => savable(&seen)?,
    };
    let disks = disks(&mut control)?;
    let memory = memory_of(&disks, snapshot)?;
    let nodes: Vec<&str> = disks.iter().map(|disk| disk.node.as_str()).collect();
    let load = SnapshotJob::load(snapshot.name.as_str(), &nodes, memory);
    let begin = begin.unwrap_or(snapshot.begin);
    let interrupts = Interrupts::take()?;
    let job = Job {
        then: Some(begin),
        ..job(&domain.snapshot(&snapshot.name), before)?
    };
    let asking = Asking::begin_job(&run, Verb::SnapshotRevert, job)?;
    if interrupts.came() {
        let error = cancelled_or(Cancelled.into(), "snapshot revert");
        asking.failed_durably(&one_line(&error));
        return Err(error);
    }
    let stopped = match before {
        Before::Ran => stop_for(domain, &run, &mut control, "taken back").map(|_| ()),
        Before::Stood => Ok(()),
    };
    let doubted = stopped.and_then(|()| match snapshot.may_have_panicked {
        // Before it is loaded: whoever comes then is to know.
        true => asking.may_have_panicked(),
        false => Ok(()),
    });
    if let Err(error) = doubted {
        go_on_unless_touched(domain, &run, &mut control, before, None)?;
        asking.failed_durably(&one_line(&error));
        return Err(error);
    }
    if let Err(error) = run_job(&mut control, &load) {
        let why = match &error {
            JobError::Failed(why) => why.clone(),
            // What QEMU did is for whoever looks next to find out.
            JobError::Control(_) => return Err(error.known()),
        };
        go_on_unless_touched(domain, &run, &mut control, before, Some(&why))?;
        let error = error.known();
        asking.failed_durably(&one_line(&error));
        dismiss(&mut control);
        return Err(error);
    }
    tell_carried_out(domain, &run, &asking)?;
    dismiss(&mut control);
    let begun = let_go(domain, &run, &mut control, begin);
    asking.done_durably();
    begun
}

/// Has a guest that was loaded do what it is to do.
pub(super) fn let_go(
    domain: &DomainFolder,
    run: &RunFolder,
    control: &mut Control,
    begin: Begin,
) -> Result<()> {
    if begin == Begin::Paused || is_running(control)? {
        return Ok(());
    }
    refuse_what_is_sent(domain, run)?;
    match control.execute("cont", None) {
        Ok(_) => Ok(()),
        Err(ControlError::Refused { desc, .. }) => {
            bail!("operation failed: the snapshot is loaded, and the guest cannot run: {desc}")
        }
        Err(error) => Err(error.into()),
    }
}

/// The node that holds the guest's memory.
///
/// # Errors
/// A disk does not hold the snapshot: QEMU would refuse it when the guest stands already.
fn memory_of<'a>(disks: &'a [Disk], snapshot: &Snapshot) -> Result<&'a str> {
    let tag = snapshot.name.as_str();
    if let Some(disk) = disks.iter().find(|disk| disk.tag(tag).is_none()) {
        let file = disk.file.display();
        bail!(
            "operation failed: disk {} does not hold snapshot '{tag}': {file}",
            disk.name
        );
    }
    let holds_memory = |disk: &&Disk| disk.tag(tag).is_some_and(|tag| tag.memory == Memory::Here);
    let disk = disks.iter().find(holds_memory);
    let disk =
        disk.ok_or_else(|| anyhow!("operation failed: no disk holds the memory of '{tag}'"))?;
    Ok(&disk.node)
}
