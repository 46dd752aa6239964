//! The command line of a definition, read along with the files of options that it names (`-readconfig`).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::qemu::{self, Facts, RefusedArgument};

/// Far above what one has; whatever is larger is not read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// What the command line says, given the working directory that QEMU is to have.
pub fn examine(argv: &[OsString], workdir: &Path) -> Result<Facts, RefusedArgument> {
    qemu::examine(argv, &|file| read(&workdir.join(file)))
}

/// A regular file only: what is read of a pipe QEMU would not get any more.
fn read(path: &Path) -> Option<Vec<u8>> {
    let found = fs::metadata(path).ok()?;
    if !found.is_file() || found.len() > CONFIG_BYTES_MAX {
        return None;
    }
    let mut text = Vec::new();
    let mut file = File::open(path).ok()?.take(CONFIG_BYTES_MAX + 1);
    let read = file.read_to_end(&mut text).ok()?;
    (u64::try_from(read).ok()? <= CONFIG_BYTES_MAX).then_some(text)
}
