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
    /// Has something fail in processes that live, by strace with these `options`; whether there are any.
    pub(super) fn break_processes(&self, pids: &[i32], options: &[&str], fault: &Fault) -> bool {
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
        !pids.is_empty()
    }

    /// Whether it came to pass.
    pub(super) fn storage(&self, storage: Storage) -> bool {
        let (state, away) = (self.host.state_dir(), self.away());
        match (storage, &self.disk) {
            (Storage::Full, Some(disk)) => catch_unwind(AssertUnwindSafe(|| disk.fill(0))).is_ok(),
            (Storage::Roomy, Some(disk)) => {
                catch_unwind(AssertUnwindSafe(|| disk.make_room())).is_ok()
            }
            // A file that somebody writes to keeps it from becoming read-only, so QEMU's journal does. (Made immutable instead, and
            // mutable again before the supervisor had anything to write, nobody knows that lines are missing: see domstate(1).)
            (Storage::ReadOnly, Some(_)) => self.remount("ro"),
            (Storage::Writable, Some(_)) => self.remount("rw"),
            (Storage::Gone, _) => fs::rename(state, away).is_ok(),
            (Storage::Back, _) if !state.exists() => fs::rename(away, state).is_ok(),
            _ => false,
        }
    }

    fn remount(&self, option: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]);
        let output = mount.arg(self.host.state_dir()).output();
        output.is_ok_and(|output| output.status.success())
    }

    pub(super) fn away(&self) -> PathBuf {
        self.host.folder().join("away")
    }

    /// Whether a process has the pid that the newest QEMU had, and goes on until the end.
    pub(super) fn reuse_pid(&self) -> bool {
        // Others start processes, too, and may be faster.
        const TRIES: usize = 20;
        let pid = self.witness.look(|qemus| qemus.last().map(|qemu| qemu.pid));
        let Some(pid) = pid.filter(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) else {
            return false;
        };
        for _ in 0..TRIES {
            if fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
                return false;
            }
            let mut stranger = Command::new("tail");
            stranger.args(["-f", "/dev/null"]).stdout(Stdio::null());
            let Ok(mut child) = stranger.spawn() else {
                return false;
            };
            if i64::from(child.id()) == i64::from(pid) {
                self.note("the pid is used again");
                self.children.lock().unwrap().push(child);
                return true;
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        false
    }
}
