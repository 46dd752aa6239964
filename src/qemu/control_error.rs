//! Why a command to QEMU's monitor failed, in one line for people.

use std::fmt;
use std::io::{self, ErrorKind};

use nix::errno::Errno;

/// Why QEMU did not do what it was told.
#[derive(Debug)]
pub enum ControlError {
    /// There is no socket, or nobody listens on it.
    Unreachable(io::Error),
    /// Connected, and no greeting came: QEMU speaks to one client at a time. A hung QEMU looks the same.
    Busy,
    /// QEMU refused the command, in its own words; `class` is `GenericError` but for the errors that programs look for.
    Refused { class: String, desc: String },
    /// QEMU closed the connection: it is gone, or going.
    Closed,
    /// The deadline passed. Whether the command took effect is not known.
    Timeout,
    /// What came is no QMP. The connection is of no more use.
    Garbage(&'static str),
    /// The connection failed otherwise.
    Io(io::Error),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => {
                write!(f, "cannot connect to QEMU's monitor: {}", words(error))
            }
            Self::Busy => {
                f.write_str("another command is busy with QEMU's monitor, or QEMU does not respond")
            }
            Self::Refused { desc, .. } => {
                write!(f, "QEMU refused the command: ")?;
                let line = |c: char| if c.is_control() { ' ' } else { c };
                desc.chars().try_for_each(|c| write!(f, "{}", line(c)))
            }
            Self::Closed => f.write_str("QEMU closed its monitor"),
            Self::Timeout => f.write_str("QEMU's monitor did not answer in time"),
            Self::Garbage(what) => write!(f, "QEMU's monitor sent {what}"),
            Self::Io(error) => write!(f, "cannot speak to QEMU's monitor: {}", words(error)),
        }
    }
}

// Without a source: what Display says holds the system's words already.
impl std::error::Error for ControlError {}

/// The system's words alone, without the number that std adds.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

impl ControlError {
    /// What a failed read or write of the socket means.
    pub(super) fn of_io(error: io::Error) -> Self {
        let kind = error.kind();
        if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            Self::Timeout
        } else if matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) {
            Self::Closed
        } else {
            Self::Io(error)
        }
    }
}
