//! Writing so that it lasts: a reader sees the old file or the new one, and after a power cut too.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::journal::{open_own, open_to_read};

/// The format version that every JSON file carries. Older ones are read, newer ones refused.
pub const FORMAT: u64 = 2;

/// A file that a newer domstate wrote. What it means cannot be guessed.
#[derive(Debug)]
pub(super) struct NewerFormat {
    format: u64,
    known: u64,
}

impl std::fmt::Display for NewerFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { format, known } = self;
        write!(
            f,
            "format {format} is newer than this domstate, which knows {known}"
        )
    }
}

impl std::error::Error for NewerFormat {}

/// Whether a file cannot be read because it is a newer domstate's.
pub fn is_newer(error: &anyhow::Error) -> bool {
    error.is::<NewerFormat>()
}

/// Far above what any of our JSON files needs: a definition holds one command line (at most 2 MiB on Linux).
const JSON_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Replaces `path` by a file of `bytes`, mode 0600; on return it is on the disk, name and all.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write_new(&temporary, bytes)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Replaces `path` by a file of `bytes`, mode 0600: whole to every reader, not sure to outlive the host. For
/// what can be made anew from the journal.
pub fn write_lightly(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write_new(&temporary, bytes).and_then(|_| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn temporary(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    // Two processes may write the same file; neither may rename the other's half.
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = open_own(path, &mut options)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Puts a folder's entries on the disk.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a folder, mode 0700, with its parents, where it is not there yet; on return their names are on the disk.
pub fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    parent.map_or(Ok(()), create_folder)?;
    // Somebody else may have been faster.
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    match parent.map(sync_folder) {
        // A folder of somebody else's that may be entered and not read.
        Some(Err(error)) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        Some(Ok(()) | Err(_)) | None => Ok(()),
    }
}

/// Reads one of our JSON files: an object with a format that this program knows.
///
/// # Errors
/// The chain ends in what is wrong, without the path: not there, not JSON, a newer format.
pub fn read_json(path: &Path) -> Result<Value> {
    read_json_of(path, FORMAT)
}

/// The same for files that have formats of their own; `known` is the newest.
pub(super) fn read_json_of(path: &Path, known: u64) -> Result<Value> {
    let file = open_to_read(path)?;
    let length = file.metadata()?.len();
    if length > JSON_BYTES_MAX {
        bail!("it is larger than {JSON_BYTES_MAX} bytes");
    }
    // One more than there is: the end is found without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(length + 1)?);
    io::Read::read_to_end(&mut io::Read::take(file, JSON_BYTES_MAX), &mut bytes)?;
    let value: Value = serde_json::from_slice(&bytes).context("not JSON")?;
    check_format(&value, known)?;
    Ok(value)
}

/// Looks at the format that a file says it has; `known` is the newest that this program reads.
///
/// # Errors
/// [`NewerFormat`], or that none is named.
pub(super) fn check_format(value: &Value, known: u64) -> Result<()> {
    match value.get("format").and_then(Value::as_u64) {
        Some(format) if format > known => Err(NewerFormat { format, known }.into()),
        Some(1..) => Ok(()),
        Some(0) => bail!("field 'format' is not what it should be"),
        None => bail!("field 'format' is missing"),
    }
}
