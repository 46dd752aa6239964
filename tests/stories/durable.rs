//! What is told is on the disk first: the order of the system calls, as strace saw them.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use super::harness::{Guest, Host, finish, is_alive, processes_with, send, until};

const CALLS: &str = "trace=execve,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,waitid,wait4,\
                     exit_group";

/// The system calls of some processes, in order; one that was interrupted by another's stands where it ended.
#[derive(Debug)]
struct Trace(Vec<String>);

impl Trace {
    /// strace's output, `-f -y`: descriptors with their paths.
    fn read(text: &str) -> Self {
        let mut begun = std::collections::HashMap::new();
        let mut calls = Vec::new();
        for line in text.lines() {
            let (pid, call) = line.split_once(' ').unwrap();
            let call = call.trim_start();
            let call = call.split_once(' ').unwrap().1;
            if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
                begun.insert(pid, begin.to_owned());
            } else if let Some((_, rest)) = call.split_once(" resumed>") {
                let begin = begun.remove(pid).unwrap_or_default();
                calls.push(format!("{pid} {begin}{rest}"));
            } else {
                calls.push(format!("{pid} {call}"));
            }
        }
        Self(calls)
    }

    /// Where, from `start` on, a call has all of `parts` in it and was successful.
    fn find(&self, start: usize, parts: &[&str]) -> Option<usize> {
        let fits = |call: &String| {
            parts.iter().all(|part| call.contains(part)) && !call.contains(" = -1 ")
        };
        let rest = self.0.get(start..)?;
        rest.iter().position(fits).map(|at| start + at)
    }

    /// The same, which must be there.
    fn after(&self, start: usize, parts: &[&str]) -> usize {
        let found = self.find(start, parts);
        found.unwrap_or_else(|| panic!("no {parts:?} after call {start} of\n{}", self.0.join("\n")))
    }

    fn sync_after(&self, start: usize, path: &str) -> usize {
        let path = format!("{path}>)");
        let data = self.find(start, &["fdatasync(", &path]);
        let all = self.find(start, &["fsync(", &path]);
        let first = data.into_iter().chain(all).min();
        first.unwrap_or_else(|| panic!("no sync of {path} after {start} of\n{}", self.0.join("\n")))
    }
}

fn strace(host: &Host, name: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-ttt", "-s", "300", "-e", CALLS, "-o"]);
    command.arg(host.folder().join(name));
    command.env("DOMSTATE_DIR", host.state_dir());
    command.stdin(Stdio::null());
    command
}

fn trace_of(host: &Host, name: &str) -> Trace {
    Trace::read(&fs::read_to_string(host.folder().join(name)).unwrap())
}

/// Traces the supervisor from now on.
fn attach(host: &Host) -> Child {
    let pid = host.supervisor_pid("v");
    let mut command = strace(host, "trace");
    command.args(["-p", &pid.to_string()]);
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    until("strace", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains(&format!("TracerPid:\t{}", child.id()))
    });
    child
}

#[test]
fn an_end_is_on_the_disk_before_the_supervisor_lets_go_of_it() {
    for how in ["power off", "SIGKILL", "destroy"] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let mut traced = attach(&host);
        match how {
            "power off" => guest.press('o'),
            "SIGKILL" => send(host.qemu_pid("v"), Signal::SIGKILL),
            _ => drop(host.ok(&["destroy", "v"])),
        }
        traced.wait().unwrap();
        let trace = trace_of(&host, "trace");
        let run = host.run_folder("v");
        let run = run.to_str().unwrap();
        let journal = format!("{run}/journal");
        let seen = trace.after(0, &["waitid(", "WNOWAIT", "si_pid="]);
        let written = trace.after(seen, &["write(", &journal, "DOMSTATE_EXITED"]);
        let synced = trace.sync_after(written, &journal);
        let checkpoint = trace.after(synced, &["write(", &format!("{run}/state.json.")]);
        let flushed = trace.sync_after(checkpoint, "new");
        let renamed = trace.after(flushed, &["rename", &format!("{run}/state.json\"")]);
        let folder = trace.sync_after(renamed, run);
        let reaped = trace.after(folder, &["waitid(", "si_pid="]);
        assert!(!trace.0[reaped].contains("WNOWAIT"), "{}", trace.0[reaped]);
        // Nobody reaped it before.
        for call in &trace.0[..reaped] {
            let waits = call.contains("waitid(") || call.contains("wait4(");
            assert!(!waits || call.contains("WNOWAIT"), "{how}: {call}");
        }
    }
}

#[test]
fn a_run_is_on_the_disk_before_qemu_is_spawned() {
    let host = Host::new();
    // The state directory is made by this very start, with its parents.
    let state = host.state_dir().join("a/b");
    let line = host.line("v");
    let mut command = strace(&host, "trace");
    command
        .arg(env!("CARGO_BIN_EXE_domstate"))
        .args(["start", "v", "--"]);
    command
        .args(host.argv("v", &[]))
        .env("DOMSTATE_DIR", &state);
    let traced = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut traced = traced.unwrap();
    let mut guest = Guest::connected(&line);
    guest.press('o');
    traced.wait().unwrap();
    let trace = trace_of(&host, "trace");
    let domain = state.join("v");
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let runs = path(&domain.join("runs"));
    let launched = trace.after(0, &["write(", "DOMSTATE_LAUNCHED"]);
    let journal = trace.sync_after(launched, "journal");
    let new = trace.after(journal, &["fsync(", &format!("{runs}/.new-")]);
    let renamed = trace.after(new, &["rename", &format!("{runs}/00000001\"")]);
    let entry = trace.sync_after(renamed, &runs);
    let whole = trace.sync_after(entry, &path(&domain));
    let definition = trace.after(0, &["rename", "domain.json\""]);
    let defined = trace.sync_after(definition, &path(&domain));
    let spawned = trace.after(
        0,
        &["execve(", &super::harness::qemu(), "domstate-recorder"],
    );
    assert!(whole < spawned && defined < spawned);
    // Every folder that was made has its name on the disk.
    for parent in [
        state.as_path(),
        &host.state_dir().join("a"),
        &host.state_dir(),
        host.folder(),
    ] {
        assert!(trace.sync_after(0, &path(parent)) < spawned, "{parent:?}");
    }
}

#[test]
fn wait_and_destroy_return_only_what_is_on_the_disk() {
    for verb in ["wait", "destroy"] {
        for supervised in [true, false] {
            let host = Host::new();
            let mut guest = host.start("v", &[]);
            let qemu = host.qemu_pid("v");
            let supervisor = host.supervisor_pid("v");
            if !supervised {
                // There, but it does not come to write the end down.
                send(supervisor, Signal::SIGSTOP);
            }
            let mut command = strace(&host, "trace");
            command
                .arg(env!("CARGO_BIN_EXE_domstate"))
                .args([verb, "v"]);
            let said = std::thread::scope(|scope| {
                let asked = scope.spawn(|| finish(command));
                if verb == "wait" {
                    guest.press('o');
                }
                asked.join().unwrap()
            });
            assert_eq!(said.code, Some(0), "{said:?}");
            assert!(!is_alive(qemu));
            let journal = host.run_folder("v").join("journal");
            let trace = trace_of(&host, "trace");
            let synced = trace.sync_after(0, journal.to_str().unwrap());
            let told = trace.after(0, &["write(1<"]);
            assert!(synced < told, "{verb}: {:?}", trace.0);
            if verb == "destroy" {
                let sent = trace.after(0, &["DOMSTATE_SENT"]);
                assert!(sent < synced, "{:?}", trace.0);
            }
            if !supervised {
                send(supervisor, Signal::SIGCONT);
            }
            let supervisors = || processes_with(&host.state_dir().to_string_lossy());
            until("the supervisor's end", || supervisors().is_empty());
        }
    }
}
