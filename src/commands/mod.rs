//! One file a verb: the arguments, the rooms below, a value to print. Nothing is decided here that the fold or
//! an operation could decide.

mod context;
mod define;
mod destroy;
mod domblkerror;
mod dominfo;
mod domjobabort;
mod domjobinfo;
mod dompmwakeup;
mod domrename;
mod dump;
mod explain;
mod failure;
mod fields;
mod history;
mod inject_nmi;
mod job;
mod list;
mod logs;
mod lookup;
mod managedsave;
mod managedsave_remove;
mod migrate;
mod qemu_monitor_command;
mod reboot;
mod reset;
mod restore;
mod resume;
mod run;
mod save;
mod show;
mod shutdown;
mod snapshot_create_as;
mod snapshot_delete;
mod snapshot_list;
mod snapshot_revert;
mod start;
mod state;
mod suspend;
mod undefine;
mod wait;

use crate::cli::Verb;
use crate::store::Access;

pub use context::Context;
pub use failure::{Exit, Failure};

/// A failure of domstate's own before a verb is carried out: `run` has a status for that.
pub fn ours(verb: &Verb, failure: Failure) -> Failure {
    match matches!(verb, Verb::Run(_)) {
        true => failure.exiting(Exit::Ourselves),
        false => failure,
    }
}

/// Carries out a verb.
///
/// # Errors
/// What to complain about, and the exit status that goes with it.
pub fn run(verb: &Verb, context: &mut Context) -> Result<Exit, Failure> {
    if let Err(error) = context.state.check(uid(), access(verb)) {
        return Err(ours(verb, Failure::from(error)));
    }
    match verb {
        Verb::State(args) => state::run(args, context),
        Verb::List(args) => list::run(args, context),
        Verb::Explain(args) => explain::run(args, context),
        Verb::History(args) => history::run(args, context),
        Verb::Logs(args) => logs::run(args, context),
        Verb::Wait(args) => wait::run(args, context),
        Verb::Run(args) => run::run(args, context),
        Verb::Start(args) => start::run(args, context),
        Verb::Shutdown(args) => shutdown::run(args, context),
        Verb::Reboot(args) => reboot::run(args, context),
        Verb::Destroy(args) => destroy::run(args, context),
        Verb::Reset(args) => reset::run(args, context),
        Verb::Suspend(args) => suspend::run(args, context),
        Verb::Resume(args) => resume::run(args, context),
        Verb::Save(args) => save::run(args, context),
        Verb::Restore(args) => restore::run(args, context),
        Verb::Managedsave(args) => managedsave::run(args, context),
        Verb::ManagedsaveRemove(args) => managedsave_remove::run(args, context),
        Verb::Dump(args) => dump::run(args, context),
        Verb::Migrate(args) => migrate::run(args, context),
        Verb::SnapshotCreateAs(args) => snapshot_create_as::run(args, context),
        Verb::SnapshotList(args) => snapshot_list::run(args, context),
        Verb::SnapshotRevert(args) => snapshot_revert::run(args, context),
        Verb::SnapshotDelete(args) => snapshot_delete::run(args, context),
        Verb::Domjobinfo(args) => domjobinfo::run(args, context),
        Verb::Domjobabort(args) => domjobabort::run(args, context),
        Verb::InjectNmi(args) => inject_nmi::run(args, context),
        Verb::Dompmwakeup(args) => dompmwakeup::run(args, context),
        Verb::QemuMonitorCommand(args) => qemu_monitor_command::run(args, context),
        Verb::Domrename(args) => domrename::run(args, context),
        Verb::Domblkerror(args) => domblkerror::run(args, context),
        Verb::Define(args) => define::run(args, context),
        Verb::Undefine(args) => undefine::run(args, context),
        Verb::Show(args) => show::run(args, context),
        Verb::Dominfo(args) => dominfo::run(args, context),
        Verb::Domid(args) => fields::domid(args, context),
        Verb::Domuuid(args) => fields::domuuid(args, context),
        Verb::Domname(args) => fields::domname(args, context),
    }
}

/// The user who is to believe what lies in the state directory.
fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// What the verb does to the domains. `wait` and the verbs that tell give a run a new supervisor only where it is the
/// caller's own.
fn access(verb: &Verb) -> Access {
    match verb {
        Verb::State(_)
        | Verb::List(_)
        | Verb::Explain(_)
        | Verb::History(_)
        | Verb::Logs(_)
        | Verb::Wait(_)
        | Verb::SnapshotList(_)
        | Verb::Domblkerror(_)
        | Verb::Show(_)
        | Verb::Dominfo(_)
        | Verb::Domid(_)
        | Verb::Domuuid(_)
        | Verb::Domname(_) => Access::Look,
        Verb::Run(_)
        | Verb::Start(_)
        | Verb::Shutdown(_)
        | Verb::Reboot(_)
        | Verb::Destroy(_)
        | Verb::Reset(_)
        | Verb::Suspend(_)
        | Verb::Resume(_)
        | Verb::Save(_)
        | Verb::Restore(_)
        | Verb::Managedsave(_)
        | Verb::ManagedsaveRemove(_)
        | Verb::Dump(_)
        | Verb::Migrate(_)
        | Verb::SnapshotCreateAs(_)
        | Verb::SnapshotRevert(_)
        | Verb::SnapshotDelete(_)
        // These two speak to QEMU.
        | Verb::Domjobinfo(_)
        | Verb::Domjobabort(_)
        | Verb::InjectNmi(_)
        | Verb::Dompmwakeup(_)
        | Verb::QemuMonitorCommand(_)
        | Verb::Domrename(_)
        | Verb::Define(_)
        | Verb::Undefine(_) => Access::Act,
    }
}
