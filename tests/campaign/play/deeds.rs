//! What is done in a story: by commands, by signals, to the guest and at its monitor, all that is in a group at once.

use std::fs;
use std::ops::AddAssign;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::{STOPPED_AT_MOST, Stage, words_of};
use crate::act::{Act, Freezer};
use crate::fault::Fault;
use crate::harness::{is_alive, send_to, until};
use crate::judge::words;
use crate::objection::Objection;

/// When a process began, in clock ticks since the host's boot (`/proc/PID/stat`, field 22); `None` if there is none.
fn born_at(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19).map(str::to_owned)
}

/// What came of an act.
pub(super) enum Done {
    /// A command came to its end: its verb, and how long it took.
    Command(String, Duration),
    /// Whether there was anybody, or anything, to do it to.
    CameToPass(bool),
}

/// How often something was tried, and how often it came to pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) tried: u64,
    pub(crate) came_to_pass: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.tried += other.tried;
        self.came_to_pass += other.came_to_pass;
    }
}

impl Stage<'_> {
    /// Takes into account that this is done.
    pub(super) fn notes(&mut self, act: &Act) {
        self.is_obscure |= act.obscures();
        self.is_run_obscure |= act.obscures();
        self.acts.push(act.clone());
    }

    /// Does what is in a group, all at once.
    pub(super) fn perform(&mut self, group: &[Act]) -> Result<(), Objection> {
        for act in group {
            self.notes(act);
        }
        let takes = [
            "start",
            "run",
            "restore",
            "snapshot-revert",
            "undefine",
            "managedsave-remove",
        ];
        let does = |verbs: &[&str]| {
            group
                .iter()
                .filter_map(words)
                .any(|w| verbs.contains(&w[0]))
        };
        self.may_lack_image = match does(&["save", "managedsave"]) {
            true => does(&takes),
            false => self.may_lack_image || does(&takes),
        };
        *self.spoken.lock().unwrap() = None;
        let this = &*self;
        let took: Vec<Result<Option<(String, Duration)>, Objection>> =
            std::thread::scope(|scope| {
                // A `start` waits for its supervisor, and a job for what QEMU writes, which somebody may have stopped: sooner
                // or later he lets it go on.
                let (done, all_done) = mpsc::channel::<()>();
                let has_job = does(&["dump", "save", "managedsave"]);
                scope.spawn(move || {
                    let is_late =
                        |after| all_done.recv_timeout(after) == Err(RecvTimeoutError::Timeout);
                    if is_late(STOPPED_AT_MOST) {
                        this.thaw();
                        for pid in this.witness.supervisors() {
                            this.send(pid, Signal::SIGCONT);
                        }
                        if has_job && is_late(STOPPED_AT_MOST) {
                            this.signal(Signal::SIGCONT);
                        }
                    }
                });
                let acts: Vec<_> = group
                    .iter()
                    .map(|act| scope.spawn(move || this.act(act)))
                    .collect();
                let took = acts.into_iter().map(|act| {
                    let took = act.join();
                    took.unwrap_or_else(|panic| Err(words_of(&*panic).into()))
                });
                let took = took.collect();
                drop(done);
                took
            });
        for took in took {
            if let Some(took) = took? {
                self.played.commands += 1;
                self.played.slowest.push(took);
            }
        }
        self.is_gone = !self.host.state_dir().exists();
        if group.len() > 1 {
            *self.spoken.lock().unwrap() = None;
        }
        if let [Act::AskAfterBoot] = group {
            self.judge_boot()?;
        }
        Ok(())
    }

    pub(super) fn act(&self, act: &Act) -> Result<Option<(String, Duration)>, Objection> {
        let done = self.done(act);
        if words(act).is_some_and(|words| words[0] == "domrename") {
            self.rename_back()?;
        }
        let took = match done? {
            Done::Command(verb, took) => Some((verb, took)),
            Done::CameToPass(has_come) => {
                self.count(act.kind(), has_come);
                self.note(&format!(
                    "{act}{}",
                    if has_come { "" } else { ": nothing came of it" }
                ));
                return Ok(None);
            }
        };
        self.count(act.kind(), true);
        Ok(took)
    }

    /// Counts something that was done.
    fn count(&self, kind: String, has_come: bool) {
        let mut done = self.done.lock().unwrap();
        let count = done.entry(kind).or_default();
        count.tried += 1;
        count.came_to_pass += u64::from(has_come);
    }

    fn done(&self, act: &Act) -> Result<Done, Objection> {
        let has_come = match act {
            Act::Verb(words) => return self.verb(words, None),
            Act::Faulted(words, fault) => return self.verb(words, Some(fault)),
            Act::Followed(words, fault) => {
                let words = self.spelt(words);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.run_following(&words, fault)?;
                true
            }
            Act::Halted(words, micros) => return self.halted(words, *micros),
            Act::Interrupted(words, micros) => return self.interrupted(words, *micros),
            Act::Abandoned(words, micros) => return self.abandoned(words, *micros),
            Act::Letter(letter) => self.witness.press(*letter),
            Act::LetterBehind(letter, micros) => {
                std::thread::sleep(Duration::from_micros(*micros));
                self.witness.press(*letter)
            }
            Act::Signal(signal) => self.signal(*signal),
            Act::SignalAtArrival(signal) => {
                self.await_arrival();
                self.signal(*signal)
            }
            Act::Monitor(command) => self.third_party(command),
            Act::Supervisor(signal) => self.signal_supervisors(*signal),
            Act::Freezer(Freezer::Qemu) => self.freeze(&self.witness.connected()),
            Act::Freezer(Freezer::Supervisor) => self.freeze(&self.witness.supervisors()),
            Act::Freezer(Freezer::Thaws) => self.thaw(),
            Act::SupervisorFault(fault) => {
                self.break_processes(&self.witness.supervisors(), &[], fault)
            }
            Act::Adoption(fault) => self.adopt(fault)?,
            Act::QemuFault(fault) => {
                self.break_processes(&self.witness.connected(), &["-f"], fault)
            }
            Act::LoseCheckpoint => {
                let checkpoint = format!("{}/state.json", self.domain);
                fs::remove_file(self.host.state_dir().join(checkpoint)).is_ok()
            }
            Act::Storage(storage) => self.storage(*storage),
            Act::ReusePid => self.reuse_pid(),
            Act::AskDamagedCopy(seed) => self.ask_damaged_copy(*seed)?,
            Act::AskAfterBoot => self.ask_after_boot()?,
        };
        Ok(Done::CameToPass(has_come))
    }

    /// Kills the supervisors, and has something fail in who asks next and in the supervisor that he starts.
    fn adopt(&self, fault: &Fault) -> Result<bool, Objection> {
        // One that is frozen does not die.
        const DYING: Duration = Duration::from_secs(2);
        let is_sent = self.signal_supervisors(Signal::SIGKILL);
        let deadline = Instant::now() + DYING;
        while !self.witness.supervisors().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.run_following(&["--reason", self.domain], fault)?;
        Ok(is_sent)
    }

    /// Whether there was any.
    fn signal_supervisors(&self, signal: Signal) -> bool {
        let pids = self.witness.supervisors();
        let sent = pids.iter().filter(|pid| self.send(**pid, signal));
        sent.count() > 0
    }

    /// Whether QEMU did it.
    pub(super) fn third_party(&self, command: &str) -> bool {
        let (command, arguments) = match command {
            "migrate" => (command, json!({"uri": "exec:cat > /dev/null"})),
            "savevm" => (
                "human-monitor-command",
                json!({"command-line": "savevm another"}),
            ),
            _ => (command, json!({})),
        };
        let patience = Duration::from_secs(2);
        let answer = self.witness.execute_with(command, &arguments, patience);
        answer.is_some_and(|answer| !answer.is_null())
    }

    /// Whether there was anybody to get it.
    pub(super) fn signal(&self, signal: Signal) -> bool {
        let mut is_sent_to_one = false;
        for pid in self.witness.connected() {
            let born = born_at(pid);
            // Another act may give its pid away, before that or behind it.
            let is_sent = self.send(pid, signal);
            is_sent_to_one |= is_sent;
            // What is frozen dies when it is thawed.
            if is_sent && signal == Signal::SIGKILL && !self.is_frozen(pid) {
                let is_gone = || !is_alive(pid) || born_at(pid) != born;
                until("a death by SIGKILL", is_gone);
            }
        }
        is_sent_to_one
    }

    /// Whether it was sent: to nobody who has its pid by now.
    pub(super) fn send(&self, pid: i32, signal: Signal) -> bool {
        let folder = self.host.folder().to_string_lossy().into_owned();
        let signal = rustix::process::Signal::from_named_raw(signal as i32).unwrap();
        send_to(pid, &folder, signal)
    }
}
