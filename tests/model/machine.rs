//! A machine that sends what a real QEMU may send, in the orders in which 7.2, 10 and 11 send it, with somebody beside it
//! who asks for things and writes down that he does.

use domstate::domain::{
    Begin, Event, Exit, LogWords, OnCrash, OnPoweroff, PanicAction, ResetBy, RunStatus,
    ShutdownCause, SignalSender, WatchdogAction,
};

use super::lines;
use super::moves::Move;

/// What differs between the versions, as far as the order of events goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Version {
    /// Says some things after the STOP they belong to; `stop` leaves a guest in S3 alone.
    V7,
    V11,
}

/// How this QEMU was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) version: Version,
    pub(crate) kind: domstate::domain::LaunchKind,
    pub(crate) begin: Begin,
    pub(crate) panic: PanicAction,
    pub(crate) on_crash: OnCrash,
    pub(crate) on_poweroff: OnPoweroff,
    /// `-no-shutdown`, or a policy that needs it.
    pub(crate) stays: bool,
    /// `-no-reboot`.
    pub(crate) reset_ends: bool,
    pub(crate) exit_device: bool,
    /// Its supervised process is a wrapper.
    pub(crate) wrapped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    Starting,
    Loading,
    Runs,
    Stands,
    Sleeps,
    SleepsStopped,
    Panicked,
    /// Powered off, and QEMU stays.
    ShutDown,
    /// On its way out, with this.
    Leaving(Exit),
    Gone,
}

/// What is still to be done of a request; its command may die before.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Line(Event),
    Act(Act),
}

/// A command to QEMU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Stop,
    Continue,
    Reset,
    Wake,
    Quit,
    Terminate,
}

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) setup: Setup,
    pub(crate) stage: Stage,
    pub(crate) script: Vec<Step>,
    /// Set by `reboot` until it is done.
    pub(crate) reboot: bool,
    /// The guest has been sent away.
    pub(crate) left: bool,
    /// A job was begun: others are refused.
    pub(crate) job: bool,
    pub(crate) has_run: bool,
    /// Whether the request under way is to destroy it.
    pub(crate) destroys: bool,
    /// A job lost its command: it is undone before anything else is granted.
    pub(crate) lost_job: bool,
    words: LogWords,
    requests: u32,
}

impl Machine {
    /// The machine, and what was written until it was there.
    pub(crate) fn start(setup: Setup) -> (Self, Vec<Event>) {
        let machine = Self {
            setup,
            stage: Stage::Starting,
            script: Vec::new(),
            reboot: false,
            left: false,
            job: false,
            has_run: false,
            destroys: false,
            lost_job: false,
            words: LogWords::default(),
            requests: 0,
        };
        let mut events = vec![lines::launched(&setup), Event::Spawned(lines::LAUNCHER)];
        if setup.wrapped {
            events.push(Event::Identified(lines::qemu(&setup)));
            events.push(lines::exited(
                lines::LAUNCHER,
                Some(Exit::Status(0)),
                &LogWords::default(),
            ));
        }
        (machine, events)
    }

    /// The number of the next request.
    pub(crate) fn request(&mut self) -> u32 {
        self.requests += 1;
        1000 + self.requests
    }

    /// What it writes when it is told so, or does so.
    pub(crate) fn act(&mut self, act: Act) -> Vec<Event> {
        use Stage::{Leaving, Panicked, Runs, ShutDown, Sleeps, SleepsStopped, Stands};
        match (act, self.stage) {
            (Act::Stop, Runs) => self.to(Stands, &[Event::Stopped]),
            (Act::Stop, Sleeps) if self.setup.version == Version::V11 => {
                self.to(SleepsStopped, &[Event::Stopped])
            }
            (Act::Continue, Stands | Panicked) => self.to(Runs, &[Event::Resumed]),
            (Act::Continue, SleepsStopped) => self.to(Sleeps, &[Event::Resumed]),
            (Act::Reset, Leaving(_) | Stage::Gone | Stage::Starting | Stage::Loading) => vec![],
            (Act::Reset, _) if self.setup.reset_ends => {
                self.leave(ShutdownCause::HostQmpSystemReset)
            }
            (Act::Reset, Runs) => self.to(
                Runs,
                &[Event::Reset(ResetBy::Host), Event::Reset(ResetBy::Guest)],
            ),
            (Act::Reset, Stands | Panicked | ShutDown | Sleeps | SleepsStopped) => {
                self.to(Stands, &[Event::Reset(ResetBy::Host)])
            }
            (Act::Wake, Sleeps) => self.to(Runs, &[Event::Woken, Event::Reset(ResetBy::Guest)]),
            (Act::Quit, Runs | Stands | Sleeps | SleepsStopped | Panicked | ShutDown) => {
                self.leave(ShutdownCause::HostQmpQuit)
            }
            (Act::Terminate, Runs | Stands | Sleeps | SleepsStopped | Panicked | ShutDown) => {
                self.words.terminated = Some(SignalSender {
                    signal: Some(15),
                    ..SignalSender::default()
                });
                self.leave(ShutdownCause::HostSignal)
            }
            _ => vec![],
        }
    }

    /// QEMU goes, for this.
    pub(crate) fn leave(&mut self, cause: ShutdownCause) -> Vec<Event> {
        self.to(Stage::Leaving(Exit::Status(0)), &[Event::ShutDown(cause)])
    }

    pub(crate) fn to(&mut self, stage: Stage, events: &[Event]) -> Vec<Event> {
        self.stage = stage;
        if matches!(stage, Stage::Leaving(_)) && !self.destroys {
            // Nobody answers any more.
            self.script.clear();
        }
        self.has_run |= stage == Stage::Runs;
        events.to_vec()
    }

    /// What the guest does by itself while it runs.
    pub(crate) fn guest(&mut self, chosen: Move) -> Vec<Event> {
        let late = self.setup.version == Version::V7;
        let told_late = |first: Event| match late {
            true => vec![Event::Stopped, first],
            false => vec![first, Event::Stopped],
        };
        match chosen {
            Move::PowerOff | Move::Hibernate => {
                let mut events = match chosen {
                    Move::Hibernate => vec![Event::SuspendedToDisk],
                    _ => vec![],
                };
                events.push(Event::ShutDown(ShutdownCause::GuestShutdown));
                if self.setup.stays || self.reboot {
                    events.push(Event::Stopped);
                    return self.to(Stage::ShutDown, &events);
                }
                self.to(Stage::Leaving(Exit::Status(0)), &events)
            }
            Move::PowerOffAtStop => {
                let ended = Event::ShutDown(ShutdownCause::GuestShutdown);
                match self.setup.stays || self.reboot {
                    true => self.to(Stage::ShutDown, &[Event::Stopped, ended]),
                    false => {
                        let exit = Exit::Status(0);
                        self.to(Stage::Leaving(exit), &[Event::Stopped, ended])
                    }
                }
            }
            Move::GuestReset if self.setup.reset_ends => self.leave(ShutdownCause::GuestReset),
            Move::GuestReset => {
                vec![Event::Reset(ResetBy::Guest), Event::Reset(ResetBy::Guest)]
            }
            Move::Panic => self.panic(),
            Move::CrashLoad => vec![Event::CrashLoaded],
            Move::Sleep => self.to(Stage::Sleeps, &[Event::Suspended]),
            Move::WatchdogPauses => {
                self.stage = Stage::Stands;
                told_late(Event::WatchdogFired(WatchdogAction::Pause))
            }
            Move::WatchdogResets => {
                let mut events = vec![Event::WatchdogFired(WatchdogAction::Reset)];
                events.extend(self.guest(Move::GuestReset));
                events
            }
            Move::WatchdogPowersOff => self.to(
                Stage::Leaving(Exit::Status(0)),
                &[Event::WatchdogFired(WatchdogAction::Poweroff)],
            ),
            Move::DiskFails => {
                self.stage = Stage::Stands;
                told_late(lines::io_failed(true))
            }
            Move::DiskReports => vec![lines::io_failed(false)],
            Move::Exit => {
                let told: &[Event] = match late {
                    true => &[],
                    false => &[Event::ShutDown(ShutdownCause::GuestShutdown)],
                };
                self.to(Stage::Leaving(Exit::Status(33)), told)
            }
            _ => vec![],
        }
    }

    fn panic(&mut self) -> Vec<Event> {
        let action = self.setup.panic;
        let panicked = Event::Panicked { action, info: None };
        match action {
            PanicAction::Run => vec![panicked],
            PanicAction::Pause => self.to(Stage::Panicked, &[panicked, Event::Stopped]),
            PanicAction::Poweroff => {
                let ended = Event::ShutDown(ShutdownCause::GuestPanic);
                self.to(Stage::Leaving(Exit::Status(0)), &[panicked, ended])
            }
        }
    }

    /// gdb's kill, at a guest that it has stopped.
    pub(crate) fn gdb(&mut self) -> Vec<Event> {
        self.words.gdb_killed = true;
        let told: &[Event] = match self.setup.version {
            Version::V7 => &[],
            Version::V11 => &[Event::ShutDown(ShutdownCause::GuestShutdown)],
        };
        self.to(Stage::Leaving(Exit::Status(0)), told)
    }

    /// QEMU is ready: its answer to the recorder, and the guest let go.
    pub(crate) fn ready(&mut self) -> Vec<Event> {
        use domstate::domain::LaunchKind::{Boot, Incoming, Restore, Snapshot};
        let reported = |status| Event::StatusReported(status);
        let runs = self.setup.begin == Begin::Running;
        let mut events = match self.setup.wrapped {
            true => vec![],
            false => vec![Event::Identified(lines::qemu(&self.setup))],
        };
        match (self.setup.kind, runs) {
            (Boot | Snapshot, true) => {
                self.stage = Stage::Runs;
                events.extend([reported(RunStatus::Prelaunch), Event::Resumed]);
            }
            (Boot | Snapshot, false) => {
                self.stage = Stage::Stands;
                events.push(reported(RunStatus::Prelaunch));
            }
            (Incoming | Restore, _) => {
                self.stage = Stage::Loading;
                events.push(reported(RunStatus::InMigrate));
            }
        }
        events
    }

    pub(crate) fn go(&mut self, exit: Option<Exit>) -> Vec<Event> {
        self.stage = Stage::Gone;
        if !self.destroys {
            self.script.clear();
        }
        vec![lines::exited(lines::qemu(&self.setup), exit, &self.words)]
    }
}
