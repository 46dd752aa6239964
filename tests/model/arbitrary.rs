//! Events in any order, of which no QEMU sends the most: what holds whatever comes.

use domstate::domain::{
    Answer, Begin, Bmc, BootId, Certainty, Event, Exit, ExitDevice, Exited, Fold, Launch,
    LaunchKind, Life, Lifecycle, LogWords, OnCrash, OnPoweroff, OnReboot, PanicAction, Record,
    ResetBy, RunStatus, ShutOff, ShutdownCause, State, StreamAnswer, Timestamp, Verb,
    WatchdogAction, Worker,
};
use domstate::journal::{encode, parse_line};
use proptest::prelude::*;
use proptest::sample::select;

use super::lines;
use super::realistic;

const EVENTS: usize = 40;

/// Words of QEMU's for how far a migration is.
const WORDS: &[&str] = &[
    "setup",
    "active",
    "pre-switchover",
    "device",
    "postcopy-active",
    "postcopy-paused",
    "completed",
    "failed",
    "cancelled",
    "cancelling",
];

fn launches() -> impl Strategy<Value = Event> {
    let kinds = [
        LaunchKind::Boot,
        LaunchKind::Incoming,
        LaunchKind::Snapshot,
        LaunchKind::Restore,
    ];
    let begins = [Begin::Running, Begin::Paused];
    let policies = (
        select(OnCrash::ALL),
        select(OnPoweroff::ALL),
        select(OnReboot::ALL),
    );
    (
        select(kinds.to_vec()),
        select(begins.to_vec()),
        any::<bool>(),
        policies,
    )
        .prop_map(|(kind, begin, exit_device, policies)| {
            let (on_crash, on_poweroff, on_reboot) = policies;
            Event::Launched(Box::new(Launch {
                run: 1,
                kind,
                begin,
                boot: lines::boot(),
                pid_namespace: 1,
                journal: None,
                exit_device: match exit_device {
                    true => ExitDevice::Own,
                    false => ExitDevice::None,
                },
                may_have_panicked: kind == LaunchKind::Restore && exit_device,
                debugger: false,
                bmc: Bmc::None,
                lifecycle: Lifecycle {
                    on_crash,
                    on_poweroff,
                    on_reboot,
                },
                actor: lines::actor(50),
            }))
        })
        .no_shrink()
}

fn exits() -> impl Strategy<Value = Option<Exit>> {
    select(vec![
        None,
        Some(Exit::Status(0)),
        Some(Exit::Status(1)),
        Some(Exit::Status(33)),
        Some(Exit::Signal {
            signal: 9,
            core_dumped: false,
        }),
        Some(Exit::Signal {
            signal: 11,
            core_dumped: true,
        }),
    ])
}

fn of_qemu() -> impl Strategy<Value = Event> {
    use ShutdownCause::{
        GuestPanic, GuestReset, GuestShutdown, HostError, HostQmpQuit, HostQmpSystemReset,
        HostSignal, HostUi, Unknown,
    };
    let fixed = vec![
        Event::Stopped,
        Event::Resumed,
        Event::Reset(ResetBy::Guest),
        Event::Reset(ResetBy::Host),
        Event::Suspended,
        Event::SuspendedToDisk,
        Event::Woken,
        Event::CrashLoaded,
        Event::Gap,
        Event::Other,
        Event::ContinueRefused("no".to_owned()),
        lines::io_failed(true),
        lines::io_failed(false),
        Event::WatchdogFired(WatchdogAction::Pause),
        Event::WatchdogFired(WatchdogAction::Poweroff),
        Event::WatchdogFired(WatchdogAction::Reset),
    ];
    let causes = [
        GuestShutdown,
        GuestReset,
        GuestPanic,
        HostError,
        HostQmpQuit,
        HostQmpSystemReset,
        HostSignal,
        HostUi,
        Unknown,
    ];
    let actions = [PanicAction::Pause, PanicAction::Poweroff, PanicAction::Run];
    let statuses = [
        RunStatus::Running,
        RunStatus::Prelaunch,
        RunStatus::Paused,
        RunStatus::InMigrate,
        RunStatus::Other,
    ];
    prop_oneof![
        4 => select(fixed),
        2 => select(causes.to_vec()).prop_map(Event::ShutDown),
        1 => select(actions.to_vec()).prop_map(|action| Event::Panicked { action, info: None }),
        1 => select(statuses.to_vec()).prop_map(Event::StatusReported),
        1 => select(WORDS).prop_map(lines::migration),
    ]
}

fn of_ours() -> impl Strategy<Value = Event> {
    let verbs = || select(Verb::ALL);
    // Few, so that lines of the same request come together.
    let pids = || 1000..1003_u32;
    prop_oneof![
        (verbs(), pids()).prop_map(|(verb, pid)| lines::asked(verb, pid)),
        (verbs(), pids(), any::<bool>()).prop_map(|(verb, pid, ran)| {
            use domstate::domain::Before::{Ran, Stood};
            lines::job(verb, pid, if ran { Ran } else { Stood }, None)
        }),
        (verbs(), pids()).prop_map(|(verb, pid)| Event::StreamAsked { verb, pid }),
        (verbs(), pids(), any::<bool>()).prop_map(|(verb, pid, taken)| {
            let answer = match taken {
                true => StreamAnswer::Taken,
                false => StreamAnswer::Refused,
            };
            Event::StreamAnswered { verb, pid, answer }
        }),
        (verbs(), pids()).prop_map(|(verb, pid)| Event::Sent { verb, pid }),
        (verbs(), pids()).prop_map(|(verb, pid)| Event::TakenBack { verb, pid }),
        (verbs(), pids()).prop_map(|(verb, pid)| Event::Done { verb, pid }),
        (verbs(), pids()).prop_map(|(verb, pid)| {
            let message = "no".to_owned();
            Event::Failed { verb, pid, message }
        }),
        (exits(), any::<bool>()).prop_map(|(exit, gdb_killed)| {
            let words = LogWords {
                gdb_killed,
                ..LogWords::default()
            };
            lines::exited(lines::LAUNCHER, exit, &words)
        }),
    ]
}

/// Any run: launched somehow, then anything.
fn runs() -> impl Strategy<Value = Vec<Record>> {
    let events = prop_oneof![3 => of_qemu(), 1 => of_ours()];
    let timed = prop::collection::vec((events, prop_oneof![Just(1), Just(2_000_000)]), 0..EVENTS);
    (launches(), timed).prop_map(|(launch, timed)| {
        let mut records = lines::records(&[launch, Event::Spawned(lines::LAUNCHER)]);
        let mut at = 2_000_000_u64;
        for (event, pause) in timed {
            at += pause;
            let at = Some(Timestamp(at));
            records.push(Record { at, event });
        }
        records
    })
}

fn fold(records: &[Record]) -> Fold {
    let mut fold = Fold::default();
    records.iter().for_each(|record| fold.apply(record));
    fold
}

fn looks() -> Vec<Life> {
    let gone = |exit, boot: &str| {
        Life::Gone(Exited {
            exit,
            boot: BootId(boot.to_owned()),
            ..Exited::default()
        })
    };
    let killed = Exit::Signal {
        signal: 9,
        core_dumped: false,
    };
    vec![
        Life::Lives,
        Life::MayLive,
        gone(None, "this"),
        gone(None, "another"),
        gone(Some(Exit::Status(0)), "this"),
        gone(Some(Exit::Status(33)), "this"),
        gone(Some(killed), "this"),
    ]
}

fn is_success(answer: &Answer) -> bool {
    answer.state == State::ShutOff(ShutOff::Shutdown)
}

/// Whether a line that says that the guest shut down stands there, with nothing behind it that starts the guest afresh.
fn tells_success(records: &[Record], life: &Life) -> bool {
    let is_afresh = |record: &Record| {
        matches!(
            record.event,
            Event::Resumed | Event::Reset(_) | Event::Launched(_)
        )
    };
    let since = records.iter().rposition(is_afresh).map_or(0, |at| at + 1);
    let by_line = records[since..].iter().any(|record| {
        matches!(
            record.event,
            Event::ShutDown(
                ShutdownCause::GuestShutdown
                    | ShutdownCause::GuestReset
                    | ShutdownCause::HostQmpSystemReset
            )
        )
    });
    let is_of_guest = |exit: &Option<Exit>| matches!(exit, Some(Exit::Status(33)));
    let has_device = records.iter().any(
        |record| matches!(&record.event, Event::Launched(launch) if launch.exit_device.is_there()),
    );
    let by_device = has_device
        && (matches!(life, Life::Gone(seen) if is_of_guest(&seen.exit))
            || records.iter().any(
                |record| matches!(&record.event, Event::Exited { exit, .. } if is_of_guest(exit)),
            ));
    by_line || by_device
}

/// Through the journal's own encoding: a line, and back.
fn through_a_line(before: &Fold) -> Fold {
    let checkpoint = domstate::domain::Checkpoint {
        fold: before.clone(),
        rules: domstate::domain::Rules::Ours,
        offset: 0,
    };
    let line = encode(Timestamp(1), &Event::Checkpoint(Box::new(checkpoint))).unwrap();
    let record = parse_line(line.trim_ascii()).unwrap();
    let Event::Checkpoint(checkpoint) = record.event else {
        panic!("{record:?}");
    };
    checkpoint.fold
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: super::cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn success_has_its_line_and_every_state_its_words(records in runs()) {
        let fold = fold(&records);
        for life in looks() {
            let answer = fold.answer(&life);
            prop_assert_eq!(answer.state.to_string().parse(), Ok(answer.state));
            prop_assert_eq!(answer.state.is_active(), !matches!(life, Life::Gone(_)));
            prop_assert!(!is_success(&answer) || tells_success(&records, &life), "{:?}", answer);
            for worker in [Worker::Lives, Worker::Gone] {
                let _ = fold.duty(&life, worker);
            }
            if answer.state == State::ShutOff(ShutOff::Unknown) {
                prop_assert_eq!(answer.certainty, Certainty::Unknown);
            }
        }
    }

    #[test]
    fn what_is_witnessed_has_a_witness(records in runs()) {
        let fold = fold(&records);
        let nobody_saw = |record: &Record| match &record.event {
            Event::ShutDown(_) | Event::Panicked { .. } | Event::WatchdogFired(_) => false,
            Event::Sent { .. } | Event::Done { .. } | Event::ContinueRefused(_) => false,
            Event::MigrationChanged(_) | Event::Failed { .. } => false,
            Event::Exited { exit, .. } => exit.is_none(),
            _ => true,
        };
        if records.iter().all(nobody_saw) {
            for boot in ["this", "another"] {
                let seen = Exited { boot: BootId(boot.to_owned()), ..Exited::default() };
                let answer = fold.answer(&Life::Gone(seen));
                prop_assert_ne!(answer.certainty, Certainty::Witnessed);
            }
        }
        if fold.gap {
            prop_assert_ne!(fold.answer(&Life::Lives).certainty, Certainty::Witnessed);
        }
        prop_assert_ne!(fold.answer(&Life::MayLive).certainty, Certainty::Witnessed);
    }

    #[test]
    fn a_checkpoint_stands_for_all_before_it(records in runs(), cut in 0..EVENTS) {
        let whole = fold(&records);
        let (before, after) = records.split_at(cut.min(records.len()));
        let mut kept = through_a_line(&fold(before));
        after.iter().for_each(|record| kept.apply(record));
        prop_assert_eq!(kept, whole);
    }

    #[test]
    fn an_end_stays_an_end(records in runs(), late in runs(), exit in exits()) {
        let mut records = records;
        records.push(Record {
            at: Some(Timestamp(200_000_000)),
            event: lines::exited(lines::LAUNCHER, exit, &LogWords::default()),
        });
        let mut fold = fold(&records);
        let gone = &looks()[2];
        let before = fold.answer(gone);
        // All that still comes: who asked writes down what came of it.
        let is_late = |record: &&Record| matches!(record.event, Event::Done { .. } | Event::Other);
        late.iter().filter(is_late).for_each(|record| fold.apply(record));
        let after = fold.answer(gone).state;
        // Whoever destroyed it may come to say so only now; and who has reset or suspended it, where that was only likely.
        let is_sure = before.certainty == Certainty::Witnessed;
        let destroyed = State::ShutOff(ShutOff::Destroyed);
        let stays = after == before.state || after == destroyed;
        let is_an_end = matches!(after, State::ShutOff(_));
        prop_assert!(is_an_end && (stays || !is_sure), "{before:?} {after}");
    }

    #[test]
    fn what_a_crash_takes_from_the_end_never_makes_success(
        setup in realistic::setups(),
        choices in realistic::choices(),
        exit in exits(),
    ) {
        let records = realistic::run(setup, &choices);
        let seen = |boot: &str| Life::Gone(Exited {
            exit: exit.filter(|exit| !matches!(exit, Exit::Status(33))),
            boot: BootId(boot.to_owned()),
            ..Exited::default()
        });
        for left in 1..=records.len() {
            let left = &records[..left];
            for boot in ["this", "another"] {
                let answer = fold(left).answer(&seen(boot));
                prop_assert!(!is_success(&answer) || tells_success(left, &seen(boot)));
            }
        }
    }
}
