//! Files of the state directory that are cut, emptied, overwritten or gone: the answer is the same, or it says what
//! is missing; it is never a better one than the truth.

use std::fs;
use std::path::{Path, PathBuf};

use domstate::domain::{Name, State};
use domstate::observe::look;
use domstate::store::StateDir;
use serde_json::Value;

use super::guest::ENDS;
use super::harness::{Host, processes_with, until};

/// Every file, cut at every byte.
mod bytes;
/// The journal of a run.
mod journal;
/// The journal of a guest that lives.
mod living;

/// A step that is no divisor of any line's length: all sorts of places are cut.
const STRIDE: usize = 37;

/// A host with a domain that ended so.
fn ended(how: &str) -> Host {
    let host = Host::new();
    let mut guest = host.start("v", &["-device", "pvpanic"]);
    guest.end(&host, how);
    host.wait("v");
    let supervisors = || processes_with(&host.state_dir().to_string_lossy());
    until("the supervisor's end", || supervisors().is_empty());
    host
}

fn junk() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..5000).map(|_| next()).collect()
}

/// What else a file can have become.
fn contents(whole: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let mut overwritten = whole.to_vec();
    let middle = overwritten.len() / 2;
    overwritten[middle..].fill(b'x');
    vec![
        ("removed", None),
        ("empty", Some(Vec::new())),
        ("junk", Some(junk())),
        ("zeros", Some(vec![0; whole.len()])),
        ("a number", Some(b"1".to_vec())),
        ("nested", Some(vec![b'['; 100_000])),
        ("half overwritten", Some(overwritten)),
    ]
}

/// Replaces a file as another program would: the old one is gone.
fn put(path: &Path, content: Option<&[u8]>) {
    fs::remove_file(path).unwrap();
    if let Some(content) = content {
        fs::write(path, content).unwrap();
    }
}

/// Looks as every command does, and leaves the state directory alone.
fn looked(state_dir: &Path) -> State {
    let root = StateDir::choose(Some(state_dir.to_owned()), true, &|_| None).unwrap();
    let name: Name = "v".parse().unwrap();
    look(&root.domain(&name)).unwrap().answer.state
}

/// The same, with the words for why.
fn answer_in(host: &Host, state_dir: &Path) -> (String, Value) {
    let said = host.domstate_in(state_dir, &["--reason", "v"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    let json = host.domstate_in(state_dir, &["--format", "json", "v"]);
    let json = serde_json::from_str(&json.stdout).unwrap();
    (said.stdout.trim_end().to_owned(), json)
}

fn in_run(state_dir: &Path, file: &str) -> PathBuf {
    state_dir.join("v/runs/00000001").join(file)
}

#[test]
fn a_damaged_checkpoint_changes_no_answer_while_the_guest_lives() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    for answer in ["running (booted)", "paused (user)"] {
        if answer == "paused (user)" {
            host.ok(&["suspend", "v"]);
        }
        let path = in_run(&host.state_dir(), "state.json");
        until("the checkpoint", || {
            fs::read_to_string(&path).is_ok_and(|text| text.contains(&answer[..6]))
        });
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len() - 1).step_by(STRIDE * 2) {
            put(&path, Some(&whole[..length]));
            assert_eq!(host.answer("v"), answer, "cut at {length}");
        }
        for (what, content) in contents(&whole) {
            put(&path, content.as_deref());
            let json = host.json("v");
            assert_eq!(host.answer("v"), answer, "{what}");
            assert_eq!(json["certainty"], "witnessed", "{what}");
            assert_eq!(json["cause"], Value::Null, "{what}");
            if content.is_none() {
                fs::write(&path, b"").unwrap();
            }
        }
        put(&path, Some(&whole));
    }
}

#[test]
fn a_damaged_checkpoint_changes_no_answer_after_any_end() {
    for (how, answer) in ENDS {
        let host = ended(how);
        let path = in_run(&host.state_dir(), "state.json");
        let whole = fs::read(&path).unwrap();
        let before = host.json("v");
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).unwrap();
            let state = looked(&host.state_dir());
            assert_eq!(state.to_string(), *answer, "{how}, cut at {length}");
        }
        for (what, content) in contents(&whole) {
            put(&path, content.as_deref());
            let (said, json) = answer_in(&host, &host.state_dir());
            assert_eq!(said, *answer, "{how}, {what}");
            assert_eq!(json, before, "{how}, {what}");
            fs::write(&path, b"").unwrap();
        }
        // The link for other programs is nothing that domstate reads.
        fs::remove_file(host.state_dir().join("v/state.json")).unwrap();
        put(&path, Some(&whole));
        assert_eq!(host.json("v"), before, "{how}, link removed");
    }
}

#[test]
fn a_damaged_definition_stops_start_and_show_but_not_the_answer() {
    let host = ended("power off");
    let path = host.state_dir().join("v/domain.json");
    let whole = fs::read(&path).unwrap();
    let mut cases = contents(&whole);
    cases.retain(|(what, _)| *what != "half overwritten");
    let cuts = (0..whole.len() - 2).step_by(STRIDE * 3);
    cases.extend(cuts.map(|length| ("cut", Some(whole[..length].to_vec()))));
    let mut without = serde_json::from_slice::<Value>(&whole).unwrap();
    without.as_object_mut().unwrap().remove("argv");
    cases.push(("without argv", Some(without.to_string().into_bytes())));
    for (what, content) in cases {
        put(&path, content.as_deref());
        assert_eq!(host.answer("v"), "shut off (shutdown)", "{what}");
        assert_eq!(host.json("v")["uuid"], Value::Null, "{what}");
        let start = host.domstate(&["start", "v"]);
        assert_eq!((start.code, start.stdout.as_str()), (Some(1), ""), "{what}");
        let lines: Vec<&str> = start.stderr.lines().collect();
        assert_eq!(lines[0], "error: Failed to start domain 'v'", "{what}");
        let names_it =
            lines[1].contains("cannot read domain 'v'") && lines[1].contains("domain.json");
        assert!(names_it && lines.len() == 2, "{what}: {start:?}");
        let show = host.domstate(&["show", "v"]);
        assert_eq!((show.code, show.stdout.as_str()), (Some(1), ""), "{what}");
        assert!(show.stderr.contains("domain.json"), "{what}: {show:?}");
        assert_eq!(show.stderr.lines().count(), 1, "{what}: {show:?}");
        assert_eq!(host.answer("v"), "shut off (shutdown)", "{what}");
        fs::write(&path, b"").unwrap();
    }
}

#[test]
fn a_newer_format_is_refused_in_clear_words_and_never_guessed_at() {
    let host = ended("power off");
    // Each file has its own.
    let newer = |path: &Path, known: u64| {
        let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(value["format"], known);
        value["format"] = Value::from(known + 1);
        fs::write(path, value.to_string()).unwrap();
    };
    newer(&host.state_dir().join("v/domain.json"), 2);
    let start = host.domstate(&["start", "v"]);
    assert_eq!(start.code, Some(1));
    let words = "format 3 is newer than this domstate, which knows 2";
    assert!(start.stderr.contains(words), "{start:?}");
    // Nor is it replaced by one that has another UUID, of which the domain's saved image would not be.
    let path = host.state_dir().join("v/domain.json");
    let kept = fs::read(&path).unwrap();
    for args in [["define", "v", "--", "true"], ["start", "v", "--", "true"]] {
        let said = host.domstate(&args);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains(words), "{said:?}");
        assert_eq!(fs::read(&path).unwrap(), kept, "{args:?}");
    }
    assert_eq!(host.answer("v"), "shut off (shutdown)");

    newer(&in_run(&host.state_dir(), "state.json"), 3);
    let words = "format 4 is newer than this domstate, which knows 3";
    for args in [&["--reason", "v"][..], &["wait", "v"], &["explain", "v"]] {
        let said = host.domstate(args);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{args:?}");
        let told = said.stderr.contains(words) && said.stderr.contains("state.json");
        assert!(told, "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    }
}
