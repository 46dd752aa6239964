//! Several commands at once, and an old supervisor beside a new run.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;

use super::harness::{
    Guest, Host, Said, finish, finish_child, is_alive, send, spawn, until, with_argv,
};

/// Runs `body` while queries of every kind go on all the time. None of them may fail.
fn amid_queries(host: &Host, body: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for args in [
            &["--reason", "v"][..],
            &["list", "--all", "--reason"],
            &["history", "v"],
        ] {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let said = finish(host.command(args));
                    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
                }
            });
        }
        let done = SetOnDrop(&over);
        body();
        drop(done);
    });
}

/// Ends the queries also when an assertion fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs these commands at the same time.
fn at_once(host: &Host, all: &[Vec<String>]) -> Vec<Said> {
    std::thread::scope(|scope| {
        let run = |args: &Vec<String>| {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let command = host.command(&args);
            scope.spawn(move || finish(command))
        };
        let running: Vec<_> = all.iter().map(run).collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    })
}

fn start_command(host: &Host) -> Vec<String> {
    let mut args = vec!["start".to_owned(), "v".to_owned(), "--".to_owned()];
    args.extend(host.argv("v", &[]));
    args
}

#[test]
fn of_three_starts_at_once_one_wins_and_no_query_disturbs_it() {
    let host = Host::new();
    let argv = host.argv("v", &[]);
    host.ok(&with_argv(&["define", "v"], &argv));
    amid_queries(&host, || {
        for round in 0..6 {
            let line = host.line("v");
            let start = start_command(&host);
            let said = at_once(&host, &[start.clone(), start.clone(), start]);
            let won = |s: &&Said| s.code == Some(0) && s.stdout == "Domain 'v' started\n";
            assert_eq!(said.iter().filter(won).count(), 1, "{round}: {said:?}");
            let refused =
                |s: &&Said| s.code == Some(1) && s.stderr == "error: Domain is already active\n";
            assert_eq!(said.iter().filter(refused).count(), 2, "{round}: {said:?}");
            let _guest = Guest::connected(&line);
            assert_eq!(host.answer("v"), "running (booted)");
            assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
        }
    });
    let history = host.ok(&["-q", "history", "v"]);
    assert_eq!(
        history.matches("shut off (destroyed)").count(),
        6,
        "{history}"
    );
}

#[test]
fn starts_and_destroys_at_once_leave_a_domain_whose_answer_is_what_was_done_last() {
    let host = Host::new();
    let destroy = vec!["destroy".to_owned(), "v".to_owned()];
    let line = host.line("v");
    host.ok(&start_command(&host)
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>());
    let _guest = Guest::connected(&line);
    amid_queries(&host, || {
        for round in 0..6 {
            let start = start_command(&host);
            let said = at_once(
                &host,
                &[destroy.clone(), start.clone(), destroy.clone(), start],
            );
            for (at, said) in said.iter().enumerate() {
                let is_start = at % 2 == 1;
                let last = said.stderr.lines().last().unwrap_or_default();
                let fits = match (said.code, is_start) {
                    (Some(0), true) => said.stdout == "Domain 'v' started\n",
                    (Some(0), false) => said.stdout == "Domain 'v' destroyed\n",
                    (_, true) => {
                        // A destroy that came while it was starting.
                        last == "error: Domain is already active"
                            || said.stderr.starts_with("error: Failed to start domain 'v'")
                    }
                    (_, false) => {
                        last == "error: Requested operation is not valid: domain is not running"
                    }
                };
                assert!(fits, "{round}, {at}: {said:?}\n{}", host.journal("v"));
            }
            // Whatever it came to, it is one thing, and it can be gone on from.
            let answer = host.answer("v");
            match answer.as_str() {
                "running (booted)" => {
                    assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
                }
                "shut off (destroyed)" => {}
                other => panic!("{round}: {other}\n{}", host.journal("v")),
            }
            assert_eq!(host.answer("v"), "shut off (destroyed)");
            let start = start_command(&host);
            host.ok(&start.iter().map(String::as_str).collect::<Vec<_>>());
        }
    });
    let folder = host.state_dir().to_string_lossy().into_owned();
    host.ok(&["destroy", "v"]);
    until("every QEMU and supervisor to be gone", || {
        super::harness::processes_with(&folder).is_empty()
    });
}

#[test]
fn a_supervisor_that_was_stopped_through_a_whole_run_writes_nothing_into_the_next() {
    let host = Host::new();
    let _first = host.start("v", &[]);
    let old = host.supervisor_pid("v");
    let old_journal = host.run_folder("v").join("journal");
    send(old, Signal::SIGSTOP);
    send(host.qemu_pid("v"), Signal::SIGKILL);
    until("QEMU's end", || host.answer("v") == "shut off (crashed)");
    let _second = host.start("v", &[]);
    let new = host.supervisor_pid("v");
    assert_ne!(old, new);
    let both = |host: &Host| {
        let history = host.ok(&["-q", "history", "v"]);
        let lines: Vec<&str> = history.lines().collect();
        assert_eq!(lines.len(), 2, "{history}");
        assert!(lines[0].contains("shut off (crashed)"), "{history}");
        assert!(lines[1].contains("running (booted)"), "{history}");
    };
    both(&host);
    let before = host.journal("v");
    let checkpoint = fs::read(host.run_folder("v").join("state.json")).unwrap();
    send(old, Signal::SIGCONT);
    until("the old supervisor's end", || !is_alive(old));
    let old_journal = fs::read_to_string(old_journal).unwrap();
    assert_eq!(old_journal.matches("DOMSTATE_EXITED").count(), 1);
    assert_eq!(host.journal("v"), before);
    let after = fs::read(host.run_folder("v").join("state.json")).unwrap();
    assert_eq!(after, checkpoint);
    both(&host);
    assert_eq!(host.supervisor_pid("v"), new);
    assert_eq!(host.json("v")["run"], 2);
    let line = host.ok(&["explain", "v", "--run", "1"]);
    assert!(line.contains("SIGKILL"), "{line}");
    send(host.qemu_pid("v"), Signal::SIGSEGV);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    assert_eq!(host.json("v")["cause"]["signal"], "SIGSEGV");
}

#[test]
fn an_active_domain_is_not_undefined() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let said = host.domstate(&["undefine", "v"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let words = "error: Failed to undefine domain 'v'\n\
                 error: Requested operation is not valid: domain is active\n";
    assert_eq!(said.stderr, words);
    assert_eq!(host.answer("v"), "running (booted)");
    host.ok(&["destroy", "v"]);
    host.ok(&["undefine", "v"]);
    assert_eq!(host.domstate(&["v"]).code, Some(1));
}

#[test]
fn what_a_killed_undefine_leaves_goes_with_the_next() {
    let host = Host::new();
    let argv = ["--", "qemu-system-x86_64"];
    host.ok(&[&["define", "v"], argv.as_slice()].concat());
    host.ok(&[&["define", "w"], argv.as_slice()].concat());
    let mut strace = Command::new("strace");
    strace.args([
        "-e",
        "trace=unlinkat",
        "-e",
        "inject=unlinkat:signal=SIGKILL",
    ]);
    strace.arg("-o").arg("/dev/null");
    strace
        .arg(env!("CARGO_BIN_EXE_domstate"))
        .args(["undefine", "v"]);
    strace.env("DOMSTATE_DIR", host.state_dir());
    assert_eq!(finish(strace).code, None);
    let remains = || -> Vec<String> {
        let entries = fs::read_dir(host.state_dir()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with(".undefined"))
            .collect()
    };
    assert_eq!(remains().len(), 1);
    // It is gone for who asks.
    assert_eq!(host.domstate(&["v"]).code, Some(1));
    assert_eq!(host.ok(&["list", "--all", "--name"]).trim(), "w");
    host.ok(&["undefine", "w"]);
    assert_eq!(remains(), [""; 0]);
}

/// What a start says that is held up behind the reading of its definition, while this is done.
fn said_by_a_start_that_is_held_up(host: &Host, start: &[&str], meanwhile: &[&str]) -> Said {
    let words = start;
    let trace = host.folder().join("trace");
    let mut start = Command::new("strace");
    let inject = "inject=flock:delay_enter=3000000:when=1";
    start.args(["-qq", "-e", "trace=flock", "-e", inject, "-o"]);
    start.arg(&trace).arg(env!("CARGO_BIN_EXE_domstate"));
    start.args(words);
    start.env("DOMSTATE_DIR", host.state_dir());
    let start = spawn(start);
    until("the lock of the domain's folder", || {
        fs::read_to_string(&trace).is_ok_and(|trace| !trace.is_empty())
    });
    host.ok(meanwhile);
    finish_child(start)
}

#[test]
fn a_start_of_a_domain_that_is_renamed_or_forgotten_meanwhile_starts_nothing() {
    for meanwhile in [&["domrename", "v", "w"][..], &["undefine", "v"]] {
        let host = Host::new();
        let _line = host.line("v");
        host.ok(&with_argv(&["define", "v"], &host.argv("v", &[])));
        let said = said_by_a_start_that_is_held_up(&host, &["start", "v"], meanwhile);
        let why = "error: Failed to start domain 'v'\nerror: failed to get domain 'v'\n";
        assert_eq!((said.code, said.stderr.as_str()), (Some(1), why));
        assert!(!host.state_dir().join("v").exists(), "{meanwhile:?}");
    }
}

#[test]
fn a_start_of_a_domain_that_is_defined_anew_meanwhile_starts_that() {
    let host = Host::new();
    let _line = host.line("v");
    host.ok(&with_argv(&["define", "v"], &host.argv("v", &[])));
    let anew = host.argv("v", &["-name", "anew"]);
    let anew = with_argv(&["define", "v"], &anew);
    let said = said_by_a_start_that_is_held_up(&host, &["start", "v"], &anew);
    assert_eq!(said.code, Some(0), "{said:?}");
    let qemu = host.qemu_pid("v");
    let line = fs::read_to_string(format!("/proc/{qemu}/cmdline")).unwrap();
    assert!(line.contains("\0anew\0"), "{line:?}");
}

#[test]
fn a_restore_into_a_domain_that_is_renamed_meanwhile_starts_nothing() {
    let host = Host::new();
    let file = host.path("file");
    drop(host.start("v", &[]));
    host.ok(&["save", "v", &file]);
    let said =
        said_by_a_start_that_is_held_up(&host, &["restore", &file], &["domrename", "v", "w"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let why = "error: failed to get domain 'v'\n";
    assert!(said.stderr.ends_with(why), "{said:?}");
    assert!(!host.state_dir().join("v").exists());
}
