//! What a command has told, whatever befell it and whatever else was done meanwhile.

use domstate::domain::{Paused, Running, ShutOff, State};

use super::Life;
use crate::told::Told;

/// An answer that was printed for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The words of the command that printed it.
    words: Vec<String>,
    state: State,
}

impl Answer {
    /// All that a command has told of how it is now, or how it has ended.
    pub(crate) fn all(words: &[&str], stdout: &str) -> Vec<Self> {
        if !["--reason", "wait", "list"].contains(&words[0]) {
            return Vec::new();
        }
        let of = |state| Self {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            state,
        };
        stdout.lines().filter_map(answer_in).map(of).collect()
    }

    /// Whether it says what was told before it, what is told behind it, or that nobody knows.
    pub(crate) fn is_known(&self, last: Option<&Told>, told: &Told) -> bool {
        let says_nothing = [
            State::ShutOff(ShutOff::Unknown),
            State::Paused(Paused::Unknown),
            State::Running(Running::Unknown),
        ];
        says_nothing.contains(&self.state)
            || self.state == told.state
            || last.is_some_and(|last| last.state == self.state)
    }

    /// Whether it may have been true of this meanwhile.
    pub(crate) fn may_be_of(&self, life: &Life<'_>) -> bool {
        match self.state {
            State::ShutOff(reason) => {
                let is_of_one = life.qemu.is_some() && life.ends().contains(reason.word());
                is_of_one || life.tried_to_start() && life.may_be_unstarted(reason)
            }
            // It was, if only for a moment.
            State::Paused(Paused::StartingUp) | State::Running(Running::Booted)
                if life.tried_to_start() =>
            {
                true
            }
            State::Running(_)
            | State::Paused(_)
            | State::InShutdown
            | State::Crashed
            | State::PmSuspended => life.qemu.is_some() && life.judge_reason(self.state).is_ok(),
        }
    }
}

/// What stands at the end of a line; a list has a number and a name before it.
fn answer_in(line: &str) -> Option<State> {
    let starts = line.match_indices(' ').map(|(at, _)| at + 1);
    [0].into_iter()
        .chain(starts)
        .find_map(|at| line[at..].trim_end().parse().ok())
}
