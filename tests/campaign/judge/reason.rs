//! Whether a living guest may be what is told of it: by QEMU's own word, and by what was done.

use domstate::domain::{Paused, Running, State};

use super::Life;
use crate::journey::Role;
use crate::witness::Qemu;

impl Life<'_> {
    /// Whether somebody did what this reason says.
    pub(super) fn judge_reason(&self, state: State) -> Result<(), String> {
        let machine = self.machine;
        // QEMU stops a guest of which it takes a snapshot, and lets it go on.
        let resumed = self.tried("resume") || self.commanded("cont") || self.commanded("savevm");
        let copied = self.copies();
        let woken = self.did('s');
        let sent = self.tried("migrate") || self.commanded("migrate");
        let arrived = self.role == Role::Destination && self.has_guest();
        let is_paused_at_start = machine.paused;
        let holds = match state {
            State::Running(Running::Booted) => self.qemu.is_none_or(|qemu| {
                // What resets the guest by itself stops and resumes it too.
                resumed_after_stop(qemu).is_none() || copied || self.tried_to_restart()
            }),
            State::Running(Running::Unpaused) => resumed || copied || sent,
            State::Running(Running::Restored) => self.may_be_restored,
            State::Running(Running::SaveCanceled) => self.is_saved(),
            State::Running(Running::EventWakeup) | State::PmSuspended => woken,
            State::Running(Running::Crashed) => self.did('p'),
            State::Paused(Paused::User) => {
                let is_brought = self.may_be_restored || arrived;
                self.tried("suspend") || is_paused_at_start || is_brought || self.may_be_reset()
            }
            State::Paused(Paused::IoError) => self.did('w'),
            State::Paused(Paused::Watchdog) => self.did('g'),
            // Its policy has it dumped, too, though somebody lets it run.
            State::Paused(Paused::Dumping) => self.tried("dump") || self.is_dumped_when_it_panics(),
            State::Paused(Paused::Saving) => self.is_saved(),
            State::Paused(Paused::ApiError) => copied,
            State::Paused(Paused::ShuttingDown) | State::InShutdown => !self.ends().is_empty(),
            State::Paused(Paused::Crashed) | State::Crashed => self.did('p'),
            State::Paused(Paused::StartingUp | Paused::Migrating) => {
                sent || self.qemu.is_none_or(|qemu| qemu.heard.is_empty())
            }
            State::Paused(Paused::Unknown) => true,
            State::Running(Running::Unknown) => self.is_obscure,
            State::Running(Running::FromSnapshot) | State::Paused(Paused::FromSnapshot) => {
                self.tried("snapshot-revert")
            }
            State::Paused(Paused::CreatingSnapshot) => self.tried("snapshot-create-as"),
            State::Running(Running::Migrated | Running::PostCopy | Running::PostCopyFailed) => {
                arrived
            }
            State::Running(Running::MigrationCanceled) => sent,
            State::Paused(Paused::PostCopy | Paused::PostCopyFailed) => {
                self.tried_with("migrate", "--postcopy")
            }
            State::ShutOff(_) => false,
        };
        if holds {
            return Ok(());
        }
        Err("nobody did what the reason says".to_owned())
    }
}

impl Life<'_> {
    /// One that slept, or has shut down and stays, stands still if it is reset.
    fn may_be_reset(&self) -> bool {
        let is_restarted = self.machine.on_poweroff.is_some() || self.tried("reboot");
        let by_verb = self.tried("reset") || self.tried_with("dump", "--reset");
        by_verb || self.commanded("system_reset") || self.tried("dompmwakeup") || is_restarted
    }

    /// Whether who stops it is no job, nor does it come from elsewhere.
    fn stands_for_somebody(&self) -> bool {
        let is_sent = self.tried("migrate") || self.commanded("migrate");
        let is_brought = self.may_be_restored || self.role == Role::Destination;
        !(self.copies() || self.commanded("savevm") || is_sent || is_brought)
    }

    /// Whether it is to be saved.
    fn is_saved(&self) -> bool {
        self.tried("save") || self.tried("managedsave")
    }

    fn is_dumped_when_it_panics(&self) -> bool {
        let policy = self.machine.on_crash;
        self.did('p') && policy.is_some_and(|policy| policy.starts_with("coredump"))
    }
}

/// Where QEMU announced that the guest runs again after it was stopped.
fn resumed_after_stop(qemu: &Qemu) -> Option<usize> {
    let names: Vec<&str> = qemu.events.iter().map(|(name, _)| name.as_str()).collect();
    let stop = names.iter().position(|name| *name == "STOP")?;
    names[stop..].iter().position(|name| *name == "RESUME")
}

/// Whether QEMU can be this (`status` of query-status) while the domain is that. The line that says why a guest stands may
/// be lost.
pub(super) fn fits(state: State, status: &str, life: &Life<'_>) -> bool {
    let says_less = life.is_obscure && state == State::Paused(Paused::Unknown);
    match status {
        "running" => matches!(state, State::Running(_)),
        // It slept in the moment in which it shut down, and QEMU stays.
        "suspended" if life.machine.no_shutdown && state == State::InShutdown => true,
        "suspended" => state == State::PmSuspended,
        "guest-panicked" => state == State::Crashed || says_less,
        // QEMU 10 says why a second late. An image does not say why a guest stood that was saved.
        "io-error" => matches!(
            state,
            State::Paused(Paused::IoError | Paused::Unknown | Paused::User)
        ),
        "watchdog" => matches!(
            state,
            State::Paused(Paused::Watchdog | Paused::Unknown | Paused::User)
        ),
        "shutdown" => matches!(
            state,
            State::InShutdown | State::Paused(Paused::ShuttingDown) | State::Crashed
        ),
        // QEMU is that before it has announced its STOP.
        "finish-migrate" if life.commanded("migrate") && matches!(state, State::Running(_)) => true,
        // It forgets over a migration why the guest stood.
        "finish-migrate" | "postmigrate" if life.commanded("migrate") => {
            matches!(state, State::Paused(_) | State::Crashed | State::InShutdown)
        }
        // Why it stood is over, if nobody wrote it down elsewhere and brought it back.
        "paused" if life.stands_for_somebody() => {
            matches!(state, State::Paused(_))
                && !matches!(state, State::Paused(Paused::IoError | Paused::Watchdog))
        }
        _ => matches!(state, State::Paused(_)),
    }
}
