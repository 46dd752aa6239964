//! What commands have said is held against what came of them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Stage;
use super::check::Outside;
use crate::act::{Act, Theme};
use crate::judge::{Life, Other};
use crate::objection::Objection;
use crate::told::Told;
use crate::witness::Qemu;

/// What is on its way to the witness comes within this.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

impl Stage<'_> {
    /// Whether the command that was all that was done since the answer before did what it said.
    pub(super) fn judge_spoken(&self, told: &Told, outside: &Outside) -> Result<(), Objection> {
        let spoken = self.spoken.lock().unwrap().take();
        // Where nothing can be written down nobody knows who did it.
        let is_written = !matches!(self.story.theme, Theme::Storage | Theme::Vanishing);
        let Some(spoken) = spoken.filter(|_| is_written) else {
            return Ok(());
        };
        let has_ended = self.last.as_ref().is_some_and(Told::has_ended);
        let is_calm = self
            .calm
            .as_ref()
            .is_some_and(|calm| calm.outside == *outside);
        let last = self.last.as_ref().filter(|_| has_ended || is_calm);
        let judged = spoken.judge(last, told, outside.status.as_deref());
        Ok(judged.map_err(|why| format!("{why}: domstate tells {told:?}; {outside:?}"))?)
    }

    /// Whether each answer that was printed since the answer before may have been true meanwhile.
    pub(super) fn judge_answers(&self, told: &Told) -> Result<(), Objection> {
        let answers = std::mem::take(&mut *self.answers.lock().unwrap());
        for answer in answers {
            let last = self.last.as_ref();
            if answer.is_known(last, told) {
                continue;
            }
            // An end is one, and nothing came behind it.
            let has_ended = last.is_some_and(|last| last.has_ended() && last.is_of_run_of(told));
            let may_be = |life: &Life<'_>| answer.may_be_of(life);
            let holds = !has_ended && self.holds_of_one(&self.acts, may_be);
            if !holds {
                return Err(format!("{answer:?} was told between {last:?} and {told:?}").into());
            }
        }
        Ok(())
    }

    /// Whether every command that said that it had started a guest has started one.
    pub(super) fn judge_started(&mut self) -> Result<(), Objection> {
        let started = usize::try_from(self.started.swap(0, Ordering::Relaxed)).unwrap();
        let all = self.connected_before + started;
        let are_there = self.witness.until(ON_ITS_WAY, |qemus| qemus.len() >= all);
        self.connected_before = self.witness.count();
        // A QEMU that meets errors may not connect.
        if are_there || self.story.breaks_qemu() {
            return Ok(());
        }
        Err(format!("{started} were started, and there are not as many").into())
    }

    /// Whether this holds of any of the QEMUs that were seen, with what was done; what the guest said may still be on its way.
    pub(super) fn holds_of_one(&self, acts: &[Act], holds: impl Fn(&Life<'_>) -> bool) -> bool {
        let life = Life {
            machine: &self.story.machine,
            theme: self.story.theme,
            acts,
            qemu: None,
            heard_before: 0,
            earlier: &[],
            role: self.role,
            other: None,
            may_be_restored: self.may_be_restored(acts),
            is_obscure: true,
            may_lose_lines: true,
            is_deaf: self.story.deafens_witness(),
            before: None,
            is_next_run: false,
        };
        let other = || self.other.as_ref().map(|other| other.look(Other::of));
        let holds_of_one = |qemus: &[Qemu]| {
            let lives = qemus.iter().enumerate().map(|(number, qemu)| Life {
                qemu: Some(qemu),
                earlier: &qemus[..number],
                other: other(),
                ..life.clone()
            });
            lives.chain([life.clone()]).any(|life| holds(&life))
        };
        self.witness.until(ON_ITS_WAY, holds_of_one)
    }

    /// Whether each end that was told is told again by `history`, of the runs that it tells.
    pub(super) fn judge_history(&self) -> Result<(), Objection> {
        let said = self.run(&["--format", "json", "history", self.domain], None)?;
        let place = self.place();
        for line in said.stdout.lines() {
            let mut told = Told::read(line)?;
            told.place = place;
            let ended = self.ended.iter().find(|ended| ended.is_of_run_of(&told));
            if let Some(ended) = ended
                && !self.may_become(ended, &told)
            {
                return Err(format!("{ended:?} is {told:?} in the history").into());
            }
        }
        Ok(())
    }
}
