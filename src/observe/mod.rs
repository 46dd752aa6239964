//! Looking: checkpoint + journal + lock + boot -> answer, and waiting for it to change. What `state`, `wait`
//! and the supervisor share.
//!
//! Looking changes nothing: it takes no lock, sends QEMU no command and signals nobody, so a QEMU or a
//! supervisor that hangs cannot make it hang, and no number of lookers disturbs a start.

mod alarm;
mod host;
mod kernel_log;
mod life;
mod look;
mod memory_events;
mod origin;
mod process;
mod replay;
mod watcher;
mod worker;

pub use alarm::{Alarm, Sight, Woken};
pub use host::{Reach, boot_id, now, pid_namespace, reach};
pub use kernel_log::{KernelLog, Told};
pub use life::{Supervised, find_qemu, is_newest, is_of_run, lock_is_held};
pub use look::{Observation, look, look_at_run};
pub use memory_events::MemoryEvents;
pub use origin::Origin;
pub use process::{
    ProcessState, exit_of_wait_status, is_named_as_qemu, process, process_state, start_ticks,
};
pub use replay::replay;
pub use watcher::Watcher;
pub use worker::worker;
