//! A journal's file: appending whole lines, keeping room for the last words, giving up space in front.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use rustix::fs::{
    Access, AtFlags, IFlags, StatxFlags, access, ioctl_getflags, ioctl_setflags, statx,
};
use rustix::io::Errno;

use super::encode::encode;
use super::reader::{Position, read_on, read_records, read_unended, skip_hole};
use crate::domain::{Event, FileId, Record, Timestamp};

/// The journal's name in its run's folder.
pub const JOURNAL_FILE: &str = "journal";

/// Room kept allocated behind the end, so that a full disk does not silence the last words.
const RESERVE_BYTES: u64 = 64 * 1024;

/// What a line may take: QEMU's have a few hundred bytes.
pub const LINE_ROOM_BYTES: u64 = 4096;

/// The sticky bit, set in a journal's mode while lines may be lost that left no trace. It means nothing else there, and takes no
/// room where a line would, be it that the disk is full or its owner's quota (of which statfs(2) tells nothing).
const LOSS_FEARED: u32 = 0o1000;

/// An open journal. Appends are one `write(2)` each, with O_APPEND, beside QEMU's own.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Makes the journal of a new run, mode 0600, with room for its last words.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(JOURNAL_FILE);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        let file = options.open(path)?;
        // btrfs copies on write, so that a full disk takes even allocated space; not for a file that is
        // marked while it is empty. Elsewhere the flag means nothing and is refused.
        if let Ok(flags) = ioctl_getflags(&file) {
            let _ = ioctl_setflags(&file, flags | IFlags::NOCOW);
        }
        let journal = Self { file };
        journal.reserve()?;
        Ok(journal)
    }

    /// Opens the journal of a run to append to it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(JOURNAL_FILE);
        let file = open_own(&path, OpenOptions::new().read(true).append(true))?;
        Ok(Self { file })
    }

    /// Whether it was made immutable: then it takes nothing any more, from who has it open either.
    pub fn is_immutable(folder: &Path) -> bool {
        // Not EACCES: who may not write there tells nothing of who may.
        access(folder.join(JOURNAL_FILE), Access::WRITE_OK) == Err(Errno::PERM)
    }

    /// Whether its file system takes nothing any more. ext4 that met an error does not say so from Linux 6.15 on: only who opens
    /// a file to write finds out. To read as well: who has it open to write only is taken for QEMU.
    pub fn is_read_only(folder: &Path) -> bool {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let opened = options.open(folder.join(JOURNAL_FILE));
        opened.is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Which file it is; `None` where nobody knows when it was made. Such a file system may number its files anew, too.
    pub fn id(&self) -> io::Result<Option<FileId>> {
        let found = statx(&self.file, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME)?;
        let has_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let seconds = u64::try_from(found.stx_btime.tv_sec).ok();
        let seconds = seconds.filter(|_| has_birth);
        let metadata = self.file.metadata()?;
        Ok(seconds.map(|seconds| FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: Timestamp(seconds * 1_000_000 + u64::from(found.stx_btime.tv_nsec) / 1000),
        }))
    }

    /// Opens it to read only.
    pub fn open_read_only(folder: &Path) -> io::Result<Self> {
        let file = open_to_read(&folder.join(JOURNAL_FILE))?;
        Ok(Self { file })
    }

    /// Appends a line for `event`. After an error part of it may stand in the file: a gap to the reader.
    pub fn append(&self, at: Timestamp, event: &Event) -> io::Result<()> {
        match encode(at, event) {
            Some(line) => (&self.file).write_all(&line),
            None => Ok(()),
        }
    }

    /// Puts everything appended so far, by whomever, on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Reads the records from `offset` on.
    pub fn read(&self, offset: u64, each: &mut dyn FnMut(Record)) -> io::Result<Position> {
        read_records(&self.file, offset, each)
    }

    /// Reads them from `offset` on, and moves that behind what was handed to `each`: also where an error ends it.
    ///
    /// # Errors
    /// The system's. Where it is asked again nothing is handed out twice.
    pub fn read_on(&self, offset: &mut u64, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        read_on(&self.file, offset, each).map(|_| ())
    }

    /// The last line, at `offset`, where nothing of it is missing but its end; `None` if more is.
    pub fn read_unended(&self, offset: u64) -> io::Result<Option<Record>> {
        read_unended(&self.file, offset)
    }

    /// Whether its last byte ends no line.
    pub fn has_unfinished_line(&self) -> io::Result<bool> {
        let mut last = [0];
        let length = self.length()?;
        let read = self.file.read_at(&mut last, length.saturating_sub(1))?;
        Ok(read == 1 && last != *b"\n")
    }

    /// The file, for its descriptor and metadata.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Length in bytes, holes included.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Bytes of disk that it takes, room for the last words included.
    pub fn disk_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }

    /// Keeps 64 KiB of room allocated behind the end, and returns up to where it reaches. Where the file system cannot,
    /// there is none: no error.
    pub fn reserve(&self) -> io::Result<u64> {
        self.allocate(RESERVE_BYTES)
    }

    /// Keeps room for one line there, and returns up to where it reaches.
    pub fn keep_line_room(&self) -> io::Result<u64> {
        self.allocate(LINE_ROOM_BYTES)
    }

    /// The same, unless there is some already.
    ///
    /// # Errors
    /// There is none.
    pub fn ensure_line_room(&self) -> io::Result<()> {
        match self.keeps_room() {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => self.keep_line_room().map(|_| ()),
        }
    }

    /// Whether room for a line was kept behind the end, as far as the file's size tells.
    pub fn keeps_room(&self) -> io::Result<bool> {
        let lines = self.length()?.saturating_sub(self.front());
        // What ext4 keeps beside the lines, where the file is in many pieces, counts as well.
        Ok(self.disk_bytes()? >= lines + 3 * LINE_ROOM_BYTES)
    }

    /// Says in the file's mode whether lines may be lost for want of room. That takes none.
    pub fn set_loss_feared(&self, is_feared: bool) -> io::Result<()> {
        let mode = self.file.metadata()?.mode() & 0o7777;
        let wanted = match is_feared {
            true => mode | LOSS_FEARED,
            false => mode & !LOSS_FEARED,
        };
        if wanted == mode {
            return Ok(());
        }
        self.file.set_permissions(Permissions::from_mode(wanted))
    }

    /// Whether somebody has said so and nobody has taken it back.
    pub fn is_loss_feared(&self) -> bool {
        let found = self.file.metadata();
        found.is_ok_and(|found| found.mode() & LOSS_FEARED != 0)
    }

    fn allocate(&self, room_bytes: u64) -> io::Result<u64> {
        let end = self.length()?;
        let from = i64::try_from(end).map_err(io::Error::other)?;
        let room = i64::try_from(room_bytes).map_err(io::Error::other)?;
        let flags = FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, flags, from, room) {
            Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP | nix::errno::Errno::ENOSYS) => {
                Ok(end + room_bytes)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether space in front was given back.
    pub fn has_lost_front(&self) -> bool {
        self.front() > 0
    }

    /// Whether QEMU has got so far as to have a monitor, on which it says so first: looked for in the beginning alone.
    pub fn has_greeting(&self) -> io::Result<bool> {
        let mut begin = [0; 64 * 1024];
        let read = self.file.read_at(&mut begin, 0)?;
        let begin = begin.get(..read).unwrap_or_default();
        let mut lines = begin.split(|byte| *byte == b'\n');
        Ok(lines.any(|line| line.starts_with(b"{\"QMP\"")))
    }

    /// Up to which offset space in front was given back.
    pub fn front(&self) -> u64 {
        skip_hole(&self.file, 0)
    }

    /// Gives the space in front of `offset` back to the disk; offsets stay. Only behind a checkpoint that is
    /// on the disk may this be called: the checkpoint is then the only account of what was there.
    pub fn give_up_front(&self, offset: u64) -> io::Result<()> {
        self.punch(0, offset)
    }

    /// Gives back the room behind the end: nothing that counts will be said any more. A line that a verb appends in this
    /// very moment (DONE) may go with it, whole.
    pub fn release_reserve(&self) -> io::Result<()> {
        // Cutting to the length that it has frees what is allocated behind; punching a hole there does not (ext4).
        self.file.set_len(self.length()?)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        punch_hole(&self.file, offset, length)
    }
}

/// Opens a file of ours to read; see [`open_own`].
pub fn open_to_read(path: &Path) -> io::Result<File> {
    open_own(path, OpenOptions::new().read(true))
}

/// Opens a file of a user's to read: the same, but it may be a link to one.
pub fn open_users_to_read(path: &Path) -> io::Result<File> {
    open_file(path, OpenOptions::new().read(true), 0)
}

/// Opens a file of ours. What stands in its place and is none (a FIFO would keep us waiting for a writer, a device might
/// never end, a link leads to somebody else's) is an error.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match open_file(path, options, libc::O_NOFOLLOW) {
        // A loop of links further up is told in the same words: there is a link either way.
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            Err(io::Error::other("it is a symbolic link"))
        }
        opened => opened,
    }
}

fn open_file(path: &Path, options: &mut OpenOptions, flags: libc::c_int) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | flags;
    let file = options.custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_dir() {
        Err(io::Error::from_raw_os_error(libc::EISDIR))
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

/// Gives the space of a part of a file back to the disk. It reads as zeros; the file keeps its length.
pub fn punch_hole(file: &File, offset: u64, length: u64) -> io::Result<()> {
    if length == 0 {
        return Ok(());
    }
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    let length = i64::try_from(length).map_err(io::Error::other)?;
    fallocate(file, flags, offset, length).map_err(io::Error::from)
}
