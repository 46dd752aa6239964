//! What a story's guest has beside the disk that it boots from, the same for all who tell it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments for a disk that has no room for what the guest writes.
pub(super) fn full(folder: &Path) -> [String; 2] {
    let path = folder.join("full.disk");
    fs::write(&path, [0; 512]).unwrap();
    let fails = "inject-error.0.event=none,inject-error.0.iotype=write,inject-error.0.errno=28";
    let image = format!("image.driver=file,image.filename={}", path.display());
    let disk = format!("driver=blkdebug,{image},{fails},werror=stop,if=ide,index=0");
    ["-drive".to_owned(), disk]
}

/// A disk that can hold snapshots.
pub(super) fn qcow2(folder: &Path) -> PathBuf {
    let path = folder.join("v.qcow2");
    let mut command = Command::new("qemu-img");
    command
        .args(["create", "-q", "-f", "qcow2"])
        .arg(&path)
        .arg("64M");
    assert!(command.status().expect("qemu-img").success());
    path
}

/// The socket that a guest migrates through.
pub(super) fn way(folder: &Path, words: &[&str]) -> PathBuf {
    match words.contains(&"nowhere") {
        true => folder.join("missing/migration"),
        false => folder.join("migration"),
    }
}

/// A file that is no saved guest: `no.save`.
pub(super) fn put_no_image(folder: &Path) {
    fs::write(
        folder.join("no.save"),
        "nobody was saved here\n".repeat(500),
    )
    .unwrap();
}

/// Arguments for a disk that is not there.
pub(super) fn missing(folder: &Path) -> [String; 2] {
    [
        "-drive".to_owned(),
        drive("raw", &folder.join("missing.disk")),
    ]
}

/// Arguments for the device by which the guest gives QEMU an exit status.
pub(super) const EXIT: [&str; 2] = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"];

/// The value of a `-drive` for that disk.
pub(super) fn drive(format: &str, path: &Path) -> String {
    format!("file={},format={format},if=ide,index=0", path.display())
}
