//! The verbs and their own options.
//!
//! Every help text here is what a person reads at three in the morning: what the verb does, in the
//! imperative, and nothing else. A test compares this list with the contract.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::condition::{Condition, condition, virsh_condition};
use super::domain_arg::{DomainArg, DomainArgs};
use super::duration::duration;
use super::job::{DumpArgs, ManagedsaveArgs, MigrateArgs, RestoreArgs, SaveArgs};
use super::number::run;
use super::passed::PassedArgs;
use super::policy::PolicyArgs;
use super::snapshot::{DomainAndSnapshot, SnapshotCreateArgs, SnapshotRevertArgs};

// clap would take a `///` on this and the structs below for the help text of a verb that holds it.
// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Print the state of each domain ('state' may be left out)
    #[command(
        alias = "domstate",
        override_usage = "domstate state [--reason] DOMAIN..."
    )]
    State(StateArgs),
    /// List domains; without options, the active ones
    #[command(override_usage = "domstate list [OPTION]...")]
    List(ListArgs),
    /// Show why a domain is in its state, with the evidence
    #[command(override_usage = "domstate explain [--run N] DOMAIN")]
    Explain(ExplainArgs),
    /// List the last runs of a domain and how each ended
    #[command(override_usage = "domstate history DOMAIN")]
    History(DomainArg),
    /// Print what QEMU wrote
    #[command(override_usage = "domstate logs [--run N] [--follow] DOMAIN")]
    Logs(LogsArgs),
    /// Wait until each domain has ended, or meets a condition
    #[command(alias = "await", after_help = WAIT_STATUS, override_usage = "domstate wait [--for CONDITION]... [--any] [--timeout DURATION] DOMAIN...")]
    Wait(WaitArgs),
    /// Run QEMU in the foreground and tell how it ended
    #[command(after_help = RUN_STATUS, override_usage = "domstate run DOMAIN [POLICY]... [--timeout DURATION] [--guest-status] [--pass-fds N,M] [-- QEMU ARG...]")]
    Run(RunArgs),
    /// Start QEMU in the background
    #[command(
        override_usage = "domstate start DOMAIN [--paused] [--force-boot] [POLICY]... [--incoming URI] [--pass-fds N,M] [-- QEMU ARG...]"
    )]
    Start(StartArgs),
    /// Ask the guest to power itself off
    #[command(override_usage = "domstate shutdown DOMAIN")]
    Shutdown(DomainArg),
    /// Ask the guest to power itself off, and start it again when it has
    #[command(override_usage = "domstate reboot DOMAIN")]
    Reboot(DomainArg),
    /// End QEMU at once, as if the guest's power were cut
    #[command(override_usage = "domstate destroy [--graceful] DOMAIN")]
    Destroy(DestroyArgs),
    /// Reset the guest, as its reset button would
    #[command(override_usage = "domstate reset DOMAIN")]
    Reset(DomainArg),
    /// Pause the guest
    #[command(override_usage = "domstate suspend DOMAIN")]
    Suspend(DomainArg),
    /// Let a paused guest run on
    #[command(override_usage = "domstate resume DOMAIN")]
    Resume(DomainArg),
    /// Save the guest into a file and end it
    #[command(override_usage = "domstate save DOMAIN FILE [--running|--paused] [--verbose]")]
    Save(SaveArgs),
    /// Take a guest up that 'save' has saved
    #[command(override_usage = "domstate restore FILE [--running|--paused] [--pass-fds N,M]")]
    Restore(RestoreArgs),
    /// Save the guest for its next start and end it
    #[command(override_usage = "domstate managedsave DOMAIN [--running|--paused] [--verbose]")]
    Managedsave(ManagedsaveArgs),
    /// Forget what 'managedsave' has saved: the next start boots
    #[command(
        name = "managedsave-remove",
        override_usage = "domstate managedsave-remove DOMAIN"
    )]
    ManagedsaveRemove(DomainArg),
    /// Dump the guest's memory into a file
    #[command(
        override_usage = "domstate dump DOMAIN FILE [--crash|--reset|--live] [--memory-only] [--verbose]"
    )]
    Dump(DumpArgs),
    /// Send the guest to another QEMU and end it here
    #[command(
        override_usage = "domstate migrate DOMAIN URI [--postcopy] [--timeout DURATION] [--verbose]"
    )]
    Migrate(MigrateArgs),
    /// Take a snapshot of the guest into its disks
    #[command(
        name = "snapshot-create-as",
        override_usage = "domstate snapshot-create-as DOMAIN NAME [--halt]"
    )]
    SnapshotCreateAs(SnapshotCreateArgs),
    /// List the snapshots of a domain
    #[command(
        name = "snapshot-list",
        override_usage = "domstate snapshot-list DOMAIN"
    )]
    SnapshotList(DomainArg),
    /// Take the guest back to a snapshot
    #[command(
        name = "snapshot-revert",
        override_usage = "domstate snapshot-revert DOMAIN NAME [--running|--paused]"
    )]
    SnapshotRevert(SnapshotRevertArgs),
    /// Delete a snapshot from the disks that hold it
    #[command(
        name = "snapshot-delete",
        override_usage = "domstate snapshot-delete DOMAIN NAME"
    )]
    SnapshotDelete(DomainAndSnapshot),
    /// Print how far the save, dump, migration or snapshot is that is under way
    #[command(override_usage = "domstate domjobinfo DOMAIN")]
    Domjobinfo(DomainArg),
    /// Cancel the save, dump or migration that is under way
    #[command(override_usage = "domstate domjobabort DOMAIN")]
    Domjobabort(DomainArg),
    /// Send the guest a non-maskable interrupt
    #[command(name = "inject-nmi", override_usage = "domstate inject-nmi DOMAIN")]
    InjectNmi(DomainArg),
    /// Wake a guest that sleeps in memory
    #[command(override_usage = "domstate dompmwakeup DOMAIN")]
    Dompmwakeup(DomainArg),
    /// Send QEMU a command over its monitor and print the reply
    #[command(
        name = "qemu-monitor-command",
        override_usage = "domstate qemu-monitor-command DOMAIN JSON"
    )]
    QemuMonitorCommand(MonitorArgs),
    /// Keep a domain's command line without starting it
    #[command(override_usage = "domstate define DOMAIN [POLICY]... -- QEMU ARG...")]
    Define(DefineArgs),
    /// Forget an inactive domain and its history
    #[command(
        override_usage = "domstate undefine DOMAIN [--managed-save] [--snapshots-metadata] [--remove-dumps]"
    )]
    Undefine(UndefineArgs),
    /// Give an inactive domain another name
    #[command(override_usage = "domstate domrename DOMAIN NEW")]
    Domrename(RenameArgs),
    /// Print a domain's command line, fit to be pasted
    #[command(override_usage = "domstate show DOMAIN")]
    Show(DomainArg),
    /// Print what is known of a domain
    #[command(override_usage = "domstate dominfo DOMAIN")]
    Dominfo(DomainArg),
    /// Print the disk that failed, if the guest was paused for it
    #[command(override_usage = "domstate domblkerror DOMAIN")]
    Domblkerror(DomainArg),
    /// Print a domain's id, which is QEMU's pid, or '-' while it is inactive
    #[command(override_usage = "domstate domid DOMAIN")]
    Domid(DomainArg),
    /// Print a domain's UUID
    #[command(override_usage = "domstate domuuid DOMAIN")]
    Domuuid(DomainArg),
    /// Print a domain's name
    #[command(override_usage = "domstate domname DOMAIN")]
    Domname(DomainArg),
}

const WAIT_STATUS: &str = "\
CONDITION is a state ('running'), a state with its reason ('shut off (crashed)'), 'active', 'inactive',
or 'change' (anything other than now). Without --for: the domain has ended.

Exit status:
  0    met
  1    failed, unknown domain
  2    wrong usage
  3    can no longer be met: the domain ended otherwise
  124  timed out";

const RUN_STATUS: &str = "\
Exit status:
  0    shut off (shutdown), (saved), (migrated) or (from snapshot)
  2    wrong usage
  3    crashed
  4    destroyed
  5    failed: QEMU ended before it was ready
  6    unknown
  124  timed out
  125  domstate itself failed
  126  QEMU cannot be executed
  127  QEMU not found";

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct StateArgs {
    /// Print the reason too: 'shut off (crashed)'
    #[arg(long)]
    pub reason: bool,
    #[command(flatten)]
    pub domains: DomainArgs,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct ListArgs {
    /// List inactive domains too
    #[arg(long)]
    pub all: bool,
    /// List inactive domains only
    #[arg(long)]
    pub inactive: bool,
    /// List running domains
    #[arg(long)]
    pub state_running: bool,
    /// List paused domains
    #[arg(long)]
    pub state_paused: bool,
    /// List domains that are shut off
    #[arg(long)]
    pub state_shutoff: bool,
    /// List domains in any other state
    #[arg(long)]
    pub state_other: bool,
    /// Show the reason too: 'shut off (crashed)'
    #[arg(long)]
    pub reason: bool,
    /// Print names only
    #[arg(long)]
    pub name: bool,
    /// Print UUIDs only
    #[arg(long)]
    pub uuid: bool,
    /// Print ids only
    #[arg(long)]
    pub id: bool,
    /// Print the table, which is the default
    #[arg(long, conflicts_with_all = ["name", "uuid", "id"])]
    pub table: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    /// Explain run N instead of the last one
    #[arg(long, value_name = "N", value_parser = run)]
    pub run: Option<u32>,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct LogsArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    /// Print the log of run N instead of the last one
    #[arg(long, value_name = "N", value_parser = run)]
    pub run: Option<u32>,
    /// Print what is added until QEMU ends
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct WaitArgs {
    #[command(flatten)]
    pub domains: DomainArgs,
    /// Wait for CONDITION; given several times, any of them
    #[arg(long = "for", value_name = "CONDITION", value_parser = condition)]
    conditions: Vec<Condition>,
    /// Wait for virsh's CONDITION: domain-inactive
    #[arg(long = "condition", value_name = "CONDITION", value_parser = virsh_condition)]
    virsh_conditions: Vec<Condition>,
    /// Return when one of the domains meets a condition
    #[arg(long)]
    pub any: bool,
    /// Give up after DURATION: 30 (seconds), 500ms, 2m, 1h; 0 looks once
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

impl WaitArgs {
    /// The conditions that were asked for; none means that the domain has ended.
    pub fn conditions(&self) -> Vec<Condition> {
        let both = self.conditions.iter().chain(&self.virsh_conditions);
        both.copied().collect()
    }
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct RunArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    /// Destroy the guest after DURATION: 30 (seconds), 500ms, 2m, 1h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Exit with the status that the guest itself gave, where it gave one
    #[arg(long)]
    pub guest_status: bool,
    #[command(flatten)]
    pub passed: PassedArgs,
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Run this QEMU; without it, the one that the domain was defined with
    #[arg(last = true, value_name = "QEMU ARG")]
    pub qemu: Vec<OsString>,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct StartArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    /// Leave the guest paused until 'resume'
    #[arg(long)]
    pub paused: bool,
    /// Boot, and give up what 'managedsave' has left
    #[arg(long, conflicts_with = "incoming")]
    pub force_boot: bool,
    /// Wait for a guest that 'migrate' sends to URI: tcp:HOST:PORT or unix:PATH
    #[arg(long, value_name = "URI")]
    pub incoming: Option<String>,
    #[command(flatten)]
    pub passed: PassedArgs,
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Start this QEMU; without it, the one that the domain was defined with
    #[arg(last = true, value_name = "QEMU ARG")]
    pub qemu: Vec<OsString>,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct DestroyArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    /// Ask QEMU to quit and fail if it does not, instead of killing it
    #[arg(long)]
    pub graceful: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct UndefineArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    /// Forget what 'managedsave' has saved, too
    #[arg(long)]
    pub managed_save: bool,
    /// Forget its snapshots, too; its disks hold them still
    #[arg(long)]
    pub snapshots_metadata: bool,
    /// Remove the core files of '--on-crash coredump-*', too
    #[arg(long)]
    pub remove_dumps: bool,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct DefineArgs {
    #[command(flatten)]
    pub domain: DomainArg,
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Keep this QEMU
    #[arg(last = true, required = true, value_name = "QEMU ARG")]
    pub qemu: Vec<OsString>,
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct MonitorArgs {
    /// Id, UUID or name
    #[arg(value_name = "DOMAIN")]
    first: String,
    /// The command, as '{"execute":"query-status"}'
    #[arg(value_name = "JSON", required_unless_present = "domain_option")]
    second: Option<String>,
    /// The same as DOMAIN, as an option
    #[arg(long = "domain", value_name = "DOMAIN", conflicts_with = "second")]
    domain_option: Option<String>,
}

impl MonitorArgs {
    /// The domain as it was typed.
    pub fn domain(&self) -> &str {
        self.domain_option.as_ref().unwrap_or(&self.first)
    }

    /// The command: the second word, or the only one where the domain is an option.
    pub fn command(&self) -> &str {
        self.second.as_ref().unwrap_or(&self.first)
    }
}

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct RenameArgs {
    /// Id, UUID or name
    #[arg(value_name = "DOMAIN")]
    first: String,
    /// The new name
    #[arg(value_name = "NEW", required_unless_present = "domain_option")]
    second: Option<String>,
    /// The same as DOMAIN, as an option
    #[arg(long = "domain", value_name = "DOMAIN", conflicts_with = "second")]
    domain_option: Option<String>,
}

impl RenameArgs {
    /// The domain as it was typed.
    pub fn domain(&self) -> &str {
        self.domain_option.as_ref().unwrap_or(&self.first)
    }

    /// The new name: the second word, or the only one where the domain is an option.
    pub fn new_name(&self) -> &str {
        self.second.as_ref().unwrap_or(&self.first)
    }
}
