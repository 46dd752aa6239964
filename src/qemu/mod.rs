//! QEMU's two faces: the command line it is started with and the monitor it is spoken to over.
//!
//! [`argv`] reads the user's command line and adds the recorder and the control socket to it; [`lifecycle()`] holds the
//! policies against it, [`for_restore`] takes from it how the guest begins. All of this is pure. [`control`] speaks QMP
//! over the control socket, every call under a deadline. Nothing here knows what an event means, starts a process, or
//! decides anything about a domain: values in, values out.

mod actions;
pub mod argv;
mod config_file;
pub mod control;
mod control_error;
mod disks;
mod lifecycle;
mod options;
mod restore;
mod wire;

pub use actions::{Action, Actions, AtPanic, AtReboot, AtShutdown, Said};
pub use argv::{Facts, RecorderPaths, RefusedArgument, examine, recorder_commands, with_recorder};
pub use config_file::ReadConfig;
pub use control::Control;
pub use control_error::ControlError;
pub use disks::{Disk, DiskTag, Memory, is_url, snapshot_words, throwaway_option, writable_disks};
pub use lifecycle::{PolicyRefused, action_words, lifecycle};
pub use restore::{for_restore, incoming_words};
pub use wire::{SOCKET_NAME, listener_pid};
