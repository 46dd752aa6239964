//! Long runs of a machine, at random.

use std::cell::Cell;

use domstate::domain::{Begin, LaunchKind, OnCrash, OnPoweroff, PanicAction, Record, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

use super::compare::{Pair, told};
use super::lines;
use super::machine::{Machine, Setup, Version};

/// As long as any guest needs to get into trouble.
pub(crate) const MOVES: usize = 24;

pub(crate) fn setups() -> impl Strategy<Value = Setup> {
    let kinds = vec![
        LaunchKind::Boot,
        LaunchKind::Incoming,
        LaunchKind::Snapshot,
        LaunchKind::Restore,
    ];
    let starts = (
        select(vec![Version::V7, Version::V11]),
        select(kinds),
        select(vec![Begin::Running, Begin::Paused]),
    );
    let ends = (
        select(vec![
            PanicAction::Pause,
            PanicAction::Poweroff,
            PanicAction::Run,
        ]),
        select(vec![
            OnPoweroff::Destroy,
            OnPoweroff::Restart,
            OnPoweroff::Preserve,
        ]),
        select(vec![OnCrash::Preserve, OnCrash::Restart]),
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (starts, ends, flags).prop_map(
        |((version, kind, begin), (panic, on_poweroff, on_crash), (resets, device, wrapped))| {
            let stays = on_poweroff != OnPoweroff::Destroy;
            Setup {
                version,
                kind,
                begin,
                panic,
                on_crash,
                on_poweroff,
                stays,
                // A guest that is started again whatever it does is refused where a reset ends QEMU.
                reset_ends: resets && !stays,
                exit_device: device,
                wrapped,
            }
        },
    )
}

/// A run, move by move, a few seconds or a minute apart.
pub(crate) fn run(setup: Setup, choices: &[(Index, u64)]) -> Vec<Record> {
    let (mut machine, events) = Machine::start(setup);
    let mut records = lines::records(&events);
    for (choice, pause) in choices {
        let moves = machine.moves();
        if moves.is_empty() {
            break;
        }
        let last = records.last().and_then(|record| record.at);
        let mut at = last.unwrap_or_default().0 + pause * 1_000_000;
        for event in machine.play(*choice.get(&moves)) {
            at += 1000;
            let at = Some(Timestamp(at));
            records.push(Record { at, event });
        }
    }
    records
}

pub(crate) fn choices() -> impl Strategy<Value = Vec<(Index, u64)>> {
    let pause = prop_oneof![9 => 2..4_u64, 1 => Just(60)];
    prop::collection::vec((any::<Index>(), pause), 0..MOVES)
}

/// Plays as many runs as are asked for, and tells how many lines they had.
pub(crate) fn agree_on(cases: u32) -> u64 {
    let lines = Cell::new(0);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let runs = (setups(), choices());
    let agreed = TestRunner::new(config).run(&runs, |(setup, choices)| {
        let records = run(setup, &choices);
        lines.set(lines.get() + records.len() as u64);
        let mut pair = Pair::launched(&records[0]);
        for (n, record) in records.iter().enumerate().skip(1) {
            pair.see(record);
            if let Some(what) = pair.difference() {
                let events: Vec<_> = records[..=n].iter().map(|r| r.event.clone()).collect();
                prop_assert!(false, "{what}\n{}", told(&events));
            }
        }
        Ok(())
    });
    if let Err(error) = agreed {
        panic!("{error}");
    }
    lines.get()
}

#[test]
fn the_fold_and_the_model_agree_on_what_a_qemu_may_send() {
    assert!(agree_on(super::cases()) > u64::from(super::cases()));
}
