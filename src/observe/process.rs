//! What /proc tells of a process, by pid and start time, so that a reused pid is nobody's.

use std::fs;
use std::io::{self, Read};

use nix::errno::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::domain::{Exit, Process};

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    Alive,
    /// Stopped by a signal (SIGSTOP) or a tracer. Alive.
    Stopped,
    /// Dead and not yet reaped; `None` where the kernel keeps the status from us.
    Zombie(Option<Exit>),
    Absent,
    /// It could not be looked at, for want of a descriptor, say. That is no proof of anything.
    Unseen,
}

/// Looks what became of `process`.
pub fn process_state(process: Process) -> ProcessState {
    match Stat::read(process.pid) {
        Ok(Some(stat)) if stat.start_ticks == process.start_ticks => match stat.letter {
            // Other threads of it may still be on their way out: how it ends is decided.
            'Z' | 'X' | 'x' => ProcessState::Zombie(zombie_exit(process.pid, stat.exit_code)),
            'T' | 't' => ProcessState::Stopped,
            _ => ProcessState::Alive,
        },
        Ok(_) => ProcessState::Absent,
        Err(_) => ProcessState::Unseen,
    }
}

/// The process that has this pid now.
pub fn process(pid: u32) -> Option<Process> {
    start_ticks(pid).map(|start_ticks| Process { pid, start_ticks })
}

/// `/proc/PID/stat` field 22 of the process that has this pid now.
pub fn start_ticks(pid: u32) -> Option<u64> {
    Stat::read(pid).ok()?.map(|stat| stat.start_ticks)
}

/// Whether the program that a process runs, or ran if it is dead and nobody has reaped it, is called as QEMU's are.
pub fn is_named_as_qemu(process: Process) -> bool {
    let Ok(name) = fs::read(format!("/proc/{}/comm", process.pid)) else {
        return false;
    };
    let is_qemus = name.starts_with(b"qemu-system-") || matches!(&*name, b"qemu-kvm\n" | b"kvm\n");
    is_qemus && start_ticks(process.pid) == Some(process.start_ticks)
}

/// Whether it is dying or about to, as far as can be seen, by a SIGKILL, say, that it has not come to take yet.
pub(super) fn is_dying(process: Process) -> bool {
    /// PF_EXITING and PF_SIGNALED (Linux, include/linux/sched.h).
    const LEAVING: u32 = 0x4 | 0x400;
    const SIGKILL: u32 = 1 << 8;
    let stat = Stat::read(process.pid).ok().flatten();
    stat.is_none_or(|stat| {
        let is_leaving = stat.flags & LEAVING != 0 || stat.pending & SIGKILL != 0;
        is_leaving || stat.start_ticks != process.start_ticks
    })
}

/// The parent of the process that has this pid now.
pub(super) fn parent_pid(pid: u32) -> Option<u32> {
    Stat::read(pid).ok()?.map(|stat| stat.parent_pid)
}

/// The wait status as `wait(2)` has it.
pub fn exit_of_wait_status(status: i32) -> Exit {
    match status & 0x7f {
        0 => Exit::Status((status >> 8) & 0xff),
        signal => Exit::Signal {
            signal,
            core_dumped: status & 0x80 != 0,
        },
    }
}

/// The fields of `/proc/PID/stat` (proc(5)) that matter here.
struct Stat {
    letter: char,
    parent_pid: u32,
    flags: u32,
    start_ticks: u64,
    /// Signals that wait for its first thread, of which a SIGKILL has one for each.
    pending: u32,
    exit_code: Option<i32>,
}

impl Stat {
    /// `None`: there is no process of this pid.
    fn read(pid: u32) -> io::Result<Option<Self>> {
        // 52 numbers of at most 20 digits, and a command's name of at most 64 bytes.
        let mut bytes = [0; 1152];
        let read = fs::File::open(format!("/proc/{pid}/stat"));
        let read = match read.and_then(|mut file| file.read(&mut bytes)) {
            Ok(read) => read,
            // ESRCH: it went between the opening and the reading.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_hidden(pid) => {
                return Ok(None);
            }
            Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
        let stat = Self::parse(&text).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(stat))
    }

    fn parse(text: &str) -> Option<Self> {
        // The command's name may hold spaces and brackets; nothing behind it does.
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let letter = fields.next()?.chars().next()?;
        let parent_pid = fields.next()?.parse().ok()?;
        // Field 4 is taken; those between 9, 22, 31 and 52 are passed over.
        let flags = fields.nth(4)?.parse().ok()?;
        let start_ticks = fields.nth(12)?.parse().ok()?;
        let pending = fields.nth(8)?.parse().ok()?;
        let exit_code = fields.nth(20).and_then(|code| code.parse().ok());
        Some(Self {
            letter,
            parent_pid,
            flags,
            start_ticks,
            pending,
            exit_code,
        })
    }
}

/// Whether there is a process of this pid that /proc does not show to us (hidepid, proc(5)): another user's.
fn is_hidden(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// The kernel shows an exit status of 0 to those who may not see it (`fs/proc/array.c`, `do_task_stat`), so a zero
/// counts only where we may.
fn zombie_exit(pid: u32, exit_code: Option<i32>) -> Option<Exit> {
    let code = exit_code?;
    if code == 0 && !may_see(pid) {
        return None;
    }
    Some(exit_of_wait_status(code))
}

/// Asks the kernel for something else that it keeps by the same rule (PTRACE_MODE_READ_FSCREDS), and has of the dead as well
/// (`fs/proc/namespaces.c`, `proc_ns_readlink`). Who it is and what it may do, capabilities and security modules, decide that: to
/// compare users is not enough. One that has no such thing tells nothing.
fn may_see(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/user")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_command_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let fields: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        let stat = Stat::parse(&format!("7 (a) R (b) Z {}\n", fields.join(" "))).unwrap();
        assert_eq!(stat.letter, 'Z');
        assert_eq!(stat.parent_pid, 4);
        assert_eq!((stat.flags, stat.pending), (9, 31));
        assert_eq!(stat.start_ticks, 22);
        assert_eq!(stat.exit_code, Some(52));
    }

    #[test]
    fn a_zombie_tells_how_it_ended() {
        let mut child = Command::new("sh")
            .args(["-c", "kill -9 $$"])
            .spawn()
            .unwrap();
        let it = process(child.id()).unwrap();
        let exit = loop {
            if let ProcessState::Zombie(exit) = process_state(it) {
                break exit;
            }
            std::thread::yield_now();
        };
        let killed = Exit::Signal {
            signal: 9,
            core_dumped: false,
        };
        assert_eq!(exit, Some(killed));
        child.wait().unwrap();
        assert_eq!(process_state(it), ProcessState::Absent);
    }

    #[test]
    fn another_process_with_the_same_pid_is_nobody() {
        let mut me = process(std::process::id()).unwrap();
        assert_eq!(process_state(me), ProcessState::Alive);
        me.start_ticks += 1;
        assert_eq!(process_state(me), ProcessState::Absent);
    }
}
