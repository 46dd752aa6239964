//! Is a journal the one that its run wrote, or a copy?

use anyhow::Result;

use super::host::boot_id;
use super::life::{find_qemu, has_lock_open, shows_its_files, writes_to};
use crate::domain::{Fold, Process};
use crate::journal::Journal;
use crate::store::RunFolder;

/// What a journal is, by the file that its first line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has looked; or that line names none, of an older domstate, or where files do not tell when they were made.
    Untold,
    /// The one that its run writes, or wrote.
    Own,
    /// The same file on another device: it is in a snapshot of its file system, or that was mounted anew. What its run has
    /// written since is not there, perhaps.
    OtherDevice,
    /// Another file, since the host booted anew: a copy, or what was put back from one.
    OtherFile,
    /// A copy: nothing is to be done about it.
    Copy,
}

impl Origin {
    /// Whether its run may have written more than it holds.
    pub fn may_lack_lines(self) -> bool {
        match self {
            Self::Copy | Self::OtherDevice => true,
            // Of a run that the host's end has ended what is there must do.
            Self::Untold | Self::Own | Self::OtherFile => false,
        }
    }
}

/// Compares the journal of `run` with what its first line says of it.
///
/// # Errors
/// It, or the host's boot id, cannot be read.
pub(super) fn origin(run: &RunFolder, fold: &Fold) -> Result<Origin> {
    let Some(launch) = fold.launch.as_ref() else {
        return Ok(Origin::Untold);
    };
    let found = Journal::open_read_only(run.path())?.id()?;
    let (Some(was), Some(found)) = (launch.journal, found) else {
        return Ok(Origin::Untold);
    };
    let is_same_file = (found.inode, found.born) == (was.inode, was.born);
    let is_same_boot = launch.boot == boot_id()?;
    Ok(match (is_same_file, is_same_boot) {
        // Device numbers are given anew.
        (true, false) => Origin::Own,
        (true, true) if found.device == was.device => Origin::Own,
        (true, true) => Origin::OtherDevice,
        (false, false) => Origin::OtherFile,
        (false, true) => Origin::Copy,
    })
}

/// The same of a run whose QEMU lives, if nobody looks after it: QEMU tells where it writes.
pub(super) fn origin_by_qemu(run: &RunFolder, fold: &Fold, origin: Origin) -> Origin {
    let is_elsewhere = match (origin, fold.qemu) {
        (Origin::Own, _) | (Origin::Untold | Origin::OtherFile, None) => return origin,
        (Origin::Untold | Origin::OtherFile, Some(qemu)) => is_of_another_journal(run, qemu),
        // Unless it has this one open: some file systems number their files anew.
        (Origin::Copy | Origin::OtherDevice, _) => find_qemu(run).is_none(),
    };
    match (origin, is_elsewhere) {
        (_, true) => Origin::Copy,
        (Origin::Copy | Origin::OtherDevice, false) => Origin::Own,
        (origin, false) => origin,
    }
}

/// Whether a process that was told to be QEMU writes to another journal than that of `run`, which is a copy of it, then. It has
/// neither this journal nor this lock open, nor has anybody else this journal (else that line is a forgery). Where its
/// descriptors are hidden from us nobody knows: be it that they can be listed.
fn is_of_another_journal(run: &RunFolder, qemu: Process) -> bool {
    shows_its_files(qemu.pid)
        && !writes_to(run, qemu.pid)
        && !has_lock_open(run, qemu.pid)
        && find_qemu(run).is_none()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::host::launched_here;
    use super::*;
    use crate::domain::{BootId, Launch, Timestamp};

    #[test]
    fn a_journal_is_known_by_its_number_and_its_birth_and_within_a_boot_by_its_device() {
        let folder = std::env::temp_dir().join(format!("domstate-origin-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let own = Journal::create(&folder).unwrap().id().unwrap().unwrap();
        let run = RunFolder::at(folder.clone(), 1);
        let (mut device, mut inode, mut born) = (own, own, own);
        device.device += 1;
        inode.inode += 1;
        born.born = Timestamp(born.born.0 - 1);
        let here = boot_id().unwrap();
        let another = BootId("another".into());
        for (journal, boot, wanted) in [
            (None, &here, Origin::Untold),
            (Some(own), &here, Origin::Own),
            (Some(device), &here, Origin::OtherDevice),
            (Some(inode), &here, Origin::Copy),
            // Numbers are used again.
            (Some(born), &here, Origin::Copy),
            (Some(own), &another, Origin::Own),
            (Some(device), &another, Origin::Own),
            (Some(inode), &another, Origin::OtherFile),
            (Some(born), &another, Origin::OtherFile),
        ] {
            let launch = Launch {
                boot: boot.clone(),
                journal,
                ..launched_here()
            };
            let fold = Fold {
                launch: Some(launch),
                ..Fold::default()
            };
            let told = origin(&run, &fold).unwrap();
            assert_eq!(told, wanted, "{journal:?} {boot:?}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
