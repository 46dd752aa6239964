//! The counters of a process's control group (`memory.events`, cgroup v2): how many of the group the kernel killed for want
//! of memory just before the process was dead.
//!
//! They say that somebody was killed, and not who; the kernel's log says who, and only root may read it on most hosts.
//! Nothing is told where they cannot be read (cgroup v1, the root group, no memory controller, a group out of sight), nor of
//! a process that was of another group at its death than before. What is kept is an open file and some numbers.
//!
//! Whoever was killed while the process lives on was another: a moment later it is taken off again, so that a SIGKILL which
//! comes an hour after that is not taken for the kernel's.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use super::process::{is_dying, start_ticks};
use crate::domain::{Count, OomCounts, Process};

/// Where cgroup v2 is mounted, if it is what keeps memory. The hybrid of systemd's has it in `unified` below, where it does not.
const ROOT: &str = "/sys/fs/cgroup";

/// The file has nine lines of at most 40 bytes (Linux 6.18).
const EVENTS_BYTES_MAX: usize = 1024;

/// How long after the kernel has counted a kill the process may take to be seen as dying; also how often one looks at the most:
/// a group that is short of memory counts other things all the time.
const PAUSE: Duration = Duration::from_secs(1);

/// The counters of a control group from some moment on.
#[derive(Debug)]
pub struct MemoryEvents {
    file: File,
    before: Counters,
    /// What they were when it was last seen that they had risen.
    risen: Option<Counters>,
    /// Not to be looked at before that.
    look_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counters {
    kills: u64,
    /// Not before Linux 5.18.
    group_kills: Option<u64>,
}

impl MemoryEvents {
    /// Those of the group that `process` is of, from now on. A path is as it is seen from our own namespace, and what is
    /// mounted here may be another's: it is the group's if the group has the process. The dead are in no list.
    pub fn from_now(process: Process) -> Option<Self> {
        let group = group(process)?;
        let file = File::open(group.join("memory.events")).ok()?;
        if !lists(&fs::read(group.join("cgroup.procs")).ok()?, process.pid) {
            return None;
        }
        let before = read(&file).ok()?;
        Some(Self {
            file,
            before,
            risen: None,
            look_at: None,
        })
    }

    /// Takes note of what was counted, as long as `process` lives. When to look again.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn look(&mut self, process: Process) -> io::Result<Option<Instant>> {
        if self.look_at.is_some_and(|at| at > Instant::now()) {
            return Ok(self.look_at);
        }
        if let Some(risen) = self.risen.take().filter(|_| !is_dying(process)) {
            self.before = risen;
        }
        self.look_at = None;
        self.note()?;
        Ok(self.look_at)
    }

    fn note(&mut self) -> io::Result<()> {
        let counters = read(&self.file)?;
        if counters != self.before {
            self.risen = Some(counters);
            self.look_at = Some(Instant::now() + PAUSE);
        }
        Ok(())
    }

    /// What to poll (POLLPRI): it wakes when they have changed since they were read, and always once the group is gone.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.look_at.is_none().then(|| self.file.as_fd())
    }

    /// They have changed. Not looked at for a moment from now on, be it that nobody was killed.
    pub fn woken(&mut self) {
        self.look_at = Some(Instant::now() + PAUSE);
        // That the group is gone is found behind that.
        let _ = self.note();
    }

    /// Whether it is the group that `process` is of, dead as it may be, as long as nobody has reaped it.
    pub fn is_of(&self, process: Process) -> bool {
        let identity = |file: &File| file.metadata().map(|it| (it.dev(), it.ino()));
        let there = group(process).map(|group| File::open(group.join("memory.events")));
        let there = there.and_then(|file| identity(&file.ok()?).ok());
        there.is_some() && there == identity(&self.file).ok()
    }

    /// What they were, and what they are now that `process` is dead. The kernel counts first, and then kills
    /// (`__oom_kill_process`).
    pub fn counts_of(&self, process: Process) -> Option<OomCounts> {
        let Counters { kills, group_kills } = read(&self.file).ok()?;
        let since = |before, after| Count { before, after };
        self.is_of(process).then(|| OomCounts {
            kills: since(self.before.kills, kills),
            group_kills: self
                .before
                .group_kills
                .zip(group_kills)
                .map(|(b, a)| since(b, a)),
        })
    }
}

/// The folder of the control group that a process is of.
fn group(process: Process) -> Option<PathBuf> {
    let lines = fs::read(format!("/proc/{}/cgroup", process.pid)).ok()?;
    let is_its = start_ticks(process.pid) == Some(process.start_ticks);
    is_its.then(|| folder(&lines)).flatten()
}

/// `0::/PATH`, the line of cgroup v2, last where there are others (cgroups(7)).
fn folder(lines: &[u8]) -> Option<PathBuf> {
    let mut lines = lines.split(|byte| *byte == b'\n');
    let path = lines.find_map(|line| line.strip_prefix(b"0::/"))?;
    let path = Path::new(OsStr::from_bytes(path));
    // Out of the namespace's root it goes by `..`, to where nothing is mounted.
    let is_below = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let is_root = path.as_os_str().is_empty();
    (is_below && !is_root).then(|| Path::new(ROOT).join(path))
}

fn lists(procs: &[u8], pid: u32) -> bool {
    let pid = pid.to_string();
    procs
        .split(|byte| *byte == b'\n')
        .any(|line| line == pid.as_bytes())
}

fn read(file: &File) -> io::Result<Counters> {
    let mut bytes = [0; EVENTS_BYTES_MAX];
    let length = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
    parse(&text).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// `NAME COUNT` in each line. `None` without `oom_kill` (before Linux 4.13).
fn parse(text: &str) -> Option<Counters> {
    let counter = |name: &str| {
        let counter = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(counter)
    };
    Some(Counters {
        kills: counter("oom_kill")?,
        group_kills: counter("oom_group_kill"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::process::process;
    use super::*;
    use std::process::Command;

    #[test]
    fn the_counters_are_read_by_their_whole_names() {
        let counters = |kills, group_kills| Some(Counters { kills, group_kills });
        for (text, expected) in [
            (
                "low 0\nhigh 0\nmax 7\noom 5\noom_kill 3\noom_group_kill 1\nsock_throttled 0\n",
                counters(3, Some(1)),
            ),
            ("low 0\nmax 7\noom 5\noom_kill 3\n", counters(3, None)),
            ("oom 5\noom_group_kill 1\n", None),
            ("oom_kill x\n", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_group_has_its_folder_only_where_it_is_below_what_is_mounted() {
        for (lines, expected) in [
            ("0::/a.slice/b\n", Some("/sys/fs/cgroup/a.slice/b")),
            (
                "4:memory:/m\n1:cpu:/\n0::/b c\n",
                Some("/sys/fs/cgroup/b c"),
            ),
            ("0::/\n", None),
            ("0::/../b\n", None),
            ("0::/a/../../b\n", None),
            ("4:memory:/m\n", None),
            ("", None),
        ] {
            assert_eq!(
                folder(lines.as_bytes()).as_deref(),
                expected.map(Path::new),
                "{lines}"
            );
        }
    }

    #[test]
    fn a_process_is_listed_by_its_whole_number() {
        assert!(lists(b"17\n170\n", 170) && lists(b"17\n170\n", 17));
        assert!(!lists(b"17\n1704\n", 170) && !lists(b"", 170));
    }

    /// Counters in a file of the test's own.
    fn played(test: &str) -> (MemoryEvents, PathBuf) {
        let name = format!("domstate-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "oom_kill 3\n").unwrap();
        let file = File::open(&path).unwrap();
        let events = MemoryEvents {
            before: read(&file).unwrap(),
            file,
            risen: None,
            look_at: None,
        };
        (events, path)
    }

    /// Has `PAUSE` be over.
    fn later(events: &mut MemoryEvents) {
        assert!(events.look_at.take().is_some_and(|at| at > Instant::now()));
    }

    #[test]
    fn whoever_was_killed_a_while_before_its_end_was_another() {
        let me = process(std::process::id()).unwrap();
        let (mut events, path) = played("alive");
        assert_eq!(events.look(me).unwrap(), None);
        assert!(events.descriptor().is_some());
        fs::write(&path, "oom_kill 4\n").unwrap();
        // Not at once: it may be dying without showing it.
        assert!(events.look(me).unwrap().is_some());
        assert!(events.look(me).unwrap().is_some());
        assert_eq!(
            (events.before.kills, events.descriptor().is_some()),
            (3, false)
        );
        later(&mut events);
        assert_eq!(events.look(me).unwrap(), None);
        assert_eq!(
            (events.before.kills, events.descriptor().is_some()),
            (4, true)
        );
        // Nothing was killed, and it wakes us again and again.
        events.woken();
        assert!(events.look(me).unwrap().is_some());
        later(&mut events);
        assert_eq!(events.look(me).unwrap(), None);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn who_takes_long_to_die_may_be_who_was_killed() {
        let mut child = Command::new("sh")
            .args(["-c", "kill -9 $$"])
            .spawn()
            .unwrap();
        let dead = process(child.id()).unwrap();
        while !is_dying(dead) {
            std::thread::yield_now();
        }
        let (mut events, path) = played("dying");
        fs::write(&path, "oom_kill 4\n").unwrap();
        for _ in 0..3 {
            assert!(events.look(dead).unwrap().is_some());
            later(&mut events);
        }
        assert_eq!(events.before.kills, 3);
        child.wait().unwrap();
        assert!(!is_dying(process(std::process::id()).unwrap()));
        fs::remove_file(path).unwrap();
    }
}
