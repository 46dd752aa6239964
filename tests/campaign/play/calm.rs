//! A moment at which a guest lived, and nothing of what had been done was still to come: what is told later follows from what
//! was done since.

use domstate::domain::{Paused, Running, State};

use super::Stage;
use super::check::Outside;
use crate::act::Act;
use crate::judge::words;
use crate::told::Told;
use crate::witness::Qemu;

/// See the module.
pub(super) struct Calm {
    /// How much had been done.
    pub(super) acts: usize,
    /// In RFC 3339.
    pub(super) moment: String,
    /// How many QEMUs had been seen.
    qemus: usize,
    pub(super) told: Told,
    pub(super) outside: Outside,
}

impl Calm {
    /// Whether no QEMU has come since.
    pub(super) fn is_of(&self, qemus: &[Qemu]) -> bool {
        self.qemus == qemus.len()
    }

    /// Whether the same is told again, or more.
    pub(super) fn judge_again(&self, told: &Told) -> Result<(), String> {
        let says_nothing = [
            State::Paused(Paused::Unknown),
            State::Running(Running::Unknown),
        ];
        if self.told.state == told.state || says_nothing.contains(&self.told.state) {
            return Ok(());
        }
        Err(format!(
            "nothing has happened since {:?} was told",
            self.told
        ))
    }
}

impl Stage<'_> {
    /// Whether nothing that was done to the QEMU that lives is still to come, as far as `outside` shows.
    pub(super) fn calm(&self, told: &Told, outside: &Outside, moment: String) -> Option<Calm> {
        let is_quiet = matches!(outside.status.as_deref(), Some("running" | "paused"))
            && matches!(told.state, State::Running(_) | State::Paused(_));
        if !is_quiet || self.acts.iter().any(goes_on) || self.story.deafens_witness() {
            return None;
        }
        self.witness.look(|qemus| {
            let newest = qemus.last()?;
            let is_watched = self.story.machine.watchdog.is_some() && newest.did('g');
            let sleeps = newest.did('s');
            // It says what it is about to do.
            let said = newest.heard.get(..outside.heard)?.last();
            let acts = ["o", "d", "p", "r", "t", "x", "w"];
            let acts_yet = said.is_some_and(|line| acts.contains(&line.as_str()));
            if outside.alive != [newest.pid] || is_watched || sleeps || acts_yet {
                return None;
            }
            Some(Calm {
                acts: self.acts.len(),
                moment,
                qemus: qemus.len(),
                told: told.clone(),
                outside: outside.clone(),
            })
        })
    }
}

/// Whether what this began may come to its end at any time: also a job whose worker died, which somebody else finishes.
fn goes_on(act: &Act) -> bool {
    if act.in_qemu().is_some() {
        return true;
    }
    let Some(words) = words(act) else {
        return matches!(act, Act::Monitor("migrate" | "savevm"));
    };
    let is_whole = matches!(act, Act::Verb(_) | Act::Halted(..));
    let jobs = ["save", "managedsave", "dump", "snapshot-create-as"];
    let lasting = ["migrate", "reboot", "inject-nmi"];
    lasting.contains(&words[0]) || (!is_whole && jobs.contains(&words[0]))
}
