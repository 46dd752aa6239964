//! All sequences of events up to a length, and the checkpoint that stands for one.

use super::*;

#[test]
fn a_checkpoint_stands_for_everything_before_it() {
    let before = booted(&[asked(Verb::Suspend), Event::Stopped]);
    let after = fold_of(&[
        Event::Gap,
        Event::Checkpoint(Box::new(Checkpoint {
            fold: before.clone(),
            rules: Rules::Ours,
            offset: 0,
        })),
    ]);
    assert_eq!(after, before);
}

/// One that an older domstate may have made.
fn summed_up_by_others(fold: &Fold) -> Event {
    Event::Checkpoint(Box::new(Checkpoint {
        fold: fold.clone(),
        rules: Rules::Others,
        offset: 0,
    }))
}

#[test]
fn what_was_read_is_not_given_up_for_a_checkpoint_by_other_rules() {
    let wrong = booted(&[Event::ShutDown(ShutdownCause::GuestShutdown)]);
    let after = booted(&[Event::Stopped, summed_up_by_others(&wrong)]);
    assert_eq!(after, booted(&[Event::Stopped]));
}

#[test]
fn of_a_checkpoint_by_other_rules_whose_lines_are_gone_only_an_end_is_sure() {
    let killed = Exit::Signal {
        signal: 9,
        core_dumped: false,
    };
    let rest = [exited(None, Some(killed))];
    let over = exited(None, Some(Exit::Status(0)));
    let shut_down = [Event::ShutDown(ShutdownCause::GuestShutdown), over];
    // What it sums up, what comes behind that, and what is told.
    let cases: &[(Fold, &[Event], State, Certainty)] = &[
        (
            booted(&shut_down),
            &[],
            State::ShutOff(ShutOff::Shutdown),
            Certainty::Witnessed,
        ),
        (
            booted(&[shut_down[0].clone()]),
            &rest,
            State::ShutOff(ShutOff::Unknown),
            Certainty::Unknown,
        ),
    ];
    for (fold, behind, state, certainty) in cases {
        let mut events = vec![Event::Gap, summed_up_by_others(fold)];
        events.extend_from_slice(behind);
        let answer = fold_of(&events).answer(&gone("b"));
        assert_eq!(
            (answer.state, answer.certainty),
            (*state, *certainty),
            "{behind:?}"
        );
    }
    // What it is saved in is not thrown away.
    let mut events = vec![Event::Gap, summed_up_by_others(&fold_of(&saving()))];
    events.extend([status("completed"), sent(Verb::Save)]);
    let duty = fold_of(&events).duty(&gone("b"), Worker::Gone);
    assert_eq!(duty, Some(Duty::PlaceFile));
}

/// One event of each kind that can move a run.
fn alphabet() -> Vec<Event> {
    vec![
        Event::StatusReported(RunStatus::Prelaunch),
        Event::Stopped,
        Event::Resumed,
        Event::Reset(ResetBy::Guest),
        Event::ShutDown(ShutdownCause::GuestShutdown),
        Event::ShutDown(ShutdownCause::HostSignal),
        Event::Suspended,
        Event::Woken,
        Event::WatchdogFired(WatchdogAction::Pause),
        Event::WatchdogFired(WatchdogAction::Poweroff),
        panicked(PanicAction::Pause),
        io_error(),
        asked(Verb::Destroy),
        sent(Verb::Destroy),
        exited(None, Some(Exit::Status(0))),
        exited(None, None),
        Event::Gap,
    ]
}

#[test]
fn in_every_sequence_of_events_success_has_a_guest_shutdown_on_record() {
    let gone = gone("b");
    let alphabet = alphabet();
    let mut pending: Vec<Vec<usize>> = vec![vec![]];
    let mut walked = 0_u32;
    while let Some(path) = pending.pop() {
        let events: Vec<Event> = path.iter().map(|i| alphabet[*i].clone()).collect();
        let fold = booted(&events);
        let lives = fold.answer(&Life::Lives);
        assert!(lives.state.is_active(), "{events:?}");
        let ended = fold.answer(&gone);
        assert!(!ended.state.is_active(), "{events:?}");
        if ended.state == State::ShutOff(ShutOff::Shutdown) {
            let shut = events
                .iter()
                .rposition(|e| *e == Event::ShutDown(ShutdownCause::GuestShutdown));
            let restarted = events
                .iter()
                .rposition(|e| matches!(e, Event::Resumed | Event::Reset(_)));
            assert!(shut.is_some() && shut > restarted, "{events:?}");
        }
        walked += 1;
        if path.len() < 4 {
            for next in 0..alphabet.len() {
                let mut longer = path.clone();
                longer.push(next);
                pending.push(longer);
            }
        }
    }
    assert_eq!(walked, (0..=4).map(|n| 17_u32.pow(n)).sum::<u32>());
}
