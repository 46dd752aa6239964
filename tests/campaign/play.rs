//! A story as it is played: acts are done, and after each group of them domstate is asked and judged.

use std::any::Any;
use std::fmt::{self, Write as _};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use domstate::domain::State;
use nix::sys::signal::Signal;

use crate::act::{Act, Fault, Storage, Theme};
use crate::harness::{Host, Said, finish, is_alive, processes_with, send_to, until};
use crate::judge::{Life, Told, judge_manners, words};
use crate::peer;
use crate::story::Story;
use crate::volume::Disk;
use crate::witness::Witness;

/// What looks answers within this, however busy the machine is with other stories.
const LOOK_BOUND: Duration = Duration::from_secs(20);

/// What acts gives up within this: 10 s for QEMU's answer, 10 for SIGTERM, 30 for SIGKILL, and those in a row.
pub(crate) const ACT_BOUND: Duration = Duration::from_secs(100);

/// What a story came to.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) checks: u64,
    pub(crate) commands: u64,
    /// Ends that were told, with their certainty.
    pub(crate) ends: Vec<String>,
    pub(crate) slowest: Vec<(String, Duration)>,
    /// False if it needs root.
    pub(crate) ran: bool,
    /// The fault hit QEMU itself, which hung, so that the story came to no end.
    pub(crate) hung: bool,
}

/// A false answer, or whatever else may not be.
pub(crate) struct Failure {
    pub(crate) seed: u64,
    text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(crate) fn play(story: &Story) -> Result<Played, Failure> {
    let needs_root = story.theme == Theme::Storage;
    if needs_root && !nix::unistd::geteuid().is_root() {
        return Ok(Played::default());
    }
    let mut stage = Stage::new(story);
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
            return Ok(std::mem::take(&mut stage.played));
        }
        // A QEMU that met an error may hang, and whoever asks it something waits.
        Ok(Err(why)) if story.breaks_qemu() && why.contains(" took ") => {
            stage.played.hung = true;
            return Ok(std::mem::take(&mut stage.played));
        }
        Ok(Err(why)) => why,
        Err(panic) => words_of(&*panic),
    };
    Err(Failure {
        seed: story.seed,
        text: stage.told_of(&why),
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
    played: Played,
    witness: Witness,
    /// Dropped before the host that they are on.
    disk: Option<Disk>,
    host: Host,
    /// What was done since the answer before the last QEMU came.
    acts: Vec<Act>,
    /// How many QEMUs had been seen by then, and what was told.
    qemus_before: usize,
    before: Option<State>,
    last: Option<Told>,
    is_obscure: bool,
    is_gone: bool,
    is_undefined: bool,
    /// What was done and what came of it, for people.
    log: Mutex<String>,
    children: Mutex<Vec<Child>>,
}

impl<'a> Stage<'a> {
    fn new(story: &'a Story) -> Self {
        let host = Host::new();
        let line = host.line("v");
        let disk = (story.theme == Theme::Storage).then(|| Disk::mount(&host, "size=8m"));
        Self {
            story,
            played: Played::default(),
            witness: Witness::begin(host.folder(), line),
            disk,
            host,
            acts: Vec::new(),
            qemus_before: 0,
            before: None,
            last: None,
            is_obscure: story.theme != Theme::Plain,
            is_gone: false,
            is_undefined: false,
            log: Mutex::default(),
            children: Mutex::default(),
        }
    }

    fn play(&mut self) -> Result<(), String> {
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

    fn start(&mut self) -> Result<(), String> {
        let machine = &self.story.machine;
        let argv = machine.argv(&self.host, &self.witness.monitor_path());
        let mut words = vec!["start".to_owned(), "v".to_owned()];
        words.extend(machine.options().iter().map(|&word| word.to_owned()));
        words.push("--".to_owned());
        words.extend(argv);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Some(fault) = &self.story.start {
            self.is_obscure = true;
            let act = Act::Followed(vec!["start"], fault.clone());
            self.acts.push(act);
            self.run_following(&words, fault)?;
            return self.check();
        }
        let said = self.run(&words, None)?;
        self.acts.push(Act::Verb(vec!["start"]));
        if said.code != Some(0) {
            return Err(format!("it does not start: {said:?}"));
        }
        let ready = |qemus: &[crate::witness::Qemu]| {
            qemus
                .last()
                .is_some_and(|qemu| machine.paused || qemu.heard.iter().any(|line| line == "READY"))
        };
        if !self.witness.until(Duration::from_secs(60), ready) {
            return Err("the guest is not ready".to_owned());
        }
        self.check()
    }

    /// Does what is in a group, all at once.
    fn perform(&mut self, group: &[Act]) -> Result<(), String> {
        for act in group {
            self.is_obscure |= act.obscures();
            self.acts.push(act.clone());
        }
        let this = &*self;
        let took: Vec<Result<Option<(String, Duration)>, String>> = std::thread::scope(|scope| {
            let acts: Vec<_> = group
                .iter()
                .map(|act| scope.spawn(move || this.act(act)))
                .collect();
            acts.into_iter()
                .map(|act| act.join().unwrap_or_else(|panic| Err(words_of(&*panic))))
                .collect()
        });
        for took in took {
            if let Some(took) = took? {
                self.played.commands += 1;
                self.played.slowest.push(took);
            }
        }
        self.is_gone = !self.host.state_dir().exists();
        Ok(())
    }

    fn act(&self, act: &Act) -> Result<Option<(String, Duration)>, String> {
        match act {
            Act::Verb(words) => return self.verb(words, None).map(Some),
            Act::Faulted(words, fault) => return self.verb(words, Some(fault)).map(Some),
            Act::Followed(words, fault) => {
                let words = self.spelt(words);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.run_following(&words, fault)?;
            }
            Act::Letter(letter) => self.witness.press(*letter),
            Act::Signal(signal) => {
                for pid in self.witness.connected() {
                    self.send(pid, *signal);
                    let dies = *signal == Signal::SIGKILL;
                    if dies {
                        until("a death by SIGKILL", || !is_alive(pid));
                    }
                }
            }
            Act::Monitor(command) => drop(self.witness.execute(command, Duration::from_secs(2))),
            Act::Supervisor(signal) => {
                for pid in self.witness.supervisors() {
                    self.send(pid, *signal);
                }
            }
            Act::SupervisorFault(fault) => self.break_supervisor(fault),
            Act::LoseCheckpoint => {
                let _ = fs::remove_file(self.host.state_dir().join("v/state.json"));
            }
            Act::Storage(storage) => self.storage(*storage),
            Act::ReusePid => self.reuse_pid(),
            Act::AskDamagedCopy(seed) => self.ask_damaged_copy(*seed)?,
            Act::AskAfterBoot => self.ask_after_boot()?,
        }
        self.note(&act.to_string());
        Ok(None)
    }

    fn send(&self, pid: i32, signal: Signal) {
        let folder = self.host.folder().to_string_lossy().into_owned();
        let signal = rustix::process::Signal::from_named_raw(signal as i32).unwrap();
        send_to(pid, &folder, signal);
    }

    fn note(&self, line: &str) {
        let mut log = self.log.lock().unwrap();
        let _ = writeln!(log, "  {line}");
    }

    /// The words of a command as they are typed.
    fn spelt(&self, words: &[&str]) -> Vec<String> {
        let path = |name: &str| self.host.folder().join(name).display().to_string();
        let mut spelt: Vec<String> = words
            .iter()
            .map(|word| match *word {
                "@FILE" => path("file"),
                "@DUMP" => path(&format!("dump-{}", fastrand::u64(..))),
                word => word.to_owned(),
            })
            .collect();
        if !["list", "restore"].contains(&words[0]) {
            spelt.insert(1, "v".to_owned());
        }
        spelt
    }

    fn verb(&self, words: &[&str], fault: Option<&Fault>) -> Result<(String, Duration), String> {
        let args = self.spelt(words);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let begun = Instant::now();
        let said = self.run(&args, fault)?;
        let took = begun.elapsed();
        if fault.is_none() {
            judge_manners(words, &said)?;
        }
        Ok((words[0].to_owned(), took))
    }

    /// Runs a command of domstate within its bound, with something that fails in it.
    fn run(&self, args: &[&str], fault: Option<&Fault>) -> Result<Said, String> {
        let mut command = self.host.command(args);
        self.step_clock(&mut command);
        if let Some(fault) = fault {
            let mut traced = Command::new("strace");
            traced.args(["-e", &fault.traced(), "-o", "/dev/null"]);
            traced.args(["-e", &fault.injection()]);
            traced.arg(command.get_program()).args(command.get_args());
            traced.env("DOMSTATE_DIR", self.host.state_dir());
            self.step_clock(&mut traced);
            traced.stdin(Stdio::null());
            command = traced;
        }
        let begun = Instant::now();
        let said = finish(command);
        let took = begun.elapsed();
        let fails = fault.map_or(String::new(), |fault| format!(" ({fault})"));
        let short: Vec<&str> = args.iter().copied().take(4).collect();
        self.note(&format!(
            "{took:.0?} domstate {}{fails}: {:?} {:?} {:?}",
            short.join(" "),
            said.code,
            said.stdout.chars().take(300).collect::<String>(),
            said.stderr
        ));
        let looks = [
            "--reason", "list", "history", "explain", "dominfo", "--format", "wait",
        ];
        let bound = if looks.contains(&args[0]) {
            LOOK_BOUND
        } else {
            ACT_BOUND
        };
        if took > bound {
            return Err(format!("{args:?} took {took:?}"));
        }
        Ok(said)
    }

    /// The clock is another one for each command, and for what it starts, as when it was stepped in between.
    fn step_clock(&self, command: &mut Command) {
        if self.story.theme == Theme::Clock {
            let steps = [0, 1, -1, 3600, -3600, 86400, -86400, 400_000_000];
            let step: i64 = steps[fastrand::usize(..steps.len())];
            command.env("DOMSTATE_CLOCK_STEP", step.to_string());
            command.env("LD_PRELOAD", clock_library());
        }
    }

    /// Runs a command with something that fails in it and in all that it starts: in QEMU as well, since strace follows
    /// everybody and counts each process's calls for itself.
    fn run_following(&self, args: &[&str], fault: &Fault) -> Result<(), String> {
        let command = self.host.command(args);
        let mut traced = Command::new("strace");
        let trace = self
            .host
            .folder()
            .join(format!("trace-{}", fastrand::u64(..)));
        traced.args(["-f", "-e", &fault.traced(), "-e", &fault.injection(), "-o"]);
        traced.arg(&trace);
        traced.arg(command.get_program()).args(command.get_args());
        traced.env("DOMSTATE_DIR", self.host.state_dir());
        traced.stdin(Stdio::null()).stderr(Stdio::null());
        let said = self.host.folder().join("said");
        traced.stdout(fs::File::create(&said).unwrap());
        let mut strace = traced.spawn().unwrap();
        // strace stays as long as anything of it does, so it is the command itself that is waited for.
        let begun = Instant::now();
        while strace.try_wait().unwrap().is_none() && !has_first_ended(&trace) {
            if begun.elapsed() > ACT_BOUND {
                return Err(format!("{args:?} took more than {ACT_BOUND:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = fs::read_to_string(said).unwrap_or_default();
        let short: Vec<&str> = args.iter().copied().take(3).collect();
        self.note(&format!("{} ({fault}): {said:?}", short.join(" ")));
        self.children.lock().unwrap().push(strace);
        Ok(())
    }

    fn break_supervisor(&self, fault: &Fault) {
        for pid in self.witness.supervisors() {
            let mut strace = Command::new("strace");
            strace.args(["-e", &fault.traced(), "-o", "/dev/null"]);
            strace.args(["-e", &fault.injection()]);
            strace.args(["-p", &pid.to_string()]);
            strace.stdin(Stdio::null()).stdout(Stdio::null());
            let Ok(child) = strace.stderr(Stdio::null()).spawn() else {
                continue;
            };
            let deadline = Instant::now() + Duration::from_secs(5);
            while is_alive(pid) && Instant::now() < deadline {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                if status.contains(&format!("TracerPid:\t{}", child.id())) {
                    break;
                }
                std::thread::yield_now();
            }
            self.children.lock().unwrap().push(child);
        }
    }

    fn storage(&self, storage: Storage) {
        let (state, away) = (self.host.state_dir(), self.away());
        match (storage, &self.disk) {
            (Storage::Full, Some(disk)) => drop(catch_unwind(AssertUnwindSafe(|| disk.fill(0)))),
            (Storage::Roomy, Some(disk)) => {
                drop(catch_unwind(AssertUnwindSafe(|| disk.make_room())));
            }
            // A file that somebody writes to keeps it from becoming read-only, so QEMU's journal does.
            (Storage::ReadOnly, Some(_)) => self.remount("ro"),
            (Storage::Writable, Some(_)) => self.remount("rw"),
            (Storage::Gone, _) => drop(fs::rename(state, away)),
            (Storage::Back, _) if !state.exists() => drop(fs::rename(away, state)),
            _ => {}
        }
    }

    fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]);
        let _ = mount.arg(self.host.state_dir()).output();
    }

    fn away(&self) -> PathBuf {
        self.host.folder().join("away")
    }

    fn reuse_pid(&self) {
        let pid = self.witness.look(|qemus| qemus.last().map(|qemu| qemu.pid));
        let Some(pid) = pid.filter(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) else {
            return;
        };
        if fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
            return;
        }
        let mut stranger = Command::new("tail");
        stranger.args(["-f", "/dev/null"]).stdout(Stdio::null());
        if let Ok(child) = stranger.spawn() {
            if i64::from(child.id()) == i64::from(pid) {
                self.note("the pid is used again");
            }
            self.children.lock().unwrap().push(child);
        }
    }

    fn copy(&self) -> Option<PathBuf> {
        let copy = self
            .host
            .folder()
            .join(format!("copy-{}", fastrand::u64(..)));
        let mut cp = Command::new("cp");
        cp.arg("-a").arg(self.host.state_dir()).arg(&copy);
        // Files come and go meanwhile.
        let _ = cp.output();
        copy.exists().then_some(copy)
    }

    fn ask_damaged_copy(&self, seed: u64) -> Result<(), String> {
        let Some(copy) = self.copy() else {
            return Ok(());
        };
        damage(&copy, seed);
        for args in [
            ["--format", "json", "v"].as_slice(),
            &["--reason", "v"],
            &["list", "--all", "--reason"],
            &["history", "v"],
            &["explain", "v"],
        ] {
            let begun = Instant::now();
            let said = self.host.domstate_in(&copy, args);
            if begun.elapsed() > LOOK_BOUND || !matches!(said.code, Some(0 | 1)) {
                return Err(format!("{args:?} of a damaged copy: {said:?}"));
            }
            judge_manners(args, &said)?;
            if args[0] == "--format" && said.code == Some(0) {
                self.judge_copy(&said.stdout)?;
            }
        }
        Ok(())
    }

    fn ask_after_boot(&self) -> Result<(), String> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(());
        }
        let Some(copy) = self.copy() else {
            return Ok(());
        };
        let boot = self.host.folder().join("boot_id");
        fs::write(&boot, "22222222-2222-4222-8222-222222222222\n").unwrap();
        let script = r#"mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@""#;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(boot);
        command.arg(env!("CARGO_BIN_EXE_domstate"));
        command.args(["--format", "json", "v"]);
        command.env("DOMSTATE_DIR", copy);
        let said = finish(command);
        self.note(&format!("after another boot: {said:?}"));
        if said.code != Some(0) {
            return Ok(());
        }
        let told = Told::read(&said.stdout)?;
        if !told.has_ended() {
            return Err(format!("it survived another boot: {said:?}"));
        }
        self.judge_copy(&said.stdout)
    }

    /// Whether success is told of a copy though there never was any.
    fn judge_copy(&self, json: &str) -> Result<(), String> {
        let told = Told::read(json)?;
        if told.state.to_string() != "shut off (shutdown)" {
            return Ok(());
        }
        let resets = self.story.machine.no_reboot;
        let shut_down = self.witness.look(|qemus| {
            let ends = ['o', 'd', 'x'];
            qemus
                .iter()
                .any(|qemu| ends.iter().any(|end| qemu.did(*end)))
        });
        if shut_down || resets {
            return Ok(());
        }
        Err(format!("a copy tells success: {json}"))
    }

    /// Asks domstate, and judges the answer by what is seen before and after.
    fn check(&mut self) -> Result<(), String> {
        // Until nothing changed meanwhile; then nothing excuses a falsehood.
        for _ in 0..5 {
            let before = self.outside();
            let said = self.run(&["--format", "json", "v"], None)?;
            self.played.commands += 1;
            if self.is_gone {
                return judge_manners(&["--format"], &said);
            }
            if said.code != Some(0) {
                if self.may_be_undefined() && said.stderr.contains("no-such-domain") {
                    self.is_undefined = true;
                    return Ok(());
                }
                return Err(format!("no answer: {said:?}"));
            }
            let told = Told::read(&said.stdout)?;
            if self.outside() == before {
                return self.judge(told, &before);
            }
        }
        Ok(())
    }

    /// Whether the domain may not have been defined, or not be any more, and there is no guest that would keep him from it.
    fn may_be_undefined(&self) -> bool {
        let is_undefine = |act| words(act).is_some_and(|words| words[0] == "undefine");
        let mut acts = self.story.groups.iter().flatten();
        let is_defined = self.story.start.is_none() && !acts.any(is_undefine);
        !is_defined && self.witness.alive().is_empty()
    }

    fn outside(&self) -> Outside {
        // One that is only just starting may not have connected.
        let starts = |act| words(act).is_some_and(|words| ["start", "restore"].contains(&words[0]));
        let alive = if self.acts.iter().any(starts) && self.witness.connected().is_empty() {
            self.witness.alive()
        } else {
            self.witness.connected()
        };
        // A process that is stopped says nothing.
        let status = match alive.as_slice() {
            [pid] if !is_stopped(*pid) => self.witness.status(),
            _ => None,
        };
        if alive.is_empty() {
            self.witness.hear_out();
        }
        let is_starting = alive.is_empty()
            && self.acts.iter().any(starts)
            && !self.witness.supervisors().is_empty();
        Outside {
            is_starting,
            alive,
            status,
            events: self
                .witness
                .look(|qemus| qemus.iter().map(|qemu| qemu.events.len()).sum()),
        }
    }

    /// Whether what was told is true, as far as it has been heard of.
    fn verdict(&self, told: &Told, outside: &Outside) -> Result<(), String> {
        self.witness.look(|qemus| {
            let newest = qemus.get(self.qemus_before..).and_then(<[_]>::last);
            let life = Life {
                machine: &self.story.machine,
                theme: self.story.theme,
                acts: &self.acts,
                // One that has only just begun has not connected.
                qemu: newest
                    .filter(|qemu| outside.alive.is_empty() || outside.alive.contains(&qemu.pid)),
                is_obscure: self.is_obscure,
                before: self.before,
            };
            if outside.alive.len() > 1 {
                return Err(format!("two QEMUs of one domain: {:?}", outside.alive));
            }
            if outside.alive.is_empty() {
                if told.state.to_string() == "paused (starting up)" && outside.is_starting {
                    return Ok(());
                }
                life.judge_dead(told)
            } else {
                life.judge_alive(told, outside.status.as_deref())
            }
        })
    }

    fn judge(&mut self, told: Told, outside: &Outside) -> Result<(), String> {
        self.played.checks += 1;
        let mut verdict = self.verdict(&told, outside);
        // What the guest said may still be on its way to us.
        let deadline = Instant::now() + Duration::from_secs(2);
        while verdict.is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            verdict = self.verdict(&told, outside);
        }
        verdict.map_err(|why| format!("{why}, and domstate tells {told:?}; {outside:?}"))?;
        if let Some(last) = &self.last
            && last.has_ended()
            && last.run == told.run
            && last.certainty == "witnessed"
            && (last.state, &last.cause) != (told.state, &told.cause)
        {
            return Err(format!("{last:?} became {told:?}"));
        }
        if told.has_ended() && outside.alive.is_empty() {
            self.before = Some(told.state);
            self.acts.clear();
            self.qemus_before = self.witness.count();
            if self.last.as_ref().is_none_or(|last| last.run != told.run)
                || !self.last.as_ref().is_some_and(Told::has_ended)
            {
                let end = format!("{}, {}", told.state, told.certainty);
                self.played.ends.push(end);
            }
        }
        self.last = Some(told);
        Ok(())
    }

    /// Lets go of everything that was stopped, filled or taken away.
    fn recover(&mut self) -> Result<(), String> {
        for child in self.children.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let mut pids = self.witness.alive();
        pids.extend(self.witness.supervisors());
        for pid in pids {
            self.send(pid, Signal::SIGCONT);
        }
        self.perform(&[Act::Storage(Storage::Back)])?;
        self.perform(&[Act::Storage(Storage::Writable)])?;
        self.perform(&[Act::Storage(Storage::Roomy)])
    }

    /// Ends the guest if it lives. Nothing is left over, and the answer needs nothing but the journal.
    fn end(&mut self) -> Result<(), String> {
        if !self.witness.alive().is_empty() {
            self.perform(&[Act::Verb(vec!["destroy"])])?;
            if !self.witness.alive().is_empty() {
                return Err("destroy leaves it alive".to_owned());
            }
            self.check()?;
        }
        self.leaves_nothing()?;
        self.check()?;
        let last = self.last.clone();
        let _ = fs::remove_file(self.host.state_dir().join("v/state.json"));
        self.check()?;
        let is_same =
            |told: &Told, last: &Told| (told.state, &told.cause) == (last.state, &last.cause);
        if let (Some(last), Some(told)) = (&last, &self.last)
            && !is_same(told, last)
        {
            return Err(format!("without its checkpoint {last:?} is {told:?}"));
        }
        if self.story.seed.is_multiple_of(3) {
            self.starts_again()?;
        }
        let history = self.run(&["history", "v"], None)?;
        let all = ["--managed-save", "--remove-dumps", "--snapshots-metadata"];
        let words = [["undefine", "v"].as_slice(), &all].concat();
        let undefined = self.run(&words, None)?;
        if (history.code, undefined.code) != (Some(0), Some(0)) {
            return Err(format!("{history:?} {undefined:?}"));
        }
        if self.host.state_dir().join("v").exists() {
            return Err("undefine leaves its folder".to_owned());
        }
        Ok(())
    }

    /// Whatever happened, the next start works.
    fn starts_again(&mut self) -> Result<(), String> {
        let said = self.run(&["start", "v"], None)?;
        if said.code != Some(0) {
            return Err(format!("it does not start again: {said:?}"));
        }
        self.acts.push(Act::Verb(vec!["start"]));
        self.check()?;
        self.perform(&[Act::Verb(vec!["destroy"])])?;
        self.check()?;
        self.leaves_nothing()
    }

    /// No process of domstate's stays behind.
    fn leaves_nothing(&self) -> Result<(), String> {
        let folder = self.host.folder().to_string_lossy().into_owned();
        let deadline = Instant::now() + Duration::from_secs(70);
        while !self.witness.supervisors().is_empty() {
            if Instant::now() > deadline {
                return Err(format!("processes are left: {:?}", processes_with(&folder)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// A failure with all that leads to it.
    fn told_of(&self, why: &str) -> String {
        let mut text = format!("{why}\n{}", self.story);
        let _ = writeln!(text, "What was done:\n{}", self.log.lock().unwrap());
        self.witness.look(|qemus| {
            for qemu in qemus {
                let _ = writeln!(
                    text,
                    "QEMU {}: {:?} {:?}",
                    qemu.pid, qemu.heard, qemu.events
                );
            }
        });
        let journal = catch_unwind(AssertUnwindSafe(|| self.host.journal("v")));
        let _ = writeln!(text, "{}", journal.unwrap_or_default());
        text
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for child in self.children.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.witness.alive() {
            self.send(pid, Signal::SIGKILL);
        }
    }
}

/// What is seen of the guest from outside.
#[derive(Debug, PartialEq, Eq)]
struct Outside {
    /// No QEMU is there, and somebody of domstate's who may start one.
    is_starting: bool,
    alive: Vec<i32>,
    status: Option<String>,
    events: usize,
}

/// Whether the first process in strace's output has come to its end.
fn has_first_ended(trace: &Path) -> bool {
    let text = fs::read_to_string(trace).unwrap_or_default();
    let pid = text.split_whitespace().next().unwrap_or_default();
    let mut lines = text.lines().map(str::split_whitespace);
    !pid.is_empty()
        && lines.any(|mut words| words.next() == Some(pid) && words.next() == Some("+++"))
}

/// What steps the clock of who loads it, built once.
fn clock_library() -> &'static Path {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaign/clock.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]);
        assert!(cc.arg(&library).arg(source).status().unwrap().success());
        library
    });
    &LIBRARY
}

fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

/// Damages a file somewhere below a folder: cut, overwritten, or something put in.
fn damage(folder: &Path, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                folders.push(entry.path());
            } else if kind.is_ok_and(|kind| kind.is_file()) {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return;
    }
    let path = &files[rng.usize(..files.len())];
    let Ok(mut bytes) = fs::read(path) else {
        return;
    };
    let at = rng.usize(..=bytes.len());
    match rng.u8(..5) {
        0 => bytes.truncate(at),
        1 => bytes[at..].fill(0),
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
        3 => drop(bytes.splice(at..at, std::iter::repeat_n(rng.u8(..), 100))),
        _ => drop(bytes.drain(..at)),
    }
    let _ = fs::write(path, bytes);
}
