//! The answer needs no supervisor: it may be dead, or stopped, or die a moment after QEMU.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{
    Guest, Host, exists, finish, finish_child, is_alive, send, spawn, until, with_argv,
};

/// A guest without a supervisor is given one.
mod adoption;
/// The limits of its process.
mod limits;

/// A guest about to end, and everything that can end it.
struct Stage {
    host: Host,
    guest: Guest,
    /// Known beforehand: to ask would be a query, which adopts.
    qemu: i32,
    supervisor: i32,
}

/// A way to end, and what is true of it.
struct End {
    name: &'static str,
    /// `{}` stands for a third party's socket.
    qemu_args: &'static [&'static str],
    bring: fn(&mut Stage),
    /// Where the exit status is known.
    known: Told,
    /// Where nobody was there to learn it.
    lost: Told,
}

/// State and reason, cause, certainty.
type Told = (&'static str, &'static str, &'static str);

const STATUS_LOST: Told = ("shut off (crashed)", "status-lost", "inferred");

const ENDS: &[End] = &[
    End {
        name: "power off",
        qemu_args: &[],
        bring: |stage| stage.guest.press('o'),
        known: ("shut off (shutdown)", "guest-shutdown", "witnessed"),
        lost: ("shut off (shutdown)", "guest-shutdown", "witnessed"),
    },
    End {
        name: "panic",
        qemu_args: &["-device", "pvpanic"],
        bring: |stage| stage.guest.press('p'),
        known: ("shut off (crashed)", "guest-panic", "witnessed"),
        lost: ("shut off (crashed)", "guest-panic", "witnessed"),
    },
    End {
        name: "SIGKILL",
        qemu_args: &[],
        bring: |stage| send(stage.qemu, Signal::SIGKILL),
        known: ("shut off (crashed)", "signal", "witnessed"),
        lost: STATUS_LOST,
    },
    End {
        name: "SIGTERM",
        qemu_args: &[],
        bring: |stage| send(stage.qemu, Signal::SIGTERM),
        known: ("shut off (destroyed)", "host-signal", "witnessed"),
        lost: ("shut off (destroyed)", "host-signal", "witnessed"),
    },
    End {
        name: "QMP quit",
        qemu_args: &["-qmp", "{}"],
        bring: |stage| {
            stage.host.third_party("v").execute("quit", &json!({}));
        },
        known: ("shut off (destroyed)", "qmp-quit", "witnessed"),
        lost: ("shut off (destroyed)", "qmp-quit", "witnessed"),
    },
    End {
        name: "watchdog",
        qemu_args: &["-device", "ib700", "-action", "watchdog=poweroff"],
        bring: |stage| stage.guest.press('g'),
        known: ("shut off (crashed)", "watchdog", "witnessed"),
        lost: ("shut off (crashed)", "watchdog", "witnessed"),
    },
    End {
        name: "exit device",
        qemu_args: &["-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
        bring: |stage| stage.guest.press('x'),
        known: ("shut off (shutdown)", "guest-exit", "witnessed"),
        // It may be the guest's own end, or a crash.
        lost: ("shut off (unknown)", "status-lost", "unknown"),
    },
    End {
        name: "reset that ends it",
        qemu_args: &["-no-reboot"],
        bring: |stage| stage.guest.press('r'),
        known: ("shut off (shutdown)", "guest-reset", "witnessed"),
        lost: ("shut off (shutdown)", "guest-reset", "witnessed"),
    },
];

impl Stage {
    fn set(end: &End) -> Self {
        let host = Host::new();
        let socket = host.third_party_socket("v");
        let args: Vec<String> = end
            .qemu_args
            .iter()
            .map(|arg| arg.replace("{}", &socket))
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let guest = host.start("v", &args);
        let qemu = host.qemu_pid("v");
        let supervisor = host.supervisor_pid("v");
        Self {
            host,
            guest,
            qemu,
            supervisor,
        }
    }

    /// Brings the end about and waits until QEMU is dead, without asking domstate.
    fn end(&mut self, end: &End) {
        (end.bring)(self);
        until(end.name, || !is_alive(self.qemu));
    }

    fn kill_supervisor(&self) {
        send(self.supervisor, Signal::SIGKILL);
        until("the supervisor's death", || !is_alive(self.supervisor));
        // An orphan's status is gone once it is reaped: by init, in its own time.
        if !is_alive(self.qemu) {
            until("QEMU to be reaped", || !exists(self.qemu));
        }
    }

    /// Asks three times, and once more when the end is on record.
    fn asserts(&self, end: &End, fault: &str, told: Told) -> Value {
        let json = self.asserts_now(end, fault, told);
        until("the record", || {
            self.host.journal("v").contains("DOMSTATE_EXITED")
        });
        self.asserts_now(end, fault, told);
        let run = self.host.ok(&["history", "v"]);
        assert!(run.contains(told.0), "{}, {fault}: {run}", end.name);
        json
    }

    fn asserts_now(&self, end: &End, fault: &str, told: Told) -> Value {
        let mut last = Value::Null;
        for _ in 0..3 {
            last = self.host.json("v");
            assert_eq!(
                answer_of(&last),
                (told.0.to_owned(), told.1.to_owned(), told.2.to_owned()),
                "{}, {fault}: {last}\n{}",
                end.name,
                self.host.journal("v")
            );
            assert_eq!(self.host.answer("v"), told.0);
        }
        last
    }
}

fn answer_of(json: &Value) -> (String, String, String) {
    let word = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let kind = json["cause"]["kind"].as_str().unwrap_or_default();
    (
        format!("{} ({})", word("state"), word("reason")),
        kind.to_owned(),
        word("certainty"),
    )
}

/// A newer QEMU announces the exit device with a SHUTDOWN; then only the guest's number is lost.
fn without_status(stage: &Stage, end: &End) -> Told {
    let announced = stage.host.journal("v").contains("\"SHUTDOWN\"");
    match announced && end.lost.1 == "status-lost" {
        true => ("shut off (shutdown)", "guest-shutdown", "inferred"),
        false => end.lost,
    }
}

fn exits_on_record(host: &Host) -> usize {
    host.journal("v").matches("DOMSTATE_EXITED").count()
}

#[test]
fn a_killed_supervisor_costs_no_more_than_the_exit_status() {
    for end in ENDS {
        let mut stage = Stage::set(end);
        stage.kill_supervisor();
        stage.end(end);
        until("QEMU to be reaped", || !exists(stage.qemu));
        let told = without_status(&stage, end);
        stage.asserts(end, "supervisor killed before", told);
    }
}

#[test]
fn a_stopped_supervisor_changes_no_answer_and_neither_does_its_going_on() {
    for end in ENDS {
        let mut stage = Stage::set(end);
        send(stage.supervisor, Signal::SIGSTOP);
        stage.end(end);
        stage.asserts_now(end, "supervisor stopped", end.known);
        send(stage.supervisor, Signal::SIGCONT);
        until("the supervisor's end", || !is_alive(stage.supervisor));
        stage.asserts(end, "supervisor went on", end.known);
        assert_eq!(exits_on_record(&stage.host), 1);
    }
}

#[test]
fn a_supervisor_that_dies_before_it_can_write_costs_no_more_than_the_exit_status() {
    for end in ENDS {
        let mut stage = Stage::set(end);
        send(stage.supervisor, Signal::SIGSTOP);
        stage.end(end);
        stage.kill_supervisor();
        let told = without_status(&stage, end);
        stage.asserts(end, "supervisor killed unwritten", told);
    }
}

#[test]
fn a_supervisor_killed_the_moment_qemu_is_dead_leaves_a_true_record_or_none() {
    for end in ENDS {
        let mut stage = Stage::set(end);
        stage.end(end);
        // It may be over and gone already.
        let pid = nix::unistd::Pid::from_raw(stage.supervisor);
        let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        until("the supervisor's death", || !is_alive(stage.supervisor));
        until("QEMU to be reaped", || !exists(stage.qemu));
        let recorded = stage.host.journal("v").contains("DOMSTATE_EXITED");
        let told = if recorded {
            end.known
        } else {
            without_status(&stage, end)
        };
        stage.asserts(end, "supervisor killed just after", told);
    }
}

#[test]
fn destroy_is_told_as_destroyed_whatever_became_of_the_supervisor() {
    let plain = &ENDS[0];
    let told = ("shut off (destroyed)", "asked", "witnessed");
    for fault in ["killed before", "stopped before", "killed after"] {
        let stage = Stage::set(plain);
        match fault {
            "killed before" => stage.kill_supervisor(),
            "stopped before" => send(stage.supervisor, Signal::SIGSTOP),
            _ => {}
        }
        assert_eq!(
            stage.host.ok(&["destroy", "v"]),
            "Domain 'v' destroyed\n",
            "{fault}"
        );
        assert!(!is_alive(stage.qemu), "{fault}");
        match fault {
            "stopped before" => {
                stage.asserts_now(plain, fault, told);
                send(stage.supervisor, Signal::SIGCONT);
            }
            "killed after" => {
                let pid = nix::unistd::Pid::from_raw(stage.supervisor);
                let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            }
            _ => {}
        }
        stage.asserts(plain, fault, told);
    }
}

#[test]
fn a_qemu_that_hangs_is_answered_for_at_once_and_can_be_destroyed() {
    let stage = Stage::set(&ENDS[0]);
    let host = &stage.host;
    send(stage.qemu, Signal::SIGSTOP);
    for verb in [
        &["--reason", "v"][..],
        &["list", "--all"],
        &["wait", "v", "--timeout", "0"],
        &["dominfo", "v"],
        &["explain", "v"],
        &["history", "v"],
    ] {
        let began = Instant::now();
        let said = host.domstate(verb);
        assert!(began.elapsed() < Duration::from_secs(3), "{verb:?}");
        assert!(said.stdout.contains("running"), "{said:?}");
    }
    assert_eq!(host.answer("v"), "running (booted)");
    // Nor does an adopter depend on it.
    stage.kill_supervisor();
    assert_eq!(host.answer("v"), "running (booted)");
    assert_ne!(host.supervisor_pid("v"), stage.supervisor);
    assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
    assert_eq!(host.answer("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["cause"]["verb"], "destroy");
}

/// `run` of a guest that obeys letters, in the background of the story.
fn run_in_background(host: &Host) -> (Guest, Child) {
    let line = host.line("v");
    let argv = host.argv("v", &[]);
    let args = with_argv(&["run", "v"], &argv);
    let run = spawn(host.command(&args));
    (Guest::connected(&line), run)
}

#[test]
fn a_run_that_is_killed_leaves_a_guest_that_is_adopted_and_whose_end_is_told() {
    let host = Host::new();
    let (mut guest, mut run) = run_in_background(&host);
    let qemu = host.qemu_pid("v");
    let pid = i32::try_from(run.id()).unwrap();
    assert_eq!(host.supervisor_pid("v"), pid);
    send(pid, Signal::SIGKILL);
    // Its output is not waited for: QEMU has it too.
    assert_eq!(run.wait().unwrap().code(), None);
    assert_eq!(host.answer("v"), "running (booted)");
    assert_eq!(host.qemu_pid("v"), qemu);
    assert_ne!(host.supervisor_pid("v"), pid);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert_eq!(host.json("v")["cause"]["kind"], "guest-shutdown");
}

#[test]
fn a_run_that_is_stopped_while_its_guest_ends_tells_the_end_when_it_goes_on() {
    let host = Host::new();
    let (_guest, run) = run_in_background(&host);
    let qemu = host.qemu_pid("v");
    let pid = i32::try_from(run.id()).unwrap();
    send(pid, Signal::SIGSTOP);
    send(qemu, Signal::SIGKILL);
    until("QEMU's death", || !is_alive(qemu));
    for _ in 0..3 {
        assert_eq!(host.answer("v"), "shut off (crashed)");
    }
    // Nobody writes it down meanwhile, and `wait` does not wait for that for ever.
    assert_eq!(host.wait("v"), "shut off (crashed)");
    send(pid, Signal::SIGCONT);
    let said = finish_child(run);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(said.stdout, "shut off (crashed)\n");
    assert_eq!(host.json("v")["cause"]["signal"], "SIGKILL");
    assert_eq!(exits_on_record(&host), 1);
}

#[test]
fn a_start_whose_supervisor_dies_before_its_first_word_fails_and_does_not_wait() {
    let host = Host::new();
    let argv = host.argv("v", &[]);
    let _line = host.line("v");
    let mut command = Command::new("strace");
    // Only it makes this call, before it has spawned QEMU.
    command.args([
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "inject=close_range:signal=SIGKILL",
    ]);
    command.arg(env!("CARGO_BIN_EXE_domstate"));
    command.args(with_argv(&["start", "v"], &argv));
    command.env("DOMSTATE_DIR", host.state_dir());
    let said = finish(command);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(host.answer("v"), "shut off (failed)");
}

#[test]
fn a_shutdown_is_less_sure_where_its_end_is_written_only_at_the_second_try() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let supervisor = host.supervisor_pid("v").to_string();
    let (trace, journal) = (host.path("trace"), host.run_folder("v").join("journal"));
    let mut strace = Command::new("strace");
    strace.args(["-s", "200", "-o", &trace, "-p", &supervisor, "-P"]);
    strace
        .arg(journal)
        .args(["-e", "inject=write:error=EIO:when=1"]);
    let mut strace = strace.stderr(Stdio::null()).spawn().unwrap();
    let traced = format!("TracerPid:\t{}", strace.id());
    let status = || fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
    until("strace", || status().contains(&traced));
    guest.press('o');
    strace.wait().unwrap();
    let trace = fs::read_to_string(trace).unwrap();
    assert_eq!(trace.matches("(INJECTED)").count(), 1, "{trace}");
    assert!(trace.contains("DOMSTATE_EXITED"), "{trace}");
    // What could not be written then QEMU may not have been able to write before.
    let cause = json!({"kind": "guest-shutdown"});
    host.assert_is("v", "shut off (shutdown)", &cause, "inferred");
}
