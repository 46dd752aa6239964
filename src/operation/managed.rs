//! The image that `managedsave` leaves, and that the domain's next start takes up.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};

use super::dump::is_core;
use super::folder::take_folder_lock;
use super::fulfil::fulfil;
use super::settle::refuse_while_busy;
use super::snapshot_duty::UNTOUCHED;
use crate::domain::{Certainty, Exit, Fold, ShutOff, State, Verb};
use crate::journal::{JOURNAL_FILE, Journal};
use crate::observe::{Observation, boot_id, look, look_at_run, replay};
use crate::store::{
    Definition, DomainFolder, NameLock, OpenImage, RunFolder, SaveImage, may_exist, part_of,
    refuse_link, snapshot_count, sync_folder,
};

/// Opens the image that the domain's next start takes up; `None` if there is none.
///
/// One that was taken up already is none: its guest ran on since, and would find other disks than it left. It is still
/// there if whoever took it up was killed before it was removed.
///
/// # Errors
/// What is wrong with it.
pub fn managed_image(domain: &DomainFolder) -> Result<Option<OpenImage>> {
    let path = domain.managed_save();
    let context = || format!("cannot restore {}", path.display());
    refuse_link(&path)?;
    let image = match OpenImage::open(&path) {
        Ok(image) => image,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error).with_context(context),
    };
    if let Ok(definition) = Definition::load(&domain.definition())
        && definition.uuid != image.image.definition.uuid
    {
        bail!("cannot restore {}: it is another domain's", path.display());
    }
    let is_taken_up = was_taken_up(domain, &image.image).with_context(context)?;
    Ok((!is_taken_up).then_some(image))
}

/// Whether the domain has an image for its next start, be it one that cannot be restored.
pub fn has_managed_image(domain: &DomainFolder) -> bool {
    managed_image(domain).map_or(true, |image| image.is_some())
}

/// Removes it. Whether there was one.
pub fn remove_managed_image(domain: &DomainFolder) -> Result<bool> {
    let _folder_lock = take_folder_lock(domain)?;
    let path = domain.managed_save();
    let context = || format!("cannot remove {}", path.display());
    let seen = look(domain)?;
    refuse_while_busy(&seen)?;
    if let Some(run) = seen
        .run
        .as_ref()
        .filter(|_| seen.duty().is_some() && !seen.is_active())
    {
        // One that is whole, and has not got its name yet, would be taken up by the next start.
        let done = fulfil(domain, run);
        if may_exist(&part_of(&path)) {
            done?;
        }
    }
    let name_lock = NameLock::take(&path).with_context(context)?;
    let is_unplaced = !seen.is_active() && forget_unplaced(&path, &seen);
    let had_one = has_managed_image(domain) || is_unplaced;
    // One that comes where there was none comes later.
    if had_one || name_lock.is_some() {
        forget_managed_image(domain).with_context(context)?;
    }
    Ok(had_one)
}

/// Removes what has not got its name, and never will: nobody writes it any more. Whether a guest may have been in it.
fn forget_unplaced(place: &Path, seen: &Observation) -> bool {
    let part = part_of(place);
    let may_be_whole = OpenImage::open(&part).is_ok() || seen.is_unread;
    std::fs::remove_file(part).is_ok() && may_be_whole
}

/// Removes it if it was taken up: it is known to be of no use, and takes as much room as the guest's memory.
pub fn sweep_managed_image(domain: &DomainFolder) {
    // None is put in its place meanwhile, by whoever saves the guest that has taken it up. If it is not to be had, that is
    // being done.
    let Ok(Some(_name_lock)) = NameLock::try_take(&domain.managed_save()) else {
        return;
    };
    if managed_image(domain).is_ok_and(|image| image.is_none()) {
        let _ = forget_managed_image(domain);
    }
}

/// Removes what was saved before `run`, which was started without it: also what cannot be restored, and what has not got its name
/// yet.
pub fn give_up_managed_image(domain: &DomainFolder, run: u32) {
    let place = domain.managed_save();
    let Ok(seen) = look(domain) else {
        return;
    };
    let is_it = seen.run.as_ref().is_some_and(|it| it.number() == run);
    // One that comes from elsewhere may never arrive.
    let (true, Some(_), Some(launched)) = (is_it, seen.fold.began, seen.fold.launched_at) else {
        return;
    };
    let launched = UNIX_EPOCH + Duration::from_micros(launched.0);
    for path in [part_of(&place), place.clone()] {
        // Who has it saves the guest of this run.
        let Ok(Some(_name_lock)) = NameLock::try_take(&path) else {
            continue;
        };
        let is_older = match OpenImage::open(&path) {
            Ok(open) => open.image.run < run,
            // The one that is being written for this run looks like that, too.
            Err(_) => {
                let written = std::fs::symlink_metadata(&path).and_then(|found| found.modified());
                written.is_ok_and(|written| written < launched)
            }
        };
        if is_older {
            let _ = std::fs::remove_file(&path);
        }
    }
    let _ = sync_folder(domain.path());
}

/// Refuses what would lose, or strand, a guest that may be in an image which has not got its name yet, where the record that would
/// tell cannot be read.
pub(super) fn refuse_unread(
    domain: &DomainFolder,
    seen: &Observation,
    way_out: &str,
) -> Result<()> {
    if seen.is_unread && may_exist(&part_of(&domain.managed_save())) {
        let run = seen.run.as_ref().map_or(domain.path(), RunFolder::path);
        bail!(
            "{} cannot be read, which tells whether the guest is in its managed save image: {way_out}",
            run.join(JOURNAL_FILE).display()
        );
    }
    Ok(())
}

fn forget_managed_image(domain: &DomainFolder) -> io::Result<()> {
    match std::fs::remove_file(domain.managed_save()) {
        Err(error) if error.kind() == ErrorKind::NotFound => sync_folder(domain.path()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(domain.path()),
    }
}

/// Whether the guest of `saved`, the run that was saved, went on behind that; or a run after it came so far that its guest ran, or
/// may have before the host went down.
fn was_taken_up(domain: &DomainFolder, saved: &SaveImage) -> Result<bool> {
    let boot = boot_id()?;
    let mut doubt = None;
    for number in domain.run_numbers()?.unwrap_or_default() {
        if number < saved.run {
            continue;
        }
        if number == saved.run {
            if went_on(domain, saved)? {
                return Ok(true);
            }
            continue;
        }
        let run = domain.run(number);
        let mut later = replay(&run)?;
        if later.unfinished {
            later.end_line(&run);
        }
        if later.fold.may_have_run(&boot) {
            return Ok(true);
        }
        if let Some(damage) = later.damage {
            let why = format!("{}: {}", damage.file, damage.why);
            doubt = Some(format!("whether it was taken up cannot be known: {why}"));
        } else if later.fold.may_have_gone_back() && !is_untouched(&run, &later.fold) {
            doubt = Some(format!(
                "its disks may have been taken back to a snapshot in run {number}: 'start --force-boot' boots, \
                 'managedsave-remove' forgets it, and 'restore' of that file takes it up all the same"
            ));
        }
    }
    doubt.map_or(Ok(false), |why| Err(anyhow!(why)))
}

/// Whether a QEMU that was to begin with a snapshot ended before it touched a disk: before it had a monitor, or with such words.
fn is_untouched(run: &RunFolder, fold: &Fold) -> bool {
    let Some(end) = fold.end().filter(|end| end.exit.is_some()) else {
        return false;
    };
    let last = end.words.last_line.as_deref().unwrap_or_default();
    let is_said = UNTOUCHED.iter().any(|words| last.contains(words));
    // It greets by another thread than that which loads the snapshot: only one that gave up itself was never in time for both.
    let gave_up = matches!(end.exit, Some(Exit::Status(status)) if status != 0);
    let greets = || Journal::open_read_only(run.path()).and_then(|journal| journal.has_greeting());
    is_said || gave_up && !fold.gap && greets().is_ok_and(|greets| !greets)
}

/// Whether it is known that the guest of a run that was saved was let run in its QEMU: before that was told to end.
fn went_on(domain: &DomainFolder, saved: &SaveImage) -> Result<bool> {
    let seen = look_at_run(domain, &domain.run(saved.run))?;
    let is_saved = seen.answer.state == State::ShutOff(ShutOff::Saved);
    let is_known = seen.answer.certainty == Certainty::Witnessed && seen.fold.job.is_none();
    Ok(is_known && !is_saved || seen.fold.went_on_since(Verb::ManagedSave, saved.saved_at))
}

fn is_missing(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Refuses to throw away what would be lost with the domain, in libvirt's words where it has them.
pub(super) fn refuse_to_lose(domain: &DomainFolder, loss: &Loss) -> Result<()> {
    if loss.managed_save == Kept::Unless && has_managed_image(domain) {
        bail!(
            "Requested operation is not valid: Refusing to undefine while domain managed save image exists"
        );
    }
    let snapshots = snapshot_count(domain)?;
    if loss.snapshots == Kept::Unless && snapshots > 0 {
        bail!(
            "Requested operation is not valid: cannot delete inactive domain with {snapshots} snapshots"
        );
    }
    refuse_to_lose_dumps(domain, loss)
}

fn refuse_to_lose_dumps(domain: &DomainFolder, loss: &Loss) -> Result<()> {
    let folder = domain.dumps();
    let context = || format!("cannot read {}", folder.display());
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(context)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.with_context(context)?.path());
    }
    let (cores, others): (Vec<_>, Vec<_>) = paths.iter().partition(|path| is_core(path));
    if loss.dumps == Kept::Unless && !cores.is_empty() {
        bail!(
            "Requested operation is not valid: Refusing to undefine while {} core dumps exist",
            cores.len()
        );
    }
    // Another disk may be mounted there, with other people's files on it.
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev());
    if device(&folder).with_context(context)? != device(domain.path()).with_context(context)? {
        bail!(
            "{} is another file system: unmount it first",
            folder.display()
        );
    }
    match others.first() {
        Some(other) => bail!("{} is no core file of domstate's", other.display()),
        None => Ok(()),
    }
}

/// What may be lost with a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub managed_save: Kept,
    /// What is kept of them beside the disks, which hold them still.
    pub snapshots: Kept,
    pub dumps: Kept,
}

/// Whether something keeps the domain from being forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It does, unless the user says otherwise.
    Unless,
    /// The user said otherwise.
    No,
}
