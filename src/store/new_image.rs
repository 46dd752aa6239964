//! Writing the file that `save` leaves behind, so that it is there whole or not at all.
//!
//! While it is written it lies beside its place under the name that [`part_of`] gives; what was at its place before is
//! untouched. When it is sealed it is whole and on the disk, and [`put_in_place`] gives it its name.
//!
//! Whoever finds a save without its worker calls [`discard`] or [`put_in_place`], either as often as it likes. Both look
//! whose image it is: another domain's save to the same place may have come in between.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::libc;

use super::durable::{NewerFormat, sync_folder};
use super::encode::time_text;
use super::lock::{NameLock, has_name};
use super::owner::Owner;
use super::paths::MANAGED_SAVE;
use super::save_image::{Header, MAGIC, OpenImage, SaveImage};
use crate::journal::open_to_read;

/// An image that is being written.
#[derive(Debug)]
pub struct NewImage {
    image: SaveImage,
    place: PathBuf,
    header_bytes: u64,
    file: File,
}

impl NewImage {
    /// Begins the image that is to be at `place`, as [`place_of`] gives it: makes the file [`part_of`] it, mode 0600,
    /// positioned where the stream is to start.
    ///
    /// # Errors
    /// `AlreadyExists`: another domain's save writes to this place, or was killed and waits to be discarded. What a save of
    /// the same domain has left half written is replaced: its job is over, as there is never a second.
    pub fn create(place: &Path, image: &SaveImage) -> io::Result<Self> {
        check_place(place)?;
        let header_bytes = image.header_bytes()?;
        let part = part_of(place);
        let mut options = OpenOptions::new();
        // Never over what is there: it may be a guest that was saved and has not got its name yet.
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = match options.open(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let uuid = image.definition.uuid;
                discard_if(place, |header| {
                    let known = header.filter(|header| !header.is_whole());
                    known.is_some_and(|header| header.image.definition.uuid == uuid)
                })?;
                options.open(&part)?
            }
            opened => opened?,
        };
        let mut new = Self {
            image: image.clone(),
            place: place.to_owned(),
            header_bytes,
            file,
        };
        let begun = new
            .write_header(None)
            .and_then(|()| new.file.seek(SeekFrom::Start(header_bytes)));
        if let Err(error) = begun {
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
        Ok(new)
    }

    /// The file to write the stream to, from its current position on.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether this very file has its name by now.
    pub fn is_at(&self, place: &Path) -> bool {
        is_same_file(&self.file, place)
    }

    /// Has it say, once it is sealed, that its guest may have panicked.
    pub fn doubt(&mut self) {
        self.image.may_have_panicked = true;
    }

    /// Says that the stream is whole; on return the image is on the disk, under its temporary name: whoever finds that the
    /// save was carried out finds the image too.
    ///
    /// # Errors
    /// Of the disk, or that there is no stream.
    pub fn seal(&mut self) -> io::Result<()> {
        // The number must not be on the disk before the bytes that it vouches for.
        self.file.sync_all()?;
        let length = self.file.metadata()?.len();
        let stream_bytes = length
            .checked_sub(self.header_bytes)
            .filter(|bytes| *bytes > 0);
        let stream_bytes = stream_bytes.ok_or_else(|| io::Error::other("there is no stream"))?;
        self.write_header(Some(stream_bytes))?;
        self.file.sync_all()?;
        // An fsync of a file promises nothing for its name.
        sync_folder_of(&self.place)
    }

    fn write_header(&self, stream_bytes: Option<u64>) -> io::Result<()> {
        let header = self.image.header(self.header_bytes, stream_bytes)?;
        self.file.write_all_at(&header, 0)
    }
}

/// Finds where an image goes that a user wants at `path`: an absolute path without symbolic links.
///
/// A link to a file is written through, as virsh does: it may lead to the disk that has the room, and the image is
/// written beside its place.
///
/// # Errors
/// There is a folder, a device or a FIFO; or there is no folder for it.
pub fn place_of(path: &Path) -> io::Result<PathBuf> {
    let place = match std::fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.is_symlink() {
                return Err(io::Error::other("it is a link that leads nowhere"));
            }
            let name = path.file_name().ok_or(error)?;
            std::fs::canonicalize(folder_of(path))?.join(name)
        }
        found => found?,
    };
    check_place(&place).map(|()| place)
}

/// The temporary name of an image that is to be at `place`.
pub fn part_of(place: &Path) -> PathBuf {
    let mut name = OsString::from(place);
    name.push(".domstate-part");
    name.into()
}

/// Whether the name that a file has got will outlive a power cut.
#[derive(Debug)]
#[must_use]
pub enum Placed {
    Durably,
    /// The folder could not be synced. There is no way back from the rename: who has it done must go on, and may say so.
    Unsynced(io::Error),
}

impl Placed {
    pub(super) fn of(synced: io::Result<()>) -> Self {
        synced.map_or_else(Self::Unsynced, |()| Self::Durably)
    }
}

/// Gives the image of `owner` its name. It is no error if it has it already.
///
/// # Errors
/// The chain says what is wrong, without the path: nothing is there, it is not whole, it is another one.
pub fn put_in_place(place: &Path, owner: &Owner<'_>) -> Result<Placed> {
    let part = part_of(place);
    let is_there = part.try_exists()?;
    let open = OpenImage::open(if is_there { &part } else { place })?;
    if !open.image.is_of(owner) {
        let SaveImage {
            name,
            run,
            saved_at,
            ..
        } = open.image;
        let saved_at = time_text(saved_at);
        bail!("it is the image of run {run} of '{name}', saved at {saved_at}");
    }
    if is_there {
        // Who is about to remove an old managed image has looked at that one, and must not remove this.
        let held = is_managed(place, owner).then(|| NameLock::take(place));
        let _held = held.transpose()?;
        std::fs::rename(&part, place)?;
    }
    // Even if it had its name: whoever gave it may have been killed before this.
    Ok(Placed::of(sync_folder_of(place)))
}

/// Whether `place` is that of the domain's managed image. A file of a user's may be locked by anybody, for reasons of his.
fn is_managed(place: &Path, owner: &Owner<'_>) -> bool {
    place.ends_with(Path::new(owner.name.as_str()).join(MANAGED_SAVE))
}

/// Removes what the unfinished save of `owner` has left beside `place`. It is no error if nothing is there, or somebody
/// else's.
pub fn discard(place: &Path, owner: &Owner<'_>) -> io::Result<()> {
    // What has no header yet was killed before it was whole.
    discard_if(place, |header| {
        header.is_none_or(|header| header.image.is_of(owner))
    })
}

/// Whether a file without a sound header can be an image that was just begun, and not a file of another kind.
fn is_beginning(file: &File) -> io::Result<bool> {
    let mut bytes = vec![0; MAGIC.len()];
    let read = file.read_at(&mut bytes, 0)?;
    let start = bytes.get(..read).unwrap_or_default();
    // Zeros are what a power cut leaves of it.
    Ok(MAGIC.starts_with(start) || start.iter().all(|byte| *byte == 0))
}

/// Removes what lies beside `place` if its header, or that it has none, says that it may be.
fn discard_if(place: &Path, may_go: impl Fn(Option<&Header>) -> bool) -> io::Result<()> {
    let part = part_of(place);
    let file = match open_to_read(&part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let goes = match Header::read(&file) {
        Ok(header) => may_go(Some(&header)),
        Err(error) => !error.is::<NewerFormat>() && is_beginning(&file)? && may_go(None),
    };
    if !goes {
        return Ok(());
    }
    std::fs::remove_file(&part)?;
    sync_folder_of(place)
}

/// Whether an open file is the one at `path`, as far as can be seen.
pub(super) fn is_same_file(file: &File, path: &Path) -> bool {
    has_name(file, path).unwrap_or(false)
}

/// Looks that an image may be put at `place`: nothing is there, or a file.
fn check_place(place: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(place) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if kind.is_file() {
        Ok(())
    } else if kind.is_dir() {
        Err(io::Error::from_raw_os_error(libc::EISDIR))
    } else {
        // A link, too: whoever did not ask `place_of` would replace it.
        Err(io::Error::other("it is no regular file"))
    }
}

fn folder_of(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

pub(super) fn sync_folder_of(place: &Path) -> io::Result<()> {
    match sync_folder(folder_of(place)) {
        // A folder of somebody else's that may be entered and written, and not read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
#[path = "new_image_tests.rs"]
mod tests;
