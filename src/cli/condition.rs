//! What `wait` waits for, in the words that domstate prints.

use std::fmt;

use crate::domain::State;

/// A CONDITION of `wait --for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// QEMU is there.
    Active,
    /// QEMU is gone: shut off, whatever the reason.
    Inactive,
    /// Anything other than the answer at the beginning.
    Change,
    /// A state with any reason, by virsh's word for it.
    Word(&'static str),
    /// A state with its reason.
    Exactly(State),
}

impl Condition {
    /// Whether `now` meets the condition; `first` is the state when the waiting began.
    pub fn is_met(self, now: State, first: State) -> bool {
        match self {
            Self::Active => now.is_active(),
            Self::Inactive => !now.is_active(),
            Self::Change => now != first,
            Self::Word(word) => now.word() == word,
            Self::Exactly(state) => now == state,
        }
    }

    /// Whether only a domain whose QEMU is there can meet it.
    pub fn needs_active(self) -> bool {
        match self {
            Self::Active => true,
            Self::Inactive | Self::Change => false,
            Self::Word(word) => State::all().any(|s| s.word() == word && s.is_active()),
            Self::Exactly(state) => state.is_active(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Inactive => f.write_str("inactive"),
            Self::Change => f.write_str("change"),
            Self::Word(word) => f.write_str(word),
            Self::Exactly(state) => state.fmt(f),
        }
    }
}

/// Reads a CONDITION.
pub(super) fn condition(text: &str) -> Result<Condition, String> {
    let word = || State::all().map(State::word).find(|word| *word == text);
    match text {
        "active" => Ok(Condition::Active),
        "inactive" => Ok(Condition::Inactive),
        "change" => Ok(Condition::Change),
        _ => match (word(), text.parse()) {
            (Some(word), _) => Ok(Condition::Word(word)),
            (None, Ok(state)) => Ok(Condition::Exactly(state)),
            (None, Err(())) => Err(
                "use a state as in 'shut off', a state with its reason as in 'shut off (crashed)', \
                 'active', 'inactive' or 'change'"
                    .to_owned(),
            ),
        },
    }
}

/// Reads what virsh's `await --condition` takes, as far as domstate knows of it.
pub(super) fn virsh_condition(text: &str) -> Result<Condition, String> {
    match text {
        "domain-inactive" => Ok(Condition::Inactive),
        _ => Err("use 'domain-inactive', or --for".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Running, ShutOff};

    #[test]
    fn every_condition_prints_as_it_is_typed() {
        let states = State::all().map(|state| state.to_string());
        let words = State::all().map(|state| state.word().to_owned());
        let others = ["active", "inactive", "change"].map(str::to_owned);
        for text in states.chain(words).chain(others) {
            assert_eq!(condition(&text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "shut",
            "off",
            "Running",
            "running ",
            "shut off (dead)",
            "booted",
        ] {
            assert!(condition(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_condition_is_met_by_its_states_alone() {
        let booted = State::Running(Running::Booted);
        let unpaused = State::Running(Running::Unpaused);
        let crashed = State::ShutOff(ShutOff::Crashed);
        for (text, now, met) in [
            ("active", booted, true),
            ("active", crashed, false),
            ("inactive", crashed, true),
            ("inactive", State::Crashed, false),
            ("change", booted, false),
            ("change", unpaused, true),
            ("running", unpaused, true),
            ("shut off", crashed, true),
            ("crashed", crashed, false),
            ("crashed", State::Crashed, true),
            ("running (booted)", unpaused, false),
            ("shut off (crashed)", crashed, true),
        ] {
            let condition = condition(text).unwrap();
            assert_eq!(condition.is_met(now, booted), met, "{text} {now}");
        }
    }

    #[test]
    fn only_conditions_of_a_living_qemu_need_an_active_domain() {
        for (text, active) in [
            ("active", true),
            ("paused", true),
            ("running (booted)", true),
            ("inactive", false),
            ("change", false),
            ("shut off", false),
            ("shut off (failed)", false),
        ] {
            assert_eq!(condition(text).unwrap().needs_active(), active, "{text}");
        }
    }
}
