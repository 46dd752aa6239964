//! A verb that is killed before any of its system calls leaves an answer that is true, and the next verb works.
//!
//! strace kills it there. By default before each call that anybody else could see the effect of, from its first word in
//! the journal on; with `DOMSTATE_EVERY_SYSCALL=1` before each call at all, but for those of a copying loop that are like the
//! one before.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::harness::{Guest, Host, Said, finish, is_alive, processes_with, send, until, with_argv};

/// Calls that change something which others see.
const EFFECTS: &[&str] = &[
    "write",
    "pwrite64",
    "sendmsg",
    "sendto",
    "connect",
    "close",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "symlink",
    "fallocate",
    "ftruncate",
    "pipe2",
    "clone",
    "clone3",
    "vfork",
    "execve",
    "exit_group",
    "openat",
    "fcntl",
];

/// A system call of a verb: its name, and which of that name it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) number: usize,
    line: String,
}

/// A guest that is saved and restored over and over: its serial line is taken anew each time.
struct Stage {
    host: Host,
    line: UnixListener,
    file: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let host = Host::new();
        let file = host.folder().join("file");
        let line = host.line("v");
        Self { host, line, file }
    }

    fn start(&self) -> Guest {
        self.start_with(&[])
    }

    fn start_with(&self, qemu_args: &[&str]) -> Guest {
        let argv = self.host.argv("v", qemu_args);
        let args = with_argv(&["start", "v"], &argv);
        self.host.ok(&args);
        Guest::connected(&self.line)
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Whether an unfinished image or dump is there.
    fn has_part(&self) -> bool {
        let mut entries = fs::read_dir(self.host.folder()).unwrap().flatten();
        entries.any(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().ends_with(".domstate-part")
        })
    }

    /// The system calls that a verb makes when nobody kills it.
    fn calls(&self, args: &[&str]) -> Vec<Call> {
        let trace = self.host.folder().join("trace");
        let mut command = self.strace(&["-y", "-s", "300", "-o", trace.to_str().unwrap()]);
        command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
        let said = finish(command);
        assert_eq!(said.code, Some(0), "{said:?}");
        calls(&fs::read_to_string(trace).unwrap())
    }

    /// Runs a verb that is killed before `call`.
    fn kill_before(&self, call: &Call, args: &[&str]) -> Said {
        let inject = format!("inject={}:signal=SIGKILL:when={}", call.name, call.number);
        let mut command = self.strace(&["-o", "/dev/null", "-e", &inject]);
        command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
        finish(command)
    }

    /// Runs a verb that is killed before `call`, then the next one; what that says, and words for both.
    fn next_after_kill(
        &self,
        call: &Call,
        args: &[&str],
        odd: usize,
        next: &[&str],
    ) -> (Said, String) {
        self.kill_before(call, args);
        self.leave_alone(odd);
        let next = self.host.domstate(next);
        let journal = self.host.journal("v");
        let told = format!("killed before {call:?}: {next:?}\n{journal}");
        (next, told)
    }

    fn strace(&self, options: &[&str]) -> Command {
        let mut command = Command::new("strace");
        command.args(options);
        command.env("DOMSTATE_DIR", self.host.state_dir());
        command.stdin(Stdio::null());
        command
    }

    /// Kills the supervisor too, if `odd`: then the next verb has to see to everything.
    fn leave_alone(&self, odd: usize) {
        if odd % 2 == 1
            && let Some(pid) = self.host.noted_supervisor("v")
        {
            send(pid, Signal::SIGKILL);
            // Until it has died it holds its locks, and may be taken for one who starts it.
            until("its death", || !is_alive(pid));
        }
    }

    /// Nothing of ours is left under way: no servant, no feeder.
    fn is_quiet(&self) {
        let folder = self.host.folder().to_str().unwrap().to_owned();
        until("servants", || {
            let left = processes_with(&folder).into_iter().any(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                line.contains("domstate-supervisor\0serve") || line.contains("supervisor\0feed")
            });
            !left
        });
    }
}

/// Reads strace's output, `-y`: the calls to be killed before.
pub(super) fn calls(text: &str) -> Vec<Call> {
    let everything = std::env::var_os("DOMSTATE_EVERY_SYSCALL").is_some();
    let mut numbers = std::collections::HashMap::new();
    let mut calls: Vec<Call> = Vec::new();
    let mut begun = everything;
    for line in text.lines() {
        let Some((name, _)) = line.split_once('(') else {
            continue;
        };
        let number = numbers.entry(name.to_owned()).or_insert(0);
        *number += 1;
        // The announcement of a job, or the folder of a new run.
        begun |= line.contains("DOMSTATE_ASKED") || line.contains("/runs/.new-");
        if !begun || !(everything || has_effect(name, line)) {
            continue;
        }
        let call = Call {
            name: name.to_owned(),
            number: *number,
            line: line.to_owned(),
        };
        // Of the many that fill a file the first two and the last of a kind are three different moments.
        let alike = |other: &Call| other.name == call.name && fills(&other.line);
        if fills(line) && calls.iter().filter(|call| alike(call)).count() > 2 {
            let last = calls.iter().rposition(alike).unwrap();
            calls.remove(last);
        }
        calls.push(call);
    }
    calls
}

/// Whether the call belongs to the copying from QEMU's pipe into a file.
fn fills(line: &str) -> bool {
    let writes = line.starts_with("write(") && line.contains(".domstate-part>");
    let reads = line.starts_with("read(") && line.contains("<pipe:");
    let waits = line.starts_with("poll(") && line.contains("<pipe:");
    writes || reads || waits
}

/// Whether anybody else can see that the call was made.
fn has_effect(name: &str, line: &str) -> bool {
    let shared = [".sock", "pipe:", "socket:", "part>", "journal>", "lock>"];
    match name {
        "openat" => line.contains("O_CREAT"),
        "fcntl" => line.contains("SETLK"),
        "close" => shared.iter().any(|what| line.contains(what)),
        _ => EFFECTS.contains(&name),
    }
}

fn has_whole_core(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes)
}

#[test]
fn a_save_that_is_killed_is_finished_or_undone_by_the_next_verb_never_both() {
    let stage = Stage::new();
    let mut guest = stage.start();
    let save = ["save", "v", stage.file()];
    let all = stage.calls(&save);
    assert!(all.len() > 20, "{all:?}");
    let (mut finished, mut undone) = (0, 0);
    let mut is_saved = true;
    for (odd, call) in all.iter().enumerate() {
        if is_saved {
            stage.host.ok(&["restore", stage.file()]);
            guest = Guest::taken(&stage.line);
            fs::remove_file(&stage.file).unwrap();
        }
        let (next, told) = stage.next_after_kill(call, &save, odd, &["suspend", "v"]);
        is_saved = next.code == Some(1);
        if is_saved {
            assert!(next.stderr.contains("domain is not running"), "{told}");
            assert_eq!(stage.host.answer("v"), "shut off (saved)", "{told}");
            assert!(stage.file.exists() && !stage.has_part(), "{told}");
            finished += 1;
        } else {
            assert_eq!(next.code, Some(0), "{told}");
            assert_eq!(stage.host.answer("v"), "paused (user)", "{told}");
            assert!(!stage.file.exists() && !stage.has_part(), "{told}");
            assert_eq!(stage.host.ok(&["resume", "v"]), "Domain 'v' resumed\n");
            guest.answers();
            undone += 1;
        }
        stage.is_quiet();
    }
    assert!(
        finished > 0 && undone > 0,
        "{finished} finished, {undone} undone"
    );
}

#[test]
fn a_restore_that_is_killed_has_happened_or_not_and_the_next_one_works() {
    let stage = Stage::new();
    let _guest = stage.start();
    let save = ["save", "v", stage.file()];
    let restore = ["restore", stage.file()];
    stage.host.ok(&save);
    let all = stage.calls(&restore);
    let mut guest = Guest::taken(&stage.line);
    assert!(all.len() > 20, "{all:?}");
    for (odd, call) in all.iter().enumerate() {
        guest.answers();
        stage.host.ok(&save);
        let (next, told) = stage.next_after_kill(call, &restore, odd, &restore);
        if next.code != Some(0) {
            assert!(next.stderr.contains("is already active"), "{told}");
        }
        let restored = "running (restored)";
        let wait = ["wait", "v", "--for", restored, "--timeout", "30"];
        let arrived = stage.host.domstate(&wait);
        assert_eq!(arrived.stdout.trim_end(), restored, "{told}");
        // Of the QEMUs that came and went the last is the guest's.
        guest = newest_guest(&stage.line);
        guest.answers();
        assert!(stage.file.exists(), "{told}");
        stage.is_quiet();
    }
}

/// The guest on the newest of the connections that wait.
pub(super) fn newest_guest(line: &UnixListener) -> Guest {
    let mut newest = Guest::taken(line);
    while let Some(newer) = Guest::waiting(line) {
        newest = newer;
    }
    newest
}

fn kill_dumps(args: &[&str], ends_as: Option<&str>) {
    let stage = Stage::new();
    let mut guest = stage.start();
    let mut dump = vec!["dump", "v", stage.file()];
    dump.extend(args);
    let all = stage.calls(&dump);
    let whole = fs::metadata(&stage.file).unwrap().len();
    assert!(all.len() > 20, "{all:?}");
    let mut finished = 0;
    for (odd, call) in all.iter().enumerate() {
        let _ = fs::remove_file(&stage.file);
        if stage.host.answer("v").starts_with("shut off") {
            guest = stage.start();
        }
        let (next, told) = stage.next_after_kill(call, &dump, odd, &["suspend", "v"]);
        assert!(!stage.has_part(), "{told}");
        if next.code == Some(0) {
            assert_eq!(stage.host.answer("v"), "paused (user)", "{told}");
            if args.contains(&"--reset") {
                // It may be on its way through its BIOS, where letters are lost: it boots once more, and only once.
                guest.forget();
                stage.host.ok(&["reset", "v"]);
            }
            assert_eq!(stage.host.ok(&["resume", "v"]), "Domain 'v' resumed\n");
            if args.contains(&"--reset") {
                guest.hears("READY");
            }
            guest.answers();
            assert!(ends_as.is_none() || !stage.file.exists(), "{told}");
        } else {
            assert_eq!(Some(stage.host.answer("v").as_str()), ends_as, "{told}");
        }
        if stage.file.exists() {
            assert!(has_whole_core(&stage.file, whole), "{told}");
            finished += 1;
        }
        stage.is_quiet();
    }
    assert!(finished > 0 && finished < all.len(), "{finished} finished");
}

#[test]
fn a_dump_of_memory_that_is_killed_leaves_a_whole_file_or_none_and_the_guest_goes_on() {
    kill_dumps(&["--memory-only"], None);
}

#[test]
fn a_dump_that_crashes_the_guest_and_is_killed_has_ended_it_with_its_file_or_neither() {
    kill_dumps(&["--memory-only", "--crash"], Some("shut off (crashed)"));
}

#[test]
fn a_dump_with_a_reset_that_is_killed_leaves_a_whole_file_or_none_and_the_guest_goes_on() {
    kill_dumps(&["--memory-only", "--reset"], None);
}

/// Who finds the dead verb says that it failed: that does not make the reset a stranger's.
#[test]
fn a_reset_that_is_killed_and_ended_its_guest_is_not_laid_to_a_stranger() {
    let stage = Stage::new();
    let start = || stage.start_with(&["-no-reboot"]);
    let _guest = start();
    let dump = ["dump", "v", stage.file(), "--memory-only", "--reset"];
    let all = stage.calls(&dump);
    let is_last = |call: &Call| call.line.contains("system_reset");
    let reset = all.iter().position(is_last).unwrap();
    let _ = stage.host.domstate(&["destroy", "v"]);
    let mut ended = 0;
    for (odd, call) in all.iter().enumerate().skip(reset) {
        let _ = fs::remove_file(&stage.file);
        let _guest = start();
        stage.kill_before(call, &dump);
        stage.leave_alone(odd);
        let told = stage.host.domstate(&["suspend", "v"]);
        // On a busy host it may be suspended in the moment in which QEMU comes to its reset.
        let goes_on = told.code == Some(0);
        let lives = goes_on && stage.host.domstate(&["destroy", "v"]).code == Some(0);
        if !lives {
            // QEMU 11 takes its time to go.
            stage.host.wait("v");
            let told = format!("{call:?}: {told:?}\n{}", stage.host.journal("v"));
            let json = stage.host.json("v");
            assert_ne!(json["cause"]["kind"], "qmp-quit", "{told}");
            // Nobody has seen its status, or it was suspended first: then less is known. One that still stood for the dump was
            // not suspended by anybody.
            let was_asked = json["cause"]["kind"] == "asked";
            if goes_on && !was_asked || json["cause"]["kind"] == "status-lost" {
                assert_ne!(json["reason"], "shutdown", "{told}");
            } else {
                assert_eq!(json["cause"]["kind"], "asked", "{told}");
                assert_eq!(json["cause"]["verb"], "dump --reset", "{told}");
                let is_sure = json["certainty"] == "witnessed";
                let reason = if is_sure { "shutdown" } else { "destroyed" };
                assert_eq!(json["reason"], reason, "{told}");
                ended += 1;
            }
        }
        stage.is_quiet();
    }
    assert!(ended > 0);
}

#[test]
fn a_migration_that_is_killed_leaves_exactly_one_guest_that_runs() {
    let stage = Stage::new();
    let mut guest = stage.start();
    let way = format!("unix:{}", stage.host.folder().join("way").display());
    let migrate = ["migrate", "v", &way];
    let arrive = || stage.host.start_still("d", &["--incoming", &way], &[]);
    let _arrived = arrive();
    let all = stage.calls(&migrate);
    assert!(all.len() > 20, "{all:?}");
    stage.host.ok(&["destroy", "d"]);
    let (mut gone, mut stayed) = (0, 0);
    for (odd, call) in all.iter().enumerate() {
        if stage.host.answer("v").starts_with("shut off") {
            guest = stage.start();
        }
        let mut arriving = arrive();
        let (next, told) = stage.next_after_kill(call, &migrate, odd, &["suspend", "v"]);
        if next.code == Some(0) {
            assert_eq!(stage.host.answer("v"), "paused (user)", "{told}");
            stage.host.ok(&["resume", "v"]);
            guest.answers();
            let there = stage.host.answer("d");
            let came = there.starts_with("running");
            assert!(!came, "{there}: {told}");
            stayed += 1;
        } else {
            assert_eq!(stage.host.answer("v"), "shut off (migrated)", "{told}");
            stage.host.wait_for("d", "running (migrated)");
            arriving.answers();
            gone += 1;
        }
        stage.is_quiet();
        let _ = stage.host.domstate(&["destroy", "d"]);
    }
    assert!(gone > 0 && stayed > 0, "{gone} gone, {stayed} stayed");
}
