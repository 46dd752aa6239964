//! What the stories of saves and dumps share: a guest that takes its time, and what is left of a job.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::pty::openpty;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Guest, Host, Said, finish_child, is_alive, send, spawn, until};

/// Bytes of the guest's memory that QEMU cannot shorten.
pub(super) const RANDOM_BYTES: usize = 8 << 20;

/// A limit, in bytes per second, at which such a guest takes seconds to be written.
pub(super) const SLOW: u64 = 1_000_000;

/// None.
pub(super) const UNLIMITED: u64 = 0;

impl Host {
    /// A path in the host's folder, as text.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder().join(name).to_str().unwrap().to_owned()
    }

    /// Runs a command that takes a guest up; the guest, which need not run.
    pub(super) fn takes_up(&self, args: &[&str], printed: &str) -> Guest {
        let line = self.line("v");
        assert_eq!(self.ok(args), printed, "{args:?}");
        Guest::taken(&line)
    }

    /// Restores `file`; the guest, which need not run.
    pub(super) fn restore(&self, file: &str, options: &[&str]) -> Guest {
        let args = [&["restore", file], options].concat();
        self.takes_up(&args, &format!("Domain restored from {file}\n"))
    }

    /// A guest with so much random memory that it is written slowly where there is a limit.
    pub(super) fn start_large(&self, qemu_args: &[&str]) -> Guest {
        self.start_large_with(&[], qemu_args)
    }

    fn start_large_with(&self, options: &[&str], qemu_args: &[&str]) -> Guest {
        let random = self.folder().join("random");
        let mut bytes = vec![0; RANDOM_BYTES];
        let mut source = File::open("/dev/urandom").unwrap();
        source.read_exact(&mut bytes).unwrap();
        fs::write(&random, bytes).unwrap();
        let loader = format!(
            "loader,file={},addr=0x200000,force-raw=on",
            random.display()
        );
        let third_party = self.third_party_socket("v");
        let args = ["-device", &loader, "-qmp", &third_party];
        self.start_with("v", options, &[&args, qemu_args].concat())
    }

    /// The same under a limit.
    pub(super) fn start_slow(&self, qemu_args: &[&str]) -> Guest {
        self.start_slow_with(&[], qemu_args)
    }

    /// The same with options of `start`.
    pub(super) fn start_slow_with(&self, options: &[&str], qemu_args: &[&str]) -> Guest {
        let guest = self.start_large_with(options, qemu_args);
        self.limit(SLOW);
        guest
    }

    /// Has a third party limit how fast the guest is written, even while it is.
    pub(super) fn limit(&self, bytes_per_second: u64) {
        let limit = json!({"max-bandwidth": bytes_per_second});
        self.third_party("v")
            .execute("migrate-set-parameters", &limit);
    }

    /// A command that is under way, once the domain is in this state by it and, where it writes a stream, QEMU is at it.
    pub(super) fn under_way(&self, args: &[&str], answer: &str) -> Child {
        let child = spawn(self.command(args));
        self.wait_for("v", answer);
        if !args.contains(&"--memory-only") {
            self.wait_for_event("v", "\"active\"");
        }
        child
    }

    /// Cancels a job like this; what its command says then.
    pub(super) fn cancel(&self, job: Child, how: &str) -> Said {
        match how {
            "domjobabort" => {
                assert_eq!(self.ok(&["domjobabort", "v"]), "");
                finish_child(job)
            }
            "SIGTERM" => signal(job, Signal::SIGTERM),
            _ => interrupt(job),
        }
    }

    /// Asserts that while this job is at it nothing else is done to the guest: neither by these nor by any other verb.
    pub(super) fn assert_at_it(&self, job: &Child, verb: &str, these: &[(&[&str], &str)]) {
        let other = self.path("other");
        let before = self.guest_json();
        let at_it = format!("process {} is at it: {verb}", job.id());
        let why = format!("error: Requested operation is not valid: {at_it}\n");
        let any: [(&[&str], &str); 5] = [
            (&["suspend", "v"], "Failed to suspend domain 'v'"),
            (&["resume", "v"], "Failed to resume domain 'v'"),
            (&["reset", "v"], "Failed to reset domain 'v'"),
            (
                &["save", "v", &other],
                &format!("Failed to save domain 'v' to {other}"),
            ),
            (
                &["dump", "v", &other],
                &format!("Failed to core dump domain 'v' to {other}"),
            ),
        ];
        for (args, sentence) in any.iter().chain(these) {
            self.refused(args, &format!("error: {sentence}\n{why}"));
            assert_eq!(self.guest_json(), before, "{args:?}");
        }
        assert_no_file(&other);
    }

    /// `v` without its supervisor, which may still have been about to come or leave.
    pub(super) fn guest_json(&self) -> Value {
        let mut json = self.json("v");
        json["supervisor"] = Value::Null;
        json
    }

    /// What is told of the one run, and of no other.
    pub(super) fn assert_only_run(&self, number: u64) {
        assert_eq!(
            self.json("v")["run"],
            number,
            "{}",
            self.ok(&["history", "v"])
        );
    }
}

/// A command on a terminal that is its standard error; the terminal's other end.
pub(super) fn on_a_terminal(host: &Host, args: &[&str]) -> (Child, File) {
    let terminal = openpty(None, None).unwrap();
    let mut command = host.command(args);
    command.stdout(Stdio::piped()).stderr(terminal.slave);
    (command.spawn().unwrap(), terminal.master.into())
}

/// Kills a command without a warning.
pub(super) fn kill(mut child: Child) {
    let pid = i32::try_from(child.id()).unwrap();
    send(pid, Signal::SIGKILL);
    child.wait().unwrap();
    assert!(!is_alive(pid));
}

/// Presses Ctrl-C on a command; what it says then.
pub(super) fn interrupt(child: Child) -> Said {
    signal(child, Signal::SIGINT)
}

fn signal(child: Child, signal: Signal) -> Said {
    send(i32::try_from(child.id()).unwrap(), signal);
    finish_child(child)
}

/// The name that an image at `file` has while it is written.
pub(super) fn part_of(file: &str) -> PathBuf {
    PathBuf::from(format!("{file}.domstate-part"))
}

/// Whether a part of an image or of a dump at `file` is there.
pub(super) fn has_part(file: &str) -> bool {
    let entries = Path::new(file).parent().unwrap().read_dir().unwrap();
    entries.flatten().any(|entry| {
        let path = entry.path();
        let path = path.to_str().unwrap();
        path.starts_with(file) && path.ends_with(".domstate-part")
    })
}

/// Asserts that neither the file nor a part of it is there.
pub(super) fn assert_no_file(file: &str) {
    assert!(!Path::new(file).exists(), "{file}");
    assert!(!has_part(file), "{file}");
}

/// Waits until no part of the file is left, with no verb's help.
pub(super) fn part_goes(file: &str) {
    until("the part's end", || !has_part(file));
}

/// Asserts that a command failed with these lines.
pub(super) fn assert_failed(said: &Said, stderr: &str) {
    assert_eq!(said.stderr, stderr);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
}
