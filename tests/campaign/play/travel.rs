//! A story with two ends: the guest goes from one QEMU to another. Each end is asked, and held against what is seen of both.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use super::way::Open;
use super::{Played, Stage, words_of};
use crate::act::Act;
use crate::failure::Failure;
use crate::harness::Host;
use crate::journey::{Journey, Role, Way};
use crate::objection::Objection;
use crate::story::Story;
use crate::witness::Qemu;

/// Bytes that cannot be compressed away, of a guest that takes its time.
const BULK: usize = 8 << 20;

pub(super) fn play(story: &Story, journey: &Journey) -> Result<Played, Failure> {
    let mut ends = Ends::new(story, journey.way);
    let outcome = catch_unwind(AssertUnwindSafe(|| ends.play(journey)));
    let why = match outcome {
        Ok(Ok(())) => {
            let played = ends.played();
            match played.faults.panics {
                0 => return Ok(played),
                _ => "domstate panicked".to_owned(),
            }
        }
        Ok(Err(why)) => why.to_string(),
        Err(panic) => words_of(&*panic),
    };
    let done = [&ends.source, &ends.destination].map(Stage::what_was_done);
    Err(Failure {
        replay: story.replay(),
        text: format!("{why}\n{story}{}{}", done[0], done[1]),
    })
}

impl Stage<'_> {
    /// Waits until the guest is at its destination, which it may never be.
    pub(super) fn await_arrival(&self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        if let Some(other) = &self.other {
            other.until(PATIENCE, |qemus| qemus.iter().any(Qemu::has_guest));
        }
    }
}

/// Both ends, and what is between them.
struct Ends<'a> {
    source: Stage<'a>,
    destination: Stage<'a>,
    _way: Open,
}

impl<'a> Ends<'a> {
    fn new(story: &'a Story, way: Way) -> Self {
        let host = Arc::new(Host::new());
        if story.machine.is_bulky {
            let mut bulk = vec![0; BULK];
            Rng::with_seed(story.seed).fill(&mut bulk);
            fs::write(host.folder().join("bulk"), bulk).unwrap();
        }
        let way = Open::begin(host.folder(), way);
        let mut source = Stage::new(story, Arc::clone(&host), Role::Source);
        let mut destination = Stage::new(story, host, Role::Destination);
        source.other = Some(destination.witness.sight());
        destination.other = Some(source.witness.sight());
        Self {
            source,
            destination,
            _way: way,
        }
    }

    fn of(&self, role: Role) -> &Stage<'a> {
        match role {
            Role::Alone | Role::Source => &self.source,
            Role::Destination => &self.destination,
        }
    }

    fn of_mut(&mut self, role: Role) -> &mut Stage<'a> {
        match role {
            Role::Alone | Role::Source => &mut self.source,
            Role::Destination => &mut self.destination,
        }
    }

    fn play(&mut self, journey: &Journey) -> Result<(), Objection> {
        self.destination.start()?;
        self.source.start()?;
        if let Way::Slow(bytes) = journey.way {
            let limit = json!({"max-bandwidth": bytes});
            let patience = Duration::from_secs(10);
            let witness = &self.source.witness;
            witness.execute_with("migrate-set-parameters", &limit, patience);
        }
        for group in &journey.groups {
            self.perform(group)?;
            self.source.check()?;
            self.destination.check()?;
        }
        self.source.recover()?;
        self.destination.recover()?;
        self.source.check()?;
        self.destination.check()?;
        self.source.end()?;
        self.destination.end()
    }

    /// Does what is in a group, all at once.
    fn perform(&mut self, group: &[(Role, Act)]) -> Result<(), Objection> {
        for (role, act) in group {
            self.of_mut(*role).notes(act);
        }
        self.forget_spoken();
        let this = &*self;
        let took: Vec<_> = std::thread::scope(|scope| {
            let acts: Vec<_> = group
                .iter()
                .map(|(role, act)| (*role, scope.spawn(move || this.of(*role).act(act))))
                .collect();
            let join = |(role, act): (Role, std::thread::ScopedJoinHandle<'_, _>)| {
                let took = act.join();
                (
                    role,
                    took.unwrap_or_else(|panic| Err(words_of(&*panic).into())),
                )
            };
            acts.into_iter().map(join).collect()
        });
        for (role, took) in took {
            if let Some(took) = took? {
                let stage = self.of_mut(role);
                stage.played.commands += 1;
                stage.played.slowest.push(took);
            }
        }
        if group.len() > 1 {
            self.forget_spoken();
        }
        Ok(())
    }

    fn forget_spoken(&self) {
        for stage in [&self.source, &self.destination] {
            *stage.spoken.lock().unwrap() = None;
        }
    }

    /// What both came to.
    fn played(&mut self) -> Played {
        let mut played = std::mem::take(&mut self.source.played);
        let there = std::mem::take(&mut self.destination.played);
        played.ran = true;
        played.checks += there.checks;
        played.unsettled += there.unsettled;
        played.commands += there.commands;
        played.ends.extend(there.ends);
        played.slowest.extend(there.slowest);
        played.faults = self.source.faults();
        played.faults += self.destination.faults();
        for stage in [&self.source, &self.destination] {
            for (kind, count) in std::mem::take(&mut *stage.done.lock().unwrap()) {
                *played.done.entry(kind).or_default() += count;
            }
        }
        played
    }
}
