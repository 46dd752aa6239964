//! The file that a dump of the guest's memory goes to. A plain file is there whole or not at all, as a save image is; what
//! is none (a FIFO, /dev/null) is written to as it is.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::new_image::{Placed, is_same_file, part_of, place_of, sync_folder_of};
use super::owner::Owner;

/// The temporary name of a dump that is to be at `place`. It has no header that could say whose it is: its name does.
fn dump_part_of(place: &Path, owner: &Owner<'_>) -> PathBuf {
    let Owner { name, run, began } = owner;
    let mut owned = OsString::from(place);
    owned.push(format!(".{name}-{run}-{}", began.0));
    part_of(Path::new(&owned))
}

/// A dump that is being written.
#[derive(Debug)]
pub struct DumpFile {
    place: PathBuf,
    file: File,
}

impl DumpFile {
    /// Makes the file that becomes the one at `place`, mode 0600; a FIFO there must have a reader.
    ///
    /// # Errors
    /// There is a folder, or a FIFO that nobody has open; the run is dumping to the same place already.
    pub fn create(place: &Path, owner: &Owner<'_>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.write(true).mode(0o600);
        let file = if is_special(place) {
            // Without waiting for a reader that may never come.
            options.custom_flags(nix::libc::O_NONBLOCK).open(place)?
        } else {
            options.create_new(true).open(dump_part_of(place, owner))?
        };
        let place = place.to_owned();
        Ok(Self { place, file })
    }

    /// To copy the dump into. A FIFO's reader may be slow: then it takes nothing just now (`WouldBlock`).
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether this very file has its name by now.
    pub fn is_at(&self, place: &Path) -> bool {
        is_same_file(&self.file, place)
    }

    /// The dump is whole: puts it on the disk, under its temporary name.
    pub fn seal(&self) -> io::Result<()> {
        match self.file.sync_all() {
            // A FIFO or a device has nothing to put there.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            // An fsync of a file promises nothing for its name.
            synced => synced.and_then(|()| sync_folder_of(&self.place)),
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

/// Gives a sealed dump its name. It is no error if it has it already.
pub fn put_dump_in_place(place: &Path, owner: &Owner<'_>) -> io::Result<Placed> {
    match std::fs::rename(dump_part_of(place, owner), place) {
        Err(error) if error.kind() == ErrorKind::NotFound && place.exists() => {}
        renamed => renamed?,
    }
    Ok(Placed::of(sync_folder_of(place)))
}

/// Removes what an unfinished dump has left beside `place`. It is no error if nothing is there.
pub fn discard_dump(place: &Path, owner: &Owner<'_>) -> io::Result<()> {
    match std::fs::remove_file(dump_part_of(place, owner)) {
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
    use crate::domain::{Name, Timestamp};

    fn owner(name: &Name) -> Owner<'_> {
        let (run, began) = (1, Timestamp(1));
        Owner { name, run, began }
    }

    #[test]
    fn a_dump_is_there_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("domstate-dump-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let place = DumpFile::place(&folder.join("core")).unwrap();
        let name = "v".parse().unwrap();
        let owner = owner(&name);
        let somebody_else = Owner {
            began: Timestamp(2),
            ..owner
        };
        let dump = DumpFile::create(&place, &owner).unwrap();
        dump.file().write_all(b"core").unwrap();
        dump.seal().unwrap();
        assert!(!place.exists());
        let again = DumpFile::create(&place, &owner).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        for _ in 0..2 {
            assert!(matches!(
                put_dump_in_place(&place, &owner),
                Ok(Placed::Durably)
            ));
            assert_eq!(std::fs::read(&place).unwrap(), b"core");
        }
        drop(DumpFile::create(&place, &owner).unwrap());
        discard_dump(&place, &somebody_else).unwrap();
        assert!(dump_part_of(&place, &owner).exists());
        for _ in 0..2 {
            discard_dump(&place, &owner).unwrap();
            assert!(!dump_part_of(&place, &owner).exists());
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
        let owner = owner(&name);
        assert!(DumpFile::create(&place, &owner).is_err());
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(nix::libc::O_NONBLOCK);
        let mut reader = options.open(&path).unwrap();
        let dump = DumpFile::create(&place, &owner).unwrap();
        dump.file().write_all(b"core").unwrap();
        dump.seal().unwrap();
        let _ = put_dump_in_place(&place, &owner).unwrap();
        discard_dump(&place, &owner).unwrap();
        let mut read = [0; 4];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"core");
        std::fs::remove_file(&path).unwrap();
    }
}
