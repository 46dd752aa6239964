//! How a guest may have ended, by what was done.

use std::collections::BTreeSet;

use domstate::domain::ShutOff;
use nix::sys::signal::Signal;

use super::Life;
use crate::act::Act;
use crate::journey::Role;
use crate::witness::Qemu;

impl Life<'_> {
    /// How it may have ended.
    pub(super) fn ends(&self) -> BTreeSet<&'static str> {
        let machine = self.machine;
        let mut ends = BTreeSet::new();
        let signalled = |signals: &[Signal]| {
            let sent = |act: &Act| matches!(act, Act::Signal(sent) | Act::SignalAtArrival(sent) if signals.contains(sent));
            self.acts.iter().any(sent)
        };
        let killed = signalled(&[Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGABRT]);
        // Faults of the first start, and of what is followed, hit QEMU too.
        let hit = self.acts.iter().any(|act| act.in_qemu().is_some());
        let quits = signalled(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP])
            || self.commanded("quit")
            // The reset button is the host's where nobody asked domstate to press it.
            || (machine.no_reboot && self.commanded("system_reset"));
        let resets = self.tried("reset")
            || self.tried("dompmwakeup")
            // It meets a BIOS that is not ready for it.
            || self.tried("inject-nmi")
            || self.commanded("system_wakeup")
            || self.tried_with("dump", "--reset")
            || self.did('r')
            || self.did('t')
            // It was saved before it had met it.
            || (self.may_be_restored && self.did('s'));
        let shuts_down = self.did('o')
            || self.did('d')
            || (machine.has_exit_device && self.did('x'))
            || (machine.no_reboot && resets);
        let panics =
            self.did('p') && machine.panic != Some("none") && machine.on_crash != Some("restart");
        let watched = self.did('g')
            && (machine.watchdog == Some("poweroff")
                || (machine.watchdog == Some("reset") && machine.no_reboot));
        let is_saved = self.tried("save")
            || self.tried("managedsave")
            || self.tried_with("dump", "--crash")
            || self.tried_with("snapshot-create-as", "--halt");
        for (may, end) in [
            (killed || hit, ShutOff::Crashed),
            // A third party may let it run between the last look at a guest that was saved and the quit.
            (is_saved && self.commanded("cont"), ShutOff::Destroyed),
            (quits, ShutOff::Destroyed),
            (shuts_down, ShutOff::Shutdown),
            // A reset, or that somebody lets it run, may come between the last look at a guest that panicked and the policy's
            // quit.
            (panics && self.may_have_been_restarted(), ShutOff::Destroyed),
            (panics, ShutOff::Crashed),
            (
                self.may_go_on_behind_panic() && shuts_down,
                ShutOff::Crashed,
            ),
            (watched, ShutOff::Crashed),
            (self.tried_with("dump", "--crash"), ShutOff::Crashed),
            (self.may_abort(), ShutOff::Crashed),
            (self.was_given_up(), ShutOff::Crashed),
            (self.may_destroy(), ShutOff::Destroyed),
            (
                self.tried_with("snapshot-create-as", "--halt"),
                ShutOff::FromSnapshot,
            ),
            (self.tried("save"), ShutOff::Saved),
            (self.tried("managedsave"), ShutOff::Saved),
            (self.may_have_failed(), ShutOff::Failed),
        ] {
            if may {
                ends.insert(end.word());
            }
        }
        if self.tried("migrate") && self.other.as_ref().is_some_and(|other| other.has_guest) {
            ends.insert(ShutOff::Migrated.word());
        }
        if !self.has_guest() {
            ends.insert(ShutOff::Failed.word());
        }
        if self.has_left() {
            // It runs elsewhere.
            ends.remove(ShutOff::Shutdown.word());
            ends.remove(ShutOff::Crashed.word());
        }
        // It stood panicked until somebody would have restarted it.
        if self.did('p') && machine.on_crash == Some("restart") && !ends.is_empty() {
            ends.insert(ShutOff::Crashed.word());
        }
        ends
    }

    /// Whether it may shut down although it has panicked: its crash kernel does, or QEMU does not heed the panic.
    pub(super) fn may_go_on_behind_panic(&self) -> bool {
        // However long ago: until a reset it is that guest's.
        let loads = ['l', 'f'];
        let before = |letter| self.qemu.is_some_and(|qemu| qemu.did(letter));
        let loads_one = loads.iter().any(|it| before(*it) || self.did(*it));
        loads_one || self.did('p') && self.machine.panic == Some("none")
    }

    /// Whether QEMU may have aborted: 7.2 does if its guest goes to sleep just as it is stopped ("invalid runstate transition:
    /// 'paused' -> 'suspended'"), or resets itself just as it is stopped for a job ("'save-vm' -> 'prelaunch'").
    pub(super) fn may_abort(&self) -> bool {
        // Firmware that was reset may reset the machine once more.
        let is_reset = self.tried("reset") || self.commanded("system_reset");
        let is_restarted = self.did('p') && self.machine.on_crash == Some("restart");
        let resets = self.did('r') || self.did('t') || is_reset || is_restarted;
        (self.did('s') && self.may_have_stopped()) || (resets && self.copies())
    }

    /// Whether somebody may have reset a guest that panicked, or let it run.
    fn may_have_been_restarted(&self) -> bool {
        let verbs = ["reset", "resume"];
        let commands = ["system_reset", "cont"];
        verbs.iter().any(|verb| self.tried(verb)) || commands.iter().any(|it| self.commanded(it))
    }

    /// Whether somebody may have stopped it.
    pub(super) fn may_have_stopped(&self) -> bool {
        let verbs = [
            "suspend",
            "save",
            "managedsave",
            "dump",
            "snapshot-create-as",
        ];
        self.commanded("stop")
            || self.commanded("savevm")
            || verbs.iter().any(|verb| self.tried(verb))
    }

    /// Whether the way broke off while it was handed over: QEMU 7.2 exits with status 1 then, though the guest runs in it.
    pub(super) fn was_given_up(&self) -> bool {
        self.role == Role::Destination && self.qemu.is_some_and(Qemu::has_failed_to_load)
    }

    /// Whether success may be told of it.
    pub(crate) fn may_have_shut_down(&self) -> bool {
        self.ends().contains(ShutOff::Shutdown.word())
    }

    /// Whether it may have ended before its guest ran.
    pub(super) fn may_have_failed(&self) -> bool {
        let ran = match self.role {
            Role::Destination => self.has_guest(),
            Role::Alone | Role::Source => self.qemu.is_some_and(|qemu| !qemu.heard.is_empty()),
        };
        let was_hit = self.acts.len() > 1;
        !ran && (was_hit || self.is_obscure)
    }
}
