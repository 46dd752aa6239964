//! What strace has seen of what was made to fail: whether that came to pass, and whether domstate panicked over it.

use std::fs;
use std::ops::AddAssign;
use std::path::PathBuf;

use super::Stage;

/// How many faults were asked of strace, and how many came to pass: the process came to that call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) asked: u64,
    pub(crate) fired: u64,
    /// Processes of domstate's that panicked.
    pub(crate) panics: u64,
}

impl AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.fired += other.fired;
        self.panics += other.panics;
    }
}

impl Stage<'_> {
    /// Where strace is to write of a new fault.
    pub(super) fn new_trace(&self) -> PathBuf {
        let mut traces = self.traces.lock().unwrap();
        let trace = self
            .host
            .folder()
            .join(format!("trace-{}-{}", self.domain, traces.len()));
        traces.push(trace.clone());
        trace
    }

    /// What has come of all faults so far.
    pub(super) fn faults(&self) -> Faults {
        let traces = self.traces.lock().unwrap();
        let mut faults = Faults::default();
        for trace in traces.iter() {
            let text = fs::read_to_string(trace).unwrap_or_default();
            faults += Faults {
                asked: 1,
                fired: u64::from(has_fired(&text)),
                panics: panics(&text),
            };
        }
        faults
    }
}

/// An error is marked; a call in which its process was killed has no result.
fn has_fired(trace: &str) -> bool {
    let is_killed = trace.contains("+++ killed by SIGKILL");
    trace.contains("(INJECTED)") || is_killed && trace.lines().any(|line| line.ends_with("= ?"))
}

/// How many processes of domstate's ended as Rust ends one that panics: with this status, or by this signal where it is built to
/// (`panic = "abort"`). QEMU aborts, too.
fn panics(trace: &str) -> u64 {
    let is_panic = |line: &&str| {
        line.contains("+++ exited with 101 +++") || line.contains("+++ killed by SIGABRT")
    };
    let pid_of = |line: &str| {
        let pid = line.split_whitespace().next()?;
        pid.parse::<u32>().ok()
    };
    let is_domstates = |line: &&str| match pid_of(line) {
        // One that strace was attached to, or that it has started, alone.
        None => true,
        Some(pid) => {
            let began = |line: &&str| pid_of(line) == Some(pid) && line.contains("execve(");
            trace.lines().rfind(began).is_some_and(is_call_of_domstate)
        }
    };
    let panicked = trace.lines().filter(is_panic).filter(is_domstates);
    u64::try_from(panicked.count()).unwrap()
}

/// Whether a process of domstate's begins with this call of execve.
pub(crate) fn is_call_of_domstate(line: &str) -> bool {
    line.contains("/domstate\", [") || line.contains("[\"domstate-supervisor\"")
}
