//! What comes between a `run` and the end that it asks for.

use std::fs;
use std::io::{PipeReader, Write, pipe};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::pid;
use crate::harness::{Guest, Host, Said, finish_child, is_alive, send, spawn, until, with_argv};

/// More than it takes to start QEMU and to stop who watches it.
const TIME: Duration = Duration::from_secs(3);

/// A run whose time is up while it is stopped: what it does about that comes last.
struct Stopped {
    host: Host,
    run: Child,
    /// Its time runs since then, or longer.
    seen_at: Instant,
    _guest: Guest,
}

impl Stopped {
    fn new() -> Self {
        let host = Host::new();
        let line = host.line("v");
        let time = TIME.as_secs().to_string();
        let argv = host.argv("v", &[]);
        let args = with_argv(&["run", "v", "--timeout", &time], &argv);
        let begun = Instant::now();
        let run = spawn(host.command(&args));
        let mut guest = Guest::taken(&line);
        guest.hears("READY");
        let seen_at = Instant::now();
        send(pid(&run), Signal::SIGSTOP);
        assert!(begun.elapsed() < TIME, "too slow: {:?}", begun.elapsed());
        Self {
            host,
            run,
            seen_at,
            _guest: guest,
        }
    }

    /// Lets it go on once its time is up.
    fn goes_on(&self) {
        until("its time", || self.seen_at.elapsed() > TIME);
        send(pid(&self.run), Signal::SIGCONT);
    }
}

/// What is told of a QEMU that is dead when the time is up; `None` if that was seen before the clock was.
fn dies_before_the_time_is_up(ended_by: &str) -> Option<Said> {
    let stopped = Stopped::new();
    let host = &stopped.host;
    let qemu = host.qemu_pid("v");
    let mut destroy = None;
    match ended_by {
        "destroy" => destroy = Some(spawn(host.command(&["destroy", "v"]))),
        _ => send(qemu, Signal::SIGKILL),
    }
    until("QEMU's death", || !is_alive(qemu));
    stopped.goes_on();
    let told = finish_child(stopped.run);
    if let Some(destroy) = destroy {
        assert_eq!(finish_child(destroy).code, Some(0));
    }
    let was_late = host.journal("v").contains("QEMU had ended already");
    was_late.then_some(told)
}

#[test]
fn a_time_out_that_finds_qemu_dead_is_none() {
    for (ended_by, answer, status) in [
        ("SIGKILL", "shut off (crashed)\n", 3),
        ("destroy", "shut off (destroyed)\n", 4),
    ] {
        // It may be stopped where it has just looked at the clock.
        let mut told = (0..5).filter_map(|_| dies_before_the_time_is_up(ended_by));
        let told = told.next().expect("a time-out that came too late");
        assert_eq!((told.stdout.as_str(), told.code), (answer, Some(status)));
    }
}

#[test]
fn a_guest_that_is_saved_when_the_time_is_up_did_not_time_out() {
    let stopped = Stopped::new();
    let host = &stopped.host;
    let file = host.path("v.save");
    let part = crate::jobs::part_of(&file);
    // It is carried out, and stops before the file has its name.
    let mut save = Command::new("strace");
    save.args(["-o", "/dev/null", "-P", part.to_str().unwrap()]);
    save.args(["-e", "inject=/^rename:signal=SIGSTOP"]);
    save.arg(env!("CARGO_BIN_EXE_domstate"));
    save.args(["save", "v", &file]);
    save.env("DOMSTATE_DIR", host.state_dir());
    let save = spawn(save);
    host.wait_for_event("v", "DOMSTATE_SENT");
    stopped.goes_on();
    let told = finish_child(stopped.run);
    let journal = host.journal("v");
    assert!(journal.contains("run --timeout"), "{journal}");
    let sent = journal.lines().find(|line| line.contains("DOMSTATE_SENT"));
    let sent: Value = serde_json::from_str(sent.unwrap()).unwrap();
    let worker = sent["data"]["pid"].as_i64().unwrap();
    send(i32::try_from(worker).unwrap(), Signal::SIGCONT);
    let saved = finish_child(save);
    assert_eq!(saved.code, Some(0), "{saved:?}\n{}", host.journal("v"));
    assert_eq!(told.stdout, "shut off (saved)\n", "{told:?}\n{journal}");
    assert_eq!(told.code, Some(0), "{told:?}\n{journal}");
}

#[test]
fn a_qemu_that_comes_after_the_time_was_up_is_asked_to_end_then() {
    // The wrapper has gone when the time is up, or ends for that, and leaves QEMU behind.
    for (then, event) in [("", "DOMSTATE_FAILED"), ("wait", "DOMSTATE_SENT")] {
        let host = Host::new();
        let (script, fifo) = (host.path("wrapper.sh"), host.path("fifo"));
        nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let here = host.folder().join("here");
        let wrapper = format!(
            "#!/bin/sh\n(read word <{fifo}; exec \"$@\") &\n: >{}\n{then}\n",
            here.display()
        );
        fs::write(&script, wrapper).unwrap();
        let _line = host.line("v");
        let argv = [vec!["sh".to_owned(), script], host.argv("v", &[])].concat();
        let args = with_argv(&["run", "v", "--timeout", "300ms"], &argv);
        let run = spawn(host.command(&args));
        until("the wrapper", || here.exists());
        host.wait_for_event("v", event);
        fs::write(&fifo, "go\n").unwrap();
        let told = finish_child(run);
        let answer = (told.stdout.as_str(), told.code);
        let destroyed = ("shut off (destroyed)\n", Some(124));
        assert_eq!(answer, destroyed, "{}", host.journal("v"));
        let told = host.json("v");
        assert_eq!(told["cause"]["verb"], "run --timeout", "{told}");
        assert_eq!(told["certainty"], "witnessed", "{told}");
        // It could flush its disks.
        assert!(host.journal("v").contains("host-signal"), "{then}");
    }
}

/// A `run` that stands still at the first word that it has for its stderr, and that stderr.
fn speechless(host: &Host) -> (Child, PipeReader) {
    let (unread, mut stderr) = pipe().unwrap();
    let page = fcntl(&stderr, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    stderr
        .write_all(&vec![b'.'; usize::try_from(page).unwrap()])
        .unwrap();
    let mut run = host.command(&["--format", "json", "run", "v"]);
    run.stdout(Stdio::piped()).stderr(stderr);
    (run.spawn().unwrap(), unread)
}

#[test]
fn a_run_tells_of_itself_whatever_becomes_of_its_domain_meanwhile() {
    for (what, reason, status) in [("terminated", "destroyed", 4), ("no qemu", "failed", 127)] {
        for then in ["started again", "forgotten", "made anew"] {
            let host = Host::new();
            let uuid = "11111111-2222-3333-4444-555555555555";
            let mut argv = host.argv("v", &["-uuid", uuid]);
            if what == "no qemu" {
                argv[0] = host.path("none");
            }
            let line = host.line("v");
            host.ok(&with_argv(&["define", "v"], &argv));
            let (run, unread) = speechless(&host);
            if what == "terminated" {
                let _guest = Guest::connected(&line);
                send(host.qemu_pid("v"), Signal::SIGTERM);
            }
            until("the first run", || host.json("v")["run"] == 1);
            host.wait("v");
            let first = host.json("v");
            if then != "started again" {
                host.ok(&["undefine", "v"]);
            }
            let _other = (then != "forgotten").then(|| host.start("v", &[]));
            drop(std::thread::spawn(move || {
                std::io::copy(&mut { unread }, &mut std::io::sink())
            }));
            let told = finish_child(run);
            assert_eq!(told.code, Some(status), "{told:?}");
            let last = told.stdout.lines().last().expect("an answer");
            let mut told: Value = serde_json::from_str(last).unwrap();
            assert_eq!(told["uuid"], uuid, "{what}, {then}");
            assert_eq!(told["reason"], reason, "{what}, {then}");
            told["supervisor"] = first["supervisor"].clone();
            assert_eq!(told, first, "{what}, {then}");
        }
    }
}
