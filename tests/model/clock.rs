//! A clock of QEMU's own, one of a command's own, or one that is set in the middle: none makes another answer that is
//! witnessed.

use domstate::domain::{
    Answer, Certainty, Event, Exited, Fold, Life, Paused, Record, ShutOff, State, Timestamp,
};
use domstate::journal::encode;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::compare::{ends, told};
use super::realistic;

/// So late that no step leads before the beginning of time.
const LATE_MICROS: u64 = 1_000_000_000_000;

/// Whose clock it is that differs.
#[derive(Clone, Copy, Debug)]
enum Off {
    Qemu,
    /// That of every second command.
    Commands,
    /// Everybody's, from this line on.
    From(usize),
}

impl Off {
    fn concerns(self, n: usize, event: &Event) -> bool {
        match (self, event) {
            (Self::From(first), _) => n >= first,
            (Self::Commands, Event::Asked { actor, .. }) => actor.pid % 2 == 0,
            (
                Self::Commands,
                Event::StreamAsked { pid, .. }
                | Event::StreamAnswered { pid, .. }
                | Event::Sent { pid, .. }
                | Event::Done { pid, .. }
                | Event::Failed { pid, .. },
            ) => pid % 2 == 0,
            (Self::Commands, _) => false,
            // What domstate does not write.
            (Self::Qemu, event) => encode(Timestamp(0), event).is_none(),
        }
    }

    fn stamp(self, n: usize, record: &Record, step: i64) -> Record {
        let micros = match self.concerns(n, &record.event) {
            true => step * 1_000_000,
            false => 0,
        };
        let event = record.event.clone();
        let at = record.at.unwrap_or_default().0 + LATE_MICROS;
        let at = Some(Timestamp(at.saturating_add_signed(micros)));
        Record { at, event }
    }
}

/// Whether the line is not of the same moment as the one before it.
fn is_later(records: &[Record], n: usize) -> bool {
    let at = |n: usize| records[n].at.unwrap_or_default().0;
    n == 0 || at(n) - at(n - 1) > 1000
}

/// What may not become of an answer by a clock.
fn is_made_up(plain: &Answer, other: &Answer) -> bool {
    let succeeds = |answer: &Answer| answer.state == State::ShutOff(ShutOff::Shutdown);
    let is_witnessed = |answer: &Answer| answer.certainty == Certainty::Witnessed;
    // A request to suspend it that seems to be too old is not why it stands; then QEMU's own word is, or nothing.
    let was_asked_for = plain.state == State::Paused(Paused::User);
    let is_qemus_word = matches!(
        other.state,
        State::Paused(Paused::IoError | Paused::Watchdog | Paused::Migrating)
    );
    let says_nothing = other.state == State::Paused(Paused::Unknown);
    let is_other_reason = says_nothing || was_asked_for && is_qemus_word;
    let differs = plain.state != other.state && !is_other_reason;
    differs && (is_witnessed(other) || succeeds(other))
}

#[test]
fn whatever_clock_the_lines_go_by_no_other_answer_is_witnessed() {
    let config = ProptestConfig {
        cases: super::cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = select(vec![1_i64, -1, 20, -20, 3600, -3600, 400_000]);
    let who = prop_oneof![
        2 => Just(Off::Qemu),
        1 => Just(Off::Commands),
        2 => (1_usize..60).prop_map(Off::From),
    ];
    let runs = (realistic::setups(), realistic::choices(), steps, who);
    let agreed = TestRunner::new(config).run(&runs, |(setup, choices, step, who)| {
        let records = realistic::run(setup, &choices);
        let who = match who {
            // Nobody sets it just between two words of QEMU's.
            Off::From(first) => {
                let later = (first..records.len()).find(|n| is_later(&records, *n));
                Off::From(later.unwrap_or(records.len()))
            }
            Off::Qemu | Off::Commands => who,
        };
        let (mut plain, mut other) = (Fold::default(), Fold::default());
        for (n, record) in records.iter().enumerate() {
            plain.apply(&who.stamp(n, record, 0));
            let record = who.stamp(n, record, step);
            other.apply(&record);
            let gone = ends().into_iter().map(|end| {
                Life::Gone(Exited {
                    exit: end.exit,
                    boot: end.boot,
                    at: record.at,
                    ..Exited::default()
                })
            });
            for life in gone.chain([Life::Lives]) {
                let (plain, other) = (plain.answer(&life), other.answer(&life));
                let events = records[..=n].iter().map(|record| record.event.clone());
                prop_assert!(
                    !is_made_up(&plain, &other),
                    "{life:?}: {} {:?} became {} {:?}\n{}",
                    plain.state,
                    plain.certainty,
                    other.state,
                    other.certainty,
                    told(&events.collect::<Vec<_>>())
                );
            }
        }
        Ok(())
    });
    if let Err(error) = agreed {
        panic!("{error}");
    }
}
