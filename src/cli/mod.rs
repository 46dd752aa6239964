//! The command line as a value: what was typed, checked for form, and nothing done yet.
//!
//! Declarations (clap's derive) and the little that clap cannot say: a first bare word that is no verb means
//! `state`, and a usage error is one line. This room touches nothing: no environment, no file, no output.
//! Whether a domain exists, or an argument of QEMU is allowed, is decided by `commands`.
//!
//! `domstate --reason D` is called in loops, so [`parse`] has a short way for `state`.

mod condition;
mod domain_arg;
mod duration;
mod global;
mod job;
mod number;
mod passed;
mod policy;
mod snapshot;
mod usage;
mod verb;
mod virsh;
mod words;

use std::ffi::OsString;

use clap::{Args, Command, Error, FromArgMatches, Subcommand};

pub use condition::Condition;
pub use domain_arg::{DomainAndFile, DomainArg, DomainArgs};
pub use global::Global;
pub use job::{BeginArgs, DumpArgs, ManagedsaveArgs, MigrateArgs, RestoreArgs, SaveArgs};
pub use policy::PolicyArgs;
pub use snapshot::{DomainAndSnapshot, SnapshotCreateArgs, SnapshotRevertArgs};
pub use usage::Usage;
pub use verb::{
    DefineArgs, DestroyArgs, ExplainArgs, ListArgs, LogsArgs, MonitorArgs, RenameArgs, RunArgs,
    StartArgs, StateArgs, UndefineArgs, Verb, WaitArgs,
};
pub use virsh::is_virsh_verb;
use words::Words;

const USAGE: &str = "\
domstate [--reason] DOMAIN...
       domstate VERB [OPTION]... [DOMAIN]...";

const ROOT_HELP: &str = "\
A DOMAIN is an id (QEMU's pid), a UUID or a name.
A first word that is no verb is a domain: 'domstate web' is 'domstate state web'.

Examples:
  domstate --reason web                        Print its state and why
  domstate start web -- qemu-system-x86_64 ... Run QEMU in the background
  domstate wait web --timeout 10m              Return when it has ended
  domstate explain web                         Show the evidence
  domstate list --all --reason                 Show every domain

Exit status: 0 done, 1 failed, 2 wrong usage; 'run' and 'wait' have more, see their help";

/// The words that clap takes for a verb beside the names of [`Verb`] (a test compares).
const ALIASES: &[&str] = &["domstate", "await", "help"];

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub struct Cli {
    pub global: Global,
    pub verb: Verb,
}

/// Reads the arguments, the program's own name first.
///
/// # Errors
/// [`Usage`] carries the help or version text that was asked for, or what is wrong with the arguments.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Usage> {
    if args.len() < 2 {
        return Err(Usage::nothing());
    }
    let words = Words::read(args, is_verb);
    if let Some(cli) = read_state(&words) {
        return Ok(cli);
    }
    read(command(), words.args()).map_err(|error| Usage::new(&error, &words))
}

/// The whole command line, for the generators of man pages and completions.
pub fn command() -> Command {
    let command = Command::new("domstate")
        .bin_name("domstate")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .override_usage(USAGE)
        .after_help(ROOT_HELP)
        .subcommand_required(true)
        .subcommand_value_name("VERB")
        .subcommand_help_heading("Verbs");
    Verb::augment_subcommands(Global::augment_args(command))
        .about("Run QEMU, wait on it and tell why it ended, in virsh's words, without a daemon")
}

fn is_verb(word: &str) -> bool {
    Verb::has_subcommand(word) || ALIASES.contains(&word)
}

/// Reads `state` alone, as a command of its own: a sixth of the instructions of [`read`]. What this refuses,
/// [`read`] refuses too, and says why; help is refused, so that it lists every verb.
fn read_state(words: &Words) -> Option<Cli> {
    let args = words.args_of_state()?;
    let command = Command::new("domstate")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true);
    let command = StateArgs::augment_args(Global::augment_args(command));
    let mut matches = command.try_get_matches_from(args).ok()?;
    Some(Cli {
        global: Global::from_arg_matches_mut(&mut matches).ok()?,
        verb: Verb::State(StateArgs::from_arg_matches_mut(&mut matches).ok()?),
    })
}

fn read(command: Command, args: &[OsString]) -> Result<Cli, Error> {
    let mut matches = command.try_get_matches_from(args)?;
    Ok(Cli {
        global: Global::from_arg_matches_mut(&mut matches)?,
        verb: Verb::from_arg_matches_mut(&mut matches)?,
    })
}

#[cfg(test)]
mod tests;
