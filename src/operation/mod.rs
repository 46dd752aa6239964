//! What is done to a domain, by commands and supervisor alike: starting, ending, stopping, resuming.
//!
//! Whoever acts writes into the run's journal what it is about to do (ASKED), that it did (SENT), and what came of it
//! (DONE or FAILED), so that a command which is killed at any line leaves behind what the fold needs.

mod adopt;
mod asking;
mod define;
mod destroy;
mod folder;
mod monitor;
mod order;
mod start;
mod ward;

pub use adopt::{adopt, adopt_and_wait};
pub use asking::{Asking, actor};
pub use define::{define, rename, undefine};
pub use destroy::{Mercy, destroy};
pub use folder::StartRefused;
pub use monitor::{inject_nmi, monitor_command, reset, resume, shutdown, suspend, wake_up};
pub use order::{
    LAUNCH, LaunchOrder, PROGRAM_NAME, SUPERVISOR_ENVIRONMENT, WATCH, number, watch_args,
};
pub use start::{Keep, Prepared, StartOptions, await_start, prepare, spawn_supervisor};
pub use ward::Ward;
