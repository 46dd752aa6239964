//! A host with a state directory of its own, and guests on it that obey letters.
//!
//! Every wait is bounded and ends as soon as its condition holds. When a host is dropped, every process that has
//! its folder on the command line is killed: a test that fails leaves nothing behind.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

pub(crate) use super::guest::Guest;
pub(crate) use super::monitor::Monitor;
pub(crate) use super::process::{
    Said, exists, finish, finish_child, is_alive, processes_with, send, send_to, spawn, with_argv,
};

/// Far above what anything here takes, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The QEMU of the tests; `DOMSTATE_QEMU` names another.
pub(crate) fn qemu() -> String {
    std::env::var("DOMSTATE_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".to_owned())
}

/// What QEMU begins its complaints with: not what it was called by, if a wrapper stands before it.
pub(crate) fn what_qemu_calls_itself() -> String {
    let mut command = Command::new(qemu());
    command.arg("-frobnicate");
    let complaint = finish(command).stderr;
    complaint.split(": ").next().unwrap().to_owned()
}

/// The folder of the guest's source and images.
pub(crate) fn guest_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest")
}

/// A state directory of its own, and a folder for whatever else a story needs.
pub(crate) struct Host {
    folder: PathBuf,
    state: PathBuf,
}

impl Host {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // With an end that no longer number continues: what a host leaves behind is found by this name.
        let name = format!("domstate-{}-{number}.host", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let state = folder.join("state");
        Self { folder, state }
    }

    /// The same with a state directory at this path within the folder.
    pub(crate) fn with_state_dir(path: &str) -> Self {
        let mut host = Self::new();
        host.state = host.folder.join(path);
        host
    }

    /// A folder that goes with the host.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state.clone()
    }

    /// The folder of a domain's newest run.
    pub(crate) fn run_folder(&self, domain: &str) -> PathBuf {
        let runs = fs::read_dir(self.state_dir().join(domain).join("runs")).unwrap();
        let runs = runs.map(|entry| entry.unwrap().path());
        runs.filter(|p| !p.file_name().unwrap().to_string_lossy().starts_with('.'))
            .max()
            .expect("a run")
    }

    /// The journal of a domain's newest run, as text; nothing of a domain that never ran.
    pub(crate) fn journal(&self, domain: &str) -> String {
        if !self.state_dir().join(domain).join("runs").exists() {
            return String::new();
        }
        let bytes = fs::read(self.run_folder(domain).join("journal")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A command of domstate on this host, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_domstate"));
        command.args(args).env("DOMSTATE_DIR", self.state_dir());
        command.env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    /// Runs domstate.
    pub(crate) fn domstate(&self, args: &[&str]) -> Said {
        finish(self.command(args))
    }

    /// Runs domstate, which must succeed; its standard output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let said = self.domstate(args);
        assert_eq!(said.code, Some(0), "domstate {args:?}: {said:?}");
        said.stdout
    }

    /// Runs domstate on another state directory, which may be a damaged copy of this host's.
    pub(crate) fn domstate_in(&self, state_dir: &Path, args: &[&str]) -> Said {
        let mut command = self.command(args);
        command.env("DOMSTATE_DIR", state_dir);
        finish(command)
    }

    /// A new copy of the state directory, as `cp -a` makes it: nothing in it lives.
    pub(crate) fn copied_state(&self) -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let copy = self.folder.join(format!("copy-{number}"));
        // Its supervisor may still write: what is copied may vanish under the copying.
        until("a copy", || {
            let mut cp = Command::new("cp");
            let copied = cp.arg("-a").arg(self.state_dir()).arg(&copy).output();
            let is_whole = copied.unwrap().status.success();
            if !is_whole {
                let _ = fs::remove_dir_all(&copy);
            }
            is_whole
        });
        copy
    }

    /// `state (reason)` now.
    pub(crate) fn answer(&self, domain: &str) -> String {
        self.ok(&["--reason", domain]).trim_end().to_owned()
    }

    /// The domain as JSON now.
    pub(crate) fn json(&self, domain: &str) -> Value {
        serde_json::from_str(&self.ok(&["--format", "json", domain])).unwrap()
    }

    /// Asserts what the domain is, why, with every field of the cause, and how certain that is.
    pub(crate) fn assert_is(&self, domain: &str, answer: &str, cause: &Value, certainty: &str) {
        let json = self.json(domain);
        let told = format!("{} ({})", s(&json["state"]), s(&json["reason"]));
        let journal = self.journal(domain);
        assert_eq!(told, answer, "{json}\n{journal}");
        assert_eq!(&json["cause"], cause, "{json}\n{journal}");
        assert_eq!(json["certainty"], certainty, "{json}\n{journal}");
        assert_eq!(self.answer(domain), answer);
    }

    /// Waits until the domain has ended, and asserts that this is how, as somebody saw it.
    pub(crate) fn assert_ends(&self, domain: &str, answer: &str, cause: &Value) {
        assert_eq!(self.wait(domain), answer, "{}", self.journal(domain));
        self.assert_is(domain, answer, cause, "witnessed");
    }

    /// Runs domstate, which must refuse with these lines on standard error and nothing else.
    pub(crate) fn refused(&self, args: &[&str], stderr: &str) {
        let said = self.domstate(args);
        assert_eq!(said.stderr, stderr, "domstate {args:?}");
        assert_eq!(said.stdout, "", "domstate {args:?}");
        assert_eq!(said.code, Some(1), "domstate {args:?}");
    }

    /// The value of a `-qmp` that gives QEMU a monitor for third parties, of which domstate knows nothing.
    pub(crate) fn third_party_socket(&self, domain: &str) -> String {
        let path = self.third_party_path(domain);
        format!("unix:{},server=on,wait=off", path.display())
    }

    /// A third party at that monitor.
    pub(crate) fn third_party(&self, domain: &str) -> Monitor {
        Monitor::connect(&self.third_party_path(domain))
    }

    fn third_party_path(&self, domain: &str) -> PathBuf {
        self.folder.join(format!("{domain}.third-party"))
    }

    /// Waits until the domain is in `state (reason)`, as domstate's own `wait` sees it.
    pub(crate) fn wait_for(&self, domain: &str, answer: &str) {
        let said = self.domstate(&["wait", domain, "--for", answer, "--timeout", "60"]);
        assert_eq!(
            said.stdout.trim_end(),
            answer,
            "{said:?}\n{}",
            self.journal(domain)
        );
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// Waits until this event stands in the journal.
    pub(crate) fn wait_for_event(&self, domain: &str, event: &str) {
        until(event, || self.journal(domain).contains(event));
    }

    /// Waits until the domain has ended; `state (reason)`.
    pub(crate) fn wait(&self, domain: &str) -> String {
        let said = self.domstate(&["wait", domain, "--timeout", "60"]);
        assert_eq!(said.code, Some(0), "{said:?}\n{}", self.journal(domain));
        said.stdout.trim_end().to_owned()
    }

    /// Starts a guest that obeys letters, with these further arguments for QEMU, and waits until it is ready.
    pub(crate) fn start(&self, domain: &str, qemu_args: &[&str]) -> Guest {
        self.start_with(domain, &[], qemu_args)
    }

    /// The same with options for `start`.
    pub(crate) fn start_with(&self, domain: &str, options: &[&str], qemu_args: &[&str]) -> Guest {
        let mut guest = self.start_still(domain, options, qemu_args);
        guest.hears("READY");
        guest
    }

    /// The same for a guest that is not to run yet.
    pub(crate) fn start_still(&self, domain: &str, options: &[&str], qemu_args: &[&str]) -> Guest {
        self.start_argv(domain, options, &self.argv(domain, qemu_args))
    }

    /// The same with a command line of one's own, which [`Self::argv`] stands in.
    pub(crate) fn start_argv(&self, domain: &str, options: &[&str], argv: &[String]) -> Guest {
        let line = self.line(domain);
        let words = [&["start", domain], options].concat();
        let args = with_argv(&words, argv);
        assert_eq!(self.ok(&args), format!("Domain '{domain}' started\n"));
        Guest::taken(&line)
    }

    /// The command line of a guest that obeys letters. Its serial line connects to [`Self::line`], which must be
    /// there before QEMU is.
    pub(crate) fn argv(&self, domain: &str, qemu_args: &[&str]) -> Vec<String> {
        let image = guest_folder().join("guest.img");
        let image = image.display();
        let serial = self.line_path(domain);
        let mut argv = vec![qemu()];
        let fixed = "-accel tcg -M pc -nodefaults -no-user-config -display none -m 16 -boot a";
        argv.extend(fixed.split(' ').map(str::to_owned));
        argv.extend([
            "-drive".to_owned(),
            format!("file={image},format=raw,if=floppy,readonly=on"),
            "-serial".to_owned(),
            format!("unix:{}", serial.display()),
        ]);
        argv.extend(qemu_args.iter().map(|arg| (*arg).to_owned()));
        argv
    }

    /// The other end of a guest's serial line.
    pub(crate) fn line(&self, domain: &str) -> UnixListener {
        let path = self.line_path(domain);
        let _ = fs::remove_file(&path);
        UnixListener::bind(path).unwrap()
    }

    fn line_path(&self, domain: &str) -> PathBuf {
        self.folder.join(format!("{domain}.serial"))
    }

    /// The pid of the domain's QEMU.
    pub(crate) fn qemu_pid(&self, domain: &str) -> i32 {
        self.ok(&["domid", domain]).trim_end().parse().unwrap()
    }

    /// The pid of the domain's supervisor, once there is one.
    pub(crate) fn supervisor_pid(&self, domain: &str) -> i32 {
        let mut pid = None;
        until("a supervisor", || {
            pid = self.json(domain)["supervisor"].as_i64();
            pid.is_some()
        });
        i32::try_from(pid.unwrap()).unwrap()
    }

    /// Ends QEMU and its supervisor so that nobody can write down how.
    pub(crate) fn kill_unseen(&self, domain: &str) {
        let (supervisor, qemu) = (self.supervisor_pid(domain), self.qemu_pid(domain));
        send(supervisor, Signal::SIGSTOP);
        send(qemu, Signal::SIGKILL);
        until("QEMU's death", || !is_alive(qemu));
        send(supervisor, Signal::SIGKILL);
        until("the supervisor's death", || !is_alive(supervisor));
    }

    /// The pid that the newest run's supervisor noted, if it lives. Unlike a query this brings none about.
    pub(crate) fn noted_supervisor(&self, domain: &str) -> Option<i32> {
        let text = fs::read_to_string(self.run_folder(domain).join("supervisor.lock")).ok()?;
        text.trim().parse().ok().filter(|pid| is_alive(*pid))
    }

    /// Appends a line to the journal of the domain's newest run as domstate writes it, this long ago.
    pub(crate) fn note(&self, domain: &str, age: Duration, event: &str, data: &Value) {
        self.append(domain, age, &format!("DOMSTATE_{event}"), data);
    }

    /// The same as QEMU writes it.
    pub(crate) fn note_of_qemu(&self, domain: &str, event: &str) {
        self.note_of_qemu_at(domain, Duration::ZERO, event);
    }

    /// The same, by a clock that is set back so far.
    pub(crate) fn note_of_qemu_at(&self, domain: &str, age: Duration, event: &str) {
        self.append(domain, age, event, &Value::Null);
    }

    fn append(&self, domain: &str, age: Duration, event: &str, data: &Value) {
        let at = std::time::SystemTime::now() - age;
        let at = at.duration_since(std::time::UNIX_EPOCH).unwrap();
        let (seconds, micros) = (at.as_secs(), at.subsec_micros());
        let line = format!(
            "\n{{\"timestamp\":{{\"seconds\":{seconds},\"microseconds\":{micros}}},\
             \"event\":\"{event}\",\"data\":{data}}}\n"
        );
        let path = self.run_folder(domain).join("journal");
        let mut journal = fs::OpenOptions::new().append(true).open(path).unwrap();
        journal.write_all(line.as_bytes()).unwrap();
    }

    /// Kills the supervisor and waits until it is gone. QEMU's next change is seen by nobody.
    pub(crate) fn kill_supervisor(&self, domain: &str) {
        let pid = self.supervisor_pid(domain);
        send(pid, Signal::SIGKILL);
        until("the supervisor's death", || !is_alive(pid));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let folder = self.folder.to_string_lossy().into_owned();
        // Twice: a process may have been about to start another.
        for _ in 0..2 {
            for pid in processes_with(&folder) {
                send_to(pid, &folder, rustix::process::Signal::KILL);
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Waits for a condition, within bounds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A JSON string's text.
pub(crate) fn s(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Copies a folder as `cp -a` does.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success(), "cp -a {from:?} {to:?}");
}

/// Names what is not run, past the test runner's capture, so that it is seen although the test passes; also in the file that
/// `DOMSTATE_NOT_RUN` names, of which `make check` tells at its end.
pub(crate) fn not_run(what: &str) {
    let line = format!("not run, {what}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let Some(path) = std::env::var_os("DOMSTATE_NOT_RUN") else {
        return;
    };
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

/// Whether this is root, where namespaces can be made (a chroot is no place for it). For anybody else the test that asks
/// is named as not run.
pub(crate) fn is_root(test: &str) -> bool {
    let unshares = || {
        let tried = Command::new("unshare").args(["-m", "true"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    if nix::unistd::geteuid().is_root() && unshares() {
        return true;
    }
    not_run(&format!("needs root and namespaces: {test}"));
    false
}
