//! Commands of domstate: as they are typed, within their bounds, with what fails in them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::clock::wrapped;
use super::deeds::Done;
use super::{ACT_BOUND, LOOK_BOUND, Stage};
use crate::fault::Fault;
use crate::harness::{Said, finish_child, is_alive, send, spawn};
use crate::judge::{Answer, Spoken, judge_manners};
use crate::objection::Objection;

/// The domain's other name.
const RENAMED: &str = "renamed";

impl Stage<'_> {
    /// The words of a command as they are typed.
    pub(super) fn spelt(&self, words: &[&str]) -> Vec<String> {
        let path = |name: &str| self.host.folder().join(name).display().to_string();
        let mut spelt: Vec<String> = words
            .iter()
            .flat_map(|word| match *word {
                "@FILE" => vec![path("file")],
                "@WAY" => vec![format!("unix:{}", path("way"))],
                "@DUMP" => vec![path(&format!("dump-{}", fastrand::u64(..)))],
                "@NEW" => vec![RENAMED.to_owned()],
                "@DEFINITION" => self.definition.clone(),
                word => vec![word.to_owned()],
            })
            .collect();
        if !["list", "restore"].contains(&words[0]) {
            spelt.insert(1, self.domain.to_owned());
        }
        spelt
    }

    pub(super) fn verb(
        &self,
        words: &[&'static str],
        fault: Option<&Fault>,
    ) -> Result<Done, Objection> {
        let args = self.spelt(words);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let begun = Instant::now();
        let (said, pid) = self.run_as(&args, fault)?;
        let took = begun.elapsed();
        if fault.is_none() {
            judge_manners(words, &said)?;
        }
        // With a fault it is strace's.
        let pid = (fault.is_none()).then_some(pid);
        self.has_spoken(words, said, pid, fault.is_some());
        Ok(Done::Command(words[0].to_owned(), took))
    }

    /// Keeps what a command has said until it is held against what came of it.
    fn has_spoken(&self, words: &[&'static str], said: Said, pid: Option<u32>, is_hit: bool) {
        self.answers
            .lock()
            .unwrap()
            .extend(Answer::all(words, &said.stdout));
        let starts = ["start", "restore"].contains(&words[0]);
        if starts && said.code == Some(0) {
            self.started.fetch_add(1, Ordering::Relaxed);
        }
        *self.spoken.lock().unwrap() = Some(Spoken {
            words: words.to_vec(),
            pid,
            code: said.code,
            stdout: said.stdout,
            is_hit,
        });
    }

    /// Runs a command that somebody stops on its way, for a while.
    pub(super) fn halted(&self, words: &[&'static str], micros: u64) -> Result<Done, Objection> {
        const HALT: Duration = Duration::from_millis(200);
        let mut stopped = None;
        let (said, took) = self.disturbed(words, micros, "stopped", |pid| {
            stopped = u32::try_from(pid).ok();
            send(pid, Signal::SIGSTOP);
            std::thread::sleep(HALT);
            send(pid, Signal::SIGCONT);
        })?;
        judge_manners(words, &said)?;
        self.has_spoken(words, said, stopped, false);
        Ok(Done::Command(words[0].to_owned(), took))
    }

    /// Runs a command at which somebody types Ctrl-C.
    pub(super) fn interrupted(
        &self,
        words: &[&'static str],
        micros: u64,
    ) -> Result<Done, Objection> {
        let interrupt = |pid| send(pid, Signal::SIGINT);
        let (said, took) = self.disturbed(words, micros, "^C", interrupt)?;
        // The signal ends it, but for a job, which takes back what it has done and says so.
        if said.code.is_some() {
            judge_manners(words, &said)?;
        }
        self.has_spoken(words, said, None, true);
        Ok(Done::Command(words[0].to_owned(), took))
    }

    /// The same, and who does not end by that is killed.
    pub(super) fn abandoned(&self, words: &[&'static str], micros: u64) -> Result<Done, Objection> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let (said, took) = self.disturbed(words, micros, "^C and SIGKILL", |pid| {
            send(pid, Signal::SIGINT);
            let deadline = Instant::now() + PATIENCE;
            while is_alive(pid) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            send(pid, Signal::SIGKILL);
        })?;
        if said.code.is_some() {
            judge_manners(words, &said)?;
        }
        self.has_spoken(words, said, None, true);
        Ok(Done::Command(words[0].to_owned(), took))
    }

    /// Gives the domain its own name back. Others may be at the same, each for himself.
    pub(super) fn rename_back(&self) -> Result<(), Objection> {
        let renamed = self.host.state_dir().join(RENAMED);
        for _ in 0..10 {
            if !renamed.exists() {
                return Ok(());
            }
            self.run(&["domrename", RENAMED, self.domain], None)?;
        }
        Err("it cannot be given its name back".to_owned().into())
    }

    fn disturbed(
        &self,
        words: &[&str],
        micros: u64,
        how: &str,
        disturb: impl FnOnce(i32),
    ) -> Result<(Said, Duration), Objection> {
        let args = self.spelt(words);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let command = self.timed(let_go(self.host.command(&args), &args));
        let begun = Instant::now();
        let child = spawn(command);
        // Nobody else has its pid before it is waited for.
        let pid = i32::try_from(child.id()).unwrap();
        std::thread::sleep(Duration::from_micros(micros));
        disturb(pid);
        let said = finish_child(child);
        let took = begun.elapsed();
        self.note(&format!(
            "{took:.0?} domstate {} ({how} after {micros} us): {said:?}",
            args.join(" ")
        ));
        self.is_in_bound(&args, took)?;
        Ok((said, took))
    }

    /// Runs a command of domstate within its bound, with something that fails in it.
    pub(super) fn run(&self, args: &[&str], fault: Option<&Fault>) -> Result<Said, Objection> {
        Ok(self.run_as(args, fault)?.0)
    }

    /// The same, with the pid of what was run.
    fn run_as(&self, args: &[&str], fault: Option<&Fault>) -> Result<(Said, u32), Objection> {
        let mut command = self.host.command(args);
        if let Some(fault) = fault {
            let mut traced = Command::new("strace");
            traced
                .args(["-e", &fault.traced(), "-o"])
                .arg(self.new_trace());
            traced.args(["-e", &fault.injection()]);
            traced.arg(command.get_program()).args(command.get_args());
            traced.env("DOMSTATE_DIR", self.host.state_dir());
            traced.stdin(Stdio::null());
            command = traced;
        }
        let command = self.timed(let_go(command, args));
        let begun = Instant::now();
        let child = spawn(command);
        let pid = child.id();
        let said = finish_child(child);
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
        self.is_in_bound(args, took)?;
        Ok((said, pid))
    }

    fn is_in_bound(&self, args: &[&str], took: Duration) -> Result<(), Objection> {
        let looks = [
            "--reason", "list", "history", "explain", "dominfo", "--format", "wait",
        ];
        let bound = if looks.contains(&args[0]) {
            LOOK_BOUND
        } else {
            ACT_BOUND
        };
        if took > bound {
            return Err(Objection::Late(format!("{args:?} took {took:?}")));
        }
        Ok(())
    }

    /// As it is run: at a clock that is stepped as it begins, where that is the story's theme.
    fn timed(&self, command: Command) -> Command {
        match &self.clock {
            Some(clock) => clock.stepped(command),
            None => command,
        }
    }

    /// Runs a command with something that fails in it and in all that it starts: in QEMU as well, since strace follows
    /// everybody and counts each process's calls for itself.
    pub(super) fn run_following(&self, args: &[&str], fault: &Fault) -> Result<(), Objection> {
        let command = self.host.command(args);
        let mut traced = Command::new("strace");
        let trace = self.new_trace();
        traced.args(["-f", "-e", &fault.traced(), "-e", &fault.injection(), "-o"]);
        traced.arg(&trace);
        traced.arg(command.get_program()).args(command.get_args());
        traced.env("DOMSTATE_DIR", self.host.state_dir());
        let mut traced = self.timed(traced);
        traced.stdin(Stdio::null()).stderr(Stdio::null());
        let said = self.host.folder().join("said");
        traced.stdout(fs::File::create(&said).unwrap());
        let mut strace = traced.spawn().unwrap();
        // strace stays as long as anything of it does, so it is the command itself that is waited for.
        let begun = Instant::now();
        while strace.try_wait().unwrap().is_none() && !has_first_ended(&trace) {
            if begun.elapsed() > ACT_BOUND {
                return Err(Objection::Late(format!(
                    "{args:?} took more than {ACT_BOUND:?}"
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = fs::read_to_string(said).unwrap_or_default();
        let short: Vec<&str> = args.iter().copied().take(3).collect();
        self.note(&format!("{} ({fault}): {said:?}", short.join(" ")));
        self.answers
            .lock()
            .unwrap()
            .extend(Answer::all(&short, &said));
        self.children.lock().unwrap().push(strace);
        Ok(())
    }
}

/// A `run` whose QEMU does not hold on to where we read: it may outlive who ran it.
fn let_go(command: Command, args: &[&str]) -> Command {
    if args[0] != "run" {
        return command;
    }
    let mut sh = Command::new("sh");
    sh.args(["-c", "exec \"$0\" \"$@\" >/dev/null 2>&1"]);
    wrapped(sh, &command)
}

/// Whether the first process in strace's output has come to its end.
fn has_first_ended(trace: &Path) -> bool {
    let text = fs::read_to_string(trace).unwrap_or_default();
    let pid = text.split_whitespace().next().unwrap_or_default();
    let mut lines = text.lines().map(str::split_whitespace);
    !pid.is_empty()
        && lines.any(|mut words| words.next() == Some(pid) && words.next() == Some("+++"))
}
