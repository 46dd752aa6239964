//! Whether what a command said of itself is what came of it.

use domstate::domain::{Paused, Running, ShutOff, State};

use crate::told::Told;

/// A command while nothing else was done.
#[derive(Clone, Debug)]
pub(crate) struct Spoken {
    pub(crate) words: Vec<&'static str>,
    /// `None` if it is not known.
    pub(crate) pid: Option<u32>,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Something failed in it, or it was to end: what it claims must be true all the same, and it may know less.
    pub(crate) is_hit: bool,
}

impl Spoken {
    fn is(&self, words: &[&str]) -> bool {
        words.iter().all(|word| self.words.contains(word))
    }

    /// Whether this is the cause.
    fn is_cause_of(&self, told: &Told) -> bool {
        let verb = told.cause["verb"].as_str().unwrap_or_default();
        told.cause["kind"] == "asked"
            && verb.split(' ').all(|word| self.words.contains(&word))
            && self.pid.is_none_or(|pid| told.cause["pid"] == pid)
    }

    /// Whether it did what it says. `last` was told before it, `told` is told behind it. `status` is QEMU's own word, if it
    /// lives and can be asked.
    pub(crate) fn judge(
        &self,
        last: Option<&Told>,
        told: &Told,
        status: Option<&str>,
    ) -> Result<(), String> {
        let holds = match self.code {
            code if self.words[0] == "run" => {
                let claims = !self.is_hit || code == Some(0);
                !claims || has_ended_as(code, told)
            }
            Some(0) => self.has_done(told, status) && self.has_told(last, told),
            // What it has done it may be unable to say.
            Some(1) if self.is_hit => true,
            Some(1) => {
                let claims = self.words[0] == "destroy" || told.certainty == "witnessed";
                !(claims && self.is_cause_of(told))
            }
            Some(3) => self.has_told(last, told),
            _ => true,
        };
        if holds {
            return Ok(());
        }
        Err(format!("{self:?} is not what came of it"))
    }

    fn has_done(&self, told: &Told, status: Option<&str>) -> bool {
        let ended = |reason| told.state == State::ShutOff(reason) && self.is_cause_of(told);
        match self.words[0] {
            // It was carried out already, of a job whose worker had died.
            "destroy" if told.cause["kind"] == "asked" && told.cause["verb"] != "destroy" => {
                told.has_ended()
            }
            "destroy" => ended(ShutOff::Destroyed),
            "migrate" => ended(ShutOff::Migrated),
            "save" | "managedsave" => ended(ShutOff::Saved),
            "dump" if self.is(&["--crash"]) => ended(ShutOff::Crashed),
            "snapshot-create-as" if self.is(&["--halt"]) => ended(ShutOff::FromSnapshot),
            "dump" => told.state != State::Paused(Paused::Dumping),
            "snapshot-create-as" => told.state != State::Paused(Paused::CreatingSnapshot),
            "suspend" => status != Some("running") && !matches!(told.state, State::Running(_)),
            "resume" => status != Some("paused") && told.state != State::Paused(Paused::User),
            // There is nothing that could be told.
            "undefine" => false,
            "start" | "restore" => told.state != State::ShutOff(ShutOff::Failed),
            _ => true,
        }
    }

    /// Whether all that tell an answer tell the same.
    fn has_told(&self, last: Option<&Told>, told: &Told) -> bool {
        let answer = told.state.to_string();
        let is_still_told =
            last.is_some_and(|last| last.state == told.state && last.is_of_run_of(told));
        // It may be told meanwhile why a guest stands, or runs.
        let is_settled = ![
            State::Paused(Paused::Unknown),
            State::Running(Running::Unknown),
        ]
        .contains(&told.state);
        let says_less = self.is_hit && self.stdout.contains("(unknown)");
        let holds = match self.words[0] {
            "wait" => {
                self.stdout.is_empty() || !told.has_ended() || self.stdout.trim_end() == answer
            }
            "--reason" if is_still_told && is_settled => self.stdout.trim_end() == answer,
            "list" | "explain" if is_still_told && is_settled => self.stdout.contains(&answer),
            // Of one that never ran there is none.
            "history" if is_still_told && is_settled && told.run.is_some() => {
                let last = self.stdout.trim_end().lines().last();
                last.is_some_and(|line| line.contains(&answer))
            }
            "dominfo" if is_still_told && is_settled => self.stdout.contains(told.state.word()),
            _ => true,
        };
        holds || says_less
    }
}

/// Whether a `run` that exits with this has told the same.
fn has_ended_as(code: Option<i32>, told: &Told) -> bool {
    let State::ShutOff(reason) = told.state else {
        // It was refused, or has not come to its end.
        return code.is_none_or(|code| code == 125);
    };
    match code {
        Some(0) => matches!(
            reason,
            ShutOff::Shutdown | ShutOff::Saved | ShutOff::Migrated | ShutOff::FromSnapshot
        ),
        Some(3) => reason == ShutOff::Crashed,
        Some(4 | 124) => reason == ShutOff::Destroyed,
        Some(5) => reason == ShutOff::Failed,
        Some(6) => reason == ShutOff::Unknown,
        _ => true,
    }
}
