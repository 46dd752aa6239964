//! A story as it is played: acts are done, and after each group of them domstate is asked and judged.

/// A moment at which nothing was still to come.
mod calm;
/// An answer is held against what is seen.
mod check;
/// The host's clock.
mod clock;
/// Commands of domstate.
mod command;
/// Copies of the state directory.
mod copies;
/// What is done.
mod deeds;
/// The end of a story.
mod finale;
/// A control group in which processes stand still.
mod freezer;
/// What befalls the supervisor, the disk and the pids.
mod hardship;
/// What commands have said.
mod heard;
/// What strace has seen of what was made to fail.
mod traces;
/// A story with two ends.
mod travel;
/// What lies between them.
mod way;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domstate::domain::State;
use nix::sys::signal::Signal;

use self::calm::Calm;
use self::clock::Clock;
pub(crate) use self::clock::whose_clock;
pub(crate) use self::deeds::Count;
use self::freezer::ControlGroup;
pub(crate) use self::freezer::freezer_lack;
pub(crate) use self::traces::{Faults, is_call_of_domstate};
use crate::act::{Act, Theme};
use crate::failure::Failure;
use crate::harness::{Host, Said};
use crate::journey::Role;
use crate::judge::{Answer, Spoken};
use crate::machine::{Wrapper, break_next};
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
    /// What was done, and whether it came to pass.
    pub(crate) done: BTreeMap<String, Count>,
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
            stage.played.done = std::mem::take(&mut stage.done.lock().unwrap());
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
    /// What commands have told since the answer before, whatever befell them.
    answers: Mutex<Vec<Answer>>,
    /// How many commands have said since then that they started a QEMU, and how many had connected before.
    started: AtomicU64,
    connected_before: usize,
    /// The ends that were told, the last answer about each run.
    ended: Vec<Told>,
    /// What was done, and whether it came to pass.
    done: Mutex<BTreeMap<String, Count>>,
    /// What a copy told as after another boot, or that it told nothing.
    after_boot: Mutex<Option<Result<Told, Said>>>,
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
    /// Where it is stepped.
    clock: Option<Clock>,
}

impl<'a> Stage<'a> {
    fn new(story: &'a Story, host: Arc<Host>, role: Role) -> Self {
        let domain = role.domain();
        let line = host.line(domain);
        let is_stepped = story.theme == Theme::Clock;
        let clock = is_stepped.then(|| Clock::new(story.seed, host.folder()));
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
            answers: Mutex::default(),
            started: AtomicU64::new(0),
            connected_before: 0,
            ended: Vec::new(),
            done: Mutex::default(),
            after_boot: Mutex::default(),
            is_obscure: story.theme != Theme::Plain,
            is_run_obscure: story.theme != Theme::Plain,
            may_lack_image: false,
            is_gone: false,
            is_undefined: false,
            log: Mutex::default(),
            children: Mutex::default(),
            traces: Mutex::default(),
            clock,
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
            if machine.wrapper == Wrapper::Breaks {
                break_next(&self.host, &self.new_trace(), fault);
                self.run(&words, None)?;
            } else {
                self.run_following(&words, fault)?;
            }
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
