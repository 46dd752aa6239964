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
use super::trace::{self, Moment};
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
    Somebody,
    Nobody,
}

/// A step with its place in the trace.
pub(super) struct Phase {
    pub(super) begin: Moment,
    pub(super) told: Option<Moment>,
    pub(super) worlds: Vec<World>,
}

/// A story that is over.
pub(super) struct Recorded {
    pub(super) host: Host,
    pub(super) operations: Operations,
    pub(super) phases: Vec<Phase>,
    /// What is true before anything happens.
    pub(super) first: Option<World>,
    pub(super) trace: PathBuf,
    /// The last line of the trace.
    pub(super) end: Moment,
}

/// Whether this process may give a child a boot of its own.
pub(super) fn may_record(test: &str) -> bool {
    super::super::harness::is_root(test)
}

impl Recorded {
    /// From the moment on at which the domain's run has this in its journal, on the disk or not, `world` is true: what
    /// happened then to somebody else's disks is not taken back.
    pub(super) fn is_so_from(&mut self, run: &Path, text: &str, world: World) {
        let journal = Path::new("state/v/runs").join(run).join("journal");
        let moment = self.operations.written(&journal, text).unwrap();
        let phase = Phase {
            begin: moment,
            told: Some(moment),
            worlds: vec![world],
        };
        let later = self.phases.iter().position(|phase| phase.begin > moment);
        self.phases
            .insert(later.unwrap_or(self.phases.len()), phase);
    }
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
        let number = self.step(worlds, Told::Somebody);
        self.command(args, number, happens)
    }

    /// Runs a command that changes nothing and whose answer is not to be relied on after a power cut.
    pub(super) fn asks(&self, args: &[&str]) -> String {
        let number = self.number.get() + 1;
        self.number.set(number);
        self.command(args, number, || {})
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
        let words = [&[env!("CARGO_BIN_EXE_domstate")], args].concat();
        let line = shlex::try_join(words).unwrap();
        self.tell_shell(&format!(
            "{} >{} 2>{}; echo $? done >{}",
            line,
            self.path("said", number).display(),
            self.path("complaint", number).display(),
            self.path("code", number).display()
        ));
        happens();
        let read = |name| fs::read_to_string(self.path(name, number)).unwrap_or_default();
        until(&format!("{args:?}"), || read("code").ends_with("done\n"));
        assert_eq!(read("code"), "0 done\n", "{args:?}: {}", read("complaint"));
        read("said")
    }

    /// Something happens that nobody is told of. `worlds`: what may be true from then on.
    pub(super) fn happens(&mut self, worlds: &[World], happens: impl FnOnce(&Self)) {
        self.step(worlds, Told::Nobody);
        happens(self);
    }

    fn step(&mut self, worlds: &[World], told: Told) -> usize {
        let number = self.number.get() + 1;
        self.number.set(number);
        self.steps.push(Step {
            number,
            worlds: worlds.to_vec(),
            told,
        });
        let mark = self.path("mark", number);
        self.tell_shell(&format!(": >{}", mark.display()));
        until("a mark in the trace", || mark.exists());
        number
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
    pub(super) fn end(mut self) -> Recorded {
        drop(self.strace.stdin.take());
        until("the end of everybody", || {
            self.strace.try_wait().unwrap().is_some()
        });
        let text = fs::read(self.host.folder().join("story/trace")).unwrap();
        let calls = trace::calls(&text);
        let opened = |path: &Path, from: Moment| {
            let is_it =
                |call: &&trace::Call| call.begin >= from && call.opened().as_deref() == Some(path);
            calls.iter().find(is_it).map(|call| call.begin)
        };
        let phases = self.steps.iter().map(|step| {
            let begin = opened(&self.path("mark", step.number), 0).unwrap();
            let said = self.path("said", step.number);
            let says = |call: &&trace::Call| {
                call.name == "write" && call.descriptor(0).as_ref() == Some(&said)
            };
            let told = calls.iter().find(says).map(|call| call.begin);
            Phase {
                begin,
                told: match step.told {
                    Told::Nobody => None,
                    Told::Somebody => Some(told.unwrap_or_else(|| panic!("{said:?} is empty"))),
                },
                worlds: step.worlds.clone(),
            }
        });
        let phases = phases.collect();
        let operations = Operations::of(&calls, self.start.clone(), self.host.folder(), KEPT);
        let there = Disk::read(self.host.folder(), &|name| KEPT.contains(&name));
        assert_same(&operations.last(), &there);
        Recorded {
            first: Some(World::default()),
            trace: self.host.folder().join("story/trace"),
            end: text.iter().filter(|byte| **byte == b'\n').count(),
            host: self.host,
            operations,
            phases,
        }
    }
}

/// What the operations add up to is what is really there: none was overlooked.
fn assert_same(added_up: &Disk, there: &Disk) {
    let (added_up, there) = (added_up.tree(), there.tree());
    let names = |tree: &super::disk::Tree| -> Vec<PathBuf> { tree.keys().cloned().collect() };
    assert_eq!(names(&added_up), names(&there));
    for (path, found) in &there {
        assert!(
            added_up.get(path) == Some(found),
            "{path:?} is not what was written to it"
        );
    }
}
