//! A story whose every operation on files is written down, and what was told of it when.
//!
//! One strace sees everybody: a shell runs the commands, and all that they leave behind is the shell's child. The shell
//! lives in another boot than the test: so the test finds what it recorded as the next boot would. (A file with another
//! boot's name lies over the kernel's, in a mount namespace of the shell's own.)

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::harness::{Host, until, with_argv};
use super::disk::Disk;
use super::operations::Operations;
use super::recorded::{OutOfOrder, Phase, Recorded, compare};
use super::trace;
use super::world::World;

/// The folders of a host that a power cut is to be survived by.
const KEPT: &[&str] = &["state", "files"];

const BOOT: &str = "11111111-2222-4333-8444-555555555555";

/// A story under way.
pub(super) struct Recording {
    pub(super) host: Host,
    strace: Child,
    start: Disk,
    steps: Vec<Step>,
    number: Cell<usize>,
}

/// Something that happens.
struct Step {
    number: usize,
    /// What is true before it is told, and last what is told.
    worlds: Vec<World>,
    told: Told,
}

/// Whether anybody is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Whoever reads the output of the command of this number.
    By(usize),
    Nobody,
}

/// A command that goes on.
#[derive(Clone, Copy)]
pub(super) struct Background(usize);

/// Whether this process may give a child a boot of its own.
pub(super) fn may_record(test: &str) -> bool {
    super::super::harness::is_root(test)
}

impl Recording {
    /// Begins to write down what happens to `host`.
    pub(super) fn begin(host: Host) -> Self {
        for folder in ["files", "story"] {
            fs::create_dir_all(host.folder().join(folder)).unwrap();
        }
        let own = host.folder().join("story");
        let boot = own.join("boot_id");
        fs::write(&boot, format!("{BOOT}\n")).unwrap();
        let start = Disk::read(host.folder(), &|name| KEPT.contains(&name));
        let script = format!(
            "mount --bind {} /proc/sys/kernel/random/boot_id && exec sh",
            boot.display()
        );
        let strace = Command::new("strace")
            .args(trace::options())
            .arg("-o")
            .arg(own.join("trace"))
            .args(["unshare", "-m", "sh", "-c", &script])
            .env("DOMSTATE_DIR", host.state_dir())
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            host,
            strace,
            start,
            steps: Vec::new(),
            number: Cell::new(0),
        }
    }

    /// Runs a command that must succeed. `worlds`: what may be true until it has said so, and last what is true then.
    pub(super) fn runs(&mut self, args: &[&str], worlds: &[World]) -> String {
        self.runs_while(args, worlds, || {})
    }

    /// The same for a command on a definition with a command line of QEMU's.
    pub(super) fn runs_argv(&mut self, words: &[&str], argv: &[String], worlds: &[World]) {
        self.runs(&with_argv(words, argv), worlds);
    }

    /// The same, with something else that happens before the command says anything.
    pub(super) fn runs_while(
        &mut self,
        args: &[&str],
        worlds: &[World],
        happens: impl FnOnce(),
    ) -> String {
        let number = self.next_number();
        self.step(number, worlds, Told::By(number));
        self.command(args, number, happens)
    }

    /// What the last command said makes this sure.
    pub(super) fn so_it_is(&mut self, world: World) {
        self.steps.last_mut().unwrap().worlds.push(world);
    }

    /// Begins a command that goes on. `worlds`: what may be true from then on.
    pub(super) fn begins(&mut self, args: &[&str], worlds: &[World]) -> Background {
        let number = self.next_number();
        self.step(number, worlds, Told::Nobody);
        self.tell_shell(&format!("{{ {}; }} &", self.line(args, number)));
        Background(number)
    }

    /// Something happens for which that command ends, with this status. `worlds` as in [`Self::runs`].
    pub(super) fn ends(
        &mut self,
        command: Background,
        code: &str,
        worlds: &[World],
        happens: impl FnOnce(),
    ) -> String {
        let number = self.next_number();
        self.step(number, worlds, Told::By(command.0));
        happens();
        self.said(command.0, code)
    }

    /// Runs a command that changes nothing and whose answer is not to be relied on after a power cut.
    pub(super) fn asks(&self, args: &[&str]) -> String {
        self.command(args, self.next_number(), || {})
    }

    /// The pid of the QEMU of `v` (`id`), or of its `supervisor`.
    pub(super) fn pid_of(&self, who: &str) -> i32 {
        let mut pid = None;
        until(who, || {
            let said = self.asks(&["--format", "json", "v"]);
            let json: serde_json::Value = serde_json::from_str(&said).unwrap();
            pid = json[who].as_i64();
            pid.is_some()
        });
        i32::try_from(pid.unwrap()).unwrap()
    }

    fn command(&self, args: &[&str], number: usize, happens: impl FnOnce()) -> String {
        self.tell_shell(&self.line(args, number));
        happens();
        self.said(number, "0")
    }

    /// What has a shell run a command and leave what it says.
    fn line(&self, args: &[&str], number: usize) -> String {
        let words = [&[env!("CARGO_BIN_EXE_domstate")], args].concat();
        format!(
            "{} >{} 2>{}; echo $? done >{}",
            shlex::try_join(words).unwrap(),
            self.path("said", number).display(),
            self.path("complaint", number).display(),
            self.path("code", number).display()
        )
    }

    /// What a command says that ends with this status.
    fn said(&self, number: usize, code: &str) -> String {
        let read = |name| fs::read_to_string(self.path(name, number)).unwrap_or_default();
        until(&format!("command {number}"), || {
            read("code").ends_with("done\n")
        });
        let (said, complaint) = (read("said"), read("complaint"));
        assert_eq!(read("code"), format!("{code} done\n"), "{said}{complaint}");
        said
    }

    /// Something happens that nobody is told of. `worlds`: what may be true from then on.
    pub(super) fn happens(&mut self, worlds: &[World], happens: impl FnOnce(&Self)) {
        self.step(self.next_number(), worlds, Told::Nobody);
        happens(self);
    }

    fn next_number(&self) -> usize {
        let number = self.number.get() + 1;
        self.number.set(number);
        number
    }

    fn step(&mut self, number: usize, worlds: &[World], told: Told) {
        self.steps.push(Step {
            number,
            worlds: worlds.to_vec(),
            told,
        });
        let mark = self.path("mark", number);
        self.tell_shell(&format!(": >{}", mark.display()));
        until("a mark in the trace", || mark.exists());
    }

    /// Has the shell do what is on this line, sooner or later.
    pub(super) fn tell_shell(&self, line: &str) {
        let mut shell = self.strace.stdin.as_ref().unwrap();
        shell.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn path(&self, what: &str, number: usize) -> PathBuf {
        self.host.folder().join(format!("story/{what}.{number}"))
    }

    /// Ends the story once nobody of it is left.
    pub(super) fn end(mut self) -> Result<Recorded, OutOfOrder> {
        drop(self.strace.stdin.take());
        until("the end of everybody", || {
            self.strace.try_wait().unwrap().is_some()
        });
        let text = fs::read(self.host.folder().join("story/trace")).unwrap();
        let calls = trace::calls(&text);
        let opened = |path: &Path| {
            let is_it = |call: &&trace::Call| call.opened().as_deref() == Some(path);
            calls.iter().find(is_it).map(|call| call.begin).unwrap()
        };
        // Who says nothing tells by the exit status.
        let says = |command: usize| {
            let told = ["said", "code"].map(|what| Some(self.path(what, command)));
            let is_it =
                |call: &&trace::Call| call.name == "write" && told.contains(&call.descriptor(0));
            calls.iter().find(is_it).map(|call| call.begin).unwrap()
        };
        let phases = self.steps.iter().map(|step| {
            let told = match step.told {
                Told::Nobody => None,
                Told::By(command) => Some(says(command)),
            };
            Phase {
                begin: opened(&self.path("mark", step.number)),
                told,
                worlds: step.worlds.clone(),
            }
        });
        let phases = phases.collect();
        let operations = Operations::of(&calls, self.start.clone(), self.host.folder(), KEPT);
        let there = Disk::read(self.host.folder(), &|name| KEPT.contains(&name));
        compare(&operations.last(), &there)?;
        Ok(Recorded {
            first: World::default(),
            trace: self.host.folder().join("story/trace"),
            end: text.iter().filter(|byte| **byte == b'\n').count(),
            host: self.host,
            operations,
            phases,
        })
    }
}
