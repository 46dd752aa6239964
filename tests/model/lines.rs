//! The lines of a run that are the same in every one.

use domstate::domain::{
    Actor, Before, Begin, Bmc, BootId, Event, Exit, ExitDevice, IoError, Job, Launch, Lifecycle,
    LogWords, Process, Record, Timestamp, Verb,
};

use super::machine::Setup;

/// One process, where there is no wrapper; then QEMU's pid is the launcher's too.
pub(crate) const LAUNCHER: Process = Process {
    pid: 100,
    start_ticks: 1,
};

/// QEMU below a wrapper.
const BELOW: Process = Process {
    pid: 101,
    start_ticks: 2,
};

pub(crate) fn qemu(setup: &Setup) -> Process {
    match setup.wrapped {
        true => BELOW,
        false => LAUNCHER,
    }
}

pub(crate) fn boot() -> BootId {
    BootId("this".to_owned())
}

pub(crate) fn actor(pid: u32) -> Actor {
    Actor {
        uid: 0,
        pid,
        command: String::new(),
    }
}

pub(crate) fn launched(setup: &Setup) -> Event {
    Event::Launched(Box::new(Launch {
        run: 1,
        kind: setup.kind,
        begin: setup.begin,
        boot: boot(),
        pid_namespace: 1,
        journal: None,
        exit_device: match setup.exit_device {
            true => ExitDevice::Own,
            false => ExitDevice::None,
        },
        may_have_panicked: false,
        debugger: false,
        bmc: Bmc::None,
        lifecycle: Lifecycle {
            on_crash: setup.on_crash,
            on_poweroff: setup.on_poweroff,
            ..Lifecycle::default()
        },
        actor: actor(50),
    }))
}

pub(crate) fn asked(verb: Verb, pid: u32) -> Event {
    Event::Asked {
        verb,
        actor: actor(pid),
        job: None,
    }
}

pub(crate) fn job(verb: Verb, pid: u32, before: Before, then: Option<Begin>) -> Event {
    Event::Asked {
        verb,
        actor: actor(pid),
        job: Some(Box::new(Job {
            worker: Process {
                pid,
                start_ticks: 3,
            },
            began: Timestamp(1),
            file: "/file".into(),
            before,
            then,
            announces: true,
        })),
    }
}

pub(crate) fn exited(process: Process, exit: Option<Exit>, words: &LogWords) -> Event {
    Event::Exited {
        pid: Some(process.pid),
        exit,
        boot: boot(),
        words: words.clone(),
        oom: None,
    }
}

pub(crate) fn io_failed(stops_guest: bool) -> Event {
    Event::IoFailed {
        error: IoError::default(),
        stops_guest,
    }
}

/// QEMU's word for how far a migration is.
pub(crate) fn migration(word: &str) -> Event {
    Event::MigrationChanged(word.to_owned())
}

/// The events as they would stand in a journal, a millisecond apart.
pub(crate) fn records(events: &[Event]) -> Vec<Record> {
    let numbered = events.iter().zip(1_u64..);
    let at = |n: u64| Some(Timestamp(1_000_000 + n * 1000));
    let record = |(event, n): (&Event, u64)| Record {
        at: at(n),
        event: event.clone(),
    };
    numbered.map(record).collect()
}
