//! Processes that a story starts, signals and looks for.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::harness::PATIENCE;

/// How a command of domstate ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// The words of a command of domstate, with a command line of QEMU's behind them.
pub(crate) fn with_argv<'a>(words: &[&'a str], argv: &'a [String]) -> Vec<&'a str> {
    let argv = argv.iter().map(String::as_str);
    words.iter().copied().chain(["--"]).chain(argv).collect()
}

/// Starts a command of which [`finish_child`] gets the output.
pub(crate) fn spawn(mut command: Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a command to its end, within bounds.
pub(crate) fn finish(command: Command) -> Said {
    finish_child(spawn(command))
}

/// Waits for the end of a command, within bounds.
pub(crate) fn finish_child(child: Child) -> Said {
    let pid = i32::try_from(child.id()).unwrap();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE * 2) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    });
    let output: Output = child.wait_with_output().unwrap();
    drop(done);
    guard.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    super::pairs::note(&stdout);
    Said {
        stdout,
        stderr,
        code: output.status.code(),
    }
}

/// Sends a signal to a process.
pub(crate) fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Sends a signal to a process that has `text` on its command line. What has died meanwhile is left alone, and so is who has
/// got its pid: that may be a thread of our own. Whether it was sent.
pub(crate) fn send_to(pid: i32, text: &str, signal: rustix::process::Signal) -> bool {
    let Some(known) = rustix::process::Pid::from_raw(pid) else {
        return false;
    };
    let Ok(process) = pidfd_open(known, PidfdFlags::empty()) else {
        return false;
    };
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_it = String::from_utf8_lossy(&line).contains(text);
    is_it && pidfd_send_signal(&process, signal).is_ok()
}

/// Whether a process is there, be it as a zombie.
pub(crate) fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    state_of(pid).is_some_and(|letter| letter != 'Z' && letter != 'X')
}

/// What a process does, by the letter in `/proc/PID/stat`; `None` if there is none.
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}

/// The processes that have `text` on their command line.
pub(crate) fn processes_with(text: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
    .collect()
}
