//! Old runs are removed, and nobody is told of half of one.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::harness::{Host, Said, finish, finish_child, processes_with, spawn, until, with_argv};

/// A domain with as many past runs as are kept.
fn ten_runs() -> Host {
    let host = Host::new();
    for _ in 0..10 {
        let mut guest = host.start("v", &[]);
        guest.press('o');
        assert_eq!(host.wait("v"), "shut off (shutdown)");
    }
    let supervisors = || processes_with(&host.state_dir().to_string_lossy());
    until("the supervisors' ends", || supervisors().is_empty());
    host
}

/// The lines of `history` that tell of a run.
fn rows(history: &str) -> Vec<&str> {
    let rows = history.lines().filter(|line| line.contains("shut off"));
    rows.collect()
}

/// The names of all that lies in the folder of runs, sorted.
fn run_names(state: &Path) -> Vec<String> {
    let entries = fs::read_dir(state.join("v/runs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_start_that_dies_while_it_removes_a_run_leaves_no_half_of_it_to_be_read() {
    let host = ten_runs();
    let before = host.ok(&["history", "v"]);
    let kept = rows(&before);
    assert_eq!(kept.len(), 10, "{before}");
    let argv = host.argv("v", &[]);
    let start = with_argv(&["start", "v"], &argv);
    // When nothing of it is gone yet, and when some of it is.
    for number in [1, 2, 4] {
        let state = host.copied_state();
        let mut killed = Command::new("strace");
        let inject = format!("inject=unlinkat:signal=SIGKILL:when={number}");
        killed.args(["-qq", "-o", "/dev/null", "-e", &inject]);
        killed.arg(env!("CARGO_BIN_EXE_domstate")).args(&start);
        killed.env("DOMSTATE_DIR", &state).stdin(Stdio::null());
        let killed = finish(killed);
        assert_eq!(killed.stdout, "", "it was not killed: {killed:?}");
        assert!(run_names(&state).contains(&"00000011".to_owned()));
        let after = host.domstate_in(&state, &["history", "v"]).stdout;
        let shown = rows(&after);
        assert_eq!(shown.len(), 10, "{after}");
        assert_eq!(shown[..9], kept[1..], "{after}");
        assert_eq!(run_names(&state)[0], ".gone-1");
        // What is left of it goes with the next.
        let _line = host.line("v");
        let said = host.domstate_in(&state, &start);
        assert_eq!(said.code, Some(0), "{said:?}");
        let names = run_names(&state);
        assert_eq!((names.len(), names[0].as_str()), (10, "00000003"));
        let said = host.domstate_in(&state, &["destroy", "v"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

/// What a verb says that is held up before it reads the first of ten runs, which is removed meanwhile.
fn said_while_a_run_is_removed(host: &Host, args: &[&str]) -> Said {
    let journal = host.state_dir().join("v/runs/00000001/journal");
    let trace = host.folder().join("trace");
    let mut verb = Command::new("strace");
    let inject = "inject=openat:delay_enter=5000000";
    verb.args(["-qq", "-e", "trace=openat", "-e", inject]);
    verb.arg("-o").arg(&trace).arg("-P").arg(&journal);
    verb.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
    verb.env("DOMSTATE_DIR", host.state_dir());
    let verb = spawn(verb);
    until("the look at the first run", || {
        fs::read_to_string(&trace).is_ok_and(|trace| !trace.is_empty())
    });
    let _guest = host.start("v", &[]);
    assert!(!journal.exists());
    finish_child(verb)
}

#[test]
fn a_history_that_is_read_while_a_run_is_removed_does_not_tell_of_it() {
    let host = ten_runs();
    let before = host.ok(&["history", "v"]);
    let said = said_while_a_run_is_removed(&host, &["history", "v"]);
    assert_eq!(rows(&said.stdout), rows(&before)[1..], "{said:?}");
}

#[test]
fn a_run_that_is_removed_while_it_is_explained_is_none() {
    let host = ten_runs();
    let said = said_while_a_run_is_removed(&host, &["explain", "v", "--run", "1"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.stderr.contains("domain 'v' has no run 1"), "{said:?}");
}
