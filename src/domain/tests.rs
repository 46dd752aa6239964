//! The tables of what the rules say. Here is what the events in them are made with.

mod duty_jobs;
mod duty_policies;
mod ending_asked;
mod ending_exit_device;
mod ending_guest;
mod ending_host;
mod ending_jobs;
mod ending_lost;
mod ending_reset;
mod fold_jobs;
mod fold_living;
mod fold_migration;
mod fold_overtaken;
mod fold_snapshots;
mod fold_standing;
mod fold_stream;
mod fold_walk;
mod story;

use super::*;

/// Who asks where it does not matter who.
const USER: u32 = 7;

fn actor(pid: u32) -> Actor {
    Actor {
        uid: 0,
        pid,
        command: "domstate".into(),
    }
}

fn boot_id(boot: &str) -> BootId {
    BootId(boot.into())
}

/// Run 1, in boot `b`.
fn launch(kind: LaunchKind, begin: Begin) -> Launch {
    Launch {
        run: 1,
        kind,
        begin,
        boot: boot_id("b"),
        pid_namespace: 1,
        journal: None,
        exit_device: ExitDevice::None,
        may_have_panicked: false,
        debugger: false,
        bmc: Bmc::None,
        lifecycle: Lifecycle::default(),
        actor: actor(1),
    }
}

fn launched(kind: LaunchKind, begin: Begin) -> Event {
    Event::Launched(Box::new(launch(kind, begin)))
}

fn asked_by(pid: u32, verb: Verb) -> Event {
    Event::Asked {
        verb,
        actor: actor(pid),
        job: None,
    }
}

fn asked(verb: Verb) -> Event {
    asked_by(USER, verb)
}

/// The same for a verb that is a job.
fn begun(verb: Verb) -> Event {
    let job = Job {
        worker: Process {
            pid: USER,
            start_ticks: 1,
        },
        began: Timestamp(1),
        file: "/f".into(),
        before: Before::Ran,
        then: None,
        announces: true,
    };
    Event::Asked {
        verb,
        actor: actor(USER),
        job: Some(Box::new(job)),
    }
}

/// The same as an older domstate says it.
fn begun_before(verb: Verb) -> Event {
    let Event::Asked {
        verb,
        actor,
        job: Some(job),
    } = begun(verb)
    else {
        unreachable!("begun() asks for a job");
    };
    let job = Some(Box::new(Job {
        announces: false,
        ..*job
    }));
    Event::Asked { verb, actor, job }
}

/// What QEMU answers when it is told to.
fn answered(verb: Verb, answer: StreamAnswer) -> Event {
    let pid = USER;
    Event::StreamAnswered { verb, pid, answer }
}

fn taken(verb: Verb) -> Event {
    answered(verb, StreamAnswer::Taken)
}

/// QEMU is told to write the guest for it.
fn writes(verb: Verb) -> Event {
    Event::StreamAsked { verb, pid: USER }
}

fn sent_by(pid: u32, verb: Verb) -> Event {
    Event::Sent { verb, pid }
}

fn sent(verb: Verb) -> Event {
    sent_by(USER, verb)
}

fn taken_back(verb: Verb) -> Event {
    Event::TakenBack { verb, pid: USER }
}

fn done_by(pid: u32, verb: Verb) -> Event {
    Event::Done { verb, pid }
}

fn done(verb: Verb) -> Event {
    done_by(USER, verb)
}

fn failed(verb: Verb) -> Event {
    failed_by(USER, verb)
}

fn failed_by(pid: u32, verb: Verb) -> Event {
    Event::Failed {
        verb,
        pid,
        message: "why".to_owned(),
    }
}

/// What QEMU says of a migration.
fn status(word: &str) -> Event {
    Event::MigrationChanged(word.into())
}

fn panicked(action: PanicAction) -> Event {
    Event::Panicked { action, info: None }
}

fn io_error() -> Event {
    Event::IoFailed {
        error: IoError::default(),
        stops_guest: true,
    }
}

fn reset() -> Event {
    Event::Reset(ResetBy::Host)
}

/// A process of the run has ended in boot `b`.
fn exited(pid: Option<u32>, exit: Option<Exit>) -> Event {
    Event::Exited {
        pid,
        exit,
        boot: boot_id("b"),
        words: LogWords::default(),
        oom: None,
    }
}

/// QEMU is gone, found in this boot.
fn gone(boot: &str) -> Life {
    Life::Gone(Exited {
        boot: boot_id(boot),
        ..Exited::default()
    })
}

fn apply(fold: &mut Fold, second: u64, event: &Event) {
    fold.apply(&Record {
        at: Some(Timestamp(second * 1_000_000)),
        event: event.clone(),
    });
}

/// What these come to, one a second.
fn fold_of(events: &[Event]) -> Fold {
    let mut fold = Fold::default();
    for (second, event) in events.iter().enumerate() {
        apply(&mut fold, second as u64, event);
    }
    fold
}

/// A guest that boots and runs, launched like this.
fn boot_of(launch: Launch) -> Vec<Event> {
    vec![
        Event::Launched(Box::new(launch)),
        Event::StatusReported(RunStatus::Prelaunch),
        Event::Resumed,
    ]
}

fn boot() -> Vec<Event> {
    boot_of(launch(LaunchKind::Boot, Begin::Running))
}

fn booted(then: &[Event]) -> Fold {
    fold_of(&[&boot(), then].concat())
}

/// A guest that stands for its save, which QEMU is writing.
fn saving() -> Vec<Event> {
    let asked = [
        begun(Verb::Save),
        Event::Stopped,
        writes(Verb::Save),
        status("setup"),
        taken(Verb::Save),
        status("active"),
    ];
    [&boot()[..], &asked].concat()
}

/// Asserts what is told of a living guest after each of these, which come after `first`.
fn assert_told(first: &[Event], cases: &[(&[Event], &str)]) {
    for (then, want) in cases {
        let fold = fold_of(&[first, then].concat());
        let told = fold.answer(&Life::Lives).state.to_string();
        assert_eq!(told, *want, "{then:?}");
    }
}
