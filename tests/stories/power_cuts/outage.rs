//! The power goes: at every moment of a story, in every way that is tried.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use super::crash::{Depth, Fate, Fates, disk_after, fates, is_one_of_many};
use super::disk::{Disk, Found, Tree};
use super::judge::{Place, Said, ask};
use super::recording::Recorded;
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

/// As many of the operations that were lost are told, the newest first.
const OPERATIONS_TOLD: usize = 12;

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
        if is_one_of_many(operations, at, depth) {
            continue;
        }
        tally.moments += 1;
        let worlds = story.worlds(at);
        for fates in fates(operations, at, before, depth) {
            let disk = disk_after(operations, at, &fates);
            let tree = disk.tree();
            if !seen.insert(digest(&tree, &worlds)) {
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

fn digest(tree: &Tree, worlds: &[&World]) -> u64 {
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
        let (Found::File(bytes), Some(inode)) = (found, disk.find(&path)) else {
            continue;
        };
        if bytes == *last.bytes(inode) {
            files.push(path);
        } else if is_final(&path) {
            return Err(format!("{} is not whole", path.display()));
        }
    }
    Ok(files)
}

/// Whether a file gets this name when it is whole.
fn is_final(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    let is_snapshot = folder == "snapshots" && !name.starts_with('.') && name.ends_with(".json");
    let is_users = folder == "files" && !name.ends_with(".domstate-part");
    is_snapshot || is_users || name == "managed.save" || name == "domain.json"
}

impl Recorded {
    fn moments(&self) -> impl Iterator<Item = super::trace::Moment> + use<> {
        let mut moments = self.operations.moments();
        let told = self
            .phases
            .iter()
            .flat_map(|phase| [Some(phase.begin), phase.told]);
        moments.extend(told.flatten());
        moments.insert(self.end);
        moments.into_iter()
    }

    /// What may be true of what a power cut at a moment has left: what was told last, and what may have happened since.
    fn worlds(&self, at: super::trace::Moment) -> Vec<&World> {
        let is_told = |phase: &super::recording::Phase| phase.told.is_some_and(|told| told <= at);
        let last = self.phases.iter().rposition(is_told);
        let told = last.and_then(|last| self.phases[last].worlds.last());
        let since = &self.phases[last.map_or(0, |last| last + 1)..];
        let begun = since.iter().filter(|phase| phase.begin <= at);
        let begun = begun.flat_map(|phase| &phase.worlds);
        told.into_iter()
            .chain(self.first.iter().filter(|_| last.is_none()))
            .chain(begun)
            .collect()
    }

    fn describe(&self, at: super::trace::Moment, fates: &Fates) -> String {
        let operations = &self.operations.all;
        let lost = fates.iter().filter(|(_, fate)| **fate != Fate::Kept);
        let pending: Vec<String> = lost
            .rev()
            .take(OPERATIONS_TOLD)
            .map(|(number, fate)| {
                format!(
                    "  {fate:?}: {}",
                    operations[*number].describe(&self.operations)
                )
            })
            .collect();
        format!(
            "cut at line {at} of {}\n{}\n",
            self.trace.display(),
            pending.join("\n")
        )
    }
}
