//! The table of ends: what was recorded, how QEMU was seen to end, and the answer.

use super::super::event::{
    Actor, Begin, BootId, Event, Launch, LaunchKind, PanicAction, Process, Record, ResetBy,
    RunStatus, WatchdogAction,
};
use super::super::fold::Fold;
use super::super::job::{Before, Job};
use super::super::policy::Lifecycle;
use super::super::{Life, Timestamp};
use super::*;

/// A run of QEMU, process 10, launched in boot `b`.
struct Story(Fold, u64);

impl Story {
    fn launched(exit_device: bool) -> Self {
        let launch = Launch {
            run: 1,
            kind: LaunchKind::Boot,
            begin: Begin::Running,
            boot: BootId("b".into()),
            pid_namespace: 1,
            exit_device,
            lifecycle: Lifecycle::default(),
            actor: actor(1),
        };
        let process = Process {
            pid: 10,
            start_ticks: 5,
        };
        Self(Fold::default(), 0)
            .then(Event::Launched(Box::new(launch)))
            .then(Event::Spawned(process))
            .then(Event::Identified(process))
            .then(Event::StatusReported(RunStatus::Prelaunch))
    }

    fn booted() -> Self {
        Self::launched(false).then(Event::Resumed)
    }

    fn then(mut self, event: Event) -> Self {
        self.1 += 1_000_000;
        let at = Some(Timestamp(self.1));
        self.0.apply(&Record { at, event });
        self
    }

    fn shut(self, cause: ShutdownCause) -> Self {
        self.then(Event::ShutDown(cause))
    }

    fn ends(self, exit: Option<Exit>) -> (String, Cause, Certainty) {
        self.ends_with(exit, LogWords::default())
    }

    fn ends_with(self, exit: Option<Exit>, words: LogWords) -> (String, Cause, Certainty) {
        let story = self.then(Event::Exited {
            pid: Some(10),
            exit,
            boot: BootId("b".into()),
            words,
        });
        story.found_gone("b")
    }

    fn found_gone(self, boot: &str) -> (String, Cause, Certainty) {
        let seen = Exited {
            exit: None,
            boot: BootId(boot.into()),
            words: LogWords::default(),
            at: None,
        };
        let answer = self.0.answer(&Life::Gone(seen));
        let cause = answer.cause.expect("an end always has a cause");
        (answer.state.to_string(), cause, answer.certainty)
    }
}

fn actor(pid: u32) -> Actor {
    Actor {
        uid: 0,
        pid,
        command: "domstate".into(),
    }
}

fn ask(pid: u32) -> Event {
    Event::Asked {
        verb: Verb::Destroy,
        actor: actor(pid),
        job: None,
    }
}

fn sent(pid: u32) -> Event {
    Event::Sent {
        verb: Verb::Destroy,
        pid,
    }
}

const STATUS_0: Option<Exit> = Some(Exit::Status(0));
const KILLED: Option<Exit> = Some(Exit::Signal {
    signal: 9,
    core_dumped: false,
});

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_end_reads_as_its_record_says() {
    use ShutdownCause::*;
    let asked_by_7 = || Cause::Asked {
        verb: Verb::Destroy,
        actor: actor(7),
    };
    let sigkill = || Cause::Signal {
        signal: 9,
        core_dumped: false,
    };
    let pause = || Event::Panicked {
        action: PanicAction::Pause,
        info: None,
    };
    let panicked = || Cause::GuestPanic {
        info: None,
        kept: None,
    };
    let job = |verb, progress: &[fn(Verb, u32) -> Event]| {
        let job = Job {
            worker: Process {
                pid: 7,
                start_ticks: 1,
            },
            began: Timestamp(1),
            file: "/f".into(),
            before: Before::Ran,
            then: None,
        };
        let asked = Event::Asked {
            verb,
            actor: actor(7),
            job: Some(Box::new(job)),
        };
        let story = Story::booted().then(asked).then(Event::Stopped);
        let story = progress
            .iter()
            .fold(story, |s, event| s.then(event(verb, 7)));
        story.shut(HostQmpQuit)
    };
    let carried_out = |verb, pid| Event::Sent { verb, pid };
    let done = |verb, pid| Event::Done { verb, pid };
    let setup = |_, _| Event::MigrationChanged("setup".into());
    let completed = |_, _| Event::MigrationChanged("completed".into());
    let failed = |verb, pid| Event::Failed {
        verb,
        pid,
        message: String::new(),
    };
    let asked_for = |verb| Cause::Asked {
        verb,
        actor: actor(7),
    };
    let reset = || Event::Reset(ResetBy::Host);
    let term_by = |pid| SignalSender {
        signal: Some(15),
        pid,
        command: None,
    };
    let says = |pid| LogWords {
        terminated: Some(term_by(pid)),
        ..LogWords::default()
    };
    let gdb = || LogWords {
        gdb_killed: true,
        ..LogWords::default()
    };
    let status = |status| Some(Exit::Status(status));
    let start_failure = |exit| Cause::StartFailure {
        exit,
        message: None,
    };
    let booted = Story::booted;
    let reset_while_paused = || {
        let verb = Verb::Reset;
        let asked = Event::Asked {
            verb,
            actor: actor(7),
            job: None,
        };
        let paused = booted().then(Event::Stopped).then(asked);
        paused.shut(HostQmpSystemReset)
    };
    let reset_by_7 = || Cause::Asked {
        verb: Verb::Reset,
        actor: actor(7),
    };
    let rows = [
        (
            booted().shut(GuestShutdown).ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            booted().shut(GuestReset).ends(STATUS_0),
            "shutdown",
            Cause::GuestReset,
        ),
        // It shut down first; how QEMU then fell over does not change that.
        (
            booted().shut(GuestShutdown).ends(KILLED),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (booted().ends(KILLED), "crashed", sigkill()),
        (
            job(Verb::Save, &[carried_out, done]).ends(STATUS_0),
            "saved",
            asked_for(Verb::Save),
        ),
        // What is saved is saved, whoever ended the rest of it.
        (
            job(Verb::ManagedSave, &[carried_out])
                .then(ask(8))
                .then(sent(8))
                .ends(KILLED),
            "saved",
            asked_for(Verb::ManagedSave),
        ),
        // Seven others ask for this and that meanwhile, and one more.
        (
            (0..9)
                .fold(job(Verb::Save, &[carried_out]), |story, other| {
                    story.then(Event::Asked {
                        verb: Verb::Monitor,
                        actor: actor(20 + other),
                        job: None,
                    })
                })
                .ends(STATUS_0),
            "saved",
            asked_for(Verb::Save),
        ),
        // It had ended otherwise before that was said.
        (
            job(Verb::Save, &[])
                .then(Event::Exited {
                    pid: Some(10),
                    exit: KILLED,
                    boot: BootId("b".into()),
                    words: LogWords::default(),
                })
                .then(carried_out(Verb::Save, 7))
                .then(done(Verb::Save, 7))
                .ends(KILLED),
            "destroyed",
            Cause::QmpQuit,
        ),
        // A save that was not carried out saved nothing.
        (
            job(Verb::Save, &[]).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            job(Verb::Save, &[carried_out, failed]).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            job(Verb::Save, &[carried_out])
                .then(Event::Resumed)
                .shut(HostQmpQuit)
                .ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            job(Verb::DumpCrash, &[carried_out, done]).ends(STATUS_0),
            "crashed",
            asked_for(Verb::DumpCrash),
        ),
        (
            job(Verb::Dump, &[carried_out, done]).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            job(Verb::Migrate, &[setup, carried_out, completed, done]).ends(STATUS_0),
            "migrated",
            asked_for(Verb::Migrate),
        ),
        // It is QEMU's word that counts, and no failure to see it.
        (
            job(Verb::Migrate, &[setup, carried_out, completed, failed]).ends(KILLED),
            "migrated",
            asked_for(Verb::Migrate),
        ),
        // It might have gone, and nobody said that it has.
        (
            job(Verb::Migrate, &[setup, carried_out]).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            job(Verb::Migrate, &[setup, carried_out, completed])
                .then(Event::Resumed)
                .then(done(Verb::Migrate, 7))
                .shut(HostQmpQuit)
                .ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            job(Verb::SnapshotHalt, &[carried_out, done]).ends(STATUS_0),
            "from snapshot",
            asked_for(Verb::SnapshotHalt),
        ),
        (
            job(Verb::SnapshotHalt, &[]).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            job(Verb::SnapshotCreate, &[carried_out, done]).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        // What is loaded into a QEMU that is on its way out changes nothing about its end.
        (
            job(Verb::SnapshotRevert, &[])
                .then(carried_out(Verb::SnapshotRevert, 7))
                .then(done(Verb::SnapshotRevert, 7))
                .ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            booted().ends(status(1)),
            "crashed",
            Cause::ExitStatus { status: 1 },
        ),
        (
            booted().shut(HostSignal).ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            Cause::HostSignal(term_by(Some(3))),
        ),
        (
            booted().shut(HostQmpQuit).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        (
            booted().shut(HostUi).ends(STATUS_0),
            "destroyed",
            Cause::HostUi,
        ),
        (
            booted().shut(HostError).ends(status(1)),
            "crashed",
            Cause::ExitStatus { status: 1 },
        ),
        (
            booted().shut(HostQmpSystemReset).ends(STATUS_0),
            "destroyed",
            Cause::QmpQuit,
        ),
        // -no-reboot -no-shutdown, reset while paused: QEMU stays, and what ends it later is something else.
        (
            reset_while_paused().ends(STATUS_0),
            "shutdown",
            reset_by_7(),
        ),
        (reset_while_paused().ends(KILLED), "crashed", sigkill()),
        (
            reset_while_paused()
                .shut(HostSignal)
                .ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            Cause::HostSignal(term_by(Some(3))),
        ),
        (
            reset_while_paused()
                .then(ask(7))
                .then(sent(7))
                .shut(HostSignal)
                .ends(STATUS_0),
            "destroyed",
            asked_by_7(),
        ),
        (
            booted().then(pause()).shut(GuestPanic).ends(STATUS_0),
            "crashed",
            panicked(),
        ),
        (
            booted().shut(GuestPanic).ends(status(1)),
            "crashed",
            panicked(),
        ),
        // Pending ends that something restarted the guest from.
        (
            booted()
                .then(pause())
                .then(reset())
                .then(Event::Resumed)
                .shut(GuestShutdown)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            booted()
                .shut(GuestShutdown)
                .then(Event::Stopped)
                .then(reset())
                .then(Event::Resumed)
                .ends(KILLED),
            "crashed",
            sigkill(),
        ),
        // -no-shutdown, then the host's signal: the first SHUTDOWN is the truth.
        (
            booted()
                .shut(GuestShutdown)
                .then(Event::Stopped)
                .shut(HostSignal)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
        // gdb's kill, as QEMU 11 and as 7.2 tell it; a guest that writes the same words while it runs.
        (
            booted()
                .then(Event::Stopped)
                .shut(GuestShutdown)
                .ends(STATUS_0),
            "destroyed",
            Cause::HostUi,
        ),
        (
            booted().shut(GuestShutdown).ends_with(STATUS_0, gdb()),
            "shutdown",
            Cause::GuestShutdown,
        ),
        // A watchdog's reset or power-off is no shutdown of the guest's own; its reset is, once it was survived.
        (
            booted()
                .then(Event::WatchdogFired(WatchdogAction::Reset))
                .shut(GuestReset)
                .ends(STATUS_0),
            "crashed",
            Cause::Watchdog {
                action: "reset".into(),
            },
        ),
        (
            booted()
                .then(Event::WatchdogFired(WatchdogAction::Reset))
                .then(reset())
                .shut(GuestReset)
                .ends(STATUS_0),
            "shutdown",
            Cause::GuestReset,
        ),
        (
            booted().then(Event::Stopped).ends_with(STATUS_0, gdb()),
            "destroyed",
            Cause::HostUi,
        ),
        (
            booted()
                .then(Event::WatchdogFired(WatchdogAction::Poweroff))
                .ends(STATUS_0),
            "crashed",
            Cause::Watchdog {
                action: "poweroff".into(),
            },
        ),
        // The exit device: 7.2 says nothing, 10 says guest-shutdown; 1 is also a fatal error.
        (
            Story::launched(true).then(Event::Resumed).ends(status(33)),
            "shutdown",
            Cause::GuestExit { status: 33 },
        ),
        (
            Story::launched(true)
                .then(Event::Resumed)
                .shut(GuestShutdown)
                .ends(status(33)),
            "shutdown",
            Cause::GuestExit { status: 33 },
        ),
        (
            Story::launched(true).then(Event::Resumed).ends(status(1)),
            "crashed",
            Cause::ExitStatus { status: 1 },
        ),
        (
            booted().ends(status(33)),
            "crashed",
            Cause::ExitStatus { status: 33 },
        ),
        // Never began.
        (
            Story::launched(false).ends(status(1)),
            "failed",
            start_failure(status(1)),
        ),
        (
            Story::launched(true).ends(status(3)),
            "failed",
            start_failure(status(3)),
        ),
        (
            Story::launched(false).shut(HostSignal).ends(STATUS_0),
            "failed",
            start_failure(STATUS_0),
        ),
        // Our own intent, carried out, and not.
        (
            booted().then(ask(7)).then(sent(7)).ends(KILLED),
            "destroyed",
            asked_by_7(),
        ),
        (
            booted()
                .then(ask(7))
                .then(sent(7))
                .shut(HostSignal)
                .ends(STATUS_0),
            "destroyed",
            asked_by_7(),
        ),
        (
            Story::launched(false)
                .then(ask(7))
                .then(sent(7))
                .ends(KILLED),
            "destroyed",
            asked_by_7(),
        ),
        (
            booted().then(ask(7)).shut(GuestShutdown).ends(STATUS_0),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            booted()
                .shut(GuestShutdown)
                .then(ask(7))
                .then(sent(7))
                .ends(KILLED),
            "shutdown",
            Cause::GuestShutdown,
        ),
        (
            booted()
                .shut(GuestShutdown)
                .then(Event::Stopped)
                .then(ask(7))
                .then(sent(7))
                .ends(KILLED),
            "destroyed",
            asked_by_7(),
        ),
        (
            booted()
                .then(ask(7))
                .shut(HostSignal)
                .ends_with(STATUS_0, says(Some(7))),
            "destroyed",
            asked_by_7(),
        ),
        (
            booted()
                .then(ask(7))
                .shut(HostSignal)
                .ends_with(STATUS_0, says(Some(3))),
            "destroyed",
            Cause::HostSignal(term_by(Some(3))),
        ),
        (
            booted()
                .then(ask(7))
                .then(Event::Failed {
                    verb: Verb::Destroy,
                    pid: 7,
                    message: String::new(),
                })
                .ends(KILLED),
            "crashed",
            sigkill(),
        ),
        // The SHUTDOWN line was lost, QEMU's own words were not.
        (
            booted().then(Event::Gap).ends_with(STATUS_0, says(None)),
            "destroyed",
            Cause::HostSignal(term_by(None)),
        ),
    ];
    for (number, ((state, cause, certainty), reason, want)) in rows.into_iter().enumerate() {
        assert_eq!(
            state,
            format!("shut off ({reason})"),
            "row {number}: {cause:?}"
        );
        assert_eq!(
            (cause, certainty),
            (want, Certainty::Witnessed),
            "row {number}"
        );
    }
}

#[test]
fn what_nobody_saw_is_inferred_or_unknown_and_never_success() {
    let (state, cause, certainty) = Story::booted().then(ask(7)).ends(KILLED);
    assert_eq!(state, "shut off (destroyed)");
    assert!(matches!(cause, Cause::Asked { .. }));
    assert_eq!(certainty, Certainty::Inferred);

    let rows = [
        (Story::booted().ends(None), "crashed", Cause::StatusLost),
        (
            Story::booted().found_gone("b"),
            "crashed",
            Cause::StatusLost,
        ),
        (
            Story::booted().found_gone("c"),
            "crashed",
            Cause::HostRestart,
        ),
        (
            Story::launched(false).found_gone("c"),
            "crashed",
            Cause::HostRestart,
        ),
        (
            Story::booted().ends(STATUS_0),
            "crashed",
            Cause::ExitStatus { status: 0 },
        ),
    ];
    for (number, ((state, cause, certainty), reason, want)) in rows.into_iter().enumerate() {
        assert_eq!(state, format!("shut off ({reason})"), "row {number}");
        assert_eq!(
            (cause, certainty),
            (want, Certainty::Inferred),
            "row {number}"
        );
    }

    let stayed = Story::booted()
        .shut(ShutdownCause::GuestShutdown)
        .then(Event::Stopped)
        .then(Event::Gap);
    for (number, (state, cause, certainty)) in [
        Story::booted().then(Event::Gap).ends(STATUS_0),
        Story::booted().then(Event::Gap).found_gone("b"),
        Story::launched(false).then(Event::Gap).ends(STATUS_0),
        Story::booted().shut(ShutdownCause::Unknown).ends(STATUS_0),
        stayed.ends(STATUS_0),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(state, "shut off (unknown)", "row {number}");
        assert!(
            matches!(cause, Cause::JournalDamaged { .. }),
            "row {number}"
        );
        assert_eq!(certainty, Certainty::Unknown, "row {number}");
    }
}

#[test]
fn an_ask_of_long_ago_does_not_colour_a_kill_of_today() {
    let mut story = Story::booted().then(ask(7));
    story.1 += 60_000_000;
    assert_eq!(story.ends(KILLED).0, "shut off (crashed)");
}

#[test]
fn the_end_of_a_wrapper_is_not_the_end_of_qemu() {
    let wrapper = Process {
        pid: 9,
        start_ticks: 4,
    };
    let story = Story::booted()
        .then(Event::Spawned(wrapper))
        .then(Event::Exited {
            pid: Some(9),
            exit: KILLED,
            boot: BootId("b".into()),
            words: LogWords::default(),
        });
    assert!(!story.0.has_end());
    let (state, cause, _) = story.found_gone("b");
    assert_eq!(
        (state.as_str(), cause),
        ("shut off (crashed)", Cause::StatusLost)
    );
}

#[test]
fn an_end_on_record_outweighs_what_a_later_boot_sees() {
    let story = Story::booted().then(Event::Exited {
        pid: Some(10),
        exit: None,
        boot: BootId("b".into()),
        words: LogWords::default(),
    });
    assert_eq!(story.found_gone("c").1, Cause::StatusLost);
}

#[test]
fn a_shutdown_on_record_outweighs_what_a_later_boot_sees() {
    let story = Story::booted().shut(ShutdownCause::GuestShutdown);
    let (state, cause, _) = story.found_gone("c");
    assert_eq!(
        (state.as_str(), cause),
        ("shut off (shutdown)", Cause::GuestShutdown)
    );
}

#[test]
fn a_shells_word_for_a_signal_is_not_taken_for_the_guests_own_status() {
    let unidentified = |status| {
        let launch = Story::launched(true).then(Event::Resumed);
        let mut fold = launch.0;
        fold.qemu = None;
        Story(fold, launch.1).ends(Some(Exit::Status(status)))
    };
    assert_eq!(unidentified(137).0, "shut off (crashed)");
    assert_eq!(unidentified(33).0, "shut off (shutdown)");
}

#[test]
fn who_asks_when_it_is_over_did_not_end_it() {
    let watchdog = || Event::WatchdogFired(WatchdogAction::Poweroff);
    let exited = |exit| Event::Exited {
        pid: Some(10),
        exit,
        boot: BootId("b".into()),
        words: LogWords::default(),
    };
    let stories = [
        (
            Story::booted().shut(ShutdownCause::GuestShutdown),
            "shutdown",
        ),
        (Story::booted().then(watchdog()), "crashed"),
        (Story::booted().then(exited(KILLED)), "crashed"),
    ];
    for (story, reason) in stories {
        let (state, cause, _) = story.then(ask(7)).then(sent(7)).ends(STATUS_0);
        assert_eq!(state, format!("shut off ({reason})"));
        assert!(!matches!(cause, Cause::Asked { .. }), "{reason}");
    }
}

#[test]
fn a_guest_that_was_stopped_in_the_moment_of_its_shutdown_did_shut_down() {
    let stopped = |micros: u64| {
        let mut story = Story::booted().then(Event::Stopped);
        story.1 = story.1 + micros - 1_000_000;
        story.shut(ShutdownCause::GuestShutdown)
    };
    let gdb = LogWords {
        gdb_killed: true,
        ..LogWords::default()
    };
    let shut_down = ("shut off (shutdown)".to_owned(), Cause::GuestShutdown);
    let killed = ("shut off (destroyed)".to_owned(), Cause::HostUi);
    let told = |(state, cause, _)| (state, cause);
    assert_eq!(told(stopped(300).ends(STATUS_0)), shut_down);
    assert_eq!(told(stopped(300).ends_with(STATUS_0, gdb)), killed);
    // gdb's kill, whose words were lost.
    assert_eq!(told(stopped(2_000_000).ends(STATUS_0)), killed);
}
