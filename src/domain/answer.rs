//! What domstate says of a domain, and how sure it is.

use super::cause::Cause;
use super::event::Timestamp;
use super::fold::Exited;
use super::state::State;

/// How an answer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// QEMU or the kernel said so.
    Witnessed,
    /// It follows from what is left; nobody saw it.
    Inferred,
    /// The evidence is gone; `cause` says why.
    Unknown,
}

impl Certainty {
    /// Every certainty, from best to worst.
    pub const ALL: &[Self] = &[Self::Witnessed, Self::Inferred, Self::Unknown];

    /// The word in JSON and text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Witnessed => "witnessed",
            Self::Inferred => "inferred",
            Self::Unknown => "unknown",
        }
    }
}

/// The answer to `domstate --reason`, with what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub state: State,
    /// When the state began; `None` where nobody knows.
    pub since: Option<Timestamp>,
    /// `None` while nothing is wrong.
    pub cause: Option<Cause>,
    pub certainty: Certainty,
}

/// Whether QEMU was there when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    Lives,
    /// Gone. What can still be learnt of its end without its journal (the boot in which it was looked for,
    /// the status of a zombie that nobody has reaped yet, its log) rides along.
    Gone(Exited),
}

/// What is wrong with a run's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Path within the domain's folder.
    pub file: String,
    pub why: String,
}
