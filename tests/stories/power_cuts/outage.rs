//! The power goes: at every moment of a story, in every way that is tried.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use super::aftermath::Aftermath;
use super::crash::{Depth, fates};
use super::disk::{Disk, Found, Tree};
use super::judge::{Said, ask};
use super::place::Place;
use super::recorded::Recorded;
use super::sample::try_commands;
use super::world::World;

/// What came of a story.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) operations: usize,
    pub(super) syncs: usize,
    pub(super) moments: usize,
    pub(super) states: usize,
    /// In how many states commands were run, and a start was tried.
    pub(super) commands: usize,
    pub(super) answers: BTreeMap<String, usize>,
    wrong: Vec<String>,
    wrong_states: usize,
}

/// As many wrong answers are told in full.
const WRONG_TOLD: usize = 5;

impl Tally {
    pub(super) fn assert_right(&self, test: &str) {
        let told = self.wrong.join("\n\n");
        assert_eq!(
            self.wrong_states, 0,
            "{test}: wrong after a power cut:\n{told}"
        );
    }

    /// The figures, for people.
    pub(super) fn row(&self, story: &str) -> Vec<String> {
        let figures = [
            self.operations,
            self.syncs,
            self.moments,
            self.states,
            self.commands,
        ];
        let answers = self
            .answers
            .iter()
            .map(|(answer, count)| format!("{count} {answer}"));
        let answers = answers.collect::<Vec<_>>().join("; ");
        let figures = figures.iter().map(usize::to_string);
        [story.to_owned()]
            .into_iter()
            .chain(figures)
            .chain([answers])
            .collect()
    }

    fn note(&mut self, judged: Result<Said, String>, state: impl FnOnce() -> String) {
        match judged {
            Ok(said) => {
                for answer in said.newest() {
                    *self.answers.entry(answer).or_default() += 1;
                }
            }
            Err(why) => {
                self.wrong_states += 1;
                if self.wrong.len() < WRONG_TOLD {
                    self.wrong.push(format!("{}: {why}", state()));
                }
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operations,
            syncs,
            moments,
            states,
            commands,
            answers,
            ..
        } = self;
        write!(
            f,
            "{operations} operations, {syncs} syncs, {moments} moments, {states} states, {commands} of them with \
             commands, {} wrong: {answers:?}",
            self.wrong_states
        )
    }
}

/// Cuts the power at every moment of a story, in every way.
pub(super) fn cut_power(story: &Recorded, depth: Depth) -> Tally {
    let operations = &story.operations;
    let mut tally = Tally {
        operations: operations.all.len(),
        syncs: operations.syncs,
        ..Tally::default()
    };
    let mut place = Place::new(&story.host);
    let mut seen = HashSet::new();
    let whole = operations.last();
    let mut before = 0;
    for at in story.moments() {
        if operations.is_one_of_many(at) {
            continue;
        }
        tally.moments += 1;
        let worlds = story.worlds(at);
        let of_worlds = format!("{worlds:?}");
        let mut aftermath = Aftermath::new(operations, at);
        for fates in fates(operations, at, before, depth) {
            let disk = aftermath.disk(&fates);
            let tree = disk.tree();
            if !seen.insert(digest(&tree, &of_worlds)) {
                continue;
            }
            tally.states += 1;
            place.put(&tree);
            let judged = judge(story, &disk, &whole, &worlds).and_then(|said| {
                if tally.states.is_multiple_of(depth.states_per_command()) {
                    tally.commands += 1;
                    place.forget();
                    try_commands(&story.host, &said)?;
                }
                Ok(said)
            });
            tally.note(judged, || story.describe(at, &fates));
        }
        before = at;
    }
    tally
}

fn digest(tree: &Tree, worlds: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    worlds.hash(&mut hasher);
    for (path, found) in tree {
        (path, found.digest()).hash(&mut hasher);
    }
    hasher.finish()
}

/// What domstate says of the disk that lies there, if it is right.
fn judge(story: &Recorded, disk: &Disk, whole: &Disk, worlds: &[&World]) -> Result<Said, String> {
    let files = whole_files(disk, whole)?;
    let said = ask(&story.host, &files).map_err(|error| format!("error: {error:#}"))?;
    match worlds.iter().any(|world| said.is_true_in(world)) {
        true => Ok(said),
        false => Err(format!("{said:#?}\nis true in none of {worlds:#?}")),
    }
}

/// The files that have all of their bytes.
///
/// # Errors
/// One that has its final name has not.
fn whole_files(disk: &Disk, last: &Disk) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for (path, found) in disk.tree() {
        let (Found::File(content), Some(inode)) = (found, disk.find(&path)) else {
            continue;
        };
        if content == *last.content(inode) {
            files.push(path);
        } else if is_final(&path) {
            return Err(format!("{} is not whole", path.display()));
        }
    }
    Ok(files)
}

/// Whether a file gets this name when it is whole.
pub(super) fn is_final(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    let is_snapshot = folder == "snapshots" && !name.starts_with('.') && name.ends_with(".json");
    let is_users =
        ["files", "dump"].map(OsStr::new).contains(&folder) && !name.ends_with(".domstate-part");
    is_snapshot || is_users || name == "managed.save" || name == "domain.json"
}
