//! The supervisor: one small process a run, of this same binary, taken before clap is touched. It spawns QEMU,
//! waits, writes down how it ended, writes checkpoints, and keeps journal and log bounded. It decides nothing
//! that the fold does not decide.
//!
//! Two stages, one pid. `launch` spawns QEMU as its child and then becomes `watch` by exec: a fresh image that
//! never parsed a command line or held QEMU's arguments, and the very code that adopts a run whose supervisor
//! died. What the policies ask for is done by a `serve` of the same binary, which comes and goes. There is no other way to stop it than to kill it, and no other way to start again than to adopt.

mod background;
mod foreground;
mod launch;
mod memory;
mod oom;
mod recorder;
mod service;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::operation::{FEED, LAUNCH, LaunchOrder, PROGRAM_NAME, SERVE, WATCH};

pub use foreground::{Conclusion, TimedOut, run_in_foreground};

/// Runs as a supervisor if that is what this process was started as.
pub fn take_over(args: &[OsString]) -> Option<ExitCode> {
    let mut args = args.iter();
    if args.next()?.to_str()? != PROGRAM_NAME {
        return None;
    }
    let result = match args.next()?.to_str()? {
        LAUNCH => LaunchOrder::from_args(args).map(launch::launch),
        WATCH => background::watch_by_args(args),
        SERVE => background::serve_by_args(args),
        FEED => background::feed_by_args(args),
        _ => return None,
    };
    // Nobody reads what a supervisor would print: it leaves its traces in the journal, or none.
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}
