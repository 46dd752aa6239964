//! What holds of each answer, whatever the record is that it comes from.

use domstate::domain::{
    Answer, BootId, Certainty, Event, Exit, Exited, Fold, Life, Record, ShutOff, ShutdownCause,
    State, Worker,
};
use domstate::store::encode::answer_fields;

/// Every answer that can be given from `fold`: QEMU there, or gone in one of the ways that a look can find.
pub fn answers(fold: &Fold) -> Vec<Answer> {
    let boot = fold.launch.as_ref().map(|launch| launch.boot.clone());
    let gone = |exit, boot| {
        Life::Gone(Exited {
            exit,
            boot,
            ..Exited::default()
        })
    };
    let here = boot.unwrap_or_default();
    let lives = [
        Life::Lives,
        Life::MayLive,
        gone(None, here.clone()),
        gone(None, BootId("another".to_owned())),
        gone(Some(Exit::Status(0)), here.clone()),
        gone(Some(Exit::Status(33)), here),
    ];
    lives.iter().map(|life| answer(fold, life)).collect()
}

fn answer(fold: &Fold, life: &Life) -> Answer {
    for worker in [Worker::Lives, Worker::Gone] {
        let _ = fold.duty(life, worker);
    }
    let answer = fold.answer(life);
    assert_eq!(answer.state.to_string().parse(), Ok(answer.state));
    assert_eq!(answer.state.is_active(), !matches!(life, Life::Gone(_)));
    assert!(answer.state.is_active() || answer.cause.is_some());
    let fields = answer_fields(&answer);
    let text = serde_json::to_string(&fields).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(!is_success(&answer) || answer.certainty == Certainty::Witnessed);
    answer
}

pub fn is_success(answer: &Answer) -> bool {
    answer.state == State::ShutOff(ShutOff::Shutdown)
}

/// Whether success can come of a record that has this line in it.
pub fn may_tell_success(record: &Record) -> bool {
    match &record.event {
        Event::ShutDown(
            ShutdownCause::GuestShutdown
            | ShutdownCause::GuestReset
            | ShutdownCause::HostQmpSystemReset,
        )
        // What was in front of it may have been.
        | Event::Checkpoint(_) => true,
        Event::Launched(launch) => launch.exit_device.is_there(),
        _ => false,
    }
}
