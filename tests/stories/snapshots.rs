//! Internal snapshots of a guest with two disks: what it is meanwhile and afterwards, what is refused before it is
//! stopped, and what becomes of a verb that is killed in the middle.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::harness::{Guest, Host, finish, is_alive, send, until, with_argv};
use super::killed::{Call, calls};

/// A verb that is killed.
mod killed;
/// A verb to whose guest something else happens.
mod overtaken;
/// What is refused.
mod refused;
/// What they are for.
mod taken;

/// A guest with two disks that can hold snapshots. Its serial line is taken anew by each of its QEMUs.
struct Stage {
    host: Host,
    line: UnixListener,
    disks: [PathBuf; 2],
}

impl Stage {
    fn new() -> Self {
        let host = Host::new();
        let line = host.line("v");
        let disks = ["a", "b"].map(|name| host.folder().join(format!("{name}.qcow2")));
        for disk in &disks {
            make_disk(disk, "qcow2");
        }
        Self { host, line, disks }
    }

    /// The same with the guest running on it.
    fn started() -> (Self, Guest) {
        let stage = Self::new();
        let guest = stage.start(&[]);
        (stage, guest)
    }

    fn start(&self, further: &[&str]) -> Guest {
        let drives = self.drives();
        let mut args = vec!["-drive", &drives[0], "-drive", &drives[1]];
        args.extend(further);
        self.start_with(&args)
    }

    fn start_with(&self, qemu_args: &[&str]) -> Guest {
        let argv = self.host.argv("v", qemu_args);
        let args = with_argv(&["start", "v"], &argv);
        self.host.ok(&args);
        Guest::connected(&self.line)
    }

    fn drives(&self) -> [String; 2] {
        let drive = |disk: &PathBuf| format!("file={},format=qcow2,if=ide", disk.display());
        [drive(&self.disks[0]), drive(&self.disks[1])]
    }

    fn create(&self, name: &str) {
        let created = self.host.ok(&["snapshot-create-as", "v", name]);
        assert_eq!(created, format!("Domain snapshot {name} created\n"));
    }

    fn revert(&self, name: &str, options: &[&str], answer: &str) {
        let mut args = vec!["snapshot-revert", "v", name];
        args.extend(options);
        let reverted = format!("Domain snapshot {name} reverted\n");
        assert_eq!(self.host.ok(&args), reverted);
        let journal = self.host.journal("v");
        assert_eq!(
            self.host.answer("v"),
            answer,
            "{name} {options:?}\n{journal}"
        );
        self.host.assert_is("v", answer, &Value::Null, "witnessed");
    }

    fn delete(&self, name: &str) {
        let deleted = self.host.ok(&["snapshot-delete", "v", name]);
        assert_eq!(deleted, format!("Domain snapshot {name} deleted\n"));
        assert!(!self.is_held(name));
    }

    /// Whether both disks hold it; none does if not.
    fn is_held(&self, name: &str) -> bool {
        let held = self.disks.each_ref().map(|disk| {
            let mut list = Command::new("qemu-img");
            list.args(["snapshot", "-U", "-l"]).arg(disk);
            let said = finish_quietly(list);
            said.lines()
                .any(|line| line.split_whitespace().nth(1) == Some(name))
        });
        assert_eq!(held[0], held[1], "{name} is in one disk only");
        held[0]
    }

    /// The names that `snapshot-list` lists.
    fn listed(&self) -> Vec<String> {
        let lines = self.host.ok(&["--format", "json", "snapshot-list", "v"]);
        let names = lines.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["name"].as_str().unwrap().to_owned()
        });
        names.collect()
    }

    /// What lies in the folder of snapshots, whatever its name.
    fn kept(&self) -> usize {
        let folder = self.host.state_dir().join("v/snapshots");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// Refused in these words, before the guest was touched.
    fn refuses(&self, args: &[&str], stderr: &str) {
        let answer = self.host.answer("v");
        let stops = self.host.journal("v").matches("\"STOP\"").count();
        self.host.refused(args, stderr);
        assert_eq!(self.host.answer("v"), answer);
        let after = self.host.journal("v").matches("\"STOP\"").count();
        assert_eq!(after, stops, "{args:?}\n{}", self.host.journal("v"));
    }

    fn strace(&self, options: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new("strace");
        command
            .args(options)
            .arg(env!("CARGO_BIN_EXE_domstate"))
            .args(args);
        command.env("DOMSTATE_DIR", self.host.state_dir());
        command.stdin(Stdio::null());
        command
    }

    /// The system calls that a verb makes when nobody kills it.
    fn calls(&self, args: &[&str]) -> Vec<Call> {
        let trace = self.host.folder().join("trace");
        let options = ["-y", "-s", "300", "-o", trace.to_str().unwrap()];
        let said = finish(self.strace(&options, args));
        assert_eq!(said.code, Some(0), "{said:?}");
        let all = calls(&std::fs::read_to_string(trace).unwrap());
        assert!(all.len() > 10, "{all:?}");
        all
    }

    /// Runs a verb that is killed before `call`; each second time the supervisor is killed too.
    fn kill_before(&self, odd: usize, call: &Call, args: &[&str]) -> String {
        let inject = format!("inject={}:signal=SIGKILL:when={}", call.name, call.number);
        let said = finish(self.strace(&["-o", "/dev/null", "-e", &inject], args));
        if odd % 2 == 1
            && let Some(pid) = self.host.noted_supervisor("v")
        {
            send(pid, Signal::SIGKILL);
            until("the supervisor's death", || !is_alive(pid));
        }
        format!("killed before {call:?}: {said:?}")
    }
}

fn make_disk(disk: &Path, format: &str) {
    let mut create = Command::new("qemu-img");
    create.args(["create", "-q", "-f", format]).arg(disk);
    create.arg("8M");
    finish_quietly(create);
}

/// Runs a command, which must succeed; its output.
fn finish_quietly(command: Command) -> String {
    let told = format!("{command:?} (Debian: qemu-utils)");
    let said = finish(command);
    assert_eq!(said.code, Some(0), "{told}: {said:?}");
    said.stdout
}
