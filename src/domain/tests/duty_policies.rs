//! What the policies ask for once a guest has panicked or powered off.

use super::*;

fn lifecycle(on_crash: OnCrash, on_poweroff: OnPoweroff) -> Lifecycle {
    Lifecycle {
        on_crash,
        on_poweroff,
        on_reboot: OnReboot::Restart,
    }
}

fn booted_under(lifecycle: Lifecycle, then: &[Event]) -> Fold {
    let launch = Launch {
        lifecycle,
        ..launch(LaunchKind::Boot, Begin::Running)
    };
    fold_of(&[&boot_of(launch), then].concat())
}

#[test]
fn a_guest_that_stands_stays_so_where_qemu_stays_after_the_reset_that_ends_a_run() {
    let stays = lifecycle(OnCrash::Destroy, OnPoweroff::Preserve);
    let reset = Event::ShutDown(ShutdownCause::HostQmpSystemReset);
    let told = |then: &[Event]| booted_under(stays, then).live.to_string();
    let stands = [asked(Verb::Suspend), Event::Stopped, reset.clone()];
    assert_eq!(told(&stands), "paused (user)");
    let goes_on = [stands.as_slice(), &[Event::Resumed]].concat();
    assert_eq!(told(&goes_on), "running (unpaused)");
    assert_eq!(told(&[reset, Event::Stopped]), "in shutdown (unknown)");
}

fn panics() -> [Event; 2] {
    [panicked(PanicAction::Pause), Event::Stopped]
}

#[test]
fn a_panic_is_followed_by_what_the_policy_says_once_the_guest_stands() {
    let of = |on_crash| lifecycle(on_crash, OnPoweroff::Destroy);
    let [panic, stop] = panics();
    let restart_asked = asked(Verb::CrashRestart);
    let (dumped, undumped) = (done(Verb::CrashDump), failed(Verb::CrashDump));
    let core = begun(Verb::CrashDump);
    let cases: Vec<(OnCrash, Vec<Event>, Option<Duty>)> = vec![
        (OnCrash::Restart, vec![panic.clone()], None),
        (OnCrash::Preserve, vec![], None),
        (OnCrash::Destroy, vec![], Some(Duty::EndAfterPanic)),
        (OnCrash::Restart, vec![], Some(Duty::RestartAfterPanic)),
        (
            OnCrash::Restart,
            vec![restart_asked.clone()],
            Some(Duty::RestartAfterPanic),
        ),
        (
            OnCrash::Restart,
            vec![restart_asked.clone(), reset()],
            Some(Duty::ContinueAfterPanic),
        ),
        (
            OnCrash::Restart,
            vec![restart_asked.clone(), reset(), Event::Resumed],
            None,
        ),
        // Reset by somebody else: it waits for that one's resume.
        (OnCrash::Preserve, vec![reset()], None),
        (OnCrash::Restart, vec![reset()], None),
        (OnCrash::Restart, vec![failed(Verb::CrashRestart)], None),
        (OnCrash::CoredumpDestroy, vec![], Some(Duty::DumpCore)),
        (
            OnCrash::CoredumpDestroy,
            vec![core.clone(), sent(Verb::CrashDump), dumped.clone()],
            Some(Duty::EndAfterPanic),
        ),
        (
            OnCrash::CoredumpDestroy,
            vec![core.clone(), undumped.clone()],
            None,
        ),
        (OnCrash::CoredumpRestart, vec![], Some(Duty::DumpCore)),
        (
            OnCrash::CoredumpRestart,
            vec![core.clone(), dumped],
            Some(Duty::RestartAfterPanic),
        ),
        (
            OnCrash::CoredumpRestart,
            vec![core, undumped],
            Some(Duty::RestartAfterPanic),
        ),
    ];
    for (policy, then, duty) in cases {
        let mut events = vec![panic.clone()];
        if then.first() != Some(&panic) {
            events.push(stop.clone());
            events.extend(then.clone());
        }
        let fold = booted_under(of(policy), &events);
        assert_eq!(
            fold.duty(&Life::Lives, Worker::Gone),
            duty,
            "{policy:?} {then:?}"
        );
        assert_eq!(fold.duty(&gone("b"), Worker::Gone), None, "{policy:?}");
    }
}

#[test]
fn a_guest_is_restarted_five_times_in_sixty_seconds_and_no_more() {
    let policy = lifecycle(OnCrash::Restart, OnPoweroff::Destroy);
    let restarted = |fold: &mut Fold, second: u64| {
        for event in panics() {
            apply(fold, second, &event);
        }
        let duty = fold.duty(&Life::Lives, Worker::Gone);
        for event in [asked(Verb::CrashRestart), reset(), Event::Resumed] {
            apply(fold, second, &event);
        }
        duty.unwrap()
    };
    let mut fold = booted_under(policy, &[]);
    for second in [100, 110, 120, 130, 140] {
        assert_eq!(restarted(&mut fold, second), Duty::RestartAfterPanic);
        assert_eq!(fold.live.to_string(), "running (crashed)");
    }
    let mut slow = fold.clone();
    assert_eq!(restarted(&mut slow, 161), Duty::RestartAfterPanic);
    assert_eq!(restarted(&mut fold, 160), Duty::GiveUpRestarting);
}

#[test]
fn what_was_given_up_says_why_and_stays() {
    for (on_crash, given_up) in [
        (
            OnCrash::Restart,
            [asked(Verb::CrashRestart), failed(Verb::CrashRestart)],
        ),
        (
            OnCrash::CoredumpDestroy,
            [begun(Verb::CrashDump), failed(Verb::CrashDump)],
        ),
    ] {
        let mut fold = booted_under(lifecycle(on_crash, OnPoweroff::Destroy), &panics());
        for event in &given_up {
            assert!(!fold.rests_crashed(), "{on_crash:?}");
            apply(&mut fold, 9, event);
        }
        assert_eq!(fold.live, State::Crashed);
        assert_eq!(fold.panic.as_ref().unwrap().kept.as_deref(), Some("why"));
        assert_eq!(fold.duty(&Life::Lives, Worker::Gone), None);
        assert!(fold.rests_crashed(), "{on_crash:?}");
    }
}

#[test]
fn a_crashed_guest_is_at_rest_where_its_policy_has_nothing_done() {
    for on_crash in OnCrash::ALL {
        let [panic, stop] = panics();
        let mut fold = booted_under(lifecycle(*on_crash, OnPoweroff::Destroy), &[panic]);
        let rests = *on_crash == OnCrash::Preserve;
        // Already before it stands, and nothing is to be done yet.
        assert_eq!(fold.rests_crashed(), rests, "{on_crash:?}");
        apply(&mut fold, 9, &stop);
        assert_eq!(fold.rests_crashed(), rests, "{on_crash:?}");
        apply(&mut fold, 10, &Event::Resumed);
        assert!(!fold.rests_crashed(), "{on_crash:?}");
    }
}

fn powered_off() -> Event {
    Event::ShutDown(ShutdownCause::GuestShutdown)
}

#[test]
fn what_is_not_as_the_record_says_where_lines_are_lost_is_not_tried_again() {
    let duty = |fold: &Fold| fold.duty(&Life::Lives, Worker::Gone);
    // By its policy, what is to be done, and the verb that says that it is not.
    for (on_crash, due, verb) in [
        (OnCrash::Destroy, Duty::EndAfterPanic, Verb::CrashDestroy),
        (
            OnCrash::Restart,
            Duty::RestartAfterPanic,
            Verb::CrashRestart,
        ),
        (OnCrash::CoredumpDestroy, Duty::DumpCore, Verb::CrashDump),
    ] {
        let policy = || lifecycle(on_crash, OnPoweroff::Destroy);
        let cut = [&panics()[..], &[Event::Gap]].concat();
        let fold = booted_under(policy(), &cut);
        assert_eq!(duty(&fold), Some(due));
        assert_eq!(due.of_standing_guest(), Some(verb));
        let told = [&cut[..], &[failed(verb)]].concat();
        assert_eq!(duty(&booted_under(policy(), &told)), None, "{verb:?}");
    }
    let due = Some(Duty::RestartAfterPoweroff);
    let events = [
        powered_off(),
        Event::Stopped,
        Event::Gap,
        failed(Verb::PoweroffRestart),
    ];
    assert_goes_on(
        OnPoweroff::Restart,
        &events[..3],
        "paused (shutting down)",
        due,
    );
    assert_goes_on(OnPoweroff::Restart, &events, "paused (unknown)", None);
}

fn assert_goes_on(policy: OnPoweroff, events: &[Event], state: &str, duty: Option<Duty>) {
    let fold = booted_under(lifecycle(OnCrash::Destroy, policy), events);
    let told = (fold.live.to_string(), fold.duty(&Life::Lives, Worker::Gone));
    assert_eq!(told, (state.to_owned(), duty), "{policy:?} {events:?}");
}

#[test]
fn a_power_off_is_followed_by_what_the_policy_says() {
    let cases: [(OnPoweroff, &[Event], &str, Option<Duty>); 6] = [
        (
            OnPoweroff::Destroy,
            &[powered_off()],
            "in shutdown (unknown)",
            None,
        ),
        (
            OnPoweroff::Preserve,
            &[powered_off(), Event::Stopped],
            "in shutdown (unknown)",
            None,
        ),
        (
            OnPoweroff::Restart,
            &[powered_off(), Event::Stopped],
            "paused (shutting down)",
            Some(Duty::RestartAfterPoweroff),
        ),
        (
            OnPoweroff::Restart,
            &[powered_off(), Event::Stopped, reset()],
            "paused (shutting down)",
            Some(Duty::RestartAfterPoweroff),
        ),
        (
            OnPoweroff::Restart,
            &[powered_off(), Event::Stopped, reset(), Event::Resumed],
            "running (booted)",
            None,
        ),
        // libvirt hides the restart: the reason stays what it was.
        (
            OnPoweroff::Restart,
            &[
                Event::Stopped,
                Event::Resumed,
                powered_off(),
                Event::Stopped,
                reset(),
                Event::Resumed,
            ],
            "running (unpaused)",
            None,
        ),
    ];
    for (policy, events, state, duty) in cases {
        assert_goes_on(policy, events, state, duty);
    }
}

#[test]
fn what_becomes_of_another_reboot_takes_nothing_from_one_that_qemu_was_told() {
    let restarts = |events: &[Event]| {
        let events = [events, &[powered_off(), Event::Stopped]].concat();
        let fold = booted_under(lifecycle(OnCrash::Destroy, OnPoweroff::Destroy), &events);
        fold.duty(&Life::Lives, Worker::Gone) == Some(Duty::RestartAfterPoweroff)
    };
    let told = [asked(Verb::Reboot), sent(Verb::Reboot)];
    let fails = [asked_by(8, Verb::Reboot), failed_by(8, Verb::Reboot)];
    let of_another = [&told[..], &fails].concat();
    assert!(restarts(&of_another));
    // Nothing is left of one that has been done.
    let after_one = [&told[..], &[done_by(1, Verb::Reboot)], &fails].concat();
    assert!(!restarts(&after_one));
    assert!(!restarts(&fails));
    // It is said to be done as the next is asked for already.
    let next = [
        &told[..],
        &[asked_by(8, Verb::Reboot), done_by(1, Verb::Reboot)],
    ]
    .concat();
    let next = [&next[..], &[sent_by(8, Verb::Reboot)]].concat();
    assert!(restarts(&next));
}

#[test]
fn the_next_power_off_after_a_reboot_was_asked_for_is_a_restart() {
    let cases: [(&[Event], &str, Option<Duty>); 5] = [
        (
            &[
                asked(Verb::Reboot),
                sent(Verb::Reboot),
                powered_off(),
                Event::Stopped,
            ],
            "paused (shutting down)",
            Some(Duty::RestartAfterPoweroff),
        ),
        (
            &[
                asked(Verb::Reboot),
                powered_off(),
                Event::Stopped,
                reset(),
                Event::Resumed,
            ],
            "running (booted)",
            Some(Duty::DisarmReboot),
        ),
        (
            &[
                asked(Verb::Reboot),
                powered_off(),
                Event::Stopped,
                reset(),
                Event::Resumed,
                powered_off(),
                Event::Stopped,
            ],
            "in shutdown (unknown)",
            Some(Duty::EndAfterPoweroff),
        ),
        (
            &[asked(Verb::Reboot), failed(Verb::Reboot), powered_off()],
            "in shutdown (unknown)",
            None,
        ),
        // Who asks for a shutdown after it wants no reboot any more.
        (
            &[
                asked(Verb::Reboot),
                asked(Verb::Shutdown),
                done(Verb::Shutdown),
                powered_off(),
            ],
            "in shutdown (unknown)",
            None,
        ),
    ];
    for (events, state, duty) in cases {
        assert_goes_on(OnPoweroff::Destroy, events, state, duty);
    }
}
