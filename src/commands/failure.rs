//! How a command fails, and the one table of exit statuses.

use crate::domain::{Cause, ShutOff, State};
use crate::operation::one_line;
use crate::output::{Complaint, Unprinted};

/// The exit statuses of domstate (domstate(1)). `run` tells by them how the guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    Usage,
    /// `run`: crashed; `wait`: can no longer be met.
    CrashedOrUnmeetable,
    Destroyed,
    StartFailed,
    Unknown,
    TimedOut,
    /// `run`: domstate itself failed.
    Ourselves,
    NotExecutable,
    NotFound,
    /// `run --guest-status`: what the guest said.
    Guest(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::CrashedOrUnmeetable => 3,
            Self::Destroyed => 4,
            Self::StartFailed => 5,
            Self::Unknown => 6,
            Self::TimedOut => 124,
            Self::Ourselves => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Guest(status) => status,
        }
    }

    /// How `run` exits for a guest that ended in `state`.
    pub(super) fn of(state: State) -> Self {
        match state {
            State::ShutOff(
                ShutOff::Shutdown | ShutOff::Saved | ShutOff::Migrated | ShutOff::FromSnapshot,
            ) => Self::Done,
            State::ShutOff(ShutOff::Crashed) | State::Crashed => Self::CrashedOrUnmeetable,
            State::ShutOff(ShutOff::Destroyed) => Self::Destroyed,
            State::ShutOff(ShutOff::Failed) => Self::StartFailed,
            State::ShutOff(ShutOff::Unknown)
            | State::Running(_)
            | State::Paused(_)
            | State::InShutdown
            | State::PmSuspended => Self::Unknown,
        }
    }
}

/// What to complain about.
#[derive(Debug)]
pub struct Failure {
    pub complaint: Complaint,
    pub exit: Exit,
}

impl Failure {
    /// One or two lines: what failed, and why.
    pub(super) fn new(kind: &'static str, messages: Vec<String>) -> Self {
        Self {
            complaint: Complaint {
                kind,
                messages,
                ..Complaint::default()
            },
            exit: Exit::Failed,
        }
    }

    /// virsh's sentence for the command, then the reason.
    pub(super) fn of_command(sentence: String, error: &anyhow::Error) -> Self {
        Self::new(kind_of(error), vec![sentence, one_line(error)])
    }

    /// The same failure with another exit status.
    pub(super) fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same failure with a hint.
    pub(super) fn hinting(mut self, hint: String) -> Self {
        self.complaint.hint = Some(hint);
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(kind_of(&error), vec![one_line(&error)])
    }
}

impl From<Unprinted> for Failure {
    fn from(error: Unprinted) -> Self {
        Self::new("output", vec![error.to_string()])
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

/// The word for programs.
fn kind_of(error: &anyhow::Error) -> &'static str {
    use crate::operation::StartRefused;
    use crate::qemu::{ControlError, RefusedArgument};
    if error.is::<StartRefused>() {
        "already-active"
    } else if error.is::<RefusedArgument>() {
        "refused-argument"
    } else if error.is::<ControlError>() {
        "monitor"
    } else if error
        .to_string()
        .starts_with("Requested operation is not valid")
    {
        "operation-invalid"
    } else {
        "failed"
    }
}

/// The status that the guest itself gave, where it gave one.
pub(super) fn guest_status(cause: Option<&Cause>) -> Option<u8> {
    match cause {
        Some(Cause::GuestExit { status }) => u8::try_from(status & 0xff).ok(),
        _ => None,
    }
}
