//! The kernel's log (`/dev/kmsg`), from some moment on: whom it killed for want of memory.
//!
//! It alone is proof. The counters of a control group say that somebody was killed, and not who (`super::memory_events`); a
//! SIGKILL of somebody else's in the same moment would be called by a wrong name. Nor does a line of before that moment
//! count: its pid may have been another's then. Only root may read it on most hosts.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;

use super::host::pid_namespace;
use crate::domain::{OomKill, OomScope};

/// Inode number of the host's own pid namespace, whose pids the kernel writes (`PROC_PID_INIT_INO`, since Linux 3.8).
const HOSTS_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The longest record that the kernel hands out (`PRINTK_MESSAGE_MAX`); it refuses to read into less than a record has.
const RECORD_BYTES_MAX: usize = 8192;

/// The kernel's log from when this was made on.
#[derive(Debug)]
pub struct KernelLog {
    file: Option<File>,
}

/// What the log says of a process having been killed for want of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Killed(OomKill),
    /// All of it was read, and it does not name the process. Of one that was, the line is there before it is dead
    /// (`__oom_kill_process` holds `task_lock` over both, which the dying must take).
    NotKilled,
    /// It cannot be read, or what was read is not all.
    Nothing,
}

impl KernelLog {
    /// From now on. Where it may not be read, or tells of other pids than ours, it says nothing.
    pub fn from_now() -> Self {
        let is_readable = pid_namespace().is_ok_and(|inode| inode == HOSTS_PID_NAMESPACE);
        Self {
            file: is_readable.then(open_at_end).and_then(Result::ok),
        }
    }

    /// What it says of process `pid` having been killed for want of memory since.
    pub fn told_of(&self, pid: u32) -> Told {
        let Some(mut file) = self.file.as_ref() else {
            return Told::Nothing;
        };
        let mut is_whole = true;
        let mut bytes = [0; RECORD_BYTES_MAX];
        loop {
            match file.read(&mut bytes) {
                // The kernel's own never says so: something else is in its place.
                Ok(0) => return Told::Nothing,
                Ok(read) => {
                    let record = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
                    let found = parse(&record).filter(|(killed, _)| *killed == pid);
                    if let Some((_, oom)) = found {
                        return Told::Killed(oom);
                    }
                }
                // Overwritten meanwhile: the next read is of the oldest that is left.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => is_whole = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The end.
                Err(error) if error.kind() == ErrorKind::WouldBlock && is_whole => {
                    return Told::NotKilled;
                }
                // Or no log to read after all.
                Err(_) => return Told::Nothing,
            }
        }
    }
}

fn open_at_end() -> io::Result<File> {
    let mut options = File::options();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut file = options.open("/dev/kmsg")?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// `PRIORITY,SEQUENCE,TIME,FLAGS;Out of memory: Killed process PID (NAME) ...` (Linux 5.3 to 6.18, `__oom_kill_process`).
fn parse(record: &str) -> Option<(u32, OomKill)> {
    let (prefix, message) = record.split_once(';')?;
    // The upper bits are the facility: 0 is the kernel's own, which nobody else can write as.
    let priority: u32 = prefix.split(',').next()?.parse().ok()?;
    if priority >> 3 != 0 {
        return None;
    }
    let message = message.lines().next()?;
    let (scope, rest) = match message.strip_prefix("Memory cgroup out of memory") {
        Some(rest) => (OomScope::Cgroup, rest),
        None => (OomScope::Host, message.strip_prefix("Out of memory")?),
    };
    let rest = match rest.strip_prefix(" (oom_kill_allocating_task)") {
        Some(rest) => rest,
        None => rest,
    };
    let (pid, _) = rest.strip_prefix(": Killed process ")?.split_once(" (")?;
    let evidence = message.to_owned();
    Some((pid.parse().ok()?, OomKill::Logged { scope, evidence }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_the_kernel_killed_is_read_from_its_own_words_alone() {
        let told = |record: &str| parse(record).map(|(pid, oom)| (pid, oom.scope().unwrap()));
        let words =
            "Killed process 28711 (qemu-system-x86) total-vm:1440004kB, anon-rss:60800kB, UID:0";
        for (prefix, expected) in [
            (
                "3,77,28376802118,-;Memory cgroup out of memory: ",
                Some((28711, OomScope::Cgroup)),
            ),
            (
                "3,77,28376802118,-;Out of memory: ",
                Some((28711, OomScope::Host)),
            ),
            (
                "3,77,1,-;Out of memory (oom_kill_allocating_task): ",
                Some((28711, OomScope::Host)),
            ),
            // Written to the log by a program.
            ("11,77,1,-;Out of memory: ", None),
            // A name that a process gave itself.
            (
                "3,77,1,-;Out of memory: Killed process 5 (",
                Some((5, OomScope::Host)),
            ),
            ("3,77,1,-;x: ", None),
            ("", None),
        ] {
            assert_eq!(
                told(&format!("{prefix}{words}\n SUBSYSTEM=x\n")),
                expected,
                "{prefix}"
            );
        }
        let oom = parse(&format!("3,1,1,-;Out of memory: {words}\n"))
            .unwrap()
            .1;
        assert_eq!(oom.evidence(), format!("Out of memory: {words}"));
    }
}
