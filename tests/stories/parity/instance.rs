//! A libvirt of the test's own: `libvirtd` without privileges, all of whose files lie in one folder.
//!
//! As root it is run as `nobody`, for root's libvirtd would write into /etc, /run and /var.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use super::super::harness::{Said, copy_folder, finish, is_alive, send, until};
use super::player::Side;

/// The user and group `nobody` and `nogroup` of Debian.
const NOBODY: u32 = 65534;

const FOLDERS: [&str; 5] = [
    "run",
    "config/libvirt",
    "cache/libvirt/qemu",
    "data",
    "home",
];

const QEMU_CONF: &str = r#"stdio_handler = "file"
security_driver = "none"
cgroup_controllers = []
namespaces = []
"#;

pub(super) struct Instance {
    folder: PathBuf,
    side: Side,
    daemon: Option<Child>,
}

impl Instance {
    /// Starts one in this folder. Two that guests are to migrate between differ in their host's name.
    pub(super) fn start(folder: PathBuf, side: Side) -> Self {
        for name in FOLDERS {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        fs::write(folder.join("config/libvirt/qemu.conf"), QEMU_CONF).unwrap();
        let number = match side {
            Side::Here => 1,
            Side::There => 2,
        };
        let conf = format!(
            "auth_unix_rw = \"none\"\nunix_sock_dir = \"{0}/run\"\n\
             host_uuid = \"00000000-0000-4000-8000-{number:012}\"\n\
             log_outputs = \"2:file:{0}/libvirtd.log\"\n",
            folder.display()
        );
        fs::write(folder.join("libvirtd.conf"), conf).unwrap();
        let probed = probed();
        if probed.exists() {
            copy_folder(&probed, &folder.join("cache/libvirt/qemu/cache"));
        }
        give(&folder);
        let mut instance = Self {
            folder,
            side,
            daemon: None,
        };
        instance.run_daemon();
        instance.keep_probed(&probed);
        instance
    }

    pub(super) fn uri(&self) -> String {
        let socket = self.folder.join("run/libvirt-sock");
        format!("qemu+unix:///session?socket={}", socket.display())
    }

    /// Runs virsh in this folder.
    pub(super) fn virsh(&self, folder: &Path, words: &[&str]) -> Said {
        let mut command = Command::new("virsh");
        command.current_dir(folder).stdin(Stdio::null());
        command.env("LC_ALL", "C");
        command.args(["-c", &self.uri()]).args(words);
        finish(command)
    }

    pub(super) fn qemu_pid(&self, domain: &str) -> i32 {
        let path = self
            .folder
            .join(format!("run/libvirt/qemu/run/{domain}.pid"));
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    }

    pub(super) fn run_daemon(&mut self) {
        let mut command = self.daemon_command();
        // Where Debian has it, and a user's path has not.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
        command.env_clear().env("PATH", path);
        for (name, folder) in [
            ("HOME", "home"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_DATA_HOME", "data"),
        ] {
            command.env(name, self.folder.join(folder));
        }
        let log = fs::File::create(self.folder.join("libvirtd.out")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.daemon = Some(command.spawn().expect("libvirtd"));
        until("libvirtd", || {
            self.virsh(&self.folder, &["version"]).code == Some(0)
        });
    }

    fn daemon_command(&self) -> Command {
        let is_root = nix::unistd::geteuid().is_root();
        let conf = self.folder.join("libvirtd.conf");
        if self.side == Side::Here {
            let mut command = Command::new("libvirtd");
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.arg("-f").arg(conf);
            return command;
        }
        // A guest may not migrate to a host of the same name, and only a namespace has a name of its own.
        let mut command = Command::new("unshare");
        let user = if is_root {
            format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups")
        } else {
            command.args(["--user", "--map-current-user", "--keep-caps"]);
            String::new()
        };
        let script = format!("hostname there && exec {user} libvirtd -f \"$0\"");
        command.args(["--uts", "sh", "-c", &script]).arg(conf);
        command
    }

    /// Ends the daemon; its guests go on.
    pub(super) fn end_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let pid = i32::try_from(daemon.id()).unwrap();
            send(pid, Signal::SIGTERM);
            daemon.wait().unwrap();
            until("the daemon's end", || !is_alive(pid));
        }
    }

    /// What libvirt has found out of QEMU takes it some seconds: it is kept for the next instance. libvirt itself
    /// looks whether it still holds.
    fn keep_probed(&self, probed: &Path) {
        if probed.exists() {
            return;
        }
        let new = probed.with_extension(std::process::id().to_string());
        copy_folder(&self.folder.join("cache/libvirt/qemu/cache"), &new);
        // Another test may have been first.
        if fs::rename(&new, probed).is_err() {
            fs::remove_dir_all(&new).unwrap();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn probed() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("libvirt-capabilities")
}

/// Gives a path, and what is in it, to whom the daemon is run as.
pub(super) fn give(path: &Path) {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}
