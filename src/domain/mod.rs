//! What a domain is and what may be said of it: pure values and the rules between them.
//!
//! Nothing here touches the outside: no file, no clock, no JSON, no QEMU name. Facts come in as values
//! ([`Record`], [`Life`]), the decision goes out as a value ([`Answer`]). A new rule is a line in
//! `fold` or `ending` and a line in its table of tests.

mod answer;
mod cause;
mod changes;
mod duty;
mod ending;
mod event;
mod fold;
mod intent;
mod job;
mod name;
mod policy;
mod requests;
mod state;
mod stream;
mod trace;
mod transfer;

pub use answer::{Answer, Certainty, Damage, Doing, Life};
pub use cause::{Cause, Count, IoError, OomCounts, OomKill, OomScope};
pub use duty::Duty;
pub use event::{
    Actor, Begin, Bmc, BootId, Checkpoint, Event, Exit, ExitDevice, FileId, Launch, LaunchKind,
    LogWords, PanicAction, Process, Record, ResetBy, Rules, RunStatus, ShutdownCause, SignalSender,
    StreamAnswer, Timestamp, Verb, WatchdogAction,
};
pub use fold::Fold;
pub use intent::{Intent, Intents, Progress};
pub use job::{Before, Job, PendingJob, Worker};
pub use name::{InvalidName, Name, Uuid};
pub use policy::{Lifecycle, OnCrash, OnPoweroff, OnReboot, Policies};
pub use state::{Paused, Running, ShutOff, State};
pub use stream::Stream;
pub use trace::{
    Core, Exited, Machine, Panic, PassedPanic, Reboot, Restart, Shutdown, StopCause, WatchdogEnd,
};
pub use transfer::{Copying, Transfer};

#[cfg(test)]
mod tests;
