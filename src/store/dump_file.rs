//! The file that a dump of the guest's memory goes to. A plain file is there whole or not at all, as a save image is; what
//! is none (a FIFO, /dev/null) is written to as it is.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::durable::sync_folder;
use super::new_image::{is_same_file, part_of, place_of};
use crate::domain::Name;

/// Whose a dump is. A dump has no header that could say so: until it is whole, its name does.
#[derive(Clone, Copy, Debug)]
pub struct DumpOwner<'a> {
    pub name: &'a Name,
    pub run: u32,
}

impl DumpOwner<'_> {
    /// The temporary name of a dump that is to be at `place`.
    fn part_of(&self, place: &Path) -> PathBuf {
        let mut owned = OsString::from(place);
        owned.push(format!(".{}-{}", self.name, self.run));
        part_of(Path::new(&owned))
    }
}

/// A dump that is being written.
#[derive(Debug)]
pub struct DumpFile {
    file: File,
}

impl DumpFile {
    /// Makes the file that becomes the one at `place`, mode 0600; a FIFO there must have a reader.
    ///
    /// # Errors
    /// There is a folder, or a FIFO that nobody has open; the run is dumping to the same place already.
    pub fn create(place: &Path, owner: &DumpOwner<'_>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.write(true).mode(0o600);
        let file = if is_special(place) {
            // Without waiting for a reader that may never come.
            options.custom_flags(nix::libc::O_NONBLOCK).open(place)?
        } else {
            options.create_new(true).open(owner.part_of(place))?
        };
        Ok(Self { file })
    }

    /// To copy the dump into. A FIFO's reader may be slow: then it takes nothing just now (`WouldBlock`).
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether this very file has its name by now.
    pub fn is_at(&self, place: &Path) -> bool {
        is_same_file(&self.file, place)
    }

    /// The dump is whole: puts it on the disk. It has not got its name yet.
    pub fn seal(&self) -> io::Result<()> {
        match self.file.sync_all() {
            // A FIFO or a device has nothing to put there.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }

    /// Finds where a dump goes that a user wants at `path`: an absolute path, without symbolic links where it is a file's.
    pub fn place(path: &Path) -> io::Result<PathBuf> {
        if is_special(path) {
            return std::path::absolute(path);
        }
        place_of(path)
    }
}

/// Gives a sealed dump its name; on return that is on the disk. It is no error if it has it already.
pub fn put_dump_in_place(place: &Path, owner: &DumpOwner<'_>) -> io::Result<()> {
    match std::fs::rename(owner.part_of(place), place) {
        Err(error) if error.kind() == ErrorKind::NotFound && place.exists() => {}
        renamed => renamed?,
    }
    // See `put_in_place`.
    let _ = place.parent().map(sync_folder);
    Ok(())
}

/// Removes what an unfinished dump has left beside `place`. It is no error if nothing is there.
pub fn discard_dump(place: &Path, owner: &DumpOwner<'_>) -> io::Result<()> {
    match std::fs::remove_file(owner.part_of(place)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_special(path: &Path) -> bool {
    let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_dump_is_there_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("domstate-dump-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let place = DumpFile::place(&folder.join("core")).unwrap();
        let (name, other) = ("v".parse().unwrap(), "w".parse().unwrap());
        let owner = DumpOwner {
            name: &name,
            run: 1,
        };
        let somebody_else = DumpOwner {
            name: &other,
            run: 1,
        };
        let dump = DumpFile::create(&place, &owner).unwrap();
        dump.file().write_all(b"core").unwrap();
        dump.seal().unwrap();
        assert!(!place.exists());
        let again = DumpFile::create(&place, &owner).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        for _ in 0..2 {
            put_dump_in_place(&place, &owner).unwrap();
            assert_eq!(std::fs::read(&place).unwrap(), b"core");
        }
        drop(DumpFile::create(&place, &owner).unwrap());
        discard_dump(&place, &somebody_else).unwrap();
        assert!(owner.part_of(&place).exists());
        for _ in 0..2 {
            discard_dump(&place, &owner).unwrap();
            assert!(!owner.part_of(&place).exists());
        }
        assert_eq!(std::fs::read(&place).unwrap(), b"core");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_fifo_is_written_to_if_it_has_a_reader() {
        let path = std::env::temp_dir().join(format!("domstate-fifo-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let place = DumpFile::place(&path).unwrap();
        let name = "v".parse().unwrap();
        let owner = DumpOwner {
            name: &name,
            run: 1,
        };
        assert!(DumpFile::create(&place, &owner).is_err());
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(nix::libc::O_NONBLOCK);
        let mut reader = options.open(&path).unwrap();
        let dump = DumpFile::create(&place, &owner).unwrap();
        dump.file().write_all(b"core").unwrap();
        dump.seal().unwrap();
        put_dump_in_place(&place, &owner).unwrap();
        discard_dump(&place, &owner).unwrap();
        let mut read = [0; 4];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"core");
        std::fs::remove_file(&path).unwrap();
    }
}
