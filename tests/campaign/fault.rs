//! What strace makes fail.

use std::fmt;

use fastrand::Rng;

/// What strace makes fail in a command or a supervisor, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A system call, and which of that name.
    pub(crate) call: &'static str,
    pub(crate) number: u32,
    /// The error that it gives; without one the process is killed there.
    pub(crate) error: Option<&'static str>,
}

/// Calls that domstate makes, the frequent ones more often.
const CALLS: &[&str] = &[
    "openat",
    "openat",
    "read",
    "write",
    "write",
    "close",
    "fcntl",
    "fsync",
    "fdatasync",
    "rename",
    "unlink",
    "mkdir",
    "symlink",
    "statx",
    "fallocate",
    "ftruncate",
    "connect",
    "socket",
    "sendmsg",
    "sendto",
    "recvfrom",
    "poll",
    "ppoll",
    "pidfd_open",
    "pidfd_send_signal",
    "waitid",
    "clone3",
    "vfork",
    "pipe2",
    "execve",
    "mmap",
    "brk",
    "lseek",
    "pread64",
    "getdents64",
    "exit_group",
];

pub(crate) const ERRORS: &[&str] = &[
    "ENOSPC", "EIO", "EMFILE", "ENOMEM", "EINTR", "EAGAIN", "EACCES", "EROFS",
];

/// Whether an error is injected into this call. Rust's library panics where the closing of a folder fails, which no local file
/// system does, and where it gets no memory or no signal stack before `main`; and the end of a process does not fail.
pub(crate) fn may_fail(call: &str) -> bool {
    let never = [
        "close",
        "mmap",
        "mprotect",
        "munmap",
        "brk",
        "sigaltstack",
        "rt_sigaction",
        "rt_sigprocmask",
        "exit",
        "exit_group",
    ];
    !never.contains(&call)
}

impl Fault {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        // The early ones are the ones that most commands make.
        let most = 1 << rng.u32(1..7);
        let call = CALLS[rng.usize(..CALLS.len())];
        let error = (rng.u8(..2) == 0).then(|| ERRORS[rng.usize(..ERRORS.len())]);
        Self {
            call,
            number: rng.u32(1..=most),
            error: error.filter(|_| may_fail(call)),
        }
    }

    /// strace's option for what it stops at; nothing else, so that all goes at nearly its own pace. What it does not stop at,
    /// it does not inject into (6.1).
    pub(crate) fn traced(&self) -> String {
        format!("trace=execve,{}", self.call)
    }

    /// strace's option for what then happens.
    pub(crate) fn injection(&self) -> String {
        let Self { call, number, .. } = self;
        match self.error {
            // What fails goes on failing for some time, as it does on a real host.
            Some("EINTR" | "EAGAIN") => {
                let error = self.error.unwrap_or_default();
                format!("inject={call}:error={error}:when={number}")
            }
            Some(error) => format!("inject={call}:error={error}:when={number}..{}", number + 2),
            None => format!("inject={call}:signal=SIGKILL:when={number}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, number, .. } = self;
        match self.error {
            Some(error) => write!(f, "{error} from its {call} {number}"),
            None => write!(f, "killed before its {call} {number}"),
        }
    }
}
