//! Whether what is told as the cause of an end can have been one.

use domstate::domain::{ShutOff, State};
use nix::sys::signal::Signal;

use super::{Life, words};
use crate::act::{Act, Freezer};
use crate::journey::Role;
use crate::machine::Wrapper;
use crate::told::Told;
use crate::witness::Qemu;

impl Life<'_> {
    /// Whether somebody did what this cause says.
    pub(super) fn judge_cause(&self, told: &Told) -> Result<(), String> {
        let cause = &told.cause;
        let machine = self.machine;
        let kind = cause["kind"].as_str().unwrap_or_default();
        let verb = cause["verb"].as_str().unwrap_or_default();
        let signal = cause["signal"].as_str().unwrap_or_default();
        let exits_33 = machine.has_exit_device && self.did('x');
        let holds = match kind {
            "guest-shutdown" => (self.did('o') || self.did('d')) && self.heard_of_shutdown(),
            "guest-reset" => machine.no_reboot && self.may_have_reset_itself(),
            "guest-panic" => self.did('p') || self.may_go_on_behind_panic(),
            "guest-exit" => exits_33 && cause["status"] == 33,
            "signal" => self.may_have_died_by(signal),
            // What QEMU said may be lost.
            "exit-status" if told.certainty != "witnessed" => true,
            "exit-status" => self.may_have_given_up(exits_33) && cause["status"] != 0,
            "watchdog" => self.did('g') && cause["action"] == machine.watchdog.unwrap_or("reset"),
            "host-signal" => self.may_have_been_told_to_end(signal) && self.is_known(&cause["pid"]),
            "qmp-quit" => self.commanded("quit") || self.quits(),
            "qmp-reset" => machine.no_reboot && self.may_have_been_reset(),
            // It is the default where there is any policy.
            "asked" if verb == "on-crash destroy" => {
                self.did('p') && (machine.on_crash.is_some() || machine.on_poweroff.is_some())
            }
            "asked" => self.tried_as(verb),
            "start-failure" => self.may_have_failed() || !self.has_guest(),
            "journal-damaged" => self.is_obscure,
            "status-lost" => self.is_obscure || machine.wrapper == Wrapper::Waits,
            "maybe-migrated" => self.may_seem_sent(),
            "unattributed" => true,
            // Nobody starts the host anew, or runs out of memory; there is no window of QEMU's.
            _ => false,
        };
        if holds {
            return Ok(());
        }
        Err("nobody did what the cause says".to_owned())
    }

    /// Whether what a verb is told to have done may be what somebody else did in the same moment: of two signals QEMU names
    /// one, and of two resets nobody knows which it was.
    pub(super) fn may_be_anothers(&self, told: &Told) -> bool {
        let verb = told.cause["verb"].as_str().unwrap_or_default();
        let signals = ["SIGTERM", "SIGINT", "SIGHUP"];
        let is_signalled = signals.iter().any(|signal| self.sent(signal));
        let is_reset = verb.ends_with("reset") && self.commanded("system_reset");
        let is_sent = verb == "destroy" || verb.starts_with("run");
        told.state == State::ShutOff(ShutOff::Destroyed)
            && (is_reset || (is_sent && is_signalled) || verb == "on-crash destroy")
    }

    /// Whether QEMU may have died while it sent its guest away, or told of a stream just as it was told to write one: then nobody
    /// knows whose that was.
    pub(super) fn may_seem_sent(&self) -> bool {
        let is_told_to_write = self.tried("save") || self.tried("managedsave");
        let is_killed = ["SIGKILL", "SIGSEGV", "SIGABRT"]
            .iter()
            .any(|signal| self.sent(signal));
        let is_cut_off = is_told_to_write && (is_killed || self.is_hit());
        // As it is written a snapshot looks as if it were sent.
        let is_snapshot_cut_off = self.commanded("savevm") && (is_killed || self.is_hit());
        let is_sent = self.tried("migrate") || self.commanded("migrate");
        is_sent || is_cut_off || is_snapshot_cut_off
    }

    /// Whether the witness has heard of it, if he can have.
    fn heard_of_shutdown(&self) -> bool {
        let cuts = [
            Signal::SIGKILL,
            Signal::SIGSEGV,
            Signal::SIGABRT,
            // Between the two monitors that it tells.
            Signal::SIGSTOP,
        ];
        let is_cut = |act: &Act| {
            act.in_qemu().is_some()
                || matches!(act, Act::Signal(signal) if cuts.contains(signal))
                || *act == Act::Freezer(Freezer::Qemu)
        };
        let is_cut_off = self.is_deaf || self.may_destroy() || self.acts.iter().any(is_cut);
        is_cut_off || self.qemu.is_some_and(Qemu::has_shut_down)
    }

    /// Whether a verb was tried that this stands for: its first word, and an option.
    fn tried_as(&self, verb: &str) -> bool {
        let mut tried = self.acts.iter().filter_map(words);
        tried.any(|words| verb.split(' ').all(|word| words.contains(&word)))
    }

    /// Whether the guest may have reset its machine, or something made it do so.
    fn may_have_reset_itself(&self) -> bool {
        let by_itself = ['r', 't', 's'].iter().any(|letter| self.did(*letter));
        let is_driven = self.tried("inject-nmi") || self.tried("dompmwakeup");
        by_itself || is_driven || self.commanded("system_wakeup")
    }

    fn sent(&self, name: &str) -> bool {
        let is_it = |act: &Act| matches!(act, Act::Signal(signal) | Act::SignalAtArrival(signal) if signal.as_str() == name);
        self.acts.iter().any(is_it)
    }

    fn may_have_died_by(&self, signal: &str) -> bool {
        // What cannot be stopped by SIGTERM is killed, and so is what a traced call was to end.
        let is_killed =
            ["SIGKILL", "SIGTERM"].contains(&signal) && (self.may_destroy() || self.is_hit());
        // QEMU aborts where it cannot start a thread, say.
        let aborts = signal == "SIGABRT" && (self.may_abort() || self.is_hit());
        is_killed || aborts || self.sent(signal)
    }

    /// Whether faults of a `start` may hit QEMU too.
    fn is_hit(&self) -> bool {
        self.acts.iter().any(|act| act.in_qemu().is_some())
    }

    /// Whether QEMU, or what stands before it, may have ended with a status of its own.
    fn may_have_given_up(&self, exits_33: bool) -> bool {
        let machine = self.machine;
        let fails_on_panic = self.did('p') && machine.panic == Some("exit-failure");
        let is_wrapped = machine.wrapper == Wrapper::Waits;
        let comes = self.role == Role::Destination || self.may_be_restored;
        exits_33 || fails_on_panic || is_wrapped || comes || self.is_hit()
    }

    fn may_have_been_told_to_end(&self, signal: &str) -> bool {
        let is_ours = signal == "SIGTERM" && self.may_destroy();
        let is_any = ["SIGTERM", "SIGINT", "SIGHUP"]
            .iter()
            .any(|name| self.sent(name));
        is_ours || self.sent(signal) || (signal.is_empty() && (is_any || self.may_destroy()))
    }

    /// Whether a signal may come from there: from the campaign, if domstate has sent none.
    fn is_known(&self, pid: &serde_json::Value) -> bool {
        let own = u64::from(std::process::id());
        pid.is_null() || *pid == own || self.may_destroy()
    }

    /// Whether somebody may have pressed the reset button.
    fn may_have_been_reset(&self) -> bool {
        let is_verbs = self.tried("reset") || self.tried_with("dump", "--reset");
        is_verbs || self.commanded("system_reset")
    }

    /// Whether something of domstate's may have told QEMU to quit.
    fn quits(&self) -> bool {
        let verbs = [
            "save",
            "managedsave",
            "dump",
            "snapshot-create-as",
            "migrate",
        ];
        let mut tried = self.acts.iter().filter_map(words);
        let machine = self.machine;
        let is_policy = machine.on_crash.is_some() || machine.on_poweroff.is_some();
        is_policy || machine.no_shutdown || tried.any(|words| verbs.contains(&words[0]))
    }
}
