//! What befalls the supervisor, the disk and the pids of a host.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Stage;
use crate::act::Storage;
use crate::fault::Fault;
use crate::harness::is_alive;

impl Stage<'_> {
    /// Has something fail in processes that live, by strace with these `options`.
    pub(super) fn break_processes(&self, pids: &[i32], options: &[&str], fault: &Fault) {
        for &pid in pids {
            let mut strace = Command::new("strace");
            strace.args(options).args(["-e", &fault.traced(), "-o"]);
            strace.arg(self.new_trace());
            strace.args(["-e", &fault.injection()]);
            strace.args(["-p", &pid.to_string()]);
            strace.stdin(Stdio::null()).stdout(Stdio::null());
            let Ok(child) = strace.stderr(Stdio::null()).spawn() else {
                continue;
            };
            let deadline = Instant::now() + Duration::from_secs(5);
            while is_alive(pid) && Instant::now() < deadline {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                if status.contains(&format!("TracerPid:\t{}", child.id())) {
                    break;
                }
                std::thread::yield_now();
            }
            self.children.lock().unwrap().push(child);
        }
    }

    pub(super) fn storage(&self, storage: Storage) {
        let (state, away) = (self.host.state_dir(), self.away());
        match (storage, &self.disk) {
            (Storage::Full, Some(disk)) => drop(catch_unwind(AssertUnwindSafe(|| disk.fill(0)))),
            (Storage::Roomy, Some(disk)) => {
                drop(catch_unwind(AssertUnwindSafe(|| disk.make_room())));
            }
            // A file that somebody writes to keeps it from becoming read-only, so QEMU's journal does.
            (Storage::ReadOnly, Some(_)) => self.remount("ro"),
            (Storage::Writable, Some(_)) => self.remount("rw"),
            (Storage::Gone, _) => drop(fs::rename(state, away)),
            (Storage::Back, _) if !state.exists() => drop(fs::rename(away, state)),
            _ => {}
        }
    }

    pub(super) fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]);
        let _ = mount.arg(self.host.state_dir()).output();
    }

    pub(super) fn away(&self) -> PathBuf {
        self.host.folder().join("away")
    }

    pub(super) fn reuse_pid(&self) {
        let pid = self.witness.look(|qemus| qemus.last().map(|qemu| qemu.pid));
        let Some(pid) = pid.filter(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) else {
            return;
        };
        if fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
            return;
        }
        let mut stranger = Command::new("tail");
        stranger.args(["-f", "/dev/null"]).stdout(Stdio::null());
        if let Ok(child) = stranger.spawn() {
            if i64::from(child.id()) == i64::from(pid) {
                self.note("the pid is used again");
            }
            self.children.lock().unwrap().push(child);
        }
    }
}
