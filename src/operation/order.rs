//! How a supervisor is started: by path, as a process of its own, with an order on its command line. The room
//! `supervisor` reads what is written here; nothing is called across.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow};

use crate::store::RunFolder;

/// `argv[0]` of a supervisor. No shell starts domstate under this name by accident, and `ps` shows it.
pub const PROGRAM_NAME: &str = "domstate-supervisor";

/// The whole environment of a watcher: without the allocator's per-thread cache (glibc 2.26 and later) and its lists of
/// small pieces that are never joined (2.31 and later) freed memory is used again and can be given back, and one
/// supervisor a guest sleeps for months.
pub const SUPERVISOR_ENVIRONMENT: [(&str, &str); 1] = [(
    "GLIBC_TUNABLES",
    "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0",
)];

/// `argv[1]`: spawn QEMU, then watch it.
pub const LAUNCH: &str = "launch";

/// `argv[1]`: watch a QEMU that is there already.
pub const WATCH: &str = "watch";

/// `argv[1]`: do what is to be done about a run, then end.
pub const SERVE: &str = "serve";

/// `argv[1]`: feed QEMU a saved image.
pub const FEED: &str = "feed";

/// What a supervisor is told on its command line.
#[derive(Debug)]
pub struct LaunchOrder {
    pub run: RunFolder,
    /// Descriptor numbers: QEMU's lock, the supervisor's lock, and what `--pass-fds` names.
    pub lock: RawFd,
    pub supervisor_lock: RawFd,
    pub passed: Vec<RawFd>,
    /// QEMU's command line, recorder included.
    pub argv: Vec<OsString>,
}

impl LaunchOrder {
    /// The arguments behind `argv[0]` that [`Self::from_args`] reads.
    pub fn to_args(&self) -> Vec<OsString> {
        let passed: Vec<String> = self.passed.iter().map(ToString::to_string).collect();
        let mut args: Vec<OsString> = vec![
            LAUNCH.into(),
            self.run.path().into(),
            self.run.number().to_string().into(),
            self.lock.to_string().into(),
            self.supervisor_lock.to_string().into(),
            passed.join(",").into(),
        ];
        args.extend(self.argv.iter().cloned());
        args
    }

    pub fn from_args<'a>(mut args: impl Iterator<Item = &'a OsString>) -> Result<Self> {
        let mut next = || args.next().ok_or_else(|| anyhow!("an argument is missing"));
        let path = PathBuf::from(next()?);
        let run_number = number(next()?)?;
        let lock = number(next()?)?;
        let supervisor_lock = number(next()?)?;
        let passed = next()?.to_string_lossy().into_owned();
        let passed: Result<Vec<RawFd>> = passed
            .split(',')
            .filter(|n| !n.is_empty())
            .map(|n| Ok(n.parse()?))
            .collect();
        Ok(Self {
            run: RunFolder::at(path, run_number),
            lock,
            supervisor_lock,
            passed: passed?,
            argv: args.cloned().collect(),
        })
    }
}

pub fn number<T: std::str::FromStr>(text: &OsStr) -> Result<T> {
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| anyhow!("'{}' is no number", text.display()))
}

/// A process of this same program that does what is to be done about `run`; not yet started.
pub fn servant(run: &RunFolder) -> Command {
    let mut command = ourselves();
    command.args([
        SERVE.into(),
        run.path().into(),
        OsString::from(run.number().to_string()),
    ]);
    command.env_clear().envs(SUPERVISOR_ENVIRONMENT);
    command
}

/// This same program under its other name, with nothing of the terminal's.
pub(super) fn ourselves() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(PROGRAM_NAME);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The arguments behind `argv[0]` for a watcher of `run`. With `supervisor_lock`, a descriptor number, it is handed the
/// lock; without, it has to get it.
pub fn watch_args(run: &RunFolder, supervisor_lock: Option<RawFd>) -> Vec<OsString> {
    let mut args = vec![
        WATCH.into(),
        run.path().into(),
        run.number().to_string().into(),
    ];
    args.extend(supervisor_lock.map(|number| number.to_string().into()));
    args
}
