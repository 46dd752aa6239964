//! `domstate qemu-monitor-command`: a command of the user's own to QEMU's monitor. As in virsh, a refusal of QEMU's is a
//! reply like any other.

use anyhow::Context as _;

use super::{Context, Exit, Failure};
use crate::cli::MonitorArgs;
use crate::operation;

pub(super) fn run(args: &MonitorArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.domain())?;
    let command = serde_json::from_str(args.command()).context("the command is not JSON")?;
    let reply = operation::monitor_command(&domain, seen, &command)?;
    context.printer.object(&reply)?;
    Ok(Exit::Done)
}
