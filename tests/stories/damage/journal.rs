//! Journals that are cut, emptied, overwritten or gone.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use domstate::domain::{ShutOff, State};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{STRIDE, answer_in, contents, ended, in_run, looked, put};
use crate::guest::ENDS;
use crate::harness::{Host, is_alive, send, until};

/// Whether QEMU's line that tells of the guest's own shutdown is whole in what is left.
fn tells_of_shutdown(journal: &[u8]) -> bool {
    let text = String::from_utf8_lossy(journal);
    let mut lines = text.split_inclusive('\n');
    lines.any(|line| {
        line.ends_with('\n')
            && line.contains(r#""SHUTDOWN""#)
            && line.contains(r#""guest-shutdown""#)
            && serde_json::from_str::<Value>(line).is_ok()
    })
}

#[test]
fn a_line_that_a_guest_that_lives_could_not_end_says_that_more_was_lost() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let journal = host.run_folder("v").join("journal");
    let mut journal = OpenOptions::new().append(true).open(journal).unwrap();
    // What a full disk leaves of QEMU's line.
    journal.write_all(b"{\"timestamp\": {\"seco").unwrap();
    for _ in 0..2 {
        let told = host.json("v");
        assert_eq!(
            (&told["state"], &told["certainty"]),
            (&"running".into(), &"inferred".into())
        );
    }
    host.ok(&["suspend", "v"]);
    assert_eq!(host.answer("v"), "paused (user)");
    assert_eq!(host.json("v")["certainty"], "inferred");
}

#[test]
fn a_journal_cut_at_any_byte_never_turns_an_end_into_a_better_one() {
    for (how, answer) in ENDS {
        let host = ended(how);
        let copy = host.copied_state();
        let (journal, checkpoint) = (in_run(&copy, "journal"), in_run(&copy, "state.json"));
        let whole = fs::read(&journal).unwrap();
        let summed_up = fs::read(&checkpoint).unwrap();
        for length in 0..whole.len() {
            let left = &whole[..length];
            fs::write(&journal, left).unwrap();
            // With the checkpoint: it knew more than what is left.
            fs::write(&checkpoint, &summed_up).unwrap();
            let state = looked(&copy);
            let good = State::ShutOff(ShutOff::Shutdown);
            assert_ne!(state, good, "{how}, cut at {length}, with state.json");
            let known = [answer, "shut off (unknown)"].contains(&state.to_string().as_str());
            assert!(known, "{how}, cut at {length}: {state}");
            // Without: what is left is all there is.
            fs::remove_file(&checkpoint).unwrap();
            let state = looked(&copy);
            assert!(!state.is_active(), "{how}, cut at {length}: {state}");
            if state == good {
                let told = tells_of_shutdown(left);
                assert!(told, "{how}, cut at {length}, without state.json");
            }
            // A line that broke off says that more was written.
            let told = [answer, "shut off (unknown)", "shut off (crashed)"];
            if !left.ends_with(b"\n") {
                let told = told.contains(&state.to_string().as_str());
                assert!(told, "{how}, cut inside a line at {length}: {state}");
            }
        }
    }
}

#[test]
fn the_commands_say_which_journal_is_cut_and_why_and_never_panic() {
    for (how, answer) in ENDS {
        let host = ended(how);
        let whole = fs::read(in_run(&host.state_dir(), "journal")).unwrap();
        let checkpoint = fs::read(in_run(&host.state_dir(), "state.json")).unwrap();
        let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap();
        // What stands behind the checkpoint is not missed: the end was recorded before it.
        let summed_up = usize::try_from(checkpoint["offset"].as_u64().unwrap()).unwrap();
        for length in (0..summed_up).step_by(STRIDE * 5) {
            let copy = host.copied_state();
            fs::write(in_run(&copy, "journal"), &whole[..length]).unwrap();
            let (said, json) = answer_in(&host, &copy);
            let known = [*answer, "shut off (unknown)"].contains(&said.as_str());
            assert!(known && said != "shut off (shutdown)", "{how}: {said}");
            assert_ne!(json["certainty"], "witnessed");
            assert_eq!(json["cause"]["kind"], "journal-damaged", "{how}: {json}");
            assert_eq!(json["cause"]["file"], "runs/00000001/journal");
            let why = json["cause"]["why"].as_str().unwrap();
            assert!(why.contains("cut short"), "{why}");
            for verb in ["explain", "history", "logs", "dominfo"] {
                assert_eq!(host.domstate_in(&copy, &[verb, "v"]).code, Some(0));
            }
            fs::remove_file(in_run(&copy, "state.json")).unwrap();
            let (said, _) = answer_in(&host, &copy);
            assert!(
                said != "shut off (shutdown)" || tells_of_shutdown(&whole[..length]),
                "{how}, cut at {length}"
            );
        }
    }
}

#[test]
fn a_journal_that_became_something_else_leaves_unknown_or_bad_news() {
    for (how, answer) in ENDS {
        let host = ended(how);
        let whole = fs::read(in_run(&host.state_dir(), "journal")).unwrap();
        for (what, content) in contents(&whole) {
            for checkpoint in ["there", "gone", "cut"] {
                let copy = host.copied_state();
                put(&in_run(&copy, "journal"), content.as_deref());
                let path = in_run(&copy, "state.json");
                match checkpoint {
                    "gone" => fs::remove_file(path).unwrap(),
                    "cut" => OpenOptions::new()
                        .write(true)
                        .open(path)
                        .and_then(|file| file.set_len(100))
                        .unwrap(),
                    _ => {}
                }
                let why = format!("{how}, journal {what}, state.json {checkpoint}");
                let (said, json) = answer_in(&host, &copy);
                let allowed = [*answer, "shut off (unknown)", "shut off (crashed)"];
                assert!(allowed.contains(&said.as_str()), "{why}: {said}");
                assert_ne!(said, "shut off (shutdown)", "{why}");
                if what != "half overwritten" {
                    assert_eq!(json["cause"]["kind"], "journal-damaged", "{why}");
                    assert_eq!(json["cause"]["file"], "runs/00000001/journal", "{why}");
                    assert_ne!(json["cause"]["why"], "", "{why}");
                    assert_ne!(json["certainty"], "witnessed", "{why}");
                }
                for verb in ["explain", "history", "list"] {
                    let args = if verb == "list" {
                        vec!["list", "--all"]
                    } else {
                        vec![verb, "v"]
                    };
                    assert_eq!(host.domstate_in(&copy, &args).code, Some(0), "{why}");
                }
            }
        }
    }
}

#[test]
fn a_journal_that_cannot_be_read_is_named_with_the_systems_words() {
    let host = ended("power off");
    for checkpoint in ["there", "gone"] {
        let copy = host.copied_state();
        let journal = in_run(&copy, "journal");
        fs::remove_file(&journal).unwrap();
        fs::create_dir(&journal).unwrap();
        if checkpoint == "gone" {
            fs::remove_file(in_run(&copy, "state.json")).unwrap();
        }
        let (said, json) = answer_in(&host, &copy);
        assert_eq!(said, "shut off (unknown)");
        assert_eq!(json["cause"]["file"], "runs/00000001/journal");
        assert!(json["cause"]["why"].as_str().unwrap().contains("directory"));
        assert_eq!(host.domstate_in(&copy, &["list", "--all"]).code, Some(0));
    }
}

#[test]
fn a_guest_whose_journal_is_gone_is_still_active_and_its_end_is_no_success() {
    for (what, how) in [
        ("removed", "power off"),
        ("removed", "SIGKILL"),
        ("emptied", "SIGKILL"),
        ("emptied", "destroy"),
    ] {
        for checkpoint in ["there", "gone"] {
            let host = Host::new();
            let mut guest = host.start("v", &[]);
            host.supervisor_pid("v");
            let qemu = host.qemu_pid("v");
            let journal = in_run(&host.state_dir(), "journal");
            let why = format!("journal {what}, state.json {checkpoint}, {how}");
            if checkpoint == "gone" {
                fs::remove_file(in_run(&host.state_dir(), "state.json")).unwrap();
            }
            if what == "removed" {
                fs::remove_file(&journal).unwrap();
            } else {
                File::create(&journal).unwrap();
            }
            let json = host.json("v");
            assert_eq!(json["state"], "running", "{why}: {json}");
            assert_ne!(json["certainty"], "witnessed", "{why}: {json}");
            if how == "destroy" && checkpoint == "there" {
                guest.end(&host, how);
            } else if how == "power off" {
                guest.press('o');
            } else {
                send(qemu, Signal::SIGKILL);
            }
            until("QEMU's death", || !is_alive(qemu));
            let said = host.wait("v");
            let allowed = [
                "shut off (unknown)",
                "shut off (crashed)",
                "shut off (destroyed)",
            ];
            assert!(allowed.contains(&said.as_str()), "{why}: {said}");
            if how != "destroy" {
                assert_ne!(said, "shut off (destroyed)", "{why}");
            }
            // Its supervisor remembers more than the journal that it wrote the end to, and leaves that in the checkpoint.
            let answer = host.answer("v");
            let is_better = said == "shut off (unknown)" && answer == "shut off (crashed)";
            assert!(is_better || answer == said, "{why}: {said}, then {answer}");
        }
    }
}

#[test]
fn what_happens_after_the_journal_was_emptied_is_not_lost_when_it_has_grown_again() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let length = host.journal("v").len();
    let journal = in_run(&host.state_dir(), "journal");
    host.supervisor_pid("v");
    File::options()
        .write(true)
        .open(&journal)
        .unwrap()
        .set_len(0)
        .unwrap();
    host.ok(&["suspend", "v"]);
    assert_eq!(host.answer("v"), "paused (user)");
    // Beyond the byte up to which the supervisor had read the old one.
    while host.journal("v").len() < length * 2 {
        host.ok(&["reset", "v"]);
        assert_eq!(host.answer("v"), "paused (user)");
    }
    host.kill_supervisor("v");
    assert_eq!(host.answer("v"), "paused (user)");
    assert_ne!(host.json("v")["certainty"], "witnessed");
    host.ok(&["resume", "v"]);
    guest.hears("READY");
    assert_eq!(host.answer("v"), "running (unpaused)");
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
}

#[test]
fn a_stump_of_a_line_is_a_gap_and_the_lines_around_it_are_read() {
    let stump = r#"{"timestamp": {"seconds": 1763866800, "micro"#;
    let write = |host: &Host, text: &str| {
        let mut journal = OpenOptions::new()
            .append(true)
            .open(in_run(&host.state_dir(), "journal"))
            .unwrap();
        journal.write_all(text.as_bytes()).unwrap();
    };
    // Before a line of ours.
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    write(&host, stump);
    assert_eq!(host.answer("v"), "running (booted)");
    host.ok(&["suspend", "v"]);
    assert_eq!(host.answer("v"), "paused (user)");
    host.ok(&["resume", "v"]);
    // Before a line of QEMU's, glued to it.
    write(&host, stump);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert_eq!(host.json("v")["cause"]["kind"], "guest-shutdown");
    let explained = host.ok(&["explain", "v"]);
    let gaps = explained.lines().filter(|line| line.contains(" gap "));
    assert_eq!(gaps.count(), 2, "{explained}");
    assert!(explained.contains("asked    suspend") || explained.contains("suspend by uid"));
    assert!(
        explained.contains("SHUTDOWN guest=true reason=guest-shutdown"),
        "{explained}"
    );

    // At the very end, of QEMU's last line: something was lost, and nobody knows what.
    let host = ended("power off");
    let copy = host.copied_state();
    fs::remove_file(in_run(&copy, "state.json")).unwrap();
    let whole = host.journal("v");
    let cut = whole.find(r#""SHUTDOWN""#).unwrap();
    fs::write(in_run(&copy, "journal"), &whole[..cut]).unwrap();
    let (said, json) = answer_in(&host, &copy);
    assert_eq!(said, "shut off (unknown)");
    assert_eq!(json["cause"]["kind"], "journal-damaged");
    assert_eq!(json["cause"]["file"], "runs/00000001/journal");
}
