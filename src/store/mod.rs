//! The state directory: where things lie, how they are written so that they last, and who holds what.
//!
//! ```text
//! STATE/NAME/domain.json       the definition
//! STATE/NAME/state.json        symbolic link to the current run's checkpoint
//! STATE/NAME/lock              held by QEMU while it lives
//! STATE/NAME/managed.save      what managedsave leaves for the next start
//! STATE/NAME/snapshots/        what is kept of internal snapshots, beside the disks that hold them
//! STATE/NAME/dump/             core files of guests that panicked
//! STATE/NAME/runs/00000007/    one run: journal, state.json, definition.json, log, recorder.in, recorder.out,
//!                              supervisor.lock, job.lock, qmp.sock
//! ```
//! The checkpoint lies in its run's folder, so that a supervisor which was stopped for a week cannot write
//! over what a later run has to say. The newest folder in `runs` is the current run: it appears there whole,
//! by one rename, with its first journal line in it.

mod checkpoint;
mod definition;
mod digest;
mod dump_file;
mod durable;
pub mod encode;
mod lock;
mod log;
mod new_image;
mod owner;
mod paths;
mod run;
mod save_image;
mod snapshot;
mod trust;

pub use checkpoint::{Agreement, StoredCheckpoint, Sync};
pub use definition::Definition;
pub use dump_file::{DumpFile, discard_dump, put_dump_in_place};
pub use durable::{
    FORMAT, create_folder, is_newer, read_json, sync_folder, write_durably, write_lightly,
};
pub use lock::{FolderLock, Lock, NameLock, is_held};
pub use log::{LOG_FILE, Log, LogPart};
pub use new_image::{NewImage, Placed, discard, part_of, place_of, put_in_place};
pub use owner::Owner;
pub use paths::{DomainFolder, RunFolder, StateDir, may_exist};
pub use run::{NewRun, link_checkpoint, prune};
pub use save_image::{OpenImage, SaveImage, time_of};
pub use snapshot::{
    Snapshot, SnapshotDisk, discard_snapshot, forget_snapshot, put_snapshot_in_place,
    snapshot_count, tag_of,
};
pub use trust::{Access, refuse_link};
