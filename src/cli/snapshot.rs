//! The options of the verbs on snapshots.

use clap::Args;

use super::job::BeginArgs;

// A domain and a snapshot of it.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct DomainAndSnapshot {
    /// Id, UUID or name
    #[arg(value_name = "DOMAIN")]
    first: String,
    /// The snapshot
    #[arg(value_name = "NAME", required_unless_present = "domain_option")]
    second: Option<String>,
    /// The same as DOMAIN, as an option
    #[arg(long = "domain", value_name = "DOMAIN", conflicts_with = "second")]
    domain_option: Option<String>,
}

impl DomainAndSnapshot {
    /// The domain as it was typed.
    pub fn domain(&self) -> &str {
        self.domain_option.as_ref().unwrap_or(&self.first)
    }

    /// The snapshot's name: the second word, or the only one where the domain is an option.
    pub fn snapshot(&self) -> &str {
        self.second.as_ref().unwrap_or(&self.first)
    }
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct SnapshotCreateArgs {
    #[command(flatten)]
    pub words: DomainAndSnapshot,
    /// End the guest when it is taken: 'shut off (from snapshot)'
    #[arg(long)]
    pub halt: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct SnapshotRevertArgs {
    #[command(flatten)]
    pub words: DomainAndSnapshot,
    #[command(flatten)]
    pub begin: BeginArgs,
}
