//! A control group in which processes stand still: no signal reaches them, in version 1 not even SIGKILL.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Stage;
use crate::harness::is_alive;

/// How long the kernel may take to freeze what is in it: a process that it cannot stop just then it freezes later.
const FREEZING: Duration = Duration::from_secs(2);

/// Where there are such groups: their folder, the file by which one is frozen, what is written there for that and to thaw it, and
/// what then stands in which file.
const KINDS: &[[&str; 6]] = &[
    [
        "/sys/fs/cgroup/freezer",
        "freezer.state",
        "FROZEN",
        "THAWED",
        "freezer.state",
        "FROZEN",
    ],
    [
        "/sys/fs/cgroup",
        "cgroup.freeze",
        "1",
        "0",
        "cgroup.events",
        "frozen 1",
    ],
];

/// See the module.
pub(super) struct ControlGroup {
    path: PathBuf,
    kind: &'static [&'static str; 6],
    frozen: Vec<i32>,
}

impl ControlGroup {
    /// `None` where none can be made.
    fn new() -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("domstate-campaign-{}-{number}", std::process::id());
        KINDS.iter().find_map(|kind| {
            let path = Path::new(kind[0]).join(&name);
            fs::create_dir(&path).ok()?;
            // Where it is no file system of such groups there is nothing in a new folder.
            if !path.join(kind[1]).exists() {
                let _ = fs::remove_dir(&path);
                return None;
            }
            Some(Self {
                path,
                kind,
                frozen: Vec::new(),
            })
        })
    }

    /// Whether anybody is in it, and it stands.
    fn freeze(&mut self, pids: &[i32]) -> bool {
        for pid in pids {
            if fs::write(self.path.join("cgroup.procs"), pid.to_string()).is_ok() {
                self.frozen.push(*pid);
            }
        }
        let [_, control, frozen, _, state, is_frozen] = self.kind;
        let _ = fs::write(self.path.join(control), frozen);
        let deadline = Instant::now() + FREEZING;
        let stands = || {
            let state = fs::read_to_string(self.path.join(state));
            state.is_ok_and(|state| state.lines().any(|line| line == *is_frozen))
        };
        while !stands() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        !self.frozen.is_empty() && stands()
    }
}

/// What is added to an act that is not done, for want of such a group.
pub(crate) fn freezer_lack() -> Option<&'static str> {
    static IS_THERE: LazyLock<bool> = LazyLock::new(|| ControlGroup::new().is_some());
    (!*IS_THERE).then_some(": not run, no control group can be made")
}

impl Drop for ControlGroup {
    /// Thaws what is in it, and sends it back to where groups begin.
    fn drop(&mut self) {
        let [root, control, _, thawed, ..] = self.kind;
        let _ = fs::write(self.path.join(control), thawed);
        let deadline = Instant::now() + FREEZING;
        while fs::remove_dir(&self.path).is_err() && Instant::now() < deadline {
            let procs = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
            for pid in procs.lines() {
                let _ = fs::write(Path::new(root).join("cgroup.procs"), pid);
            }
            std::thread::yield_now();
        }
    }
}

impl Stage<'_> {
    /// Whether anybody is frozen by that.
    pub(super) fn freeze(&self, pids: &[i32]) -> bool {
        let mut freezer = self.freezer.lock().unwrap();
        if freezer.is_none() {
            *freezer = ControlGroup::new();
        }
        freezer.as_mut().is_some_and(|group| group.freeze(pids))
    }

    /// Whether anybody was frozen until then.
    pub(super) fn thaw(&self) -> bool {
        let group = self.freezer.lock().unwrap().take();
        group.is_some_and(|group| !group.frozen.is_empty())
    }

    pub(super) fn is_frozen(&self, pid: i32) -> bool {
        let freezer = self.freezer.lock().unwrap();
        let has = |group: &ControlGroup| group.frozen.contains(&pid);
        is_alive(pid) && freezer.as_ref().is_some_and(has)
    }
}
