//! What is done to a domain, by commands and supervisor alike: starting, ending, stopping, resuming.
//!
//! Whoever acts writes into the run's journal what it is about to do (ASKED), that it did (SENT), and what came of it
//! (DONE or FAILED), so that a command which is killed at any line leaves behind what the fold needs.

mod adopt;
mod asking;
mod config_file;
mod define;
mod destroy;
mod dump;
mod feed;
mod folder;
mod fulfil;
mod inquire;
mod interrupts;
mod job_duty;
mod jobs;
mod limits;
mod managed;
mod migrate;
mod monitor;
mod order;
mod plan;
mod pump;
mod save;
mod settle;
mod snapshot;
mod snapshot_delete;
mod snapshot_duty;
mod snapshot_job;
mod snapshot_revert;
mod start;
mod stream;
mod target;
mod undo;
mod ward;
mod worker;

pub use adopt::{Succession, adopt, adopt_and_wait};
pub use asking::{Asking, actor, one_line};
pub use config_file::examine;
pub use define::{define, rename, undefine};
pub use destroy::destroy;
pub use dump::{AfterDump, DumpForm, dump};
pub use feed::{Feed, FeedOrder, feed};
pub use folder::StartRefused;
pub use fulfil::fulfil;
pub use inquire::inquire;
pub use jobs::{JobInfo, JobProgress, abort_job, job_info, job_progress};
pub use managed::{
    Kept, Loss, give_up_managed_image, has_managed_image, managed_image, remove_managed_image,
    sweep_managed_image,
};
pub use migrate::{Handover, migrate};
pub use monitor::{inject_nmi, monitor_command, reboot, reset, resume, shutdown, suspend, wake_up};
pub use order::{
    FEED, LAUNCH, LaunchOrder, PROGRAM_NAME, SERVE, SUPERVISOR_ENVIRONMENT, WATCH, number, servant,
    watch_args,
};
pub use save::{SaveTo, finish_save, save};
pub use settle::NOT_RUNNING;
pub use snapshot::{AfterSnapshot, create_snapshot};
pub use snapshot_delete::delete_snapshot;
pub use snapshot_revert::{revert_snapshot, snapshot};
pub use start::{From, Keep, Prepared, StartOptions, await_start, prepare, spawn_supervisor};
pub use target::Mercy;
pub use ward::{Delivery, Ward};
