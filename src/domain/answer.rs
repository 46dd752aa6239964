//! What domstate says of a domain, and how sure it is.

use super::cause::Cause;
use super::ending;
use super::event::{Timestamp, Verb};
use super::fold::Fold;
use super::state::{Paused, Running, ShutOff, State};
use super::trace::{Exited, StopCause};
use super::transfer::{Copying, Transfer};

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
    /// Somebody holds its lock: QEMU, or what a wrapper left behind, and which of them cannot be seen from here.
    MayLive,
    /// Gone. What can still be learnt of its end without its journal (the boot in which it was looked for,
    /// the status of a zombie that nobody has reaped yet, its log) rides along.
    Gone(Exited),
}

impl Life {
    /// What two looks at the same process come to. Between them a zombie may have been reaped, whose status is on record by
    /// then, or is not and will not be: what the first look saw of it counts.
    pub fn and_later(self, later: Self) -> Self {
        match (self, later) {
            (Self::Gone(first), Self::Gone(later)) => Self::Gone(Exited {
                exit: later.exit.or(first.exit),
                ..later
            }),
            (_, later) => later,
        }
    }
}

/// What QEMU says that its guest does, asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Runs,
    /// Stopped by somebody, or for something that is done with it.
    Stands,
    StandsForIoError,
    StandsForWatchdog,
    Panicked,
    HasShutDown,
    Sleeps,
    /// And has not run since.
    WasReset,
}

/// What is wrong with a run's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Path within the domain's folder.
    pub file: String,
    pub why: String,
}

impl Damage {
    fn cause(&self) -> Cause {
        Cause::JournalDamaged {
            file: self.file.clone(),
            why: self.why.clone(),
        }
    }
}

impl Fold {
    /// What is true, given whether QEMU lives.
    pub fn answer(&self, life: &Life) -> Answer {
        match life {
            Life::Gone(seen) => ending::conclude(self, seen),
            Life::Lives | Life::MayLive => Answer {
                state: self.live,
                since: self.since,
                cause: self.live_cause(),
                certainty: if self.gap || *life == Life::MayLive || self.is_presumed() {
                    Certainty::Inferred
                } else {
                    Certainty::Witnessed
                },
            },
        }
    }

    /// What can be said when the journal that this was folded from is not whole. What survived of the record may
    /// tell of bad news; of success it is no proof.
    pub fn answer_despite(&self, damage: &Damage, life: &Life) -> Answer {
        let known = self.answer(life);
        let cause = Some(damage.cause());
        let is_bad_news = known.state != State::ShutOff(ShutOff::Shutdown) && self.has_end();
        let (state, certainty) = match life {
            Life::Lives | Life::MayLive if self.launch.is_none() => {
                (State::Running(Running::Unknown), Certainty::Unknown)
            }
            Life::Lives | Life::MayLive => (known.state, Certainty::Inferred),
            // What survived may tell no more than that it does not tell.
            Life::Gone(_) if is_bad_news && known.certainty != Certainty::Unknown => {
                (known.state, Certainty::Inferred)
            }
            Life::Gone(_) => (State::ShutOff(ShutOff::Unknown), Certainty::Unknown),
        };
        let since = (state == known.state).then_some(known.since).flatten();
        Answer {
            state,
            since,
            cause,
            certainty,
        }
    }

    /// What can be said of a guest that lives, whose lines may be lost, and of which QEMU says just now what it does: `answer`, as
    /// far as the two agree.
    pub fn answer_as_told(&self, answer: &Answer, doing: Doing) -> Answer {
        let told = answer.state;
        let (stands, runs) = (
            State::Paused(Paused::Unknown),
            State::Running(Running::Unknown),
        );
        let state = match (doing, told) {
            (Doing::Runs, State::Running(_)) => told,
            (Doing::Runs, _) => runs,
            // It is only just starting, or arrives.
            (Doing::Stands | Doing::WasReset, _) if self.began.is_none() => told,
            (Doing::Stands | Doing::WasReset, State::Paused(_)) => told,
            // It may be stopped while it sleeps; and QEMU forgets over a dump, say, that it panicked or has shut down.
            (Doing::Stands, State::PmSuspended | State::Crashed | State::InShutdown) => told,
            (Doing::Stands | Doing::WasReset, _) => stands,
            (Doing::StandsForIoError, _) => State::Paused(Paused::IoError),
            (Doing::StandsForWatchdog, _) => State::Paused(Paused::Watchdog),
            (Doing::Panicked, _) => State::Crashed,
            (Doing::Sleeps, _) => State::PmSuspended,
            // As it stands before a policy acts, or behind its panic.
            (Doing::HasShutDown, State::Crashed | State::Paused(Paused::ShuttingDown)) => told,
            (Doing::HasShutDown, _) => State::InShutdown,
        };
        if state == told {
            return answer.clone();
        }
        Answer {
            state,
            since: None,
            cause: answer.cause.clone().filter(Cause::is_of_record),
            certainty: Certainty::Inferred,
        }
    }

    /// What can be said of a guest whose QEMU lives and writes the record no more: nothing of what it does.
    pub fn answer_unrecorded(damage: &Damage) -> Answer {
        Answer {
            state: State::Running(Running::Unknown),
            since: None,
            cause: Some(damage.cause()),
            certainty: Certainty::Unknown,
        }
    }

    /// Whether why it stands is only likely: who asked for that has not said that he acted, or another may have stopped it.
    fn is_presumed(&self) -> bool {
        match self.live {
            State::Paused(Paused::User) => self.intents.is_only_asked(Verb::Suspend, self.since),
            // QEMU stops it when there is no more than the last of it to go.
            State::Paused(Paused::Migrating) => {
                let is_held_back = matches!(
                    self.transfer,
                    Transfer::Leaving(Copying::Undecided | Copying::PreCopy)
                );
                self.is_written_for_job() && is_held_back
            }
            State::Running(_)
            | State::Paused(_)
            | State::InShutdown
            | State::ShutOff(_)
            | State::Crashed
            | State::PmSuspended => false,
        }
    }

    fn live_cause(&self) -> Option<Cause> {
        match self.live {
            State::Paused(Paused::IoError) => match &self.stop_cause {
                Some((StopCause::IoError(error), _)) => Some(Cause::IoError(error.clone())),
                Some((StopCause::Watchdog, _)) | None => None,
            },
            State::Paused(Paused::Watchdog) => Some(Cause::Watchdog {
                action: "pause".to_owned(),
            }),
            State::Crashed => self.panic.as_ref().map(|panic| Cause::GuestPanic {
                info: panic.info.clone(),
                kept: panic.kept.clone(),
            }),
            State::InShutdown => ending::pending(self).map(|verdict| verdict.cause),
            State::Running(_) | State::Paused(_) | State::ShutOff(_) | State::PmSuspended => None,
        }
    }
}
