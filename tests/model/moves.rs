//! What may happen next to a machine.

use domstate::domain::{Begin, Event, Exit, LaunchKind, ShutdownCause, StreamAnswer, Verb};

use super::lines;
use super::machine::{Act, Machine, Stage, Step};

/// One thing that happens: in the guest, to QEMU, or asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Move {
    // QEMU's start.
    Ready,
    Loaded,
    LoadFails,
    // The guest.
    PowerOff,
    Hibernate,
    GuestReset,
    Panic,
    CrashLoad,
    Sleep,
    WakeUp,
    WatchdogPauses,
    WatchdogResets,
    WatchdogPowersOff,
    DiskFails,
    DiskReports,
    Exit,
    /// In the very moment in which somebody stops it.
    PowerOffAtStop,
    // Somebody else.
    Stop,
    Continue,
    Reset,
    Quit,
    Terminate,
    CloseWindow,
    Gdb,
    /// A migration that is not ours: it arrives, or comes to nothing.
    SendAway,
    SendInVain,
    /// A snapshot that is not ours.
    Keep,
    /// It takes the place of ours, and arrives.
    TakeOver,
    /// Just before QEMU is told to write for a job of ours, which is therefore refused.
    SendFirst,
    KeepFirst,
    /// The same, and so long before that QEMU takes what is left of the guest for the job.
    SendBefore,
    // Ends.
    Go,
    /// Nobody sees how.
    GoUnseen,
    Kill,
    Fail,
    Gap,
    // Requests: the next step of the one under way, or its command dies.
    Step,
    Abandon,
    Ask(Verb),
    /// It fails, or is undone.
    AskInVain(Verb),
    /// A restored or reverted guest is to stand.
    AskToStand(Verb),
    /// What a policy, or `reboot`, is to do now.
    Restart,
    LetGo,
}

/// What the guest may do by itself.
const OF_GUEST: &[Move] = &[
    Move::PowerOff,
    Move::Hibernate,
    Move::GuestReset,
    Move::Panic,
    Move::CrashLoad,
    Move::Sleep,
    Move::WatchdogPauses,
    Move::WatchdogResets,
    Move::WatchdogPowersOff,
    Move::DiskFails,
    Move::DiskReports,
    Move::PowerOffAtStop,
];

/// Requests in the state of a guest in which they are granted.
const OF_RUNNING: &[Verb] = &[
    Verb::Suspend,
    Verb::Reset,
    Verb::Reboot,
    Verb::Shutdown,
    Verb::Destroy,
];
const JOBS: &[Verb] = &[
    Verb::Save,
    Verb::Dump,
    Verb::DumpCrash,
    Verb::SnapshotCreate,
    Verb::SnapshotHalt,
    Verb::SnapshotRevert,
    Verb::Migrate,
];

impl Machine {
    /// All that may happen now.
    pub(crate) fn moves(&self) -> Vec<Move> {
        let mut moves = match self.stage {
            Stage::Starting => vec![Move::Ready, Move::Fail],
            Stage::Loading => vec![Move::Loaded, Move::LoadFails],
            Stage::Runs => self.moves_running(),
            Stage::Stands => self.moves_standing(),
            Stage::Sleeps => vec![
                Move::WakeUp,
                Move::Stop,
                Move::Reset,
                Move::Ask(Verb::Wakeup),
            ],
            Stage::SleepsStopped => vec![Move::Continue, Move::Reset],
            Stage::Panicked => self.moves_panicked(),
            Stage::ShutDown => self.moves_shut_down(),
            Stage::Leaving(_) => vec![Move::Go, Move::GoUnseen],
            Stage::Gone => vec![],
        };
        let is_there = !matches!(
            self.stage,
            Stage::Leaving(_) | Stage::Gone | Stage::Starting
        );
        if is_there {
            moves.extend([Move::Kill, Move::GoUnseen]);
        }
        if is_there && self.stage != Stage::Loading {
            moves.extend([Move::Quit, Move::Terminate, Move::CloseWindow, Move::Gap]);
        }
        let asks = |m: &Move| {
            use Move::{Ask, AskInVain, AskToStand, LetGo, Restart};
            matches!(m, Ask(_) | AskInVain(_) | AskToStand(_) | Restart | LetGo)
        };
        if self.lost_job {
            moves.retain(|m| !asks(m) || *m == Move::Ask(Verb::Destroy));
        }
        if !self.script.is_empty() {
            moves.retain(|m| !asks(m));
            moves.extend([Move::Step, Move::Abandon]);
            if is_there && self.is_writing() {
                moves.push(Move::TakeOver);
            }
            if is_there && self.is_about_to_write() {
                moves.extend([Move::SendFirst, Move::KeepFirst]);
            }
            if is_there && (self.is_about_to_write() || self.is_about_to_tell()) {
                moves.push(Move::SendBefore);
            }
        }
        moves
    }

    fn moves_running(&self) -> Vec<Move> {
        let mut moves = OF_GUEST.to_vec();
        if self.setup.exit_device {
            moves.push(Move::Exit);
        }
        moves.extend([Move::Stop, Move::Reset, Move::Fail]);
        moves.extend(OF_RUNNING.iter().map(|verb| Move::Ask(*verb)));
        if !self.job {
            moves.extend([Move::SendAway, Move::SendInVain, Move::Keep]);
            moves.extend(JOBS.iter().map(|verb| Move::Ask(*verb)));
            let in_vain = [
                Verb::Save,
                Verb::Migrate,
                Verb::SnapshotHalt,
                Verb::DumpCrash,
            ];
            moves.extend(in_vain.map(Move::AskInVain));
            moves.push(Move::AskToStand(Verb::SnapshotRevert));
        }
        moves
    }

    fn moves_standing(&self) -> Vec<Move> {
        if self.left {
            return vec![];
        }
        let mut moves = vec![Move::Continue, Move::Reset, Move::Gdb];
        if self.setup.kind == LaunchKind::Restore && !self.job && self.is_to_be_let_go() {
            moves.push(Move::LetGo);
        }
        moves.extend([Verb::Resume, Verb::Suspend, Verb::Reset, Verb::Destroy].map(Move::Ask));
        if !self.job {
            moves.extend([Move::SendAway, Move::Keep]);
            moves.extend([Verb::Save, Verb::Dump, Verb::SnapshotHalt].map(Move::Ask));
            moves.extend([Verb::Save, Verb::SnapshotHalt].map(Move::AskInVain));
        }
        moves
    }

    fn moves_panicked(&self) -> Vec<Move> {
        let mut moves = vec![Move::Continue, Move::Reset, Move::Restart];
        moves.extend([Verb::Resume, Verb::Reset, Verb::Destroy].map(Move::Ask));
        moves
    }

    fn moves_shut_down(&self) -> Vec<Move> {
        let mut moves = vec![Move::Reset, Move::Ask(Verb::Destroy)];
        if self.restarts() {
            moves.push(Move::Restart);
        }
        moves
    }

    /// Makes it happen: the events, in the order of a journal.
    pub(crate) fn play(&mut self, chosen: Move) -> Vec<Event> {
        match chosen {
            Move::Ready => self.ready(),
            Move::Loaded => self.loaded(),
            Move::LoadFails | Move::Fail => self.go(Some(Exit::Status(1))),
            Move::Go => match self.stage {
                Stage::Leaving(exit) => self.go(Some(exit)),
                _ => vec![],
            },
            Move::GoUnseen => self.go(None),
            Move::Kill => self.go(Some(Exit::Signal {
                signal: 9,
                core_dumped: false,
            })),
            Move::Gap => vec![Event::Gap],
            Move::WakeUp => self.act(Act::Wake),
            Move::Stop => self.act(Act::Stop),
            Move::Continue => self.act(Act::Continue),
            Move::Reset => self.act(Act::Reset),
            Move::Quit => self.act(Act::Quit),
            Move::Terminate => self.act(Act::Terminate),
            Move::CloseWindow => self.leave(ShutdownCause::HostUi),
            Move::Gdb => self.gdb(),
            Move::SendAway => self.send_away(),
            Move::SendInVain => vec![lines::migration("setup"), lines::migration("failed")],
            Move::Keep | Move::KeepFirst => self.keep(),
            Move::SendFirst => self.send_first(),
            Move::SendBefore => self.send_away(),
            Move::TakeOver => self.take_over(),
            Move::Step => self.step(),
            Move::Abandon => {
                self.lost_job = self.job;
                self.script.clear();
                vec![]
            }
            Move::Ask(verb) => self.ask(verb),
            Move::AskInVain(verb) => self.ask_in_vain(verb),
            Move::AskToStand(verb) => self.ask_to_stand(verb),
            Move::Restart => self.restart(),
            Move::LetGo => self.ask(Verb::LetGo),
            _ => self.guest(chosen),
        }
    }

    fn loaded(&mut self) -> Vec<Event> {
        let completed = lines::migration("completed");
        match (self.setup.kind, self.setup.begin) {
            (LaunchKind::Incoming, Begin::Running) => {
                let active = lines::migration("active");
                self.to(Stage::Runs, &[active, Event::Resumed, completed])
            }
            _ => self.to(Stage::Stands, &[completed]),
        }
    }

    fn send_away(&mut self) -> Vec<Event> {
        self.left = true;
        self.job = true;
        let [setup, active, completed] = ["setup", "active", "completed"].map(lines::migration);
        match self.stage {
            Stage::Runs => self.to(Stage::Stands, &[setup, active, Event::Stopped, completed]),
            // It stood already.
            _ => self.to(Stage::Stands, &[setup, active, completed]),
        }
    }

    /// QEMU stops a guest that runs for it, and lets it go on.
    fn keep(&mut self) -> Vec<Event> {
        let kept = ["setup", "completed"].map(lines::migration).to_vec();
        match self.stage {
            Stage::Runs => [vec![Event::Stopped], kept, vec![Event::Resumed]].concat(),
            _ => kept,
        }
    }

    /// Whether the job under way has begun to be written, and there is more to come.
    fn is_writing(&self) -> bool {
        let is_to_come = |wanted: &str| {
            let wanted = lines::migration(wanted);
            let is_wanted = |step: &Step| matches!(step, Step::Line(event) if *event == wanted);
            self.script.iter().any(is_wanted)
        };
        let stands_or_runs = matches!(self.stage, Stage::Stands | Stage::Runs);
        stands_or_runs && is_to_come("completed") && !is_to_come("setup")
    }

    /// Whether the command under way has said that QEMU is told to write, and that has not begun.
    fn is_about_to_write(&self) -> bool {
        let is_next = |step: Option<&Step>, wanted: &Event| matches!(step, Some(Step::Line(event)) if event == wanted);
        let is_answered = matches!(
            self.script.get(1),
            Some(Step::Line(Event::StreamAnswered { .. }))
        );
        let stands_or_runs = matches!(self.stage, Stage::Stands | Stage::Runs);
        stands_or_runs && is_answered && is_next(self.script.first(), &lines::migration("setup"))
    }

    /// Whether it is about to say that.
    fn is_about_to_tell(&self) -> bool {
        let stands_or_runs = matches!(self.stage, Stage::Stands | Stage::Runs);
        let next = self.script.first();
        stands_or_runs && matches!(next, Some(Step::Line(Event::StreamAsked { .. })))
    }

    /// QEMU refuses what it is told then, and the command gives up.
    fn send_first(&mut self) -> Vec<Event> {
        if let Some(Step::Line(Event::StreamAnswered { verb, pid, .. })) = self.script.get(1) {
            let (verb, pid) = (*verb, *pid);
            let (answer, message) = (StreamAnswer::Refused, "no".to_owned());
            let lines = [
                Event::StreamAnswered { verb, pid, answer },
                Event::Failed { verb, pid, message },
            ];
            self.script = lines.map(Step::Line).to_vec();
        }
        self.send_away()
    }

    /// Somebody cancels the job and sends the guest away. Its command notices, or says before that it has done it.
    fn take_over(&mut self) -> Vec<Event> {
        let sent = self.script.iter().find_map(|step| match step {
            Step::Line(Event::Sent { verb, pid }) => Some((*verb, *pid)),
            _ => None,
        });
        self.script = match sent {
            Some((verb, pid)) => {
                let message = "no".to_owned();
                let lines = [
                    Event::Sent { verb, pid },
                    Event::Failed { verb, pid, message },
                ];
                lines.map(Step::Line).to_vec()
            }
            None => vec![],
        };
        [vec![lines::migration("cancelled")], self.send_away()].concat()
    }

    fn is_to_be_let_go(&self) -> bool {
        self.setup.begin == Begin::Running && !self.has_run
    }

    fn restarts(&self) -> bool {
        self.reboot || self.setup.on_poweroff == domstate::domain::OnPoweroff::Restart
    }

    fn restart(&mut self) -> Vec<Event> {
        let verb = match self.stage {
            Stage::Panicked => Verb::CrashRestart,
            _ => Verb::PoweroffRestart,
        };
        let pid = self.request();
        let rest = vec![
            Step::Act(Act::Reset),
            Step::Act(Act::Continue),
            Step::Line(Event::Done { verb, pid }),
        ];
        self.reboot = false;
        self.begin(lines::asked(verb, pid), rest)
    }
}
