//! Every run of a few moves.

use domstate::domain::{
    Begin, Event, LaunchKind, OnCrash, OnPoweroff, PanicAction, Record, Timestamp,
};

use super::compare::{Pair, told};
use super::lines;
use super::machine::{Machine, Setup, Version};

/// As many moves as take ten seconds or so; the first is that QEMU is ready.
const MOVES: u32 = 5;

/// Between two moves, so that what one brings about is not taken for a part of the other.
const PAUSE_MICROS: u64 = 2_000_000;

const PLAIN: Setup = Setup {
    version: Version::V11,
    kind: LaunchKind::Boot,
    begin: Begin::Running,
    panic: PanicAction::Pause,
    on_crash: OnCrash::Preserve,
    on_poweroff: OnPoweroff::Destroy,
    stays: false,
    reset_ends: false,
    exit_device: false,
    wrapped: false,
};

/// Guests that differ in what they may do, or in what QEMU makes of it.
fn setups() -> Vec<Setup> {
    let of_kind = |kind| Setup { kind, ..PLAIN };
    let paused = |setup| Setup {
        begin: Begin::Paused,
        ..setup
    };
    let staying = |on_poweroff| Setup {
        stays: true,
        on_poweroff,
        ..PLAIN
    };
    vec![
        PLAIN,
        paused(PLAIN),
        Setup {
            version: Version::V7,
            panic: PanicAction::Poweroff,
            exit_device: true,
            ..PLAIN
        },
        Setup {
            panic: PanicAction::Run,
            reset_ends: true,
            wrapped: true,
            ..PLAIN
        },
        staying(OnPoweroff::Preserve),
        staying(OnPoweroff::Restart),
        of_kind(LaunchKind::Incoming),
        paused(of_kind(LaunchKind::Incoming)),
        of_kind(LaunchKind::Restore),
        paused(of_kind(LaunchKind::Restore)),
        of_kind(LaunchKind::Snapshot),
        paused(of_kind(LaunchKind::Snapshot)),
    ]
}

/// What was walked, and where the two differ.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) setups: usize,
    pub(crate) runs: u64,
    pub(crate) lines: u64,
    differences: Vec<String>,
}

impl Walk {
    /// Every run of at most so many moves.
    pub(crate) fn of(moves: u32) -> Self {
        let mut walk = Self::default();
        for setup in setups() {
            let (machine, events) = Machine::start(setup);
            let mut records = lines::records(&events).into_iter();
            let mut pair = Pair::launched(&records.next().unwrap());
            records.for_each(|record| pair.see(&record));
            walk.setups += 1;
            walk.from(&machine, &pair, &events, moves);
        }
        walk
    }

    fn from(&mut self, machine: &Machine, pair: &Pair, path: &[Event], left: u32) {
        self.runs += 1;
        let moves = match left {
            0 => vec![],
            _ => machine.moves(),
        };
        for chosen in moves {
            let mut machine = machine.clone();
            let mut pair = pair.clone();
            let mut path = path.to_vec();
            let events = machine.play(chosen);
            if self.agrees(&mut pair, &mut path, &events) {
                self.from(&machine, &pair, &path, left - 1);
            }
        }
    }

    fn agrees(&mut self, pair: &mut Pair, path: &mut Vec<Event>, events: &[Event]) -> bool {
        let mut at = pair.guest.now + PAUSE_MICROS;
        for event in events {
            at += 1000;
            let at = Some(Timestamp(at));
            let event = event.clone();
            path.push(event.clone());
            pair.see(&Record { at, event });
            self.lines += 1;
            if let Some(what) = pair.difference() {
                self.differences.push(format!("{what}\n{}", told(path)));
                return false;
            }
        }
        true
    }

    /// Fails with the shortest few of the differences.
    pub(crate) fn assert_agreed(&mut self) {
        self.differences.sort_by_key(String::len);
        let few: Vec<&str> = self
            .differences
            .iter()
            .take(5)
            .map(String::as_str)
            .collect();
        assert!(
            few.is_empty(),
            "{} differences:\n{}",
            self.differences.len(),
            few.join("\n")
        );
    }
}

#[test]
fn the_fold_and_the_model_agree_on_every_run_of_a_few_moves() {
    let record = super::begin_record();
    let mut walk = Walk::of(MOVES);
    walk.assert_agreed();
    assert!(walk.runs > 500_000, "{}", walk.runs);
    super::keep_record(record, &walk, MOVES);
}
