//! What users asked for and how far it came: an intent outweighs what QEMU recorded only once it was
//! carried out.

use super::duty::ends_guest;
use super::ending::ENDING_VERBS;
use super::event::{Actor, Timestamp, Verb};
use super::job::PendingJob;

/// How long an unfinished request can still be what a later event comes from. Above the time that any verb
/// takes between asking and acting; a verb that was killed in between must not colour what happens hours later.
pub(super) const ASK_EXPIRES_MICROS: u64 = 30_000_000;

/// As many requests as can sensibly be under way at once; the oldest is forgotten first.
const INTENTS_MAX: usize = 8;

/// A request for something to happen to the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub verb: Verb,
    pub actor: Actor,
    pub at: Timestamp,
    pub progress: Progress,
    /// Lines are lost behind the one that says that it acted: what it did may have been overtaken in them.
    pub cut: bool,
}

impl Intent {
    fn may_end_it(&self) -> bool {
        // A reset ends it where it may not reboot.
        let resets = matches!(self.verb, Verb::Reset | Verb::DumpReset);
        resets || ends_guest(self.verb) || ENDING_VERBS.contains(&self.verb)
    }

    fn is_of(&self, job: &PendingJob) -> bool {
        (self.verb, self.actor.pid) == (job.verb, job.job.worker.pid)
    }
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Announced; whether it acted is not known.
    Asked,
    /// It acted.
    Sent,
    /// It acted and saw the effect.
    Done,
}

/// The requests that may still matter, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intents(pub Vec<Intent>);

impl Intents {
    /// Notes a new request, while `job` is under way; the one that is forgotten over it.
    pub fn ask(
        &mut self,
        verb: Verb,
        actor: Actor,
        at: Timestamp,
        job: Option<&PendingJob>,
    ) -> Option<Intent> {
        let mut forgotten = None;
        if self.0.len() >= INTENTS_MAX {
            let is_over = |i: &Intent| job.is_none_or(|job| !i.is_of(job));
            // What may be why it ends is not forgotten for what only passes by.
            let passes = |i: &Intent| is_over(i) && !i.may_end_it();
            let passing = self.0.iter().position(passes);
            let passing = passing.or_else(|| self.0.iter().position(is_over));
            forgotten = Some(self.0.remove(passing.unwrap_or(0)));
        }
        self.0.push(Intent {
            verb,
            actor,
            at,
            progress: Progress::Asked,
            cut: false,
        });
        forgotten
    }

    /// Notes that what happens at `at` may come from a job however long ago that was asked for: it is under way still.
    pub fn renew(&mut self, job: &PendingJob, at: Option<Timestamp>) {
        let same = |i: &&mut Intent| i.is_of(job);
        if let (Some(intent), Some(at)) = (self.0.iter_mut().rev().find(same), at) {
            intent.at = at;
        }
    }

    /// Notes how far the request of process `pid` came.
    pub fn advance(&mut self, verb: Verb, pid: u32, progress: Progress) {
        let same = |i: &&mut Intent| i.verb == verb && i.actor.pid == pid;
        if let Some(intent) = self.0.iter_mut().rev().find(same) {
            intent.cut &= intent.progress != Progress::Asked;
            intent.progress = progress;
        }
    }

    /// Notes that lines are lost.
    pub fn lose_lines(&mut self) {
        let acted = |i: &&mut Intent| i.progress != Progress::Asked;
        for intent in self.0.iter_mut().filter(acted) {
            intent.cut = true;
        }
    }

    /// Forgets the request of process `pid`: it failed, so nothing comes from it. The last, if there were several.
    pub fn withdraw(&mut self, verb: Verb, pid: u32) -> Option<Intent> {
        let same = |i: &mut Intent| i.verb == verb && i.actor.pid == pid;
        self.0.extract_if(.., same).last()
    }

    /// The newest request of one of `verbs` that an event at `now` may come from.
    pub fn recent(&self, verbs: &[Verb], now: Option<Timestamp>) -> Option<&Intent> {
        self.all_recent(verbs, now).next()
    }

    /// The same of one process.
    pub fn recent_by(
        &self,
        verbs: &[Verb],
        now: Option<Timestamp>,
        pid: Option<u32>,
    ) -> Option<&Intent> {
        let mut recent = self.all_recent(verbs, now);
        recent.find(|intent| Some(intent.actor.pid) == pid)
    }

    /// The same as [`Self::recent`]; one of which it is known that it acted goes before the others.
    pub fn likeliest(&self, verbs: &[Verb], now: Option<Timestamp>) -> Option<&Intent> {
        let acted = |intent: &&Intent| intent.progress != Progress::Asked;
        let known = self.all_recent(verbs, now).find(acted);
        known.or_else(|| self.recent(verbs, now))
    }

    fn all_recent(&self, verbs: &[Verb], now: Option<Timestamp>) -> impl Iterator<Item = &Intent> {
        self.0.iter().rev().filter(move |intent| {
            // The host's clock may have been set back since: then too it is long ago.
            let age = now.map_or(0, |now| now.0.abs_diff(intent.at.0));
            verbs.contains(&intent.verb) && age <= ASK_EXPIRES_MICROS
        })
    }

    /// The processes that asked for what may have been the end, and have not said what came of it. That of a job is told by what
    /// it leaves behind.
    pub fn unsettled(&self) -> impl Iterator<Item = u32> {
        // Whether a guest was suspended as it shut down decides whether that was its own doing.
        let counts = |i: &&Intent| i.may_end_it() || i.verb == Verb::Suspend;
        let unsettled = |i: &&Intent| i.progress != Progress::Done && !ends_guest(i.verb);
        let unsettled = self.0.iter().filter(counts).filter(unsettled);
        unsettled.map(|i| i.actor.pid)
    }

    /// Whether what happened at `at` may be the doing of a request of `verb`, and none has said yet that it is.
    pub fn is_only_asked(&self, verb: Verb, at: Option<Timestamp>) -> bool {
        let mut requests = self.before(verb, at).peekable();
        requests.peek().is_some() && requests.all(|intent| intent.progress == Progress::Asked)
    }

    /// Whether a request of `verb` has acted that a STOP, less than `within` microseconds before `at`, may come from.
    pub fn has_acted(&self, verb: Verb, at: Option<Timestamp>, within: u64) -> bool {
        let is_recent = |i: &Intent| {
            at.is_none_or(|at| i.at <= at && at.0 - i.at.0 <= ASK_EXPIRES_MICROS + within)
        };
        let acted = |i: &Intent| i.verb == verb && i.progress != Progress::Asked;
        self.0
            .iter()
            .any(|intent| acted(intent) && is_recent(intent))
    }

    /// Whether one of `verbs` was asked for, however long ago, and has neither failed nor had its effect.
    pub fn has_any(&self, verbs: &[Verb]) -> bool {
        self.0.iter().any(|intent| verbs.contains(&intent.verb))
    }

    /// The requests of `verb` that were there when something happened at `at`, which may come from them.
    pub fn before(&self, verb: Verb, at: Option<Timestamp>) -> impl Iterator<Item = &Intent> {
        let is_recent = move |intent: &&Intent| {
            at.is_none_or(|at| intent.at <= at && at.0 - intent.at.0 <= ASK_EXPIRES_MICROS)
        };
        let requests = self.0.iter().rev();
        requests.filter(move |i| i.verb == verb).filter(is_recent)
    }

    /// The newest request of one of `verbs` that was carried out.
    pub fn carried_out(&self, verbs: &[Verb]) -> Option<&Intent> {
        let acted = |i: &&Intent| verbs.contains(&i.verb) && i.progress != Progress::Asked;
        self.0.iter().rev().find(acted)
    }

    /// The same of one process.
    pub fn carried_out_by(&self, verbs: &[Verb], pid: u32) -> Option<&Intent> {
        let acted = |i: &&Intent| verbs.contains(&i.verb) && i.progress != Progress::Asked;
        let is_its = |i: &&Intent| acted(i) && i.actor.pid == pid;
        self.0.iter().rev().find(is_its)
    }

    /// The newest request of `verb`, however far it came.
    pub fn newest(&self, verb: Verb) -> Option<&Intent> {
        self.0.iter().rev().find(|intent| intent.verb == verb)
    }

    /// What `verb` asked for has happened, and does not hold any more; it may yet.
    pub fn take_back(&mut self, verb: Verb) {
        for intent in self.0.iter_mut().filter(|intent| intent.verb == verb) {
            intent.progress = Progress::Asked;
        }
    }

    /// Forgets the requests of `verb` that acted: what they did was overtaken. Others have yet to act.
    pub fn settle_acted(&mut self, verb: Verb) {
        let acted = |i: &Intent| i.verb == verb && i.progress != Progress::Asked;
        self.0.retain(|intent| !acted(intent));
    }

    /// What was sent for one of `verbs` has not had its effect: who asks may yet have it.
    pub fn unsend(&mut self, verbs: &[Verb]) {
        let sent = self.0.iter_mut().filter(|i| verbs.contains(&i.verb));
        sent.for_each(|intent| intent.progress = Progress::Asked);
    }

    /// Forgets the oldest request of `verb` of which what happened at `at` may come: one of them has acted, and nobody says
    /// which.
    pub fn settle_oldest(&mut self, verb: Verb, at: Option<Timestamp>) {
        self.settle_first(at, |intent| intent.verb == verb);
    }

    /// The same, of those of `verbs` that are known to have acted.
    pub fn settle_oldest_acted(&mut self, verbs: &[Verb], at: Option<Timestamp>) {
        self.settle_first(at, |intent| {
            verbs.contains(&intent.verb) && intent.progress != Progress::Asked
        });
    }

    fn settle_first(&mut self, at: Option<Timestamp>, is_it: impl Fn(&Intent) -> bool) {
        let age = |intent: &Intent| at.map_or(Some(0), |at| at.0.checked_sub(intent.at.0));
        let may_be = |i: &Intent| is_it(i) && age(i).is_some_and(|age| age <= ASK_EXPIRES_MICROS);
        if let Some(oldest) = self.0.iter().position(may_be) {
            self.0.remove(oldest);
        }
    }

    /// Notes that the requests of `verb` were there when something happened at `at`, although the host's clock, set back since,
    /// says otherwise.
    pub fn were_there(&mut self, verb: Verb, at: Option<Timestamp>) {
        let later = self.0.iter_mut().filter(|intent| intent.verb == verb);
        for intent in later {
            intent.at = at.map_or(intent.at, |at| intent.at.min(at));
        }
    }

    /// Forgets the requests of `verbs`: what they asked for has happened, or was overtaken.
    pub fn settle(&mut self, verbs: &[Verb]) {
        self.0.retain(|intent| !verbs.contains(&intent.verb));
    }
}
