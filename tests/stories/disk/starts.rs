//! A start on a disk that is full, or has no inodes left: it succeeds, or fails with one error and leaves the old answer.

use std::fs::{self, File};
use std::path::PathBuf;

use serde_json::Value;

use super::{Disk, settled, supervisors};
use crate::harness::{Guest, Host, is_root, until};

/// Asks for a start and checks that it is answered for what it is: the guest runs, or one error is told and the old
/// answer stands, or a run that failed is told of. Whether it started.
fn start_where_it_may_fail(host: &Host, why: &str) -> bool {
    let before = host.json("v");
    let line = host.line("v");
    let said = host.domstate(&["start", "v"]);
    let now = host.json("v");
    if said.code == Some(0) {
        assert_eq!(now["state"], "running", "{why}");
        Guest::connected(&line);
        host.ok(&["destroy", "v"]);
        return true;
    }
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(1), ""),
        "{why}: {said:?}"
    );
    assert_eq!(
        lines[0], "error: Failed to start domain 'v'",
        "{why}: {said:?}"
    );
    let errors = lines.iter().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 2, "{why}: {said:?}");
    if now["run"] == before["run"] {
        assert_eq!(now, before, "{why}");
        let told = lines[1].contains("No space left on device");
        assert!(told, "{why}: {said:?}");
    } else {
        assert_eq!(now["reason"], "failed", "{why}: {now} {said:?}");
        assert_ne!(
            now["cause"]["message"],
            Value::Null,
            "{why}: {now} {said:?}"
        );
    }
    let link = host.state_dir().join("v/state.json");
    if let Ok(text) = fs::read_to_string(&link) {
        assert!(text.contains(r#""state":"shut off""#), "{why}: {text}");
    }
    let leftover = fs::read_dir(host.state_dir().join("v")).unwrap().flatten();
    let names: Vec<_> = leftover.map(|entry| entry.file_name()).collect();
    let known = ["domain.json", "lock", "runs", "state.json"];
    assert!(
        names
            .iter()
            .all(|name| known.contains(&&*name.to_string_lossy())),
        "{why}: {names:?}"
    );
    false
}

fn ended_on(host: &Host, options: &str) -> Disk {
    let disk = Disk::mount(host, options);
    let mut guest = host.start("v", &[]);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    settled(host);
    disk
}

#[test]
fn a_start_on_a_full_disk_fails_with_one_error_and_leaves_the_old_answer() {
    if !is_root("a_start_on_a_full_disk_fails_with_one_error_and_leaves_the_old_answer") {
        return;
    }
    let host = Host::new();
    let disk = ended_on(&host, "size=2m");
    let mut started = 0;
    for pages in 0..30 {
        disk.fill(pages * 4096);
        let why = format!("{pages} pages left");
        let is_started = start_where_it_may_fail(&host, &why);
        assert!(!is_started || pages > 0, "{why}");
        started += u32::from(is_started);
        disk.make_room();
        until("the supervisor's end", || supervisors(&host).is_empty());
    }
    assert!(started > 0, "it never started: the test has to leave more");
}

#[test]
fn a_start_that_runs_out_of_inodes_fails_with_one_error_and_leaves_the_old_answer() {
    if !is_root("a_start_that_runs_out_of_inodes_fails_with_one_error_and_leaves_the_old_answer") {
        return;
    }
    let host = Host::new();
    let disk = ended_on(&host, "size=4m,nr_inodes=200");
    let folder = disk.path().join(".inodes");
    let mut started = 0;
    for left in 0..14 {
        fs::create_dir(&folder).unwrap();
        let files = (0..200).map(|n| folder.join(n.to_string()));
        let made: Vec<PathBuf> = files
            .take_while(|path| File::create(path).is_ok())
            .collect();
        made.iter()
            .take(left)
            .for_each(|path| fs::remove_file(path).unwrap());
        let is_started = start_where_it_may_fail(&host, &format!("{left} inodes left"));
        started += u32::from(is_started);
        fs::remove_dir_all(&folder).unwrap();
        until("the supervisor's end", || supervisors(&host).is_empty());
    }
    assert!(started > 0, "it never started: the test has to leave more");
}
