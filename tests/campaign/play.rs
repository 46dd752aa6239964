//! A story as it is played: acts are done, and after each group of them domstate is asked and judged.

/// A moment at which nothing was still to come.
mod calm;
/// An answer is held against what is seen.
mod check;
/// Commands of domstate.
mod command;
/// Copies of the state directory.
mod copies;
/// The end of a story.
mod finale;
/// A control group in which processes stand still.
mod freezer;
/// What befalls the supervisor, the disk and the pids.
mod hardship;
/// What strace has seen of what was made to fail.
mod traces;
/// A story with two ends.
mod travel;
/// What lies between them.
mod way;

use std::any::Any;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domstate::domain::State;
use nix::sys::signal::Signal;
use serde_json::json;

use self::calm::Calm;
use self::freezer::ControlGroup;
pub(crate) use self::freezer::freezer_lack;
pub(crate) use self::traces::Faults;
use crate::act::{Act, Freezer, Theme};
use crate::failure::Failure;
use crate::harness::{Host, is_alive, send_to, until};
use crate::journey::Role;
use crate::judge::{Spoken, words};
use crate::objection::Objection;
use crate::peer;
use crate::story::Story;
use crate::told::Told;
use crate::volume::{Disk, FileSystem};
use crate::witness::{Qemu, Sight, Witness};

/// What looks answers within this, however busy the machine is with other stories.
const LOOK_BOUND: Duration = Duration::from_secs(20);

/// What acts gives up within this: 10 s for QEMU's answer, 10 for SIGTERM, 30 for SIGKILL, and those in a row.
pub(crate) const ACT_BOUND: Duration = Duration::from_secs(100);

/// How long a supervisor stays stopped while somebody waits for what was begun with that.
const STOPPED_AT_MOST: Duration = Duration::from_secs(30);

/// What a story came to.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) checks: u64,
    /// Answers that could not be judged, because something went on changing.
    pub(crate) unsettled: u64,
    pub(crate) commands: u64,
    /// Ends that were told, with their certainty.
    pub(crate) ends: Vec<String>,
    pub(crate) slowest: Vec<(String, Duration)>,
    /// False if this host lacks what it needs.
    pub(crate) ran: bool,
    /// The fault hit QEMU itself, which hung, so that the story came to no end.
    pub(crate) hung: bool,
    pub(crate) faults: Faults,
}

pub(crate) fn play(story: &Story) -> Result<Played, Failure> {
    if story.file_system.and_then(FileSystem::lack).is_some() {
        return Ok(Played::default());
    }
    if let Some(journey) = &story.journey {
        return travel::play(story, journey);
    }
    let mut stage = Stage::new(story, Arc::new(Host::new()), Role::Alone);
    let outcome = catch_unwind(AssertUnwindSafe(|| match &story.peer {
        Some((kind, verbs)) => {
            stage.played = peer::play(&stage.host, kind, verbs, &|line| stage.note(line))?;
            Ok(())
        }
        None => stage.play(),
    }));
    let why = match outcome {
        Ok(Ok(())) => {
            stage.played.ran = true;
            stage.played.faults = stage.faults();
            match stage.played.faults.panics {
                0 => return Ok(std::mem::take(&mut stage.played)),
                _ => "domstate panicked".to_owned(),
            }
        }
        // A QEMU that met an error may hang, and whoever asks it something waits.
        Ok(Err(Objection::Late(_))) if story.breaks_qemu() => {
            stage.played.hung = true;
            return Ok(std::mem::take(&mut stage.played));
        }
        Ok(Err(why)) => why.to_string(),
        Err(panic) => words_of(&*panic),
    };
    Err(Failure {
        replay: story.replay(),
        text: format!("{why}\n{story}{}", stage.what_was_done()),
    })
}

/// When a process began, in clock ticks since the host's boot (`/proc/PID/stat`, field 22); `None` if there is none.
fn born_at(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19).map(str::to_owned)
}

/// What a thread said when it panicked.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

struct Stage<'a> {
    story: &'a Story,
    domain: &'static str,
    role: Role,
    /// What stands for its definition on the command line of `define` and `run`.
    definition: Vec<String>,
    /// What is frozen, by its control group.
    freezer: Mutex<Option<ControlGroup>>,
    played: Played,
    witness: Witness,
    /// The other end of a journey.
    other: Option<Sight>,
    /// Dropped before the host that they are on.
    disk: Option<Disk>,
    host: Arc<Host>,
    /// What was done since the answer before the last QEMU came.
    acts: Vec<Act>,
    /// How many QEMUs had been seen by then, and what was told.
    qemus_before: usize,
    before: Option<State>,
    /// Of an end that was told: how much had been done, and how many QEMUs had been seen by then.
    ended_after: Option<(usize, usize)>,
    last: Option<Told>,
    /// When it lived, and nothing of what had been done was still to come.
    calm: Option<Calm>,
    /// The command that was all that was done since the answer before.
    spoken: Mutex<Option<Spoken>>,
    /// What a copy told as after another boot.
    after_boot: Mutex<Option<Told>>,
    is_obscure: bool,
    /// The same, of what was done since the last end that was witnessed.
    is_run_obscure: bool,
    /// The file that a guest was saved in last may have been taken up, or away.
    may_lack_image: bool,
    is_gone: bool,
    is_undefined: bool,
    /// What was done and what came of it, for people.
    log: Mutex<String>,
    children: Mutex<Vec<Child>>,
    /// What strace writes of each fault.
    traces: Mutex<Vec<PathBuf>>,
    /// How many commands have got a clock of their own.
    clocks: AtomicU64,
}

impl<'a> Stage<'a> {
    fn new(story: &'a Story, host: Arc<Host>, role: Role) -> Self {
        let domain = role.domain();
        let line = host.line(domain);
        let disk = story.file_system.map(|kind| Disk::of(&host, kind));
        Self {
            story,
            domain,
            role,
            definition: Vec::new(),
            freezer: Mutex::default(),
            played: Played::default(),
            witness: Witness::begin(host.folder(), domain, line),
            other: None,
            disk,
            host,
            acts: Vec::new(),
            qemus_before: 0,
            before: None,
            ended_after: None,
            last: None,
            calm: None,
            spoken: Mutex::default(),
            after_boot: Mutex::default(),
            is_obscure: story.theme != Theme::Plain,
            is_run_obscure: story.theme != Theme::Plain,
            may_lack_image: false,
            is_gone: false,
            is_undefined: false,
            log: Mutex::default(),
            children: Mutex::default(),
            traces: Mutex::default(),
            clocks: AtomicU64::new(0),
        }
    }

    fn play(&mut self) -> Result<(), Objection> {
        self.start()?;
        for group in &self.story.groups {
            self.perform(group)?;
            self.check()?;
            if self.is_undefined {
                self.recover()?;
                return self.leaves_nothing();
            }
        }
        self.recover()?;
        self.check()?;
        self.end()
    }

    fn start(&mut self) -> Result<(), Objection> {
        let machine = &self.story.machine;
        let argv = machine.argv(&self.host, self.domain, &self.witness.monitor_path());
        let mut words = vec!["start".to_owned(), self.domain.to_owned()];
        words.extend(machine.options().iter().map(|&word| word.to_owned()));
        if self.role == Role::Destination {
            let way = self.host.folder().join("there");
            words.extend(["--incoming".to_owned(), format!("unix:{}", way.display())]);
        }
        let policies = machine.policies().into_iter().map(str::to_owned);
        let behind = ["--".to_owned()].into_iter().chain(argv);
        self.definition = policies.chain(behind.clone()).collect();
        words.extend(behind);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Some(fault) = &self.story.start {
            self.is_obscure = true;
            self.is_run_obscure = true;
            let act = Act::Followed(vec!["start"], fault.clone());
            self.acts.push(act);
            self.run_following(&words, fault)?;
            return self.check();
        }
        let said = self.run(&words, None)?;
        self.acts.push(Act::Verb(vec!["start"]));
        if said.code != Some(0) {
            return Err(format!("it does not start: {said:?}").into());
        }
        let is_silent = machine.paused || self.role == Role::Destination;
        let ready = |qemus: &[Qemu]| {
            let newest = qemus.last();
            newest.is_some_and(|qemu| is_silent || qemu.heard.iter().any(|line| line == "READY"))
        };
        if !self.witness.until(Duration::from_secs(60), ready) {
            return Err("the guest is not ready".to_owned().into());
        }
        self.check()
    }

    /// Takes into account that this is done.
    fn notes(&mut self, act: &Act) {
        self.is_obscure |= act.obscures();
        self.is_run_obscure |= act.obscures();
        self.acts.push(act.clone());
    }

    /// Does what is in a group, all at once.
    fn perform(&mut self, group: &[Act]) -> Result<(), Objection> {
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

    fn act(&self, act: &Act) -> Result<Option<(String, Duration)>, Objection> {
        let done = self.done(act);
        if words(act).is_some_and(|words| words[0] == "domrename") {
            self.rename_back()?;
        }
        done
    }

    fn done(&self, act: &Act) -> Result<Option<(String, Duration)>, Objection> {
        match act {
            Act::Verb(words) => return self.verb(words, None).map(Some),
            Act::Faulted(words, fault) => return self.verb(words, Some(fault)).map(Some),
            Act::Followed(words, fault) => {
                let words = self.spelt(words);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.run_following(&words, fault)?;
            }
            Act::Halted(words, micros) => return self.halted(words, *micros).map(Some),
            Act::Interrupted(words, micros) => return self.interrupted(words, *micros).map(Some),
            Act::Abandoned(words, micros) => return self.abandoned(words, *micros).map(Some),
            Act::Letter(letter) => self.witness.press(*letter),
            Act::Signal(signal) => self.signal(*signal),
            Act::SignalAtArrival(signal) => {
                self.await_arrival();
                self.signal(*signal);
            }
            Act::Monitor(command) => self.third_party(command),
            Act::Supervisor(signal) => {
                for pid in self.witness.supervisors() {
                    self.send(pid, *signal);
                }
            }
            Act::Freezer(Freezer::Qemu) => self.freeze(&self.witness.connected()),
            Act::Freezer(Freezer::Supervisor) => self.freeze(&self.witness.supervisors()),
            Act::Freezer(Freezer::Thaws) => self.thaw(),
            Act::SupervisorFault(fault) => {
                self.break_processes(&self.witness.supervisors(), &[], fault);
            }
            Act::QemuFault(fault) => {
                self.break_processes(&self.witness.connected(), &["-f"], fault);
            }
            Act::LoseCheckpoint => {
                let checkpoint = format!("{}/state.json", self.domain);
                let _ = fs::remove_file(self.host.state_dir().join(checkpoint));
            }
            Act::Storage(storage) => self.storage(*storage),
            Act::ReusePid => self.reuse_pid(),
            Act::AskDamagedCopy(seed) => self.ask_damaged_copy(*seed)?,
            Act::AskAfterBoot => self.ask_after_boot()?,
        }
        self.note(&act.to_string());
        Ok(None)
    }

    fn third_party(&self, command: &str) {
        let (command, arguments) = match command {
            "migrate" => (command, json!({"uri": "exec:cat > /dev/null"})),
            "savevm" => (
                "human-monitor-command",
                json!({"command-line": "savevm another"}),
            ),
            _ => (command, json!({})),
        };
        let patience = Duration::from_secs(2);
        let _ = self.witness.execute_with(command, &arguments, patience);
    }

    fn signal(&self, signal: Signal) {
        for pid in self.witness.connected() {
            let born = born_at(pid);
            // Another act may give its pid away, before that or behind it.
            let is_sent = self.send(pid, signal);
            // What is frozen dies when it is thawed.
            if is_sent && signal == Signal::SIGKILL && !self.is_frozen(pid) {
                let is_gone = || !is_alive(pid) || born_at(pid) != born;
                until("a death by SIGKILL", is_gone);
            }
        }
    }

    /// Whether it was sent: to nobody who has its pid by now.
    fn send(&self, pid: i32, signal: Signal) -> bool {
        let folder = self.host.folder().to_string_lossy().into_owned();
        let signal = rustix::process::Signal::from_named_raw(signal as i32).unwrap();
        send_to(pid, &folder, signal)
    }

    fn note(&self, line: &str) {
        let mut log = self.log.lock().unwrap();
        let _ = writeln!(log, "  {line}");
    }

    /// All that leads to a failure.
    fn what_was_done(&self) -> String {
        let mut text = format!("What was done to {}:\n", self.domain);
        let _ = writeln!(text, "{}", self.log.lock().unwrap());
        self.witness.look(|qemus| {
            for qemu in qemus {
                let _ = writeln!(
                    text,
                    "QEMU {}: {:?} {:?}",
                    qemu.pid, qemu.heard, qemu.events
                );
            }
        });
        let journal = catch_unwind(AssertUnwindSafe(|| self.host.journal(self.domain)));
        let _ = writeln!(text, "{}", journal.unwrap_or_default());
        text
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.thaw();
        for child in self.children.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.witness.alive() {
            self.send(pid, Signal::SIGKILL);
        }
    }
}
