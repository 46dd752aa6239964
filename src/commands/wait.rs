//! `domstate wait`: returns when each domain, or one of them, meets a condition.

use std::time::{Duration, Instant};

use super::lookup::look_at;
use super::{Context, Exit, Failure};
use crate::cli::{Condition, WaitArgs};
use crate::domain::State;
use crate::journal::Journal;
use crate::observe::{Observation, Watcher, look_at_run};
use crate::operation::{Succession, adopt_and_wait, inquire};
use crate::output::{Detail, Naming};
use crate::store::{DomainFolder, RunFolder, StateDir, may_exist};

/// How long a supervisor may take to write down an end that is there for all to see, before the end is told without
/// it (it may be stopped). Not longer than the wait itself.
const RECORD_GRACE: Duration = Duration::from_secs(2);

/// One domain that is waited for.
#[derive(Debug)]
struct Waiting {
    domain: DomainFolder,
    seen: Observation,
    first: State,
    /// The run that it was in, 0 before the first.
    first_run: u32,
    /// It was active at some time since.
    was_active: bool,
    gone_at: Option<Instant>,
    /// When the whole wait is over.
    deadline: Option<Instant>,
    supervisors: Succession,
    /// When to look whether the last of them is there.
    adopted_by: Option<Instant>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    Met,
    /// It ended otherwise.
    Unmeetable,
}

pub(super) fn run(args: &WaitArgs, context: &mut Context) -> Result<Exit, Failure> {
    let deadline = args
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let conditions = args.conditions();
    let mut all = Vec::new();
    for typed in args.domains.iter() {
        let (domain, seen) = context.look(typed)?;
        // It may come to its end while its supervisor comes.
        let mut waiting = Waiting::new(domain, seen.clone(), deadline);
        waiting.seen = adopt_and_wait(&waiting.domain, seen)?;
        all.push(waiting);
    }
    let mut watcher = Watcher::new();
    let exit = loop {
        for waiting in &mut all {
            waiting.look_again(&context.state, &mut watcher, &conditions)?;
        }
        if let Some(exit) = outcome(&all, args.any) {
            break exit;
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            break Exit::TimedOut;
        }
        let limits = all.iter().flat_map(|w| [w.grace_ends(), w.adopted_by]);
        watcher.sleep(limits.chain([deadline]).flatten().min())?;
    };
    let naming = if all.len() > 1 {
        Naming::Named
    } else {
        Naming::Bare
    };
    let several = all.len() > 1;
    for waiting in &mut all {
        if several && waiting.seen.is_active() {
            // What met its condition long ago may have ended since.
            if let Ok(seen) = waiting.look(&context.state) {
                waiting.seen = seen;
            }
        }
        let report = context.report(&waiting.domain, &waiting.seen);
        context
            .printer
            .answer(&report, Detail::StateAndReason, naming)?;
    }
    Ok(exit)
}

fn outcome(all: &[Waiting], any: bool) -> Option<Exit> {
    let has = |verdict| all.iter().any(|waiting| waiting.verdict == verdict);
    let met = if any {
        has(Verdict::Met)
    } else {
        !has(Verdict::Open) && !has(Verdict::Unmeetable)
    };
    let lost = if any {
        !has(Verdict::Open) && !has(Verdict::Met)
    } else {
        has(Verdict::Unmeetable)
    };
    match (met, lost) {
        (true, _) => Some(Exit::Done),
        (false, true) => Some(Exit::CrashedOrUnmeetable),
        (false, false) => None,
    }
}

fn number_of(seen: &Observation) -> u32 {
    seen.run.as_ref().map_or(0, RunFolder::number)
}

impl Waiting {
    fn new(domain: DomainFolder, seen: Observation, deadline: Option<Instant>) -> Self {
        Self {
            first: seen.answer.state,
            first_run: number_of(&seen),
            was_active: seen.is_active(),
            domain,
            seen,
            gone_at: None,
            deadline,
            supervisors: Succession::default(),
            adopted_by: None,
            verdict: Verdict::Open,
        }
    }

    fn look_again(
        &mut self,
        state: &StateDir,
        watcher: &mut Watcher,
        conditions: &[Condition],
    ) -> Result<(), Failure> {
        if self.verdict == Verdict::Met {
            // Nobody needs to come back for it.
            self.adopted_by = None;
            return Ok(());
        }
        watcher.watch(&self.domain, &self.seen);
        self.seen = self.look(state)?;
        // What it turned out to be may want watching too: a run that has just appeared.
        watcher.watch(&self.domain, &self.seen);
        // Its supervisor may have died meanwhile, and there may be something to be done.
        self.adopted_by = self.supervisors.adopt(&self.domain, &self.seen);
        // A start, and its end, may both have come between two looks.
        self.was_active |= number_of(&self.seen) > self.first_run;
        if self.seen.is_active() {
            self.was_active = true;
            self.gone_at = None;
        } else if !self.is_on_disk() {
            return Ok(());
        }
        self.verdict = self.judge(conditions);
        Ok(())
    }

    /// Looks at the domain; at the run that was seen to live, though, as long as it is there: that it ended is what was
    /// waited for, also if the domain was started anew before we came to look.
    fn look(&self, state: &StateDir) -> Result<Observation, Failure> {
        let seen = look_at(state, &self.domain)?;
        match &self.seen.run {
            Some(run)
                if self.was_active && seen.run.as_ref() != Some(run) && may_exist(run.path()) =>
            {
                Ok(inquire(look_at_run(&self.domain, run)?))
            }
            _ => Ok(seen),
        }
    }

    fn judge(&self, conditions: &[Condition]) -> Verdict {
        let state = self.seen.answer.state;
        let met = if conditions.is_empty() {
            // A panic that a policy is still to act on is no end.
            let rests = self.seen.fold.rests_crashed() || self.seen.is_crash_of_qemus_word();
            let rests_crashed = state == State::Crashed && rests;
            matches!(state, State::ShutOff(_)) || rests_crashed
        } else {
            conditions
                .iter()
                .any(|condition| condition.is_met(state, self.first))
        };
        let waits_for_start = !self.was_active && conditions.iter().any(|c| c.needs_active());
        let waits_for_change = !self.was_active && conditions.contains(&Condition::Change);
        if met {
            Verdict::Met
        } else if state.is_active() || waits_for_start || waits_for_change {
            Verdict::Open
        } else {
            Verdict::Unmeetable
        }
    }

    /// Whether the end that was seen outlives a power cut. Normally its supervisor has seen to that; without one, or
    /// with one that does not come to it, we do what can be done.
    fn is_on_disk(&mut self) -> bool {
        let now = Instant::now();
        let gone_at = *self.gone_at.get_or_insert(now);
        let grace_ends = gone_at + RECORD_GRACE;
        let is_late = now >= self.deadline.map_or(grace_ends, |end| end.min(grace_ends));
        if !self.seen.is_settled() && !self.seen.supervised.is_nobody() && !is_late {
            return false;
        }
        if let Some(run) = &self.seen.run {
            let _ = Journal::open_read_only(run.path()).and_then(|journal| journal.sync());
        }
        true
    }

    fn grace_ends(&self) -> Option<Instant> {
        let gone_at = self.gone_at.filter(|_| self.verdict == Verdict::Open)?;
        Some(gone_at + RECORD_GRACE).filter(|at| *at > Instant::now())
    }
}
