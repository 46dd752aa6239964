//! The host's own facts: its clock, its boot, this process's pid namespace.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::domain::{BootId, Launch, Timestamp};

/// The host's time.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// The kernel's name for this boot of the host.
pub fn boot_id() -> Result<BootId> {
    let path = "/proc/sys/kernel/random/boot_id";
    let mut bytes = [0; 64];
    let read = File::open(path).and_then(|mut file| file.read(&mut bytes));
    let read = read.with_context(|| format!("cannot read {path}"))?;
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
    Ok(BootId(text.trim().to_owned()))
}

/// Inode number of this process's pid namespace. A pid of another namespace means somebody else here.
pub fn pid_namespace() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino())
}

/// What the pids in a run's journal mean to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The processes that were meant.
    Same,
    /// Nothing: the host came up anew since.
    OtherBoot,
    /// Somebody else: they may live, and cannot be seen or signalled from here.
    OtherNamespace,
}

/// Looks what the pids of the run that was launched so mean here.
pub fn reach(launch: &Launch) -> Result<Reach> {
    Ok(if launch.boot != boot_id()? {
        Reach::OtherBoot
    } else if launch.pid_namespace != pid_namespace()? {
        Reach::OtherNamespace
    } else {
        Reach::Same
    })
}

/// A run that this process has launched.
#[cfg(test)]
pub(super) fn launched_here() -> Launch {
    use crate::domain::{Actor, Begin, Bmc, ExitDevice, LaunchKind, Lifecycle};

    Launch {
        run: 1,
        kind: LaunchKind::Boot,
        begin: Begin::Running,
        boot: boot_id().unwrap(),
        pid_namespace: pid_namespace().unwrap(),
        journal: None,
        exit_device: ExitDevice::None,
        may_have_panicked: false,
        debugger: false,
        bmc: Bmc::None,
        lifecycle: Lifecycle::default(),
        actor: Actor {
            uid: 0,
            pid: 1,
            command: String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_mean_something_only_in_their_own_boot_and_namespace() {
        let here = launched_here();
        assert_eq!(reach(&here).unwrap(), Reach::Same);
        let mut elsewhere = here.clone();
        elsewhere.pid_namespace += 1;
        assert_eq!(reach(&elsewhere).unwrap(), Reach::OtherNamespace);
        elsewhere.boot = BootId("another".into());
        assert_eq!(reach(&elsewhere).unwrap(), Reach::OtherBoot);
    }
}
