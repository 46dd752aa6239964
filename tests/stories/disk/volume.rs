//! A file system of its own, which can be full or read-only. Needs root.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Host, until};

/// A file system of its own, gone with the test.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    /// One for the state directory.
    pub(crate) fn mount(host: &Host, options: &str) -> Self {
        Self::mount_at(host.state_dir(), options)
    }

    /// One in a folder that is made for it.
    pub(crate) fn mount_at(path: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        // Else anybody may write to it, as to /tmp.
        let options = format!("mode=0700,{options}");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path));
        Self(path)
    }

    pub(crate) fn remount(&self, option: &str) {
        // A process that is dying may still have a file open for writing: its threads end one by one.
        until("the remount", || {
            let mut mount = Command::new("mount");
            mount
                .args(["-o", &format!("remount,{option}")])
                .arg(&self.0);
            mount.output().unwrap().status.success()
        });
    }

    fn filler(&self) -> PathBuf {
        self.0.join(".filler")
    }

    /// Fills it to the last page, but for so many bytes.
    pub(crate) fn fill(&self, bytes_left: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [65536, 4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(bytes_left)).unwrap();
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
