//! A state directory whose owner has used up what he may have of a disk that has room: the file system tells nobody.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::Signal;
use serde_json::json;

use super::journal_path;
use crate::adopter::adopter_of;
use crate::harness::{Host, is_alive, send, until};

/// A guest whose supervisor gets no room for anything, and that has none left for its last words.
fn without_room() -> (Host, std::process::Child) {
    let host = Host::new();
    let _guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    host.kill_supervisor("v");
    let journal = OpenOptions::new().append(true).open(journal_path(&host));
    let journal = journal.unwrap();
    // What lies behind the end goes.
    journal.set_len(journal.metadata().unwrap().len()).unwrap();
    let adopter = adopter_of("v", &host, "fallocate:error=EDQUOT");
    (host, adopter)
}

fn is_marked(host: &Host) -> bool {
    fs::metadata(journal_path(host)).unwrap().mode() & 0o7777 == 0o1600
}

#[test]
fn a_guest_that_lives_where_its_owners_quota_is_used_up_is_told_as_last_known() {
    let (host, mut adopter) = without_room();
    assert!(is_marked(&host));
    assert_eq!(host.answer("v"), "running (booted)");
    assert_eq!(host.json("v")["certainty"], "inferred");
    // The next one gets room, and says that lines may be lost: now that is on record.
    let supervisor = host.noted_supervisor("v").unwrap();
    send(supervisor, Signal::SIGKILL);
    adopter.wait().unwrap();
    until("that lines may be lost", || {
        host.answer("v");
        host.journal("v").contains("DOMSTATE_GAP") && !is_marked(&host)
    });
    host.assert_is("v", "running (booted)", &json!(null), "inferred");
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    assert_eq!(host.json("v")["certainty"], "inferred");
}

#[test]
fn who_killed_a_guest_is_not_known_where_a_verb_may_have_had_no_room_to_say_that_it_would() {
    let (host, mut adopter) = without_room();
    let supervisor = host.noted_supervisor("v").unwrap();
    let qemu = host.qemu_pid("v");
    send(supervisor, Signal::SIGSTOP);
    send(qemu, Signal::SIGKILL);
    until("QEMU's end", || !is_alive(qemu));
    assert_eq!(host.answer("v"), "shut off (crashed)");
    assert_eq!(host.json("v")["certainty"], "inferred");
    send(supervisor, Signal::SIGKILL);
    adopter.wait().unwrap();
}
