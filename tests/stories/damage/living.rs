//! The journal of a guest that lives, cut while nobody looks after it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use domstate::domain::{Answer, Certainty};
use domstate::observe::look;
use domstate::store::StateDir;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::in_run;
use crate::guest::Guest;
use crate::harness::{Host, is_alive, send, until};

/// No divisor of any line's length.
const STRIDE: usize = 7;

/// What a guest goes through, and what it is then.
type Life = (&'static [&'static str], fn(&Host, &mut Guest), &'static str);

const LIVES: [Life; 5] = [
    (&[], |_, _| {}, "running (booted)"),
    (
        &[],
        |host, _| drop(host.ok(&["suspend", "v"])),
        "paused (user)",
    ),
    (
        &[],
        |host, guest| {
            host.ok(&["suspend", "v"]);
            host.ok(&["resume", "v"]);
            guest.answers();
        },
        "running (unpaused)",
    ),
    (
        &["-device", "pvpanic", "-action", "panic=pause"],
        |host, guest| {
            host.ok(&["suspend", "v"]);
            host.ok(&["resume", "v"]);
            guest.press('p');
        },
        "crashed (panicked)",
    ),
    (
        &["-no-shutdown"],
        |_, guest| guest.press('o'),
        "in shutdown (unknown)",
    ),
];

fn looked(host: &Host) -> Answer {
    let root = StateDir::choose(Some(host.state_dir()), true, &|_| None).unwrap();
    look(&root.domain(&"v".parse().unwrap())).unwrap().answer
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A guest that has come there, which its checkpoint knows, and after which nobody looks.
fn lives((qemu_args, acts, answer): Life) -> (Host, Guest) {
    let host = Host::new();
    let mut guest = host.start("v", qemu_args);
    acts(&host, &mut guest);
    host.wait_for("v", answer);
    let checkpoint = in_run(&host.state_dir(), "state.json");
    // The first one may be still to come; and one may be made before who suspended it has said that he has.
    until("the checkpoint", || {
        let text = fs::read(&checkpoint).unwrap_or_default();
        let known: Value = serde_json::from_slice(&text).unwrap_or_default();
        let state = (known["state"].as_str(), known["reason"].as_str());
        let told = format!("{} ({})", state.0.unwrap_or(""), state.1.unwrap_or(""));
        told == answer && known["certainty"] == "witnessed"
    });
    host.kill_supervisor("v");
    (host, guest)
}

/// All sorts of lengths, those behind each line among them, and a byte before and after.
fn lengths(whole: &[u8]) -> Vec<usize> {
    let ends = (1..whole.len()).filter(|length| whole[length - 1] == b'\n');
    let near = ends.flat_map(|end| [end - 1, end, end + 1]);
    let some = (0..whole.len()).step_by(STRIDE);
    let mut all: Vec<usize> = near.chain(some).filter(|it| *it < whole.len()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn a_journal_that_is_cut_while_its_guest_lives_has_nothing_false_told_as_witnessed() {
    for life in LIVES {
        let (host, _guest) = lives(life);
        let answer = life.2;
        let journal = in_run(&host.state_dir(), "journal");
        let checkpoint = in_run(&host.state_dir(), "state.json");
        let whole = fs::read(&journal).unwrap();
        let summed_up = fs::read(&checkpoint).unwrap();
        let known = read_json(&checkpoint)["offset"].as_u64().unwrap();
        let known = usize::try_from(known).unwrap();
        for length in lengths(&whole) {
            let left = &whole[..length];
            fs::write(&journal, left).unwrap();
            // The checkpoint knows that more was written, and what.
            let told = looked(&host);
            let why = format!("{answer}, cut at {length}: {told:?}");
            assert_eq!(told.state.to_string(), answer, "{why}");
            // What stands behind it changes nothing, or there would be a newer one.
            let is_all_known = length >= known && left.ends_with(b"\n");
            let certainty = match is_all_known {
                true => Certainty::Witnessed,
                false => Certainty::Inferred,
            };
            assert_eq!(told.certainty, certainty, "{why}");
            // Without it whole lines are all there is, and nobody could know of more: they tell what was so.
            fs::remove_file(&checkpoint).unwrap();
            let told = looked(&host);
            let why = format!("{answer}, cut at {length}, without state.json: {told:?}");
            assert!(told.state.is_active(), "{why}");
            let is_whole = left.ends_with(b"\n");
            let is_so = told.state.to_string() == answer;
            assert!(
                is_so || is_whole || told.certainty != Certainty::Witnessed,
                "{why}"
            );
            fs::write(&checkpoint, &summed_up).unwrap();
        }
        fs::write(&journal, &whole).unwrap();
        let told = looked(&host);
        assert_eq!(told.state.to_string(), answer);
        assert_eq!(told.certainty, Certainty::Witnessed, "{answer}");
    }
}

#[test]
fn a_cut_journal_is_in_doubt_also_where_the_clock_was_set_back_before() {
    // The supervisor meets the cut alone, or with all that its guest says behind it.
    for is_late in [false, true] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let (supervisor, qemu) = (host.supervisor_pid("v"), host.qemu_pid("v"));
        let journal = in_run(&host.state_dir(), "journal");
        let checkpoint = in_run(&host.state_dir(), "state.json");
        // The first one may be still to come.
        let known = || -> Value {
            let text = fs::read(&checkpoint).unwrap_or_default();
            serde_json::from_slice(&text).unwrap_or_default()
        };
        let length = fs::metadata(&journal).unwrap().len();
        // By the clock as it is then all that was written before is newer.
        let hour = Duration::from_secs(3600);
        let suspend = json!({"verb": "suspend", "uid": 0, "pid": 1, "command": "as long as what the guest says later"});
        host.note("v", hour, "ASKED", &suspend);
        host.note_of_qemu_at("v", hour, "STOP");
        host.wait_for("v", "paused (user)");
        let whole = fs::metadata(&journal).unwrap().len();
        until("its checkpoint", || {
            known()["offset"].as_u64() == Some(whole)
        });
        if is_late {
            send(supervisor, Signal::SIGSTOP);
        }
        let cut = fs::OpenOptions::new().write(true).open(&journal).unwrap();
        cut.set_len(length).unwrap();
        if !is_late {
            until("a checkpoint of what is left", || {
                known()["certainty"] == "inferred"
            });
        }
        guest.press('o');
        until("QEMU's end", || !is_alive(qemu));
        assert!(!is_late || fs::metadata(&journal).unwrap().len() < whole);
        send(supervisor, Signal::SIGCONT);
        host.wait("v");
        let told = host.json("v");
        assert_ne!(told["certainty"], "witnessed", "{told}");
    }
}
