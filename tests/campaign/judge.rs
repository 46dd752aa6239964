//! Whether an answer is true, by what was done and seen from outside. Pure.
//!
//! What was done tells how a guest *may* have ended; its serial line tells what it did itself, since it answers each letter
//! before it acts on it. Where only one end is possible and nothing kept domstate from seeing it, the answer must be that one.

/// What a command has told meanwhile.
mod answer;
/// Why it ended.
mod cause;
/// How it may have ended.
mod ends;
/// How a command speaks.
mod manners;
/// What is told of the living.
mod reason;
/// What a command has said.
mod spoken;

use std::collections::BTreeSet;

use domstate::domain::{ShutOff, State};

pub(crate) use self::answer::Answer;
pub(crate) use self::manners::judge_manners;
use self::reason::fits;
pub(crate) use self::spoken::Spoken;

use crate::act::{Act, Theme};
use crate::journey::Role;
use crate::machine::{Machine, Wrapper};
use crate::told::Told;
use crate::witness::Qemu;

/// What may have come over the newest QEMU, and whether anything kept domstate from seeing it.
#[derive(Clone)]
pub(crate) struct Life<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) theme: Theme,
    /// What was done while it may have lived.
    pub(crate) acts: &'a [Act],
    pub(crate) qemu: Option<&'a Qemu>,
    /// So many lines of its guest are of before.
    pub(crate) heard_before: usize,
    /// Those before it.
    pub(crate) earlier: &'a [Qemu],
    /// Which end of a journey it is, and what is seen of the other.
    pub(crate) role: Role,
    pub(crate) other: Option<Other>,
    /// Its guest may have come from a file, and go on with what it had begun before it was saved.
    pub(crate) may_be_restored: bool,
    /// Something failed, or was killed, that should have seen or recorded it.
    pub(crate) is_obscure: bool,
    /// QEMU's own writing met an error: what it announced then is on record nowhere.
    pub(crate) may_lose_lines: bool,
    /// What QEMU says to the witness met an error: it did what it was told to, though it is not heard of.
    pub(crate) is_deaf: bool,
    /// What was told before it began.
    pub(crate) before: Option<State>,
    /// What is told is of a later run than what was told last.
    pub(crate) is_next_run: bool,
}

impl Life<'_> {
    fn did(&self, letter: char) -> bool {
        let before = self.heard_before;
        let here = self.qemu.is_some_and(|qemu| qemu.did_since(before, letter));
        // What it had begun there it goes on with here.
        let there = self.role == Role::Destination
            && self.has_guest()
            && self.other.as_ref().is_some_and(|other| other.did(letter));
        let unheard = self.is_deaf
            && self
                .acts
                .iter()
                .any(|act| matches!(act, Act::Letter(sent) if *sent == letter));
        let before = self.may_be_restored && self.earlier.iter().any(|qemu| qemu.did(letter));
        here || there || unheard || before
    }

    fn tried(&self, verb: &str) -> bool {
        let mut verbs = self.acts.iter().filter_map(words);
        verbs.any(|words| words[0] == verb)
    }

    fn tried_with(&self, verb: &str, option: &str) -> bool {
        let mut verbs = self.acts.iter().filter_map(words);
        verbs.any(|words| words[0] == verb && words.contains(&option))
    }

    fn commanded(&self, command: &'static str) -> bool {
        self.acts.contains(&Act::Monitor(command))
    }

    /// Whether a verb was tried that ends it; `run` does when its time is up.
    fn may_destroy(&self) -> bool {
        self.tried("destroy") || self.tried("run")
    }

    fn tried_to_start(&self) -> bool {
        let verbs = ["start", "run", "restore", "snapshot-revert"];
        verbs.iter().any(|verb| self.tried(verb))
    }

    /// Whether there is anything of a guest in it.
    fn has_guest(&self) -> bool {
        self.role != Role::Destination || self.qemu.is_some_and(Qemu::has_guest)
    }

    /// Whether all of the guest is at its destination, and nobody has let it go on here.
    fn has_left(&self) -> bool {
        let has_arrived = self.other.as_ref().is_some_and(|other| other.has_guest);
        let hands_over = self.tried_with("migrate", "--postcopy");
        let stands = self
            .qemu
            .is_some_and(|qemu| qemu.stands() && !qemu.keeps_guest());
        self.role == Role::Source && has_arrived && stands && !hands_over
    }

    /// Whether an answer about a guest that has no QEMU any more is true.
    pub(crate) fn judge_dead(&self, told: &Told) -> Result<(), String> {
        let State::ShutOff(reason) = told.state else {
            return Err("no QEMU lives".to_owned());
        };
        if self.qemu.is_none() {
            return self.judge_unstarted(told, reason);
        }
        let ends = self.ends();
        if ends.is_empty() {
            return Err("nobody ended it".to_owned());
        }
        if ends.contains(reason.word()) {
            return self
                .judge_cause(told)
                .and_then(|()| self.judge_certainty(told));
        }
        // The newest QEMU may have been an earlier run's.
        if self.is_next_run && self.tried_to_start() && self.is_of_unstarted(told, reason) {
            return Ok(());
        }
        // Whoever asked for a reset that ends it may have died before he said that he had sent it; or by the clock that was
        // long before, or after that.
        let is_out_of_time = self.theme == Theme::Clock;
        let is_reset = self.tried("reset") || self.tried_with("dump", "--reset");
        if (self.is_obscure || is_out_of_time)
            && self.machine.no_reboot
            && is_reset
            && reason == ShutOff::Destroyed
            && told.certainty == "inferred"
        {
            return Ok(());
        }
        // Its QEMU ended on the last step of a migration, or behind one of which nobody knows where it led.
        let is_unknown = reason == ShutOff::Unknown;
        if is_unknown && told.cause["kind"] == "maybe-migrated" && self.may_seem_sent() {
            return Ok(());
        }
        // Or as one whose guest had given that status might.
        if is_unknown && told.cause["kind"] == "exit-status" && self.was_given_up() {
            return Ok(());
        }
        // 7.2 says nothing of a guest that ends it by a device: of one whose crash kernel does, that is no success.
        let is_by_device = self.machine.has_exit_device && self.did('x');
        let is_silent = told.cause["kind"] == "exit-status" && is_by_device;
        if is_unknown && is_silent && self.may_go_on_behind_panic() {
            return Ok(());
        }
        // QEMU took more than a second from stopping it to what it had done last.
        if is_unknown && told.cause["kind"] == "unattributed" && self.may_have_stopped() {
            return Ok(());
        }
        let says_less = reason == ShutOff::Unknown && told.cause["kind"].is_string();
        if self.is_obscure && says_less {
            return self.judge_cause(told);
        }
        Err(format!("it can have ended as {ends:?} only"))
    }

    /// The same of what alone was done since a moment at which it lived, and nothing of what was done before was still to
    /// come: `self` is narrowed to that.
    pub(crate) fn judge_since(&self, told: &Told, then: &Told, moment: &str) -> Result<(), String> {
        let State::ShutOff(reason) = told.state else {
            return match told.certainty == "witnessed" && told.state != then.state {
                true => self.judge_reason(told.state),
                false => Ok(()),
            };
        };
        let is_earlier = told.since.as_deref().is_some_and(|since| since < moment);
        if self.theme != Theme::Clock && is_earlier {
            return Err(format!("it lived at {moment}"));
        }
        if told.certainty != "witnessed" {
            return Ok(());
        }
        let ends = self.ends();
        if !ends.contains(reason.word()) {
            return Err(format!(
                "of what was done since it lived it can have ended as {ends:?} only"
            ));
        }
        self.judge_cause(told)
    }

    /// Whether what nothing hid is told as it was seen.
    fn judge_certainty(&self, told: &Told) -> Result<(), String> {
        let takes_status = self.machine.wrapper == Wrapper::Waits;
        let is_hidden = self.is_obscure || self.theme != Theme::Plain || takes_status;
        // Nobody can see that, whatever he does.
        let kinds = ["maybe-migrated", "unattributed"];
        let is_unseen =
            self.may_be_anothers(told) || kinds.iter().any(|kind| told.cause["kind"] == *kind);
        // Whether the guest gave a status with it is lost with a QEMU that does not end by itself.
        let may_give_one = self.machine.has_exit_device && told.cause["kind"] == "guest-shutdown";
        let is_unseen = is_unseen || may_give_one;
        if is_hidden || is_unseen || told.certainty == "witnessed" {
            return Ok(());
        }
        Err("nothing kept it from being witnessed".to_owned())
    }

    /// The same where no QEMU was seen since the answer before.
    fn judge_unstarted(&self, told: &Told, reason: ShutOff) -> Result<(), String> {
        if !self.is_next_run && self.before == Some(told.state) {
            return Ok(());
        }
        if !self.tried_to_start() {
            return Err("nothing has happened since the answer before".to_owned());
        }
        if self.is_of_unstarted(told, reason) {
            return Ok(());
        }
        Err("its QEMU was never seen".to_owned())
    }

    /// What may be told of a run whose QEMU nobody saw: never success.
    fn is_of_unstarted(&self, told: &Told, reason: ShutOff) -> bool {
        let is_inferred = reason != ShutOff::Crashed || told.certainty == "inferred";
        is_inferred && self.may_be_unstarted(reason)
    }

    /// The same where it is not told how certain that is.
    fn may_be_unstarted(&self, reason: ShutOff) -> bool {
        matches!(
            reason,
            ShutOff::Failed | ShutOff::Unknown | ShutOff::Crashed
        ) || (reason == ShutOff::Destroyed && self.may_destroy())
    }

    /// Whether what lives is the process that is told.
    fn judge_id(&self, told: &Told) -> Result<(), String> {
        let pid = self.qemu.map(|qemu| i64::from(qemu.pid));
        if told.id.is_none() || pid.is_none() || told.id == pid {
            return Ok(());
        }
        Err("it is another process".to_owned())
    }

    /// Whether an answer about a guest whose QEMU lives is true; `status` is QEMU's own word, if it can be asked.
    pub(crate) fn judge_alive(&self, told: &Told, status: Option<&str>) -> Result<(), String> {
        if told.has_ended() {
            return Err("its QEMU lives".to_owned());
        }
        if let Some(status) = status
            && !self.may_lose_lines
            && !fits(told.state, status, self)
        {
            return Err(format!("QEMU is {status}"));
        }
        if self.runs_twice() {
            return Err("it was let run although it has gone".to_owned());
        }
        if told.certainty == "unknown" && !self.is_obscure {
            return Err("nothing kept it from being seen".to_owned());
        }
        if told.state == State::InShutdown && !told.cause.is_null() {
            self.judge_cause(told)?;
        }
        self.judge_id(told)?;
        self.judge_reason(told.state)
    }

    /// Whether a guest that a third party has sent away was let run behind that, and not by him. A job of ours, or a snapshot,
    /// looks as if it were sent, and so does one that comes from a file.
    fn runs_twice(&self) -> bool {
        let is_only_his = self.commanded("migrate") && !self.commanded("cont");
        let is_copied = self.copies() || self.commanded("savevm");
        let is_ours = is_copied || self.may_be_restored || self.tried_to_restart();
        let runs = |qemu: &Qemu| qemu.runs_behind_its_departure();
        is_only_his && !is_ours && self.role == Role::Alone && self.qemu.is_some_and(runs)
    }

    /// Whether something may reset it and let it run.
    fn tried_to_restart(&self) -> bool {
        let machine = self.machine;
        self.tried("reboot") || machine.on_poweroff.is_some() || machine.on_crash.is_some()
    }

    /// Whether a job was tried that stops it, and lets it run again.
    fn copies(&self) -> bool {
        let verbs = [
            "dump",
            "save",
            "managedsave",
            "snapshot-create-as",
            "snapshot-revert",
        ];
        verbs.iter().any(|verb| self.tried(verb))
    }
}

/// What is seen of the other end of a journey.
#[derive(Clone)]
pub(crate) struct Other {
    heard: BTreeSet<String>,
    has_guest: bool,
}

impl Other {
    pub(crate) fn of(qemus: &[Qemu]) -> Self {
        let heard = qemus.iter().flat_map(|qemu| &qemu.heard);
        Self {
            heard: heard.cloned().collect(),
            has_guest: qemus.iter().any(Qemu::has_guest),
        }
    }

    fn did(&self, letter: char) -> bool {
        self.heard.contains(&letter.to_string())
    }
}

pub(crate) fn words(act: &Act) -> Option<&Vec<&'static str>> {
    if let Act::Verb(words)
    | Act::Faulted(words, _)
    | Act::Followed(words, _)
    | Act::Interrupted(words, _)
    | Act::Abandoned(words, _)
    | Act::Halted(words, _) = act
    {
        return Some(words);
    }
    None
}
