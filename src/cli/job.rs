//! The options of the verbs that save and dump.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::domain_arg::{DomainAndFile, DomainArg};
use super::duration::duration;
use super::passed::PassedArgs;
use crate::domain::Begin;

// Whether a guest is to run once it was restored, or taken back to a snapshot.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct BeginArgs {
    /// Let the guest run then, whatever it did before
    #[arg(long)]
    running: bool,
    /// Leave the guest paused then
    #[arg(long, conflicts_with = "running")]
    paused: bool,
}

impl BeginArgs {
    /// What was asked for; `None`: what the guest did when it was saved.
    pub fn begin(self) -> Option<Begin> {
        match (self.running, self.paused) {
            (true, _) => Some(Begin::Running),
            (false, true) => Some(Begin::Paused),
            (false, false) => None,
        }
    }
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct SaveArgs {
    #[command(flatten)]
    pub words: DomainAndFile,
    #[command(flatten)]
    pub begin: BeginArgs,
    /// Show on the terminal how far it is
    #[arg(long)]
    pub verbose: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct RestoreArgs {
    /// The file that 'save' has made
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub begin: BeginArgs,
    #[command(flatten)]
    pub passed: PassedArgs,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct ManagedsaveArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    #[command(flatten)]
    pub begin: BeginArgs,
    /// Show on the terminal how far it is
    #[arg(long)]
    pub verbose: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct DumpArgs {
    #[command(flatten)]
    pub words: DomainAndFile,
    /// End the guest when it is dumped: 'shut off (crashed)'
    #[arg(long)]
    pub crash: bool,
    /// Reset the guest when it is dumped
    #[arg(long, conflicts_with = "crash")]
    pub reset: bool,
    /// Taken as virsh takes it; QEMU stops the guest all the same
    #[arg(long, conflicts_with_all = ["crash", "reset"])]
    pub live: bool,
    /// Write an ELF core of the guest's memory instead of QEMU's own stream
    #[arg(long)]
    pub memory_only: bool,
    /// Show on the terminal how far it is
    #[arg(long)]
    pub verbose: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct MigrateArgs {
    /// Id, UUID or name
    #[arg(value_name = "DOMAIN")]
    first: String,
    /// Where a 'start --incoming URI' waits: tcp:HOST:PORT or unix:PATH
    #[arg(value_name = "URI", required_unless_present = "domain_option")]
    second: Option<String>,
    /// The same as DOMAIN, as an option
    #[arg(long = "domain", value_name = "DOMAIN", conflicts_with = "second")]
    domain_option: Option<String>,
    /// Let the guest run there at once, and fetch the rest of its memory as it needs it
    #[arg(long)]
    pub postcopy: bool,
    /// After DURATION stop the guest so that it can leave, or with --postcopy hand it over
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Show on the terminal how far it is
    #[arg(long)]
    pub verbose: bool,
}

impl MigrateArgs {
    /// The domain as it was typed.
    pub fn domain(&self) -> &str {
        self.domain_option.as_ref().unwrap_or(&self.first)
    }

    /// QEMU's address: the second word, or the only one where the domain is an option.
    pub fn uri(&self) -> &str {
        self.second.as_ref().unwrap_or(&self.first)
    }
}
