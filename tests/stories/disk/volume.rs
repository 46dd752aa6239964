//! A file system of its own, which can be full or read-only. Needs root.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FallocateFlags, fallocate};

use crate::harness::{Host, until};

/// What a host may keep its state on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Tmpfs,
    Ext4,
    Xfs,
    Btrfs,
    /// Its upper layer is on ext4.
    Overlayfs,
}

impl FileSystem {
    pub(crate) const ALL: [Self; 5] = [
        Self::Tmpfs,
        Self::Ext4,
        Self::Xfs,
        Self::Btrfs,
        Self::Overlayfs,
    ];

    /// The word that mount(8) knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Overlayfs => "overlay",
        }
    }

    /// Why this host has none, if it has none.
    pub(crate) fn lack(self) -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("needs root".to_owned());
        }
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !known
            .lines()
            .any(|line| line.ends_with(&format!("\t{}", self.name())))
        {
            return Some("not in this kernel".to_owned());
        }
        let device = self.device()?;
        if !Path::new("/dev/loop-control").exists() {
            return Some("no loop devices".to_owned());
        }
        let program = device.mkfs()[0];
        let found = mkfs(program).arg("-V").output().is_ok();
        (!found).then(|| format!("no {program}"))
    }

    /// What is made on a loop device for it.
    fn device(self) -> Option<Device> {
        match self {
            Self::Tmpfs => None,
            Self::Ext4 | Self::Overlayfs => Some(Device::Ext4),
            Self::Xfs => Some(Device::Xfs),
            Self::Btrfs => Some(Device::Btrfs),
        }
    }
}

/// What is made on a loop device.
#[derive(Clone, Copy)]
enum Device {
    Ext4,
    Xfs,
    Btrfs,
}

impl Device {
    /// The smallest, in bytes, that mkfs makes without complaint.
    fn size(self) -> u64 {
        match self {
            Self::Ext4 => 16 << 20,
            Self::Xfs => 300 << 20,
            Self::Btrfs => 128 << 20,
        }
    }

    fn mkfs(self) -> &'static [&'static str] {
        match self {
            // Root gets no more of it than others.
            Self::Ext4 => &["mkfs.ext4", "-q", "-m", "0"],
            Self::Xfs => &["mkfs.xfs", "-q"],
            Self::Btrfs => &["mkfs.btrfs", "-q"],
        }
    }
}

/// A file system of its own, gone with the test.
pub(crate) struct Disk {
    path: PathBuf,
    /// What lies below it.
    lower: Option<PathBuf>,
}

impl Disk {
    /// One in memory for the state directory.
    pub(crate) fn mount(host: &Host, options: &str) -> Self {
        Self::mount_at(host.state_dir(), options)
    }

    /// One in memory in a folder that is made for it.
    pub(crate) fn mount_at(path: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        // Else anybody may write to it, as to /tmp.
        let options = format!("mode=0700,{options}");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path));
        Self { path, lower: None }
    }

    /// One of some MiB for the state directory.
    pub(crate) fn of(host: &Host, file_system: FileSystem) -> Self {
        let path = host.state_dir();
        let Some(device) = file_system.device() else {
            return Self::mount(host, "size=8m");
        };
        let image = host.folder().join("volume");
        File::create(&image)
            .unwrap()
            .set_len(device.size())
            .unwrap();
        let words = device.mkfs();
        run(mkfs(words[0]).args(&words[1..]).arg(&image));
        let mount = |at: &Path| {
            fs::create_dir_all(at).unwrap();
            run(Command::new("mount")
                .args(["-o", "loop"])
                .arg(&image)
                .arg(at));
            fs::set_permissions(at, PermissionsExt::from_mode(0o700)).unwrap();
        };
        if file_system != FileSystem::Overlayfs {
            mount(&path);
            return Self { path, lower: None };
        }
        let layers = host.folder().join("layers");
        mount(&layers);
        for layer in ["lower", "upper", "work"] {
            fs::create_dir(layers.join(layer)).unwrap();
        }
        fs::set_permissions(layers.join("upper"), PermissionsExt::from_mode(0o700)).unwrap();
        fs::create_dir_all(&path).unwrap();
        let layers_text = layers.display();
        let options = format!(
            "lowerdir={layers_text}/lower,upperdir={layers_text}/upper,workdir={layers_text}/work"
        );
        run(Command::new("mount")
            .args(["-t", "overlay", "-o", &options, "overlay"])
            .arg(&path));
        Self {
            path,
            lower: Some(layers),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn remount(&self, option: &str) {
        // A process that is dying may still have a file open for writing: its threads end one by one.
        until("the remount", || {
            let mut mount = Command::new("mount");
            mount
                .args(["-o", &format!("remount,{option}")])
                .arg(&self.path);
            mount.output().unwrap().status.success()
        });
    }

    fn filler(&self) -> PathBuf {
        self.path.join(".filler")
    }

    /// Fills it to the last page, but for so many bytes.
    pub(crate) fn fill(&self, bytes_left: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        // First without a byte written, else the larger ones take a second.
        for size in [16 << 20, 1 << 20, 65536] {
            let length = || i64::try_from(filler.metadata().unwrap().len()).unwrap();
            while fallocate(&filler, FallocateFlags::empty(), length(), size).is_ok() {}
        }
        filler.seek(SeekFrom::End(0)).unwrap();
        for size in [65536, 4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        // What is delayed is allocated here, or not at all.
        let _ = filler.sync_all();
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(bytes_left)).unwrap();
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for path in [Some(&self.path), self.lower.as_ref()]
            .into_iter()
            .flatten()
        {
            let _ = Command::new("umount").arg("-l").arg(path).status();
        }
    }
}

/// One of mkfs's, which lie where only root looks.
fn mkfs(program: &str) -> Command {
    let mut mkfs = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    mkfs.env("PATH", path + ":/usr/sbin:/sbin");
    mkfs
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
