//! Locks that tell the truth: the kernel drops them with their holder, so none goes stale.
//!
//! The domain's lock and the supervisor's are OFD locks: they belong to the open file description, which QEMU
//! inherits, and a reader can ask for them (F_OFD_GETLK) without taking them even for a moment, so that no query
//! makes a concurrent start fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::libc;

use crate::journal::{open_own, open_to_read};

/// How long another command that is about to remove a file is waited for.
const NAME_WAIT: Duration = Duration::from_secs(5);

/// How often it is looked meanwhile.
const NAME_INTERVAL: Duration = Duration::from_millis(5);

/// A held OFD lock: as long as any copy of the descriptor is open anywhere.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
}

/// Whether the lock was to be had.
impl Lock {
    /// Takes the lock at `path`, making the file where it is missing. `None`: somebody else holds it.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = open_own(path, &mut options)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
            Ok(_) => Ok(Some(Self { file: file.into() })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The lock that a descriptor inherited from another process stands for.
    pub fn inherited(file: OwnedFd) -> Self {
        Self { file }
    }

    /// A file to note something in, for the one that holds the lock.
    pub fn file(&self) -> io::Result<File> {
        Ok(self.file.try_clone()?.into())
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Looks whether somebody holds the OFD lock of an open file.
pub fn is_held(file: &File) -> io::Result<bool> {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "F_WRLCK and SEEK_SET are 1 and 0"
)]
fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// The right to change a domain (start, define, undefine): a flock on its folder. No child inherits it, so what a
/// dead QEMU has left behind cannot hold it.
#[derive(Debug)]
pub struct FolderLock {
    _folder: Flock<File>,
}

impl FolderLock {
    /// Takes the right to change the domain in `folder`. `None`: another command is at it.
    pub fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        match Flock::lock(File::open(folder)?, FlockArg::LockExclusiveNonblock) {
            // An undefine may have taken the folder away since it was opened.
            Ok(lock) => Ok(has_name(&lock, folder)?.then_some(Self { _folder: lock })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }
}

/// The right to remove the very file that has a name, or to put another one there: a flock on that file. Nothing is done
/// under it that waits for anything.
#[derive(Debug)]
pub struct NameLock {
    _file: Flock<File>,
}

impl NameLock {
    /// Takes the right to the file at `path`. `None`: somebody else has it, or the name was given to another since.
    ///
    /// # Errors
    /// There is no file of ours, or it cannot be locked: nobody can take it then.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        match Flock::lock(open_to_read(path)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(has_name(&lock, path)?.then_some(Self { _file: lock })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// The same, waiting for who has it. `None`: there is nothing that anybody could have taken.
    ///
    /// # Errors
    /// Whoever has it does not let go: it was stopped.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + NAME_WAIT;
        loop {
            match Self::try_take(path) {
                Ok(None) if Instant::now() >= deadline => {
                    return Err(io::Error::other("another command is busy with it"));
                }
                Ok(None) => std::thread::sleep(NAME_INTERVAL),
                Ok(taken) => return Ok(taken),
                Err(_) => return Ok(None),
            }
        }
    }
}

/// Whether an open file is the one at `path`.
pub(super) fn has_name(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, named) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_lives_as_long_as_any_copy_of_its_descriptor() {
        let path = std::env::temp_dir().join(format!("domstate-lock-{}", std::process::id()));
        let probe = || is_held(&File::open(&path).unwrap()).unwrap();
        let lock = Lock::try_take(&path).unwrap().unwrap();
        assert!(probe());
        assert!(Lock::try_take(&path).unwrap().is_none());
        let copy = lock.as_fd().try_clone_to_owned().unwrap();
        drop(lock);
        assert!(probe());
        drop(copy);
        assert!(!probe());
        std::fs::remove_file(&path).unwrap();
    }
}
