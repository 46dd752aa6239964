//! State directories of other versions: older ones are read as they were meant, newer ones are refused or passed over in
//! clear words, and never guessed at. tests/golden/NOTES.md says how the old ones were made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::harness::{Guest, Host, copy_folder, guest_folder, s};

/// The state directory of each format, the oldest first.
const GOLDEN: &[&str] = &["state-1", "state-2"];

/// What each of them holds of `v`: how its runs ended, and why.
const ENDS: &[(&str, &str)] = &[
    ("shut off (shutdown)", "guest-shutdown"),
    ("shut off (crashed)", "signal"),
    ("shut off (destroyed)", "asked"),
];

/// A host with a copy of that, private as it was made.
pub(super) fn host_with(golden: &str) -> Host {
    let host = Host::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(golden);
    copy_folder(&from, &host.state_dir());
    let mut folders = vec![host.state_dir()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        folders.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        );
    }
    host
}

fn run_folder(host: &Host, number: usize) -> PathBuf {
    host.state_dir().join(format!("v/runs/{number:08}"))
}

fn assert_told_as_they_ended(host: &Host, what: &str) {
    let history = host.ok(&["--format", "json", "history", "v"]);
    let runs: Vec<Value> = history
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(runs.len(), ENDS.len(), "{what}: {history}");
    for (run, (answer, cause)) in runs.iter().zip(ENDS) {
        let told = format!("{} ({})", s(&run["state"]), s(&run["reason"]));
        assert_eq!(
            (told.as_str(), s(&run["cause"]["kind"])),
            (*answer, *cause),
            "{what}: {run}"
        );
        assert_eq!(run["certainty"], "witnessed", "{what}: {run}");
    }
    assert_eq!(host.answer("v"), ENDS[ENDS.len() - 1].0, "{what}");
}

#[test]
fn the_state_directory_of_any_older_version_is_read_as_it_was_meant_and_goes_on() {
    for golden in GOLDEN {
        let host = host_with(golden);
        assert_told_as_they_ended(&host, golden);
        for number in 1..=ENDS.len() {
            let explained = host.ok(&["explain", "v", "--run", &number.to_string()]);
            assert!(
                explained.contains(ENDS[number - 1].1),
                "{golden}: {explained}"
            );
            // By its journal alone.
            fs::remove_file(run_folder(&host, number).join("state.json")).unwrap();
        }
        assert_told_as_they_ended(&host, golden);
        // The folder that its guest was started in is another here.
        let path = host.state_dir().join("v/domain.json");
        let mut definition: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        definition["workdir"] = json!(host.folder().to_str().unwrap());
        fs::write(&path, definition.to_string()).unwrap();
        fs::copy(
            guest_folder().join("guest.img"),
            host.folder().join("guest.img"),
        )
        .unwrap();
        let line = UnixListener::bind(host.folder().join("line")).unwrap();
        host.ok(&["start", "v"]);
        let mut guest = Guest::connected(&line);
        assert_eq!(host.answer("v"), "running (booted)");
        guest.press('o');
        assert_eq!(host.wait("v"), "shut off (shutdown)");
        assert_eq!(host.json("v")["run"], 4);
        host.ok(&["undefine", "v"]);
        assert_eq!(host.ok(&["list", "--all", "--name"]).trim(), "");
    }
}

#[test]
fn what_a_newer_version_writes_into_a_journal_makes_no_answer_better() {
    let host = host_with("state-2");
    let journal = run_folder(&host, 1).join("journal");
    let whole = fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = whole
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let told = || {
        let history = host.ok(&["--format", "json", "history", "v"]);
        let run: Value = serde_json::from_str(history.lines().next().unwrap()).unwrap();
        (
            s(&run["reason"]).to_owned(),
            s(&run["certainty"]).to_owned(),
        )
    };
    let witnessed = ("shutdown".to_owned(), "witnessed".to_owned());
    fs::remove_file(run_folder(&host, 1).join("state.json")).unwrap();
    assert_eq!(told(), witnessed);
    // Lines of a kind that is not known, and fields: between all others.
    let unknown = r#"{"timestamp":{"seconds":1,"microseconds":2},"event":"DOMSTATE_NEW_IN_9","data":{"x":[1]}}"#;
    let richer: Vec<String> = lines
        .iter()
        .flat_map(|line| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
                data.insert("new_in_9".to_owned(), json!({"y": 1}));
            }
            // A whole line begins with its time.
            let time = value.as_object_mut().unwrap().remove("timestamp");
            let rest = value.to_string();
            let line = match time {
                Some(time) => format!("{{\"timestamp\":{time},{}", &rest[1..]),
                None => rest,
            };
            [line, unknown.to_owned()]
        })
        .collect();
    fs::write(&journal, richer.join("\n") + "\n").unwrap();
    assert_eq!(told(), witnessed);
    // What the whole run is read by, of a kind that is not known: nothing is known then.
    for (event, field) in [("LAUNCHED", "kind"), ("CHECKPOINT", "format")] {
        let strange = |line: &str| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value["data"][field] = json!("of a newer kind");
            let (time, name) = (&value["timestamp"], &value["event"]);
            format!(
                "{{\"timestamp\":{time},\"event\":{name},\"data\":{}}}",
                value["data"]
            )
        };
        let changed: Vec<String> = match event {
            "LAUNCHED" => lines
                .iter()
                .map(|line| match line.contains("_LAUNCHED") {
                    true => strange(line),
                    false => (*line).to_owned(),
                })
                .collect(),
            _ => {
                let checkpoint: Value = serde_json::from_slice(
                    &fs::read(run_folder(&host, 3).join("state.json")).unwrap(),
                )
                .unwrap();
                // Where it is meant to stand: behind nothing.
                let data = json!({"offset": 0, "format": 4, "fold": checkpoint["fold"]});
                let time = json!({"seconds": 1, "microseconds": 2});
                vec![format!(
                    "\n{{\"timestamp\":{time},\"event\":\"DOMSTATE_CHECKPOINT\",\"data\":{data}}}"
                )]
            }
        };
        fs::write(&journal, changed.join("\n") + "\n").unwrap();
        let (reason, certainty) = told();
        assert_eq!(
            (reason.as_str(), certainty.as_str()),
            ("unknown", "unknown"),
            "{event}"
        );
    }
    // The same checkpoint of a format that is known is believed.
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replace("\"format\":4", "\"format\":2")).unwrap();
    assert_eq!(told().0, "destroyed");
}

#[test]
fn what_another_version_has_folded_is_folded_again() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let path = host.run_folder("v").join("state.json");
    let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut wrong = whole.clone();
    wrong["fold"]["live"] = json!("paused (user)");
    fs::write(&path, wrong.to_string()).unwrap();
    assert_eq!(host.answer("v"), "paused (user)");
    // One that knew nothing of rules.
    for rules in [json!("of another version"), Value::Null] {
        wrong["rules"] = rules;
        fs::write(&path, wrong.to_string()).unwrap();
        assert_eq!(host.answer("v"), "running (booted)");
    }
    fs::write(&path, whole.to_string()).unwrap();
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn a_newer_snapshot_or_image_is_refused_in_clear_words_and_kept() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    host.ok(&["managedsave", "v"]);
    let image = host.state_dir().join("v/managed.save");
    let bytes = fs::read(&image).unwrap();
    let start = String::from_utf8_lossy(&bytes[..65536]).into_owned();
    let at = start.find("\"format\":1,\"header_bytes\"").unwrap();
    let mut newer = bytes.clone();
    newer[at + "\"format\":".len()] = b'9';
    fs::write(&image, &newer).unwrap();
    let said = host.domstate(&["start", "v"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let words = "format 9 is newer than this domstate, which knows 2";
    assert!(said.stderr.contains(words), "{said:?}");
    assert_eq!(fs::read(&image).unwrap(), newer);
    let snapshots = host.state_dir().join("v/snapshots");
    fs::create_dir(&snapshots).unwrap();
    fs::write(snapshots.join("s1.json"), r#"{"format": 4, "name": "s1"}"#).unwrap();
    let said = host.domstate(&["snapshot-list", "v"]);
    let words = format!(
        "error: {}: format 4 is newer than this domstate, which knows 3\n",
        snapshots.join("s1.json").display()
    );
    assert_eq!((said.code, said.stderr), (Some(1), words));
    let said = host.domstate(&["snapshot-delete", "v", "s1"]);
    assert!(said.stderr.contains("format 4 is newer"), "{said:?}");
    assert!(snapshots.join("s1.json").exists());
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn a_newer_definition_is_not_replaced_by_the_one_in_an_image() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let file = host.path("v.save");
    host.ok(&["save", "v", &file]);
    let definition = host.state_dir().join("v/domain.json");
    let newer = r#"{"format": 9, "name": "v"}"#;
    fs::write(&definition, newer).unwrap();
    let said = host.domstate(&["restore", &file]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("format 9 is newer"), "{said:?}");
    assert_eq!(fs::read_to_string(&definition).unwrap(), newer);
}

#[test]
fn a_guest_that_an_older_version_started_is_not_saved_by_a_definition_that_may_be_another() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let missing = host.run_folder("v").join("definition.json");
    fs::remove_file(&missing).unwrap();
    let why = format!(
        "an older domstate started the domain, and did not keep by what: {} is missing",
        missing.display()
    );
    let file = host.folder().join("image");
    let file = file.to_str().unwrap();
    let words = format!("error: Failed to save domain 'v' to {file}\nerror: {why}\n");
    host.refused(&["save", "v", file], &words);
    let said = host.domstate(&["snapshot-create-as", "v", "s1"]);
    assert!(
        said.stderr.ends_with(&format!("error: {why}\n")),
        "{said:?}"
    );
    guest.answers();
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}
