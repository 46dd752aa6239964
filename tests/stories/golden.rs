//! The state directory as the newest format has it, with a domain for each thing that is kept in one; tests/golden/NOTES.md
//! says what they are. However its folds were made, every run is told as it ended, and what was kept is taken up.

use std::fs;
use std::path::Path;
use std::process::Command;

use domstate::journal::FOLD_FORMAT;
use serde_json::{Value, json};

use super::harness::{Host, guest_folder, qemu, s};
use super::upgrade::host_with;

const GOLDEN: &str = "state-3";

/// How a run ended, the kind of its cause, and how certain that is.
type End = (&'static str, &'static str, &'static str);

/// The runs of each domain, the oldest first.
const RUNS: &[(&str, &[End])] = &[
    (
        "ends",
        &[
            ("shut off (shutdown)", "guest-shutdown", "witnessed"),
            ("shut off (destroyed)", "asked", "witnessed"),
            ("shut off (crashed)", "guest-panic", "witnessed"),
            ("shut off (failed)", "start-failure", "witnessed"),
            ("shut off (crashed)", "signal", "witnessed"),
            ("shut off (saved)", "asked", "witnessed"),
        ],
    ),
    (
        "policies",
        &[("shut off (destroyed)", "asked", "witnessed")],
    ),
    ("image", &[("shut off (saved)", "asked", "witnessed")]),
    (
        "snapshot",
        &[("shut off (destroyed)", "asked", "witnessed")],
    ),
    (
        "long",
        &[("shut off (shutdown)", "guest-shutdown", "witnessed")],
    ),
    // The host has booted anew since.
    (
        "alive",
        &[("shut off (crashed)", "host-restart", "inferred")],
    ),
];

/// What `explain` shows of a run beside its end.
const EXPLAINED: &[(&str, u32, &[&str])] = &[
    ("ends", 1, &["suspend", "resume", "guest-shutdown"]),
    ("ends", 4, &["Could not open 'guest.img'"]),
    ("ends", 5, &["signal 9"]),
    ("ends", 6, &["save to", "ends.image"]),
    ("policies", 1, &["on-crash restart", "on-poweroff restart"]),
    ("snapshot", 1, &["snapshot-create-as"]),
    ("long", 1, &["earlier lines", "GUEST_CRASHLOADED"]),
    ("alive", 1, &["RESUME"]),
];

/// The copy on a host of its own, with the image as it was.
fn host() -> Host {
    let host = host_with(GOLDEN);
    let packed = host.state_dir().join("image/managed.save.gz");
    let mut gzip = Command::new("gzip");
    let unpacked = gzip.arg("-d").arg(&packed).status().unwrap();
    assert!(unpacked.success(), "{}", packed.display());
    host
}

fn assert_told(host: &Host, how: &str) {
    for (domain, runs) in RUNS {
        let history = host.ok(&["--format", "json", "history", domain]);
        let told: Vec<Value> = history
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let told: Vec<(String, &str, &str)> = told
            .iter()
            .map(|run| {
                let answer = format!("{} ({})", s(&run["state"]), s(&run["reason"]));
                (answer, s(&run["cause"]["kind"]), s(&run["certainty"]))
            })
            .collect();
        let wanted: Vec<(String, &str, &str)> = runs
            .iter()
            .map(|(answer, cause, certainty)| ((*answer).to_owned(), *cause, *certainty))
            .collect();
        assert_eq!(told, wanted, "{domain}, {how}: {history}");
        let (answer, cause, certainty) = runs[runs.len() - 1];
        assert_eq!(host.answer(domain), answer, "{domain}, {how}");
        let json = host.json(domain);
        assert_eq!(json["cause"]["kind"], cause, "{how}: {json}");
        assert_eq!(json["certainty"], certainty, "{how}: {json}");
        assert_eq!(json["run"], runs.len(), "{how}: {json}");
    }
    for (domain, run, words) in EXPLAINED {
        let explained = host.ok(&["explain", domain, "--run", &run.to_string()]);
        for word in *words {
            assert!(explained.contains(word), "{domain}, {how}: {explained}");
        }
    }
}

/// Changes the file of this name of each run.
fn change_each(host: &Host, name: &str, change: impl Fn(&Path)) {
    for (domain, runs) in RUNS {
        for number in 1..=runs.len() {
            let run = host
                .state_dir()
                .join(format!("{domain}/runs/{number:08}/{name}"));
            change(&run);
        }
    }
}

#[test]
fn there_is_a_golden_copy_of_each_format() {
    for format in 1..=FOLD_FORMAT {
        let folder = format!("tests/golden/state-{format}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        assert!(folder.is_dir(), "make golden: {}", folder.display());
    }
}

#[test]
fn every_run_of_the_newest_golden_copy_is_told_as_it_ended() {
    assert_told(&host(), "as it was kept");
}

#[test]
fn every_run_of_the_newest_golden_copy_is_told_as_it_ended_where_others_have_folded_it() {
    let host = host();
    // Of the same length: a journal whose offsets are wrong is damaged.
    change_each(&host, "journal", |path| {
        let mut bytes = fs::read(path).unwrap();
        let rules = br#""rules":""#;
        let at = bytes.windows(rules.len()).position(|part| part == rules);
        if let Some(at) = at {
            bytes[at + rules.len()] = b'_';
            fs::write(path, bytes).unwrap();
        }
    });
    change_each(&host, "state.json", |path| {
        let text = fs::read_to_string(path).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        value["rules"] = json!("of another version");
        let journal = fs::read(path.with_file_name("journal")).unwrap();
        let offset = usize::try_from(value["offset"].as_u64().unwrap()).unwrap();
        value["mark"] = json!(fnv_1a(&journal[offset.saturating_sub(64)..offset]));
        fs::write(path, value.to_string()).unwrap();
    });
    assert_told(&host, "folded by others");
}

#[test]
fn every_run_of_the_newest_golden_copy_is_told_as_it_ended_by_its_journal_alone() {
    let host = host();
    let long = fs::read(host.run_folder("long").join("journal")).unwrap();
    assert_eq!(long[0], 0, "its front was given up");
    assert!(String::from_utf8_lossy(&long).contains("DOMSTATE_CHECKPOINT"));
    change_each(&host, "state.json", |path| fs::remove_file(path).unwrap());
    assert_told(&host, "by its journal alone");
}

#[test]
fn what_the_newest_golden_copy_keeps_is_shown_and_removed() {
    let host = host();
    let shown = host.ok(&["show", "policies"]);
    for word in ["restart", "pvpanic"] {
        assert!(shown.contains(word), "{shown}");
    }
    let listed = host.ok(&["snapshot-list", "snapshot"]);
    assert!(listed.contains("s1"), "{listed}");
    let listed = host.ok(&["list", "--all", "--name"]);
    assert_eq!(listed.split_whitespace().count(), RUNS.len(), "{listed}");
    for (domain, _) in RUNS {
        let kept = ["--managed-save", "--snapshots-metadata"];
        host.ok(&[&["undefine", domain], &kept[..]].concat());
    }
    assert_eq!(host.ok(&["list", "--all", "--name"]).trim(), "");
}

#[test]
fn the_image_in_the_newest_golden_copy_is_taken_up_and_not_twice() {
    let host = host();
    let end = fs::read(guest_folder().join("rom-poweroff.bin")).unwrap();
    let mut firmware = vec![0; 65_536 - end.len()];
    firmware.extend(end);
    fs::write(host.folder().join("poweroff.rom"), firmware).unwrap();
    let image = host.state_dir().join("image/managed.save");
    move_to_here(&host, &image);
    host.ok(&["start", "image"]);
    assert_eq!(host.answer("image"), "paused (user)");
    assert!(!image.exists());
    // It was to begin with its first instruction, which is to shut down.
    host.ok(&["resume", "image"]);
    assert_eq!(host.wait("image"), "shut off (shutdown)");
    let json = host.json("image");
    assert_eq!(
        (&json["run"], s(&json["certainty"])),
        (&json!(2), "witnessed")
    );
}

/// Has the guest in an image, and its domain, in the folder of `host` and on the QEMU of the tests.
fn move_to_here(host: &Host, image: &Path) {
    let moved = |definition: &mut Value| {
        definition["workdir"] = json!(host.folder().to_str().unwrap());
        definition["argv"][0] = json!(qemu());
    };
    let path = host.state_dir().join("image/domain.json");
    let mut definition: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    moved(&mut definition);
    fs::write(&path, definition.to_string()).unwrap();
    // The header: a line of magic, a line of JSON that ends in a digest of what is before that, zeros.
    let mut bytes = fs::read(image).unwrap();
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let magic = lines.next().unwrap().to_vec();
    let line = lines.next().unwrap();
    let mut header: Value = serde_json::from_slice(line).unwrap();
    let header_bytes = usize::try_from(header["header_bytes"].as_u64().unwrap()).unwrap();
    moved(&mut header["definition"]);
    header.as_object_mut().unwrap().remove("digest");
    let mut line = header.to_string();
    line.pop();
    let digest = fnv_1a(line.as_bytes());
    let mut start = [
        &magic[..],
        format!("\n{line},\"digest\":{digest}}}\n").as_bytes(),
    ]
    .concat();
    assert!(start.len() <= header_bytes);
    start.resize(header_bytes, 0);
    bytes[..header_bytes].copy_from_slice(&start);
    fs::write(image, bytes).unwrap();
}

fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
