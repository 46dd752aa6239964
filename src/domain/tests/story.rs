//! A run as it goes on and ends, and what is then told of it.

use super::*;

/// What is told of an end: the answer, why, and how certain that is.
pub(super) type End = (String, Cause, Certainty);

/// A run of QEMU, process 10, launched in boot `b`, and the microsecond of its last event.
pub(super) struct Story(pub(super) Fold, pub(super) u64);

impl Story {
    pub(super) fn launched(exit_device: bool) -> Self {
        let exit_device = match exit_device {
            true => ExitDevice::Own,
            false => ExitDevice::None,
        };
        Self::launched_as(Launch {
            exit_device,
            ..launch(LaunchKind::Boot, Begin::Running)
        })
    }

    pub(super) fn launched_as(launch: Launch) -> Self {
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

    /// The same as `booted`, with something in its launch that is not usual.
    pub(super) fn booted_with(change: impl Fn(&mut Launch)) -> Self {
        let mut story = Self::booted();
        if let Some(launch) = &mut story.0.launch {
            change(launch);
        }
        story
    }

    pub(super) fn booted() -> Self {
        Self::launched(false).then(Event::Resumed)
    }

    pub(super) fn then(mut self, event: Event) -> Self {
        self.1 += 1_000_000;
        let at = Some(Timestamp(self.1));
        self.0.apply(&Record { at, event });
        self
    }

    pub(super) fn shut(self, cause: ShutdownCause) -> Self {
        self.then(Event::ShutDown(cause))
    }

    /// `destroy` was asked for, and sent its signal.
    pub(super) fn destroyed(self) -> Self {
        self.then(asked(Verb::Destroy)).then(sent(Verb::Destroy))
    }

    /// The same, and it said that it was carried out.
    pub(super) fn destroyed_for_sure(self) -> Self {
        self.destroyed().then(done(Verb::Destroy))
    }

    pub(super) fn ends(self, exit: Option<Exit>) -> End {
        self.ends_with(exit, LogWords::default())
    }

    pub(super) fn ends_with(self, exit: Option<Exit>, words: LogWords) -> End {
        let story = self.then(Event::Exited {
            pid: Some(10),
            exit,
            boot: boot_id("b"),
            words,
            oom: None,
        });
        story.found_gone("b")
    }

    /// The kernel says that it killed QEMU for want of memory.
    pub(super) fn ends_by_the_kernel(self, exit: Option<Exit>) -> End {
        self.ends_of(exit, oom_kill())
    }

    /// The kernel has killed so many of QEMU's control group since QEMU began.
    pub(super) fn ends_after_kills(self, kills: u64, exit: Option<Exit>) -> End {
        self.ends_of(exit, kills_in_group(kills))
    }

    fn ends_of(self, exit: Option<Exit>, oom: OomKill) -> End {
        let story = self.then(Event::Exited {
            pid: Some(10),
            exit,
            boot: boot_id("b"),
            words: LogWords::default(),
            oom: Some(Box::new(oom)),
        });
        story.found_gone("b")
    }

    pub(super) fn found_gone(self, boot: &str) -> End {
        let answer = self.0.answer(&gone(boot));
        let cause = answer.cause.expect("an end always has a cause");
        (answer.state.to_string(), cause, answer.certainty)
    }
}

pub(super) const STATUS_0: Option<Exit> = Some(Exit::Status(0));
pub(super) const KILLED: Option<Exit> = Some(Exit::Signal {
    signal: 9,
    core_dumped: false,
});

pub(super) const SIGKILL: Cause = Cause::Signal {
    signal: 9,
    core_dumped: false,
};

pub(super) fn status_of(status: i32) -> Option<Exit> {
    Some(Exit::Status(status))
}

/// QEMU's log names who sent it SIGTERM, or that somebody did.
pub(super) fn says(pid: Option<u32>) -> LogWords {
    LogWords {
        terminated: Some(term_by(pid)),
        ..LogWords::default()
    }
}

/// It names several.
pub(super) fn names_several() -> LogWords {
    LogWords {
        terminated: Some(SignalSender::of_several()),
        ..LogWords::default()
    }
}

pub(super) fn term_by(pid: Option<u32>) -> SignalSender {
    SignalSender {
        signal: Some(15),
        pid,
        command: None,
    }
}

/// QEMU's log says that gdb killed it.
pub(super) fn gdb() -> LogWords {
    LogWords {
        gdb_killed: true,
        ..LogWords::default()
    }
}

pub(super) fn asked_for(verb: Verb) -> Cause {
    Cause::Asked {
        verb,
        actor: actor(USER),
    }
}

/// Asserts of each end its reason and cause, and that somebody saw it.
pub(super) fn assert_witnessed(rows: impl IntoIterator<Item = (End, &'static str, Cause)>) {
    assert_ends(Certainty::Witnessed, rows);
}

pub(super) fn assert_ends(
    certainty: Certainty,
    rows: impl IntoIterator<Item = (End, &'static str, Cause)>,
) {
    for (number, (end, reason, cause)) in rows.into_iter().enumerate() {
        let want = (format!("shut off ({reason})"), cause, certainty);
        assert_eq!(end, want, "row {number}");
    }
}

pub(super) fn oom_kill() -> OomKill {
    OomKill::Logged {
        scope: OomScope::Cgroup,
        evidence: "Killed process 10 (qemu)".to_owned(),
    }
}

pub(super) fn kills_in_group(kills: u64) -> OomKill {
    let kills = Count {
        before: 3,
        after: 3 + kills,
    };
    let group_kills = Some(Count {
        before: 0,
        after: 0,
    });
    OomKill::Counted(OomCounts { kills, group_kills })
}
