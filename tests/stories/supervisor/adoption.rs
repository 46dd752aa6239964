//! A guest without a supervisor is given one, and only one, which sees its end.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;

use super::{ENDS, Stage, exits_on_record};
use crate::harness::{Host, is_alive, processes_with, send, until, with_argv};

#[test]
fn any_verb_that_finds_a_guest_without_a_supervisor_gives_it_one() {
    let stage = Stage::set(&ENDS[2]);
    let host = &stage.host;
    let mut old = stage.supervisor;
    for verb in [
        &["--reason", "v"][..],
        &["list"],
        &["wait", "v", "--timeout", "0"],
        &["dominfo", "v"],
        &["explain", "v"],
        &["history", "v"],
        &["logs", "v"],
        &["domid", "v"],
        &["domuuid", "v"],
        &["suspend", "v"],
        &["resume", "v"],
    ] {
        send(old, Signal::SIGKILL);
        until("the supervisor's death", || !is_alive(old));
        host.domstate(verb);
        let mut new = None;
        until(&format!("a supervisor after {verb:?}"), || {
            new = host.noted_supervisor("v");
            new.is_some_and(|pid| pid != old)
        });
        old = new.unwrap();
    }
    assert_eq!(host.answer("v"), "running (unpaused)");
    assert_eq!(i64::from(old), host.json("v")["supervisor"]);
}

#[test]
fn an_adopter_witnesses_the_true_exit_of_a_qemu_that_is_not_its_child() {
    for end in ENDS {
        let mut stage = Stage::set(end);
        stage.kill_supervisor();
        assert_eq!(stage.host.answer("v"), "running (booted)");
        stage.supervisor = stage.host.supervisor_pid("v");
        stage.await_watcher();
        stage.end(end);
        stage.asserts(end, "adopted", end.known);
        assert_eq!(exits_on_record(&stage.host), 1);
    }
}

#[test]
fn whoever_adopts_a_run_leads_other_programs_to_it_where_a_start_died_before_it_could() {
    let host = Host::new();
    let first = host.domstate(&["run", "v", "--", "sh", "-c", "exit 1"]);
    assert_eq!(first.code, Some(5), "{first:?}");
    let link = host.state_dir().join("v/state.json");
    let of_first = fs::read_link(&link).unwrap();
    let argv = host.argv("v", &[]);
    let _line = host.line("v");
    host.ok(&with_argv(&["start", "v"], &argv));
    let of_second = fs::read_link(&link).unwrap();
    assert_ne!(of_first, of_second);
    host.kill_supervisor("v");
    // As a `start` leaves it that was killed in between.
    fs::remove_file(&link).unwrap();
    symlink(&of_first, &link).unwrap();
    host.answer("v");
    until("the link", || {
        fs::read_link(&link).is_ok_and(|target| target == of_second)
    });
}

impl Stage {
    /// The adopter has opened its pidfd once it sleeps in poll(2): only then it is there to see.
    fn await_watcher(&self) {
        let link = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
        until("the adopter's pidfd", || {
            let descriptors = fs::read_dir(format!("/proc/{}/fd", self.supervisor));
            descriptors.is_ok_and(|descriptors| {
                let mut links = descriptors.flatten().filter_map(link);
                links.any(|link| link.to_string_lossy().contains("pidfd"))
            })
        });
    }
}

#[test]
fn many_commands_at_once_adopt_once() {
    let stage = Stage::set(&ENDS[2]);
    stage.kill_supervisor();
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = stage.host.command(&["--reason", "v"]);
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let run = stage.host.run_folder("v").to_string_lossy().into_owned();
    let watchers = || {
        let mut pids = processes_with(&run);
        // QEMU has the folder on its command line as well.
        pids.retain(|pid| *pid != stage.qemu);
        pids
    };
    until("a single supervisor", || {
        stage.host.noted_supervisor("v").is_some() && watchers().len() == 1
    });
    assert_eq!(Some(watchers()[0]), stage.host.noted_supervisor("v"));
    send(stage.qemu, Signal::SIGKILL);
    assert_eq!(stage.host.wait("v"), "shut off (crashed)");
    assert_eq!(stage.host.json("v")["cause"]["signal"], "SIGKILL");
    assert_eq!(exits_on_record(&stage.host), 1);
}
