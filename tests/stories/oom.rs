//! A QEMU that the kernel kills for want of memory, in a control group that is made for it, and others that only look so.

/// The counters of a control group, where the kernel's log cannot be read.
mod counted;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use serde_json::json;

use super::harness::{Guest, Host, Monitor, finish, is_root, not_run, s, send, until, with_argv};

/// Enough for domstate and a guest of 16 MiB, too little for what they are asked to hold then.
const LIMIT_BYTES: u64 = 160 << 20;

/// More than that.
const TOO_MUCH: &str = "512M";

/// A control group with a limit to its memory, of either version.
struct Group {
    path: PathBuf,
    counter: &'static str,
}

impl Group {
    /// `None` where none can be made, or where the kernel's log cannot be read: then the test is named as not run. What
    /// follows from such a line is tried on the fold anyway.
    fn new(test: &str) -> Option<Self> {
        if !is_root(test) {
            return None;
        }
        let made = Self::made();
        if made.is_none() {
            not_run(&format!(
                "needs a control group and the kernel's log: {test}"
            ));
        }
        made
    }

    fn made() -> Option<Self> {
        fs::File::open("/dev/kmsg").ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        if namespace != Path::new("pid:[4026531836]") {
            return None;
        }
        // Two tests have one at the same time.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("domstate-oom-{}-{number}", std::process::id());
        for (root, limit, counter) in [
            (
                "/sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.oom_control",
            ),
            ("/sys/fs/cgroup", "memory.max", "memory.events"),
        ] {
            let path = Path::new(root).join(&name);
            // One of a test run that was killed may have been of this name.
            let _ = fs::remove_dir(&path);
            if fs::create_dir(&path).is_err() {
                continue;
            }
            let group = Self { path, counter };
            let limited = fs::write(group.path.join(limit), LIMIT_BYTES.to_string());
            // Swap would have it wait for hours.
            for swap in ["memory.memsw.limit_in_bytes", "memory.swap.max"] {
                let _ = fs::write(group.path.join(swap), LIMIT_BYTES.to_string());
            }
            if limited.is_ok() {
                return Some(group);
            }
        }
        None
    }

    /// A command that is in the group from its first instruction on.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\"/cgroup.procs && exec \"$@\""]);
        command.arg(&self.path).args(words);
        command.stdin(Stdio::null());
        command
    }

    fn start(&self, host: &Host, qemu_args: &[&str]) -> Guest {
        let line = host.line("v");
        let argv = host.argv("v", qemu_args);
        let words = [env!("CARGO_BIN_EXE_domstate"), "start", "v"];
        let mut command = self.command(&with_argv(&words, &argv));
        command.env("DOMSTATE_DIR", host.state_dir());
        let said = finish(command);
        assert_eq!(said.stdout, "Domain 'v' started\n", "{said:?}");
        Guest::connected(&line)
    }

    /// How many processes of it the kernel has killed.
    fn kills(&self) -> u64 {
        let text = fs::read_to_string(self.path.join(self.counter)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.unwrap().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for pid in fs::read_to_string(self.path.join("cgroup.procs"))
            .unwrap_or_default()
            .lines()
        {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid.parse().unwrap()),
                Signal::SIGKILL,
            );
        }
        until("an empty group", || {
            fs::remove_dir(&self.path).is_ok() || !self.path.exists()
        });
    }
}

/// Has QEMU hold more memory than it may. Without the asker it would not even try.
fn have_too_much(host: &Host) -> Monitor {
    let mut monitor = host.third_party("v");
    let arguments =
        json!({"qom-type": "memory-backend-ram", "id": "m", "size": 512 << 20, "prealloc": true});
    monitor.tell("object-add", &arguments);
    monitor
}

#[test]
fn a_guest_that_the_kernel_killed_for_want_of_memory_says_so_and_one_that_was_only_killed_does_not()
{
    let test = "a_guest_that_the_kernel_killed_for_want_of_memory_says_so_and_one_that_was_only_killed_does_not";
    let Some(group) = Group::new(test) else {
        return;
    };
    let monitor = |host: &Host| ["-qmp".to_owned(), host.third_party_socket("v")];
    for is_adopted in [false, true] {
        let host = Host::new();
        let third_party = monitor(&host);
        let third_party: Vec<&str> = third_party.iter().map(String::as_str).collect();
        let _guest = group.start(&host, &third_party);
        let qemu = host.qemu_pid("v");
        if is_adopted {
            host.kill_supervisor("v");
            host.ok(&["--reason", "v"]);
            until("a new supervisor", || host.noted_supervisor("v").is_some());
        }
        let kills = group.kills();
        let _asker = have_too_much(&host);
        assert_eq!(host.wait("v"), "shut off (crashed)");
        let json = host.json("v");
        let cause = &json["cause"];
        assert_eq!(
            (s(&cause["kind"]), s(&cause["scope"])),
            ("oom-kill", "cgroup"),
            "{json}"
        );
        let named = format!("Memory cgroup out of memory: Killed process {qemu} (");
        assert!(s(&cause["evidence"]).starts_with(&named), "{json}");
        assert_eq!(json["certainty"], "witnessed");
        assert_eq!(group.kills(), kills + 1);
        let explained = host.ok(&["explain", "v"]);
        let line = "Cause:     oom-kill: SIGKILL from the kernel, the memory of its control group was used up: ";
        assert!(explained.contains(line), "{explained}");
        assert!(
            explained.contains(&format!("signal 9; kernel: {named}")),
            "{explained}"
        );
    }
    // The kernel kills somebody else in the group, and a user kills QEMU.
    let host = Host::new();
    let _guest = group.start(&host, &[]);
    let kills = group.kills();
    let hog = "import sys; b = b'x' * int(sys.argv[1])";
    let mut hog = group.command(&[
        "sh",
        "-c",
        "echo 1000 > /proc/$$/oom_score_adj; exec python3 -c \"$0\" \"$1\"",
        hog,
        "536870912",
    ]);
    let hog = hog.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(!hog.unwrap().success());
    assert_eq!(group.kills(), kills + 1);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    let cause = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
    host.assert_ends("v", "shut off (crashed)", &cause);
    // One that is killed before it is ready has failed, and tells why.
    let memory = format!("memory-backend-ram,id=m,size={TOO_MUCH},prealloc=on");
    let host = Host::new();
    let _line = host.line("v");
    let argv = host.argv("v", &["-object", &memory]);
    let mut command = group.command(&with_argv(
        &[env!("CARGO_BIN_EXE_domstate"), "start", "v"],
        &argv,
    ));
    command.env("DOMSTATE_DIR", host.state_dir());
    let said = finish(command);
    assert_eq!(said.code, Some(1), "{said:?}");
    let json = host.json("v");
    assert_eq!(json["reason"], "failed", "{json}");
    assert_eq!(json["cause"]["signal"], "SIGKILL", "{json}");
}
