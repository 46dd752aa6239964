//! A state directory that may not be written.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Disk, settled};
use crate::harness::{Host, finish, is_alive, is_root, until};

/// Whether files can be made immutable here (ext4 and its like): then not even open descriptors can write.
struct Immutable(Vec<PathBuf>);

impl Immutable {
    fn make(paths: &[&Path]) -> Option<Self> {
        let made = Self(paths.iter().map(|path| path.to_path_buf()).collect());
        made.chattr("+i").then_some(made)
    }

    fn chattr(&self, flag: &str) -> bool {
        let status = Command::new("chattr")
            .arg(flag)
            .args(&self.0)
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.chattr("-i");
    }
}

#[test]
fn a_state_directory_that_may_not_be_written_is_told_from_and_caught_up_with() {
    if !is_root("a_state_directory_that_may_not_be_written_is_told_from_and_caught_up_with") {
        return;
    }
    let bad = ["shut off (crashed)", "shut off (unknown)"];
    for (how, wanted) in [("power off", &bad[..]), ("SIGKILL", &bad[..1])] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        host.supervisor_pid("v");
        let qemu = host.qemu_pid("v");
        let run = host.run_folder("v");
        let Some(immutable) = Immutable::make(&[&run.join("journal"), &run]) else {
            let line = "not run, needs a file system with immutable files under $TMPDIR: \
                        a_state_directory_that_may_not_be_written_is_told_from_and_caught_up_with\n";
            let _ = std::io::stderr().write_all(line.as_bytes());
            return;
        };
        let said = host.domstate(&["suspend", "v"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(host.answer("v"), "running (booted)");
        guest.end(&host, how);
        until("QEMU's end", || !is_alive(qemu));
        let locked = host.answer("v");
        assert!(wanted.contains(&locked.as_str()), "{how}: {locked}");
        assert_eq!(host.wait("v"), locked);
        drop(immutable);
        settled(&host);
        let answer = host.answer("v");
        assert!(wanted.contains(&answer.as_str()), "{how}: {answer}");
    }
}

#[test]
fn a_read_only_state_directory_is_read() {
    if !is_root("a_read_only_state_directory_is_read") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    let _guest = host.start("v", &[]);
    host.kill_supervisor("v");
    // As a container sees it that is to watch only. The guest lives, and nobody can be started to look after it.
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#;
    let read_only = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(host.state_dir());
        command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
        command.env("DOMSTATE_DIR", host.state_dir());
        finish(command)
    };
    for args in [&["--reason", "v"][..], &["wait", "v", "--timeout", "0"]] {
        assert_eq!(read_only(args).stdout, "running (booted)\n");
    }
    for verb in ["suspend", "destroy", "start"] {
        let said = read_only(&[verb, "v"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
    }
    assert_eq!(host.answer("v"), "running (booted)");
    host.kill_unseen("v");
    disk.remount("ro");
    assert_eq!(host.answer("v"), "shut off (crashed)");
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let start = host.domstate(&["start", "v"]);
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.stderr.contains("Read-only file system"), "{start:?}");
    assert_eq!(host.answer("v"), "shut off (crashed)");
    disk.remount("rw");
    assert_eq!(host.answer("v"), "shut off (crashed)");
    until("the record", || {
        host.journal("v").contains("DOMSTATE_EXITED")
    });
    settled(&host);
    assert_eq!(host.answer("v"), "shut off (crashed)");
}
