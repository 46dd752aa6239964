//! What the counters of QEMU's control group tell where the supervisor cannot read the kernel's log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::super::harness::{Guest, Host, finish, is_root, not_run, send, until, with_argv};
use super::{Group, have_too_much};

/// In a mount namespace of its own: no log is there any more.
const HIDE_LOG: &str = "mount --bind /dev/null /dev/kmsg";

fn start_in(host: &Host, mut command: Command, qemu_args: &[&str]) -> Guest {
    let line = host.line("v");
    let argv = host.argv("v", qemu_args);
    command.args(with_argv(
        &[env!("CARGO_BIN_EXE_domstate"), "start", "v"],
        &argv,
    ));
    command.env("DOMSTATE_DIR", host.state_dir());
    command.stdin(Stdio::null());
    let said = finish(command);
    assert_eq!(said.stdout, "Domain 'v' started\n", "{said:?}");
    host.wait_for_event("v", "DOMSTATE_QEMU");
    Guest::connected(&line)
}

fn oom_kill(before: u64, after: u64) -> Value {
    let evidence =
        format!("memory.events of its control group: oom_kill {before} before, {after} after");
    json!({"kind": "oom-kill", "scope": null, "evidence": evidence})
}

fn sigkill() -> Value {
    json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false})
}

#[test]
fn a_guest_that_the_kernel_killed_for_want_of_memory_says_so_inferred_where_its_log_cannot_be_read()
{
    let test = "a_guest_that_the_kernel_killed_for_want_of_memory_says_so_inferred_where_its_log_cannot_be_read";
    let Some(group) = Group::new(test) else {
        return;
    };
    if group.counter != "memory.events" {
        not_run(&format!(
            "control groups of version 2 have no memory here: {test}"
        ));
        return;
    }
    let script = format!("{HIDE_LOG} && exec \"$@\"");
    let hidden = || group.command(&["unshare", "-m", "sh", "-c", &script, "sh"]);
    let host = Host::new();
    let socket = host.third_party_socket("v");
    let _guest = start_in(&host, hidden(), &["-qmp", &socket]);
    let kills = group.kills();
    let _asker = have_too_much(&host);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let cause = oom_kill(kills, kills + 1);
    host.assert_is("v", "shut off (crashed)", &cause, "inferred");
    // The same group, with that kill in its counters, and a kill that is none of the kernel's.
    let host = Host::new();
    let _guest = start_in(&host, hidden(), &[]);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    host.assert_ends("v", "shut off (crashed)", &sigkill());
}

/// A control group of version 2, in whose place the supervisor sees a folder of ours with counters that we set: so it is
/// tried on hosts where groups of version 2 count no memory, too.
struct Played {
    group: PathBuf,
    folder: PathBuf,
}

/// Whom the folder's list of processes has.
#[derive(Clone, Copy)]
enum Listed {
    All,
    Nobody,
}

impl Played {
    fn new(host: &Host) -> Option<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots
            .into_iter()
            .find(|root| root.join("cgroup.controllers").exists())?;
        let name = host.folder().file_name()?;
        let (group, folder) = (root.join(name), host.folder().join("seen").join(name));
        fs::create_dir(&group).ok()?;
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup.procs"), "").unwrap();
        let played = Self { group, folder };
        played.count(3);
        Some(played)
    }

    fn count(&self, kills: u64) {
        let text = format!("low 0\nmax 9\noom 8\noom_kill {kills}\noom_group_kill 0\n");
        fs::write(self.folder.join("memory.events"), text).unwrap();
    }

    fn start(&self, host: &Host, listed: Listed) -> Guest {
        let list = match listed {
            Listed::All => "mount --bind \"$0\"/cgroup.procs \"$1\"/cgroup.procs",
            Listed::Nobody => "true",
        };
        let script = format!(
            "echo $$ > \"$0\"/cgroup.procs && {list} && mount --rbind \"$1\"/.. /sys/fs/cgroup \
             && {HIDE_LOG} && shift && exec \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]);
        command.args([&self.group, &self.folder]);
        start_in(host, command, &[])
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        until("an empty group", || fs::remove_dir(&self.group).is_ok());
    }
}

#[test]
fn a_sigkill_is_taken_for_the_kernels_only_if_it_killed_in_the_group_that_qemu_was_in() {
    let test = "a_sigkill_is_taken_for_the_kernels_only_if_it_killed_in_the_group_that_qemu_was_in";
    if !is_root(test) {
        return;
    }
    let moved = |played: &Played, qemu: i32| {
        let procs = played.group.with_file_name("cgroup.procs");
        fs::write(procs, qemu.to_string()).unwrap();
    };
    for (listed, kills, moves, cause, certainty, told) in [
        (
            Listed::All,
            4,
            false,
            oom_kill(3, 4),
            "inferred",
            "oom_kill 3 before, 4 after",
        ),
        (
            Listed::All,
            3,
            false,
            sigkill(),
            "witnessed",
            "oom_kill 3 before, 3 after",
        ),
        (Listed::All, 4, true, sigkill(), "witnessed", "signal 9"),
        // What is mounted there is none of QEMU's.
        (Listed::Nobody, 4, false, sigkill(), "witnessed", "signal 9"),
    ] {
        let host = Host::new();
        let Some(played) = Played::new(&host) else {
            not_run(&format!("needs control groups of version 2: {test}"));
            return;
        };
        let _guest = played.start(&host, listed);
        let (qemu, supervisor) = (host.qemu_pid("v"), host.supervisor_pid("v"));
        // All in the moment of its death.
        send(supervisor, Signal::SIGSTOP);
        played.count(kills);
        if moves {
            moved(&played, qemu);
        }
        send(qemu, Signal::SIGKILL);
        send(supervisor, Signal::SIGCONT);
        assert_eq!(host.wait("v"), "shut off (crashed)");
        host.assert_is("v", "shut off (crashed)", &cause, certainty);
        let explained = host.ok(&["explain", "v"]);
        assert!(explained.contains(told), "{explained}");
        let names_figures = told.starts_with("oom_kill");
        assert_eq!(explained.contains("oom_kill"), names_figures, "{explained}");
    }
}
