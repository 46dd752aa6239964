//! Both accounts of a run, line by line, and in each state of it every way in which it may be looked at.

use domstate::domain::{BootId, Event, Exit, Exited, Fold, Life, Record, Timestamp};

use super::guest::{End, Guest};
use super::lines;

/// Both accounts of the same run.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) fold: Fold,
    pub(crate) guest: Guest,
}

impl Pair {
    pub(crate) fn launched(record: &Record) -> Self {
        let mut fold = Fold::default();
        fold.apply(record);
        let guest = Guest::launched(record);
        Self { fold, guest }
    }

    pub(crate) fn see(&mut self, record: &Record) {
        self.fold.apply(record);
        self.guest.see(record);
    }

    /// In what the two differ.
    pub(crate) fn difference(&self) -> Option<String> {
        if self.guest.end.is_none() {
            let (told, wanted) = (self.fold.answer(&Life::Lives).state, self.guest.state);
            if told != wanted {
                return Some(format!("alive: the fold {told}, the model {wanted}"));
            }
        }
        ends().into_iter().find_map(|end| {
            let seen = Life::Gone(Exited {
                exit: end.exit,
                boot: end.boot.clone(),
                at: Some(Timestamp(self.guest.now)),
                ..Exited::default()
            });
            let (told, wanted) = (self.fold.answer(&seen).state, self.guest.ended(&end));
            let what = || {
                format!(
                    "{:?} {}: the fold {told}, the model {wanted}",
                    end.exit, end.boot.0
                )
            };
            (told != wanted).then(what)
        })
    }
}

/// In how many ways a run is looked at after each line.
pub(crate) fn looks() -> usize {
    1 + ends().len()
}

/// Every way in which QEMU may be found gone.
pub(crate) fn ends() -> Vec<End> {
    let end = |exit, boot: &str| End {
        exit,
        boot: BootId(boot.to_owned()),
        ..End::default()
    };
    let here = lines::boot().0;
    let signal = Exit::Signal {
        signal: 9,
        core_dumped: false,
    };
    vec![
        end(None, &here),
        end(None, "another"),
        end(Some(Exit::Status(0)), &here),
        end(Some(Exit::Status(1)), &here),
        end(Some(Exit::Status(33)), &here),
        end(Some(signal), &here),
    ]
}

/// A run as text, for people.
pub(crate) fn told(events: &[Event]) -> String {
    let lines = events.iter().map(|event| match event {
        Event::Launched(launch) => format!("  Launched {:?} {:?}", launch.kind, launch.begin),
        Event::Asked { verb, actor, job } => {
            let job = job.as_ref().map(|job| (job.before, job.then));
            format!("  Asked {verb:?} {} {job:?}", actor.pid)
        }
        Event::Exited {
            pid, exit, words, ..
        } => {
            format!("  Exited {pid:?} {exit:?} {}", words.gdb_killed)
        }
        event => format!("  {event:?}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
