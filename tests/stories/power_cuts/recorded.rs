//! A story that is over: what was done to the files, and what was true when.

use std::path::{Path, PathBuf};

use super::super::harness::Host;
use super::crash::{Fate, Fates};
use super::disk::{Disk, Found};
use super::operations::Operations;
use super::trace::Moment;
use super::world::World;

/// A step with its place in the trace.
pub(super) struct Phase {
    pub(super) begin: Moment,
    pub(super) told: Option<Moment>,
    pub(super) worlds: Vec<World>,
}

/// A story that is over.
pub(super) struct Recorded {
    pub(super) host: Host,
    pub(super) operations: Operations,
    pub(super) phases: Vec<Phase>,
    /// What is true before anything happens.
    pub(super) first: World,
    pub(super) trace: PathBuf,
    /// The last line of the trace.
    pub(super) end: Moment,
}

/// Two changed this file at the same time, and strace saw the calls in another order than the kernel.
#[derive(Debug)]
pub(super) struct OutOfOrder(pub(super) PathBuf);

/// As many of the operations that were lost are told, the newest first.
const OPERATIONS_TOLD: usize = 12;

impl Recorded {
    /// From the moment on at which this run has this in its journal, on the disk or not, one of `worlds` is true: what
    /// happened then to other disks and elsewhere is not taken back.
    pub(super) fn is_so_from(&mut self, run: &str, text: &str, worlds: &[World]) {
        let journal = Path::new("state").join(run).join("journal");
        let moment = self.operations.written(&journal, text).unwrap();
        let phase = |told: Option<Moment>, worlds: &[World]| Phase {
            begin: moment,
            told,
            worlds: worlds.to_vec(),
        };
        let (last, others) = worlds.split_last().unwrap();
        let last = std::slice::from_ref(last);
        let phases = [phase(Some(moment), last), phase(None, others)];
        let later = self.phases.iter().position(|phase| phase.begin > moment);
        let later = later.unwrap_or(self.phases.len());
        self.phases.splice(later..later, phases);
    }

    /// Those at which a power cut finds something else, or something else may be true.
    pub(super) fn moments(&self) -> impl Iterator<Item = Moment> + use<> {
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
    pub(super) fn worlds(&self, at: Moment) -> Vec<&World> {
        let is_told = |phase: &Phase| phase.told.is_some_and(|told| told <= at);
        let last = self.phases.iter().rposition(is_told);
        let told = last.and_then(|last| self.phases[last].worlds.last());
        let since = &self.phases[last.map_or(0, |last| last + 1)..];
        let begun = since.iter().filter(|phase| phase.begin <= at);
        let begun = begun.flat_map(|phase| &phase.worlds);
        told.into_iter()
            .chain(last.is_none().then_some(&self.first))
            .chain(begun)
            .collect()
    }

    /// What was lost, for people.
    pub(super) fn describe(&self, at: Moment, fates: &Fates) -> String {
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

/// What the operations add up to is what is really there: none was overlooked.
pub(super) fn compare(added_up: &Disk, there: &Disk) -> Result<(), OutOfOrder> {
    let (added_up, there) = (added_up.tree(), there.tree());
    let names = |tree: &super::disk::Tree| -> Vec<PathBuf> { tree.keys().cloned().collect() };
    assert_eq!(names(&added_up), names(&there));
    for (path, found) in &there {
        let recorded = &added_up[path];
        if recorded == found {
            continue;
        }
        let is_shuffled = sorted(recorded).is_some() && sorted(recorded) == sorted(found);
        // The room behind the end is given back just as a line comes there.
        let is_cut = is_beginning(recorded, found) || is_beginning(found, recorded);
        assert!(
            is_shuffled || is_cut,
            "{path:?} is not what was written to it"
        );
        return Err(OutOfOrder(path.clone()));
    }
    Ok(())
}

/// The bytes of a file, whatever their order.
fn sorted(found: &Found) -> Option<Vec<u8>> {
    match found {
        Found::File(content) => {
            let mut bytes = content.bytes().to_vec();
            bytes.sort_unstable();
            Some(bytes)
        }
        Found::Folder | Found::Link(_) => None,
    }
}

/// Whether a file is another without its end.
fn is_beginning(short: &Found, long: &Found) -> bool {
    match (short, long) {
        (Found::File(short), Found::File(long)) => long.bytes().starts_with(short.bytes()),
        _ => false,
    }
}

/// What is in a file after two writes.
fn written(first: &str, second: &str) -> Disk {
    let text = format!(
        "7 openat(5</t>, \"a\", O_WRONLY|O_CREAT, 0600) = 3</t/a>\n\
         7 write(3</t/a>, \"{first}\", 2) = 2\n\
         7 write(3</t/a>, \"{second}\", 2) = {}\n",
        second.len()
    );
    let calls = super::trace::calls(text.as_bytes());
    Operations::of(&calls, Disk::empty(), Path::new("/t"), &["a"]).last()
}

#[test]
fn writes_that_strace_saw_in_another_order_are_noticed() {
    let there = written("uv", "wx");
    assert!(compare(&there, &there).is_ok());
    let shuffled = compare(&written("wx", "uv"), &there).unwrap_err();
    assert_eq!(shuffled.0, Path::new("a"));
    let cut = compare(&written("uv", ""), &there).unwrap_err();
    assert_eq!(cut.0, Path::new("a"));
}

#[test]
#[should_panic(expected = "is not what was written to it")]
fn a_write_that_strace_did_not_see_is_no_matter_of_order() {
    let _ = compare(&written("uv", "uv"), &written("uv", "wx"));
}
