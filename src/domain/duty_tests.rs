//! The table of duties: what happened, and what is then to be done.

use super::super::answer::Life;
use super::super::event::{
    Actor, BootId, Event, Launch, PanicAction, Process, Record, ResetBy, RunStatus, ShutdownCause,
};
use super::super::job::{Before, Job};
use super::super::policy::{Lifecycle, OnReboot};
use super::super::trace::Exited;
use super::*;

fn actor() -> Actor {
    Actor {
        uid: 0,
        pid: 7,
        command: "domstate".into(),
    }
}

fn lifecycle(on_crash: OnCrash, on_poweroff: OnPoweroff) -> Lifecycle {
    Lifecycle {
        on_crash,
        on_poweroff,
        on_reboot: OnReboot::Restart,
    }
}

fn launch(kind: LaunchKind, begin: Begin, lifecycle: Lifecycle) -> Event {
    Event::Launched(Box::new(Launch {
        run: 1,
        kind,
        begin,
        boot: BootId("b".into()),
        pid_namespace: 1,
        exit_device: false,
        lifecycle,
        actor: actor(),
    }))
}

fn apply(fold: &mut Fold, second: u64, event: &Event) {
    fold.apply(&Record {
        at: Some(Timestamp(second * 1_000_000)),
        event: event.clone(),
    });
}

fn fold_of(events: &[Event]) -> Fold {
    let mut fold = Fold::default();
    for (second, event) in events.iter().enumerate() {
        apply(&mut fold, second as u64, event);
    }
    fold
}

fn booted(lifecycle: Lifecycle, then: &[Event]) -> Fold {
    let mut events = vec![
        launch(LaunchKind::Boot, Begin::Running, lifecycle),
        Event::StatusReported(RunStatus::Prelaunch),
        Event::Resumed,
    ];
    events.extend_from_slice(then);
    fold_of(&events)
}

fn asked(verb: Verb) -> Event {
    Event::Asked {
        verb,
        actor: actor(),
        job: None,
    }
}

fn begun(verb: Verb) -> Event {
    let worker = Process {
        pid: 7,
        start_ticks: 1,
    };
    Event::Asked {
        verb,
        actor: actor(),
        job: Some(Box::new(Job {
            worker,
            began: Timestamp(1),
            file: "/f".into(),
            before: Before::Ran,
            then: None,
        })),
    }
}

fn sent(verb: Verb) -> Event {
    Event::Sent { verb, pid: 7 }
}

fn done(verb: Verb) -> Event {
    Event::Done { verb, pid: 7 }
}

fn failed(verb: Verb) -> Event {
    let message = "why".to_owned();
    Event::Failed {
        verb,
        pid: 7,
        message,
    }
}

fn status(word: &str) -> Event {
    Event::MigrationChanged(word.into())
}

fn panics() -> [Event; 2] {
    let panic = Event::Panicked {
        action: PanicAction::Pause,
        info: None,
    };
    [panic, Event::Stopped]
}

fn gone() -> Life {
    Life::Gone(Exited::default())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_job_belongs_to_its_worker_and_to_whoever_finds_it_without() {
    let plain = Lifecycle::default();
    let cases: &[(&[Event], Worker, Life, Option<Duty>)] = &[
        (&[], Worker::Gone, Life::Lives, None),
        (&[begun(Verb::Save)], Worker::Lives, Life::Lives, None),
        (
            &[begun(Verb::Save)],
            Worker::Gone,
            Life::Lives,
            Some(Duty::UndoJob),
        ),
        (
            &[begun(Verb::Save), Event::Stopped],
            Worker::Gone,
            gone(),
            Some(Duty::UndoJob),
        ),
        (
            &[begun(Verb::Save), Event::Stopped, failed(Verb::Save)],
            Worker::Gone,
            Life::Lives,
            None,
        ),
        (
            &[begun(Verb::Save), Event::Stopped, sent(Verb::Save)],
            Worker::Gone,
            Life::Lives,
            Some(Duty::PlaceFile),
        ),
        (
            &[begun(Verb::Save), Event::Stopped, sent(Verb::Save)],
            Worker::Gone,
            gone(),
            Some(Duty::PlaceFile),
        ),
        (
            &[
                begun(Verb::Save),
                Event::Stopped,
                sent(Verb::Save),
                done(Verb::Save),
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::EndAfterJob),
        ),
        (
            &[
                begun(Verb::Save),
                Event::Stopped,
                sent(Verb::Save),
                done(Verb::Save),
            ],
            Worker::Gone,
            gone(),
            None,
        ),
        // Said to be carried out of a guest that runs, or only to be done: it was not.
        (
            &[
                begun(Verb::Save),
                Event::Stopped,
                Event::Resumed,
                sent(Verb::Save),
                done(Verb::Save),
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::UndoJob),
        ),
        // Somebody let the guest go on: what was saved is not what it is any more.
        (
            &[
                begun(Verb::Save),
                Event::Stopped,
                sent(Verb::Save),
                Event::Resumed,
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::UndoJob),
        ),
        (
            &[begun(Verb::Dump), Event::Stopped, Event::Resumed],
            Worker::Gone,
            Life::Lives,
            Some(Duty::UndoJob),
        ),
        (
            &[
                begun(Verb::Dump),
                Event::Stopped,
                Event::Resumed,
                sent(Verb::Dump),
                done(Verb::Dump),
            ],
            Worker::Gone,
            Life::Lives,
            None,
        ),
        (
            &[
                begun(Verb::DumpCrash),
                Event::Stopped,
                sent(Verb::DumpCrash),
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::PlaceFile),
        ),
        (
            &[begun(Verb::Migrate), status("setup")],
            Worker::Gone,
            Life::Lives,
            Some(Duty::UndoJob),
        ),
        // Handed over: there is nothing that could be undone.
        (
            &[
                begun(Verb::Migrate),
                status("setup"),
                status("postcopy-active"),
            ],
            Worker::Gone,
            Life::Lives,
            None,
        ),
        (
            &[
                begun(Verb::Migrate),
                status("setup"),
                Event::Stopped,
                sent(Verb::Migrate),
                status("postcopy-active"),
            ],
            Worker::Gone,
            Life::Lives,
            None,
        ),
        // It may have gone: it is let go, and must not run here.
        (
            &[
                begun(Verb::Migrate),
                status("setup"),
                Event::Stopped,
                sent(Verb::Migrate),
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::PlaceFile),
        ),
        // Also one that was not stopped yet.
        (
            &[begun(Verb::Migrate), status("setup"), sent(Verb::Migrate)],
            Worker::Gone,
            Life::Lives,
            Some(Duty::PlaceFile),
        ),
        // Somebody let it run here: it has gone nowhere, whatever is said of it later.
        (
            &[
                begun(Verb::Migrate),
                status("setup"),
                Event::Stopped,
                status("completed"),
                Event::Resumed,
                done(Verb::Migrate),
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::UndoJob),
        ),
        (
            &[
                begun(Verb::Migrate),
                status("setup"),
                Event::Stopped,
                sent(Verb::Migrate),
                status("failed"),
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::UndoJob),
        ),
        // A snapshot that is loaded is finished, and only where there is a guest.
        (
            &[begun(Verb::SnapshotRevert), sent(Verb::SnapshotRevert)],
            Worker::Gone,
            Life::Lives,
            Some(Duty::FinishRevert),
        ),
        (
            &[begun(Verb::SnapshotRevert), sent(Verb::SnapshotRevert)],
            Worker::Gone,
            gone(),
            None,
        ),
        (
            &[begun(Verb::SnapshotCreate), sent(Verb::SnapshotCreate)],
            Worker::Gone,
            Life::Lives,
            Some(Duty::PlaceFile),
        ),
        // QEMU's own word carries it out.
        (
            &[begun(Verb::Migrate), status("setup"), status("completed")],
            Worker::Gone,
            Life::Lives,
            Some(Duty::PlaceFile),
        ),
        (
            &[
                begun(Verb::Migrate),
                status("setup"),
                status("completed"),
                failed(Verb::Migrate),
                done(Verb::Migrate),
            ],
            Worker::Gone,
            Life::Lives,
            Some(Duty::EndAfterJob),
        ),
    ];
    for (events, worker, life, duty) in cases {
        let fold = booted(plain, events);
        assert_eq!(fold.duty(life, *worker), *duty, "{events:?} {worker:?}");
    }
}

#[test]
fn a_panic_is_followed_by_what_the_policy_says_once_the_guest_stands() {
    let of = |on_crash| lifecycle(on_crash, OnPoweroff::Destroy);
    let [panic, stop] = panics();
    let reset = Event::Reset(ResetBy::Host);
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
            vec![restart_asked.clone(), reset.clone()],
            Some(Duty::ContinueAfterPanic),
        ),
        (
            OnCrash::Restart,
            vec![restart_asked.clone(), reset.clone(), Event::Resumed],
            None,
        ),
        // Reset by somebody else: it waits for that one's resume.
        (OnCrash::Preserve, vec![reset.clone()], None),
        (OnCrash::Restart, vec![reset.clone()], None),
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
        let fold = booted(of(policy), &events);
        assert_eq!(
            fold.duty(&Life::Lives, Worker::Gone),
            duty,
            "{policy:?} {then:?}"
        );
        assert_eq!(fold.duty(&gone(), Worker::Gone), None, "{policy:?}");
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
        for event in [
            asked(Verb::CrashRestart),
            Event::Reset(ResetBy::Host),
            Event::Resumed,
        ] {
            apply(fold, second, &event);
        }
        duty.unwrap()
    };
    let mut fold = booted(policy, &[]);
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
        let mut fold = booted(lifecycle(on_crash, OnPoweroff::Destroy), &panics());
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
        let mut fold = booted(lifecycle(*on_crash, OnPoweroff::Destroy), &[panic]);
        let rests = *on_crash == OnCrash::Preserve;
        // Already before it stands, and nothing is to be done yet.
        assert_eq!(fold.rests_crashed(), rests, "{on_crash:?}");
        apply(&mut fold, 9, &stop);
        assert_eq!(fold.rests_crashed(), rests, "{on_crash:?}");
        apply(&mut fold, 10, &Event::Resumed);
        assert!(!fold.rests_crashed(), "{on_crash:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_power_off_is_followed_by_what_policy_and_reboot_say() {
    let off = || Event::ShutDown(ShutdownCause::GuestShutdown);
    let reset = || Event::Reset(ResetBy::Host);
    let cases: Vec<(OnPoweroff, Vec<Event>, &str, Option<Duty>)> = vec![
        (
            OnPoweroff::Destroy,
            vec![off()],
            "in shutdown (unknown)",
            None,
        ),
        (
            OnPoweroff::Preserve,
            vec![off(), Event::Stopped],
            "in shutdown (unknown)",
            None,
        ),
        (
            OnPoweroff::Restart,
            vec![off(), Event::Stopped],
            "paused (shutting down)",
            Some(Duty::RestartAfterPoweroff),
        ),
        (
            OnPoweroff::Restart,
            vec![off(), Event::Stopped, reset()],
            "paused (shutting down)",
            Some(Duty::RestartAfterPoweroff),
        ),
        (
            OnPoweroff::Restart,
            vec![off(), Event::Stopped, reset(), Event::Resumed],
            "running (booted)",
            None,
        ),
        // libvirt hides the restart: the reason stays what it was.
        (
            OnPoweroff::Restart,
            vec![
                Event::Stopped,
                Event::Resumed,
                off(),
                Event::Stopped,
                reset(),
                Event::Resumed,
            ],
            "running (unpaused)",
            None,
        ),
        (
            OnPoweroff::Destroy,
            vec![
                asked(Verb::Reboot),
                sent(Verb::Reboot),
                off(),
                Event::Stopped,
            ],
            "paused (shutting down)",
            Some(Duty::RestartAfterPoweroff),
        ),
        (
            OnPoweroff::Destroy,
            vec![
                asked(Verb::Reboot),
                off(),
                Event::Stopped,
                reset(),
                Event::Resumed,
            ],
            "running (booted)",
            Some(Duty::DisarmReboot),
        ),
        (
            OnPoweroff::Destroy,
            vec![
                asked(Verb::Reboot),
                off(),
                Event::Stopped,
                reset(),
                Event::Resumed,
                off(),
                Event::Stopped,
            ],
            "in shutdown (unknown)",
            Some(Duty::EndAfterPoweroff),
        ),
        (
            OnPoweroff::Destroy,
            vec![asked(Verb::Reboot), failed(Verb::Reboot), off()],
            "in shutdown (unknown)",
            None,
        ),
        // Who asks for a shutdown after it wants no reboot any more.
        (
            OnPoweroff::Destroy,
            vec![
                asked(Verb::Reboot),
                asked(Verb::Shutdown),
                done(Verb::Shutdown),
                off(),
            ],
            "in shutdown (unknown)",
            None,
        ),
    ];
    for (policy, events, state, duty) in cases {
        let fold = booted(lifecycle(OnCrash::Destroy, policy), &events);
        assert_eq!(fold.live.to_string(), state, "{policy:?} {events:?}");
        assert_eq!(
            fold.duty(&Life::Lives, Worker::Gone),
            duty,
            "{policy:?} {events:?}"
        );
    }
}

#[test]
fn a_restored_guest_is_let_go_once_it_is_loaded_and_meant_to_run() {
    let plain = Lifecycle::default();
    let completed = || Event::MigrationChanged("completed".into());
    let arriving = || Event::StatusReported(RunStatus::InMigrate);
    let paused = || Event::StatusReported(RunStatus::Paused);
    let cases: Vec<(Begin, Vec<Event>, &str, Option<Duty>)> = vec![
        (
            Begin::Running,
            vec![arriving()],
            "paused (starting up)",
            None,
        ),
        (
            Begin::Running,
            vec![arriving(), completed()],
            "paused (starting up)",
            Some(Duty::LetGo),
        ),
        // It was loaded before the recorder came to ask.
        (
            Begin::Running,
            vec![paused()],
            "paused (starting up)",
            Some(Duty::LetGo),
        ),
        (
            Begin::Running,
            vec![arriving(), completed(), Event::Resumed],
            "running (restored)",
            None,
        ),
        (
            Begin::Running,
            vec![paused(), Event::Resumed, Event::Stopped, Event::Resumed],
            "running (unpaused)",
            None,
        ),
        (
            Begin::Paused,
            vec![arriving(), completed()],
            "paused (user)",
            None,
        ),
        (Begin::Paused, vec![paused()], "paused (user)", None),
    ];
    for (begin, then, state, duty) in cases {
        let mut events = vec![launch(LaunchKind::Restore, begin, plain)];
        events.extend(then.clone());
        let fold = fold_of(&events);
        assert_eq!(fold.live.to_string(), state, "{begin:?} {then:?}");
        assert_eq!(
            fold.duty(&Life::Lives, Worker::Gone),
            duty,
            "{begin:?} {then:?}"
        );
    }
}
