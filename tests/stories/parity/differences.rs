//! Where domstate tells something else than virsh, on purpose: why.

use super::story::{Step, Story, Told};

/// Why virsh is not followed, by the names that the stories and the table have for it.
const REASONS: &[(&str, &str)] = &[
    (
        "ended from outside",
        "the guest lost its power, and did not shut itself down",
    ),
    (
        "nothing migrates",
        "a guest that was restored and left paused does not migrate",
    ),
    (
        "it had crashed",
        "a guest that panicked, or hung until its watchdog fired, and ended so, did not shut down",
    ),
    (
        "it exited",
        "a guest that ends QEMU by the device that is for it has not crashed",
    ),
    (
        "it sleeps no more",
        "a reset ends the sleep: the guest stands at its first instruction until it is resumed",
    ),
    (
        "it sleeps",
        "a guest that went to sleep while nobody watched sleeps all the same",
    ),
    (
        "it survives",
        "why a domain is shut off is on the disk, and is not forgotten with who watched it",
    ),
    (
        "a crash stays",
        "a guest that crashed would come out of a file, or elsewhere, as one that is paused or runs",
    ),
    (
        "sleep is not saved",
        "a guest that slept would come back out of the file as one that is only paused",
    ),
    (
        "nothing was begun",
        "a file that cannot be made is found out before the guest is touched",
    ),
    (
        "not while it is active",
        "what domstate knows of a domain goes with it, and a guest that runs must not be lost",
    ),
    (
        "options",
        "options are refused before anything is looked at, in the words of the command line",
    ),
    ("its own name", "it was not libvirt that saved it"),
    ("no number", "domstate's requests to QEMU have none"),
    ("no XML", "what defines a domain is a command line"),
    (
        "one form",
        "a refusal is always in two lines, of which the first says what has failed",
    ),
    (
        "its own words",
        "what QEMU or the system said is told as it was said, with the path that was typed",
    ),
];

/// What virsh words otherwise wherever it prints it: its words, domstate's, and the reason's name.
const WORDINGS: &[(&str, &str, &str)] = &[
    (
        "state saved by libvirt",
        "state saved by domstate",
        "its own name",
    ),
    ("' defined from v.xml", "' defined", "no XML"),
    ("' defined from w.xml", "' defined", "no XML"),
    (r#","id":"libvirt-N""#, "", "no number"),
    (r#""id":"libvirt-N","#, "", "no number"),
];

/// Stories that domstate cannot tell, and why.
pub(super) const NOT_PLAYED: &[(&str, &str)] = &[
    (
        "watchdog dump",
        "QEMU has no such action, and domstate no policy for watchdogs",
    ),
    (
        "snapshot of one that is off, revert while running",
        "domstate takes snapshots of guests that run",
    ),
    (
        "snapshot of one that is off, revert --running",
        "domstate takes snapshots of guests that run",
    ),
];

/// What the two tell at a step is to each other.
#[derive(Debug)]
pub(super) enum Verdict {
    Same,
    /// For these reasons.
    Documented(Vec<String>),
    Undocumented,
}

/// Judges what the two told at this step.
pub(super) fn judge(step: &Step, virsh: &Told, domstate: &Told) -> Verdict {
    let expected = expected_of_domstate(step, virsh);
    if *domstate != expected.0 {
        return Verdict::Undocumented;
    }
    match step.difference {
        // It is one between what was recorded of virsh and domstate, and no other.
        Some(_) if *virsh != step.told => Verdict::Undocumented,
        _ if expected.1.is_empty() => Verdict::Same,
        _ => Verdict::Documented(expected.1),
    }
}

/// What domstate is to tell where virsh tells this, and the reasons if that is not the same.
pub(super) fn expected_of_domstate(step: &Step, virsh: &Told) -> (Told, Vec<String>) {
    let mut told = virsh.clone();
    let mut reasons = Vec::new();
    for (words, own, reason) in WORDINGS {
        if told.printed.contains(words) {
            told.printed = told.printed.replace(words, own);
            reasons.push((*reason).to_owned());
        }
    }
    if let Some(difference) = &step.difference {
        told.answer.clone_from(&difference.told.answer);
        if !difference.told.printed.is_empty() {
            told.printed.clone_from(&difference.told.printed);
        }
        reasons.push(difference.reason.clone());
    }
    (told, reasons)
}

#[test]
fn every_difference_is_one_and_has_a_reason() {
    let stories = super::all_stories();
    let why = |name: &str| REASONS.iter().find(|(reason, _)| *reason == name);
    let steps = stories.iter().flat_map(|story| &story.steps);
    let mut given = Vec::new();
    for step in steps {
        let (told, reasons) = expected_of_domstate(step, &step.told);
        assert_eq!(told == step.told, reasons.is_empty(), "{step:?}");
        for reason in &reasons {
            assert!(why(reason).is_some(), "{step:?}");
        }
        given.extend(reasons);
    }
    for (reason, _) in REASONS {
        assert!(
            given.iter().any(|given| given == reason),
            "a reason for nothing: {reason}"
        );
    }
    let is_there = |is_it: &dyn Fn(&Story) -> bool| stories.iter().any(is_it);
    for (name, _) in NOT_PLAYED {
        assert!(is_there(&|story| story.name == *name), "{name}");
    }
}
