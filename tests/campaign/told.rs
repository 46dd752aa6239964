//! An answer of domstate's, read from its JSON.

use std::time::SystemTime;

use domstate::domain::State;
use serde_json::Value;

/// What domstate told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) state: State,
    pub(crate) certainty: String,
    pub(crate) cause: Value,
    pub(crate) run: Option<u64>,
    /// When it became that, in RFC 3339.
    pub(crate) since: Option<String>,
    /// QEMU's pid.
    pub(crate) id: Option<i64>,
    /// The inode number of the domain's folder that it is of, and when it was made: where one goes a new one may be made, whose runs
    /// begin again.
    pub(crate) place: (u64, Option<SystemTime>),
}

impl Told {
    /// Reads the JSON of a domain.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| format!("no JSON: {error}: {text}"))?;
        let word = |key: &str| json[key].as_str().unwrap_or_default();
        let answer = format!("{} ({})", word("state"), word("reason"));
        Ok(Self {
            state: answer
                .parse()
                .map_err(|_| format!("no answer of libvirt's: {answer}"))?,
            certainty: word("certainty").to_owned(),
            cause: json["cause"].clone(),
            run: json["run"].as_u64(),
            since: json["since"].as_str().map(str::to_owned),
            id: json["id"].as_i64(),
            place: (0, None),
        })
    }

    /// Whether both are of one run.
    pub(crate) fn is_of_run_of(&self, other: &Self) -> bool {
        (self.place, self.run) == (other.place, other.run)
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, State::ShutOff(_))
    }
}
