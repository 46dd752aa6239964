//! A kernel that tells of no changes in a folder: it has no dnotify (CONFIG_DNOTIFY, `fs.dir-notify-enable`), or there is no
//! descriptor to hear of them by. Then domstate looks for itself, once a second.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::harness::{Guest, Host, finish_child, is_alive, send, spawn, until, with_argv};

/// A second is what is promised; the rest is for a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(15);

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// To be told of changes in the domain's folders (F_NOTIFY).
    Notices,
    /// The descriptor that would tell.
    Descriptor,
}

const REFUSED: [Refused; 2] = [Refused::Notices, Refused::Descriptor];

/// domstate's program under strace, which refuses it that.
struct Untold {
    command: Command,
    trace: PathBuf,
}

impl Untold {
    fn new(host: &Host, refused: Refused) -> Self {
        let trace = host.folder().join("trace");
        let _ = fs::remove_file(&trace);
        let mut command = Command::new("strace");
        command.arg("-o").arg(&trace);
        match refused {
            Refused::Notices => {
                // It asks for nothing else by a folder; the lock files are let be.
                let domain = host.state_dir().join("v");
                for folder in ["", "runs", "runs/00000001"] {
                    command.arg("-P").arg(domain.join(folder));
                }
                // And its sleep is seen by what it sleeps on.
                command.args(["-P", "anon_inode:[signalfd]"]);
                command.args(["-e", "inject=fcntl:error=EINVAL"]);
            }
            Refused::Descriptor => {
                command.args(["-e", "inject=signalfd4:error=EMFILE"]);
            }
        }
        command.env("DOMSTATE_DIR", host.state_dir());
        command.stdin(Stdio::null());
        Self { command, trace }
    }

    /// Spawns it with these arguments, and waits until it was refused that and sleeps, to look again after a second.
    fn asleep(mut self, args: &[&str]) -> Child {
        self.command.args(args);
        let child = spawn(self.command);
        until("its sleep", || {
            let trace = fs::read_to_string(&self.trace).unwrap_or_default();
            // For a second: a shorter one is for something else.
            let sleeps = |line: &str| line.starts_with("poll(") && line.ends_with(", 1000");
            trace.contains("INJECTED") && trace.lines().last().is_some_and(sleeps)
        });
        child
    }
}

const DOMSTATE: &str = env!("CARGO_BIN_EXE_domstate");

#[test]
fn a_wait_that_is_told_of_no_changes_sees_them_all_the_same() {
    for refused in REFUSED {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let wait = |further: &[&str]| {
            let args = [&[DOMSTATE, "wait", "v", "--timeout", "60"], further].concat();
            Untold::new(&host, refused).asleep(&args)
        };
        let paused = wait(&["--for", "paused (user)"]);
        let ended = wait(&[]);
        host.ok(&["suspend", "v"]);
        let began = Instant::now();
        let said = finish_child(paused);
        assert_eq!(said.stdout, "paused (user)\n", "{refused:?}: {said:?}");
        assert!(began.elapsed() < SOON, "{refused:?}");
        host.ok(&["resume", "v"]);
        guest.press('o');
        let began = Instant::now();
        let said = finish_child(ended);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (Some(0), "shut off (shutdown)\n"),
            "{refused:?}: {said:?}"
        );
        assert!(began.elapsed() < SOON, "{refused:?}");
        assert!(host.journal("v").contains("DOMSTATE_EXITED"));
    }
}

#[test]
fn a_supervisor_that_is_told_of_no_changes_does_what_is_to_be_done_and_writes_the_end_down() {
    for refused in REFUSED {
        let host = Host::new();
        let options = ["--on-crash", "restart"];
        let mut guest = host.start_with("v", &options, &["-device", "pvpanic"]);
        host.kill_supervisor("v");
        let script = r#"exec -a domstate-supervisor "$0" watch "$1" 1"#;
        let run = host.run_folder("v");
        let args = ["bash", "-c", script, DOMSTATE, run.to_str().unwrap()];
        let mut adopter = Untold::new(&host, refused).asleep(&args);
        let began = Instant::now();
        // Of this only the journal tells.
        guest.press('p');
        guest.hears("READY");
        assert!(began.elapsed() < SOON, "{refused:?}");
        let qemu = host.qemu_pid("v");
        send(qemu, Signal::SIGKILL);
        until("QEMU's death", || !is_alive(qemu));
        until("the record", || {
            host.journal("v").contains("DOMSTATE_EXITED")
        });
        assert!(adopter.wait().unwrap().success(), "{refused:?}");
        let cause = json!({"kind": "signal", "signal": "SIGKILL", "core_dumped": false});
        assert_eq!(host.answer("v"), "shut off (crashed)", "{refused:?}");
        let told = host.json("v")["cause"].clone();
        assert!(
            [cause, json!({"kind": "status-lost"})].contains(&told),
            "{told}"
        );
    }
}

#[test]
fn a_run_in_the_foreground_that_is_told_of_no_changes_tells_the_end() {
    for (how, told, code) in [
        ("power off", "shut off (shutdown)\n", 0),
        ("SIGKILL", "shut off (crashed)\n", 3),
    ] {
        let host = Host::new();
        let line = host.line("v");
        let argv = host.argv("v", &[]);
        let words = with_argv(&[DOMSTATE, "run", "v"], &argv);
        // It hears of its own signals by a descriptor, too, and does not begin without.
        let run = Untold::new(&host, Refused::Notices).asleep(&words);
        let mut guest = Guest::connected(&line);
        let began = Instant::now();
        guest.end(&host, how);
        let said = finish_child(run);
        assert_eq!((said.code, &*said.stdout), (Some(code), told), "{said:?}");
        assert!(began.elapsed() < SOON, "{how}");
        assert_eq!(host.json("v")["certainty"], "witnessed", "{how}");
    }
}
