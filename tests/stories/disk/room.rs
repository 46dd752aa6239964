//! A full disk on which there is little left of the room for the last words, and none.

use std::fs::OpenOptions;
use std::io::Write;

use serde_json::{Value, json};

use super::{Disk, journal_path, looks, settled};
use crate::harness::{Host, finish_child, is_root, spawn, until};

#[test]
fn a_start_that_fails_where_nobody_can_write_it_down_is_unknown() {
    if !is_root("a_start_that_fails_where_nobody_can_write_it_down_is_unknown") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    // It uses up all room there is, that for the last words as well, and ends.
    let script = r#"cat /dev/zero > "$0"/.filler; yes '' >> "$0"/v/runs/00000001/journal; exit 7"#;
    let state_dir = host.state_dir().display().to_string();
    let start = ["start", "v", "--", "sh", "-c", script, &state_dir];
    let starts = spawn(host.command(&start));
    until("an end", || {
        let told = host.domstate(&["--format", "json", "v"]).stdout;
        // Before its run it is shut off, too.
        let has_ended = |told: Value| told["run"] == 1 && told["state"] == "shut off";
        serde_json::from_str(&told).is_ok_and(has_ended)
    });
    assert!(!host.journal("v").contains("DOMSTATE_EXITED"));
    let told = host.json("v");
    assert_eq!(
        (&told["reason"], &told["certainty"], &told["cause"]["kind"]),
        (
            &json!("unknown"),
            &json!("unknown"),
            &json!("journal-damaged")
        ),
        "{told}"
    );
    disk.make_room();
    settled(&host);
    let said = finish_child(starts);
    assert_eq!(said.code, Some(1), "{said:?}");
    // It may have said more than there was room for.
    assert_eq!(host.answer("v"), "shut off (unknown)");
    assert_eq!(host.json("v")["cause"]["kind"], "journal-damaged");
}

#[test]
fn a_supervisor_that_has_little_room_left_does_not_wake_itself_over_it() {
    if !is_root("a_supervisor_that_has_little_room_left_does_not_wake_itself_over_it") {
        return;
    }
    let host = Host::new();
    let disk = Disk::mount(&host, "size=2m");
    let _guest = host.start("v", &[]);
    let supervisor = host.supervisor_pid("v");
    disk.fill(0);
    // More is asked for, and not to be had; for a line there is enough.
    let journal = OpenOptions::new().append(true).open(journal_path(&host));
    journal.unwrap().write_all(&[b'\n'; 54_000]).unwrap();
    let sleeps = || {
        let stat = std::fs::read_to_string(format!("/proc/{supervisor}/wchan"));
        stat.is_ok_and(|wchan| wchan.contains("poll"))
    };
    until("its sleep", sleeps);
    let before = looks(supervisor);
    for _ in 0..50 {
        host.assert_is("v", "running (booted)", &json!(null), "witnessed");
    }
    let woke = looks(supervisor) - before;
    assert!(woke < 20, "{woke}");
}
