//! `run`: the same watch, in the foreground, with the terminal. QEMU has stdin and stdout; its stderr goes to the log
//! and from there to ours, so that our death cannot break a pipe under it.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use super::background::sign;
use super::launch::spawn_qemu;
use super::watch::{Patience, Turn, Watch};
use crate::domain::{Answer, Event, Process, Verb};
use crate::journal::Journal;
use crate::operation::{Delivery, Prepared, Ward, actor};
use crate::qemu::Control;
use crate::store::Log;
use crate::sys;

/// How long QEMU gets to end by itself before it is killed; as `destroy` gives it.
const TERM_GRACE: Duration = Duration::from_secs(10);

/// How often one that does not die of SIGKILL at once (a disk that does not answer) is sent it again, and how soon one
/// that was not there yet is asked to end.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long its monitor may take meanwhile: we have other things to do.
const MONITOR_GRACE: Duration = Duration::from_secs(1);

/// How soon it is tried again to write to a stderr that nobody reads.
const STDERR_RETRY: Duration = Duration::from_millis(50);

/// How a run in the foreground came out.
#[derive(Debug)]
pub enum Conclusion {
    Ended {
        answer: Answer,
        timed_out: TimedOut,
        /// Why the answer is not on the disk, if it is not.
        unrecorded: Option<String>,
    },
    /// There is no QEMU to run: the system's error, and the line that was recorded of it.
    NotExecuted {
        answer: Answer,
        error: io::Error,
        message: String,
    },
}

/// Whether a signal reached QEMU that we sent because its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedOut {
    Yes,
    No,
}

/// Runs a prepared run to its end. `stderr` is where QEMU's own words are repeated.
pub fn run_in_foreground(
    prepared: Prepared,
    timeout: Option<Duration>,
    stderr: &mut dyn Write,
) -> Result<Conclusion> {
    // A time beyond every clock is none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let run = prepared.order.run.clone();
    sign(&prepared.supervisor_lock);
    let signals = take_signals()?;
    let terminal = Terminal::remember();
    let log = Log::open(run.path()).context("cannot open the log")?;
    let mut words = prepared.order.argv.iter();
    let mut command = Command::new(words.next().cloned().unwrap_or_default());
    command
        .args(words)
        .current_dir(&prepared.workdir)
        .stderr(log.file().try_clone()?);
    let journal = Journal::open(run.path())?;
    let passed = &prepared.order.passed;
    if let Some(folder) = &prepared.socket_folder {
        fcntl(folder, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let fed = prepared.feed.map(|feed| feed.start(&run)).transpose()?;
    let spawned = spawn_qemu(
        &mut command,
        &prepared.order.argv,
        &journal,
        prepared.lock,
        passed,
    );
    drop(command);
    drop(fed);
    let not_executed = spawned.err();
    let mut watch = Watch::new(run, prepared.supervisor_lock, Patience::Limited)?;
    let mut repeats = Repeater { log, offset: 0 };
    let mut ending = Ending::default();
    loop {
        let deadline = ending.next_at.or(deadline);
        let retry =
            (repeats.repeat(stderr) == Repeated::Part).then(|| Instant::now() + STDERR_RETRY);
        let wake_at = [deadline, retry].into_iter().flatten().min();
        let turn = watch.turn(&[signals.as_fd()], wake_at)?;
        if turn == Turn::Ended {
            break;
        }
        let told_to_stop = signals.read_signal().is_ok_and(|signal| signal.is_some());
        let is_time_up = deadline.is_some_and(|at| at <= Instant::now());
        if ending.is_asked() {
            if is_time_up {
                ending.go_on(&mut watch);
            }
        } else if told_to_stop || is_time_up {
            ending.ask(
                &mut watch,
                if told_to_stop {
                    TimedOut::No
                } else {
                    TimedOut::Yes
                },
            );
        }
    }
    ending.settle(&mut watch);
    drop(terminal);
    // The end is on record. Who stops us now stops only what is still to be printed.
    obeyed_signals().thread_unblock()?;
    repeats.finish(stderr);
    Ok(match not_executed {
        Some(error) => Conclusion::NotExecuted {
            answer: watch.conclusion(),
            message: watch.fold().refusal.clone().unwrap_or_default(),
            error,
        },
        None => Conclusion::Ended {
            answer: watch.conclusion(),
            timed_out: ending.timed_out(),
            unrecorded: watch.unrecorded().map(ToString::to_string),
        },
    })
}

/// SIGTERM and SIGHUP are ours to obey. What the terminal sends with Ctrl-C goes to QEMU as well, which shares our
/// process group, and is the guest's alone.
fn take_signals() -> Result<SignalFd> {
    sys::default_signal_actions();
    let obeyed = obeyed_signals();
    let mut blocked = obeyed;
    for signal in [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGPIPE,
        Signal::SIGTTOU,
    ] {
        blocked.add(signal);
    }
    blocked.thread_block()?;
    Ok(SignalFd::with_flags(
        &obeyed,
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?)
}

fn obeyed_signals() -> SigSet {
    let mut obeyed = SigSet::empty();
    obeyed.add(Signal::SIGTERM);
    obeyed.add(Signal::SIGHUP);
    obeyed
}

/// The end that was asked of QEMU by us, if one was.
#[derive(Debug, Default)]
struct Ending {
    because_of_time: Option<TimedOut>,
    /// When more is done about it, if QEMU is still there.
    next_at: Option<Instant>,
    reached: Reached,
    /// Who was asked: a wrapper, perhaps, that leaves QEMU behind.
    asked: Option<Process>,
    is_killed: bool,
}

/// Whom our signals have reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reached {
    /// Nobody yet: it is another user's, say (sudo), and its monitor does not answer. What ends it now is not us.
    #[default]
    Nobody,
    /// One that had ended already.
    Dead,
    Qemu,
}

impl Ending {
    fn is_asked(&self) -> bool {
        self.because_of_time.is_some()
    }

    /// What ended before our signal was there did not end for that.
    fn timed_out(&self) -> TimedOut {
        match self.reached {
            Reached::Qemu => self.because_of_time.unwrap_or(TimedOut::No),
            Reached::Nobody | Reached::Dead => TimedOut::No,
        }
    }

    fn ask(&mut self, watch: &mut Watch, timed_out: TimedOut) {
        self.because_of_time = Some(timed_out);
        let (verb, actor) = (self.verb(), actor());
        // Written or not, the guest is ended: that is what the signal was sent for.
        watch.note(Event::Asked {
            verb,
            actor,
            job: None,
        });
        self.deliver(watch);
    }

    fn deliver(&mut self, watch: &mut Watch) {
        self.asked = watch.target().map(Ward::process);
        match terminated(watch) {
            Some(Ok(Delivery::Made)) => self.sent(watch),
            Some(Ok(Delivery::Late)) => {
                self.reached = Reached::Dead;
                // A wrapper may have ended that leaves QEMU behind: then there will be somebody to ask.
                self.next_at = Some(Instant::now() + RETRY_INTERVAL);
                let (verb, pid) = (self.verb(), std::process::id());
                let message = "QEMU had ended already".to_owned();
                watch.note(Event::Failed { verb, pid, message });
            }
            // Another user's, which does not listen yet.
            Some(Err(_)) | None => self.next_at = Some(Instant::now() + RETRY_INTERVAL),
        }
    }

    /// Ends what has not obeyed; who was not there yet is asked first.
    fn go_on(&mut self, watch: &mut Watch) {
        let is_another = watch.target().map(Ward::process) != self.asked;
        if let Some(timed_out) = self.because_of_time
            && (is_another || self.reached == Reached::Dead)
        {
            return self.ask(watch, timed_out);
        }
        if self.reached == Reached::Nobody {
            return self.deliver(watch);
        }
        self.next_at = Some(Instant::now() + RETRY_INTERVAL);
        let target = watch.target();
        let delivery = target.map(|ward| ward.kill(watch.run()));
        if matches!(delivery, Some(Err(_))) {
            // Nothing but its monitor can end another user's.
            let _ = terminated(watch);
        }
        if matches!(delivery, Some(Ok(Delivery::Made))) && !self.is_killed {
            self.is_killed = true;
            self.reached = Reached::Qemu;
            // Nobody takes that back, and nothing outlives it.
            let (verb, pid) = (self.verb(), std::process::id());
            watch.note(Event::Done { verb, pid });
        }
    }

    /// One that was sent SIGTERM and nothing else by us, and died of another signal, did not end for ours.
    fn settle(&mut self, watch: &mut Watch) {
        let fold = watch.fold();
        // What a wrapper was asked for may be what it ended.
        let is_alone = fold.qemu.is_some() && fold.qemu == fold.launcher;
        let asked_only = self.reached == Reached::Qemu && !self.is_killed;
        let is_anothers = is_alone && fold.was_ended_by_another(None);
        if asked_only && is_anothers && watch.unrecorded().is_none() {
            self.reached = Reached::Dead;
            watch.withdraw(self.verb());
        }
    }

    fn sent(&mut self, watch: &mut Watch) {
        self.next_at = Some(Instant::now() + TERM_GRACE);
        self.reached = Reached::Qemu;
        let (verb, pid) = (self.verb(), std::process::id());
        watch.note(Event::Sent { verb, pid });
    }

    fn verb(&self) -> Verb {
        match self.because_of_time {
            Some(TimedOut::Yes) => Verb::RunTimeout,
            Some(TimedOut::No) | None => Verb::Run,
        }
    }
}

/// Asks QEMU, or what is to become it, to end; one that the kernel lets us send no signal, another user's, by its monitor.
fn terminated(watch: &Watch) -> Option<io::Result<Delivery>> {
    let delivery = watch.target()?.terminate(watch.run());
    Some(delivery.or_else(|error| {
        // One that is none of the run's processes has another monitor. The folder is ours, whatever its path leads to by now.
        let is_refused = error.raw_os_error().is_some();
        let control = || Control::connect(watch.folder(), Instant::now() + MONITOR_GRACE);
        let quits = is_refused && control().and_then(Control::quit).is_ok();
        quits.then_some(Delivery::Made).ok_or(error)
    }))
}

/// Repeats what is appended to the log.
#[derive(Debug)]
struct Repeater {
    log: Log,
    offset: u64,
}

/// Whether all of the log was repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    All,
    /// Nobody reads our stderr just now.
    Part,
}

impl Repeater {
    /// Repeats as much as `to` takes without waiting. A reader that stands still must not keep us from a guest whose
    /// time is up.
    fn repeat(&mut self, to: &mut dyn Write) -> Repeated {
        let mut repeated = Repeated::All;
        let end = self.log.read(self.offset, &mut |part| {
            if !takes_a_page(io::stderr().as_fd()) {
                repeated = Repeated::Part;
                return ControlFlow::Break(());
            }
            // A closed stderr is no reason to stop watching.
            let _ = to.write_all(&part.shown());
            ControlFlow::Continue(())
        });
        self.offset = end.unwrap_or(self.offset);
        repeated
    }

    /// Repeats the rest, as slowly as it is read.
    fn finish(&mut self, to: &mut dyn Write) {
        let end = self
            .log
            .read(self.offset, &mut |part| match to.write_all(&part.shown()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
        self.offset = end.unwrap_or(self.offset);
        let _ = to.flush();
    }
}

/// Whether 4 KiB can be written at once (pipe(7): PIPE_BUF).
fn takes_a_page(descriptor: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(descriptor, PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// The terminal's settings, put back when QEMU has ended: one that is killed leaves it raw.
struct Terminal {
    settings: Option<Termios>,
}

impl Terminal {
    fn remember() -> Self {
        Self {
            settings: tcgetattr(io::stdin().as_fd()).ok(),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.settings {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, settings);
        }
    }
}
