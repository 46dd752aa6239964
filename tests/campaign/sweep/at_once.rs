//! Every two verbs at once, of guests in several states.

use nix::sys::signal::Signal;

use super::{DESTROY, SAVE, story};
use crate::act::{Act, Theme, VERBS, keep_apart};
use crate::machine::Disk;
use crate::story::Story;

/// A guest as two verbs find it, with the word for it and what was done before.
struct Found {
    name: &'static str,
    before: fn() -> Vec<Vec<Act>>,
    /// What is done in the same moment.
    beside: Option<Act>,
}

const FOUND: &[Found] = &[
    Found {
        name: "two verbs at once, on a guest that lives",
        before: Vec::new,
        beside: None,
    },
    Found {
        name: "two verbs at once, on one that is gone",
        before: || vec![vec![Act::Verb(DESTROY.to_vec())]],
        beside: None,
    },
    Found {
        name: "two verbs at once, on one that is paused",
        before: || vec![vec![Act::Verb(vec!["suspend"])]],
        beside: None,
    },
    Found {
        name: "two verbs at once, on one that is saved in a file",
        before: || vec![vec![Act::Verb(SAVE.to_vec())]],
        beside: None,
    },
    Found {
        name: "two verbs at once, on one with a snapshot and a managed save image",
        before: || {
            let verbs: [&[&str]; 2] = [&["snapshot-create-as", "s"], &["managedsave"]];
            verbs.map(|verb| vec![Act::Verb(verb.to_vec())]).to_vec()
        },
        beside: None,
    },
    Found {
        name: "two verbs at once, as the supervisor is killed",
        before: Vec::new,
        beside: Some(Act::Supervisor(Signal::SIGKILL)),
    },
];

/// Two of every verb at once, of guests in several states.
pub(super) fn pairs() -> Vec<(&'static str, Story)> {
    let mut verbs = VERBS.to_vec();
    verbs.sort_unstable();
    verbs.dedup();
    let mut stories = Vec::new();
    for (number, first) in verbs.iter().enumerate() {
        for second in &verbs[number..] {
            let mut pair = [first, second]
                .map(|verb| Act::Verb(verb.to_vec()))
                .to_vec();
            keep_apart(&mut pair, Theme::Plain);
            if pair.len() < 2 {
                continue;
            }
            for found in FOUND {
                let mut groups = (found.before)();
                groups.push(found.beside.iter().chain(&pair).cloned().collect());
                let mut story = story(None, groups);
                // For snapshots.
                story.machine.disk = Disk::Qcow2;
                stories.push((found.name, story));
            }
        }
    }
    println!("two verbs at once: {} stories", stories.len());
    stories
}
