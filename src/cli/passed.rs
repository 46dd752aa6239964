//! What the caller hands on to QEMU.

use clap::Args;

use super::number::descriptor;

// Descriptors of the caller's.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct PassedArgs {
    /// Pass these file descriptors on to QEMU
    #[arg(long, value_name = "N,M", value_delimiter = ',', value_parser = descriptor)]
    pub pass_fds: Vec<i32>,
}
