//! Whether what domstate says of a state directory is right, after the next boot.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use domstate::domain::{Answer, Certainty};
use domstate::journal::JOURNAL_FILE;
use domstate::observe::{look, look_at_run};
use domstate::operation::managed_image;
use domstate::store::encode::cause_kind;
use domstate::store::{Definition, DomainFolder, Snapshot, StateDir};
use serde_json::{Map, Value};

use super::super::harness::Host;
use super::outage::is_final;
use super::world::{Domain, Managed, Run, World};

/// The runs of a domain that are kept.
pub(super) const RUNS_KEPT: usize = 10;

/// What domstate says of one run.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) answer: String,
    pub(super) cause: &'static str,
    certainty: Certainty,
    /// QEMU wrote the guest, and a line that says for which job is lost.
    may_be_anothers: bool,
    /// A line is damaged; and one behind the one that says that a job is carried out.
    is_damaged: bool,
    is_cut: bool,
}

/// Whether nothing of a line is missing but its end, which the next line brings along.
fn is_line(line: &str) -> bool {
    let line = line.trim_end_matches(['\r', '\n']);
    line.is_empty() || serde_json::from_str::<Map<String, Value>>(line).is_ok()
}

/// By what is told: how the journal lies there changes with the next line.
impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        let told = |it: &Self| (it.answer.clone(), it.cause, it.certainty);
        told(self) == told(other)
    }
}

impl Told {
    fn of(answer: &Answer, journal: &str) -> Self {
        let last_job = journal.rfind("\"announces\":true");
        let of_job = last_job.map_or("", |at| &journal[at..]);
        let lines = of_job.split_inclusive('\n');
        let is_whole = |line: &&str| line.contains("DOMSTATE_STREAM_") && line.ends_with("}}\n");
        let carried_out = journal.rfind("\"DOMSTATE_SENT\"");
        let behind = carried_out.map_or("", |at| &journal[at..]);
        let mut behind = behind.split_inclusive('\n').skip(1);
        Self {
            is_damaged: !journal.split_inclusive('\n').all(is_line),
            is_cut: behind.any(|line| !is_line(line)),
            answer: answer.state.to_string(),
            cause: answer.cause.as_ref().map_or("none", cause_kind),
            certainty: answer.certainty,
            may_be_anothers: of_job.contains("\"MIGRATION\"") && lines.filter(is_whole).count() < 2,
        }
    }

    /// Whether it is true of the run.
    fn is_true_of(&self, run: &Run) -> bool {
        let is_unknown = self.answer == "shut off (unknown)" && self.cause == "journal-damaged";
        let host_restart = self.answer == "shut off (crashed)" && self.cause == "host-restart";
        let may_be_elsewhere = self.may_be_anothers && self.cause == "maybe-migrated";
        match run {
            Run::Lived => match self.certainty {
                Certainty::Unknown => is_unknown || may_be_elsewhere,
                Certainty::Inferred => host_restart,
                Certainty::Witnessed => false,
            },
            Run::Ended {
                answer,
                cause,
                certainty,
                ..
            } => {
                // In that line somebody may have let the guest run, or asked for a reset, or a crash kernel may have taken over:
                // what `wait` has told has none.
                let may_be_less = match self.cause {
                    "asked" => self.is_cut,
                    "qmp-reset" | "guest-shutdown" => self.is_damaged,
                    _ => false,
                };
                let is_kept = ["shut off (saved)", "shut off (from snapshot)"].contains(answer);
                let must_be_less = is_kept && self.is_cut;
                let is_less_sure = self.certainty == Certainty::Inferred && may_be_less;
                let is_as_sure = self.certainty == *certainty && !must_be_less || is_less_sure;
                self.answer == *answer && self.cause == *cause && is_as_sure
            }
        }
    }
}

/// All that was said of a state directory.
#[derive(Debug)]
pub(super) struct Said {
    domains: Vec<DomainSaid>,
    /// The files that are whole.
    files: Vec<PathBuf>,
}

#[derive(Debug)]
struct DomainSaid {
    name: String,
    /// The command line that it is defined by.
    argv: Option<Vec<OsString>>,
    runs: Vec<(u32, Told)>,
    snapshots: Vec<String>,
    managed: Managed,
}

impl DomainSaid {
    fn newest(&self) -> (&str, &str) {
        let never_run = ("shut off (unknown)", "never-run");
        self.runs
            .last()
            .map_or(never_run, |(_, told)| (&told.answer, told.cause))
    }
}

impl Said {
    /// The newest answers of all domains, with their causes.
    pub(super) fn newest(&self) -> Vec<String> {
        let newest = self.domains.iter().map(DomainSaid::newest);
        newest
            .map(|(answer, cause)| format!("{answer}: {cause}"))
            .collect()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(|domain| domain.name.as_str())
    }

    /// `state (reason)` of a domain that is there.
    pub(super) fn answer(&self, name: &str) -> &str {
        let mut domains = self.domains.iter();
        domains
            .find(|domain| domain.name == name)
            .map_or("", |domain| domain.newest().0)
    }

    /// Whether nothing else is told of any run than was told before, and of no other run.
    pub(super) fn has_same_runs(&self, before: &Self) -> bool {
        let mut pairs = self.domains.iter().zip(&before.domains);
        self.domains.len() == before.domains.len()
            && pairs.all(|(now, before)| now.name == before.name && now.runs == before.runs)
    }

    /// The same of the domains that are still there, with one more run, for which the oldest may have gone.
    pub(super) fn has_one_run_more(&self, before: &Self, name: &str) -> bool {
        let find = |said: &Self| {
            said.domains
                .iter()
                .find(|domain| domain.name == name)
                .map(|domain| domain.runs.clone())
        };
        let (Some(now), Some(before)) = (find(self), find(before)) else {
            return false;
        };
        let gone = (before.len() + 1).saturating_sub(RUNS_KEPT);
        now.len() == before.len() + 1 - gone && now.starts_with(&before[gone..])
    }

    /// Whether all of it is true in `world`.
    pub(super) fn is_true_in(&self, world: &World) -> bool {
        let has = |file: &&str| {
            self.files
                .iter()
                .any(|there| *there == Path::new("files").join(file))
        };
        let has_files = world.files.iter().all(has);
        let alike = self.domains.len() == world.domains.len();
        let mut pairs = self.domains.iter().zip(&world.domains);
        has_files && alike && pairs.all(|(said, domain)| self.is_true_of(said, domain))
    }

    fn is_true_of(&self, said: &DomainSaid, domain: &Domain) -> bool {
        let is_defined = said
            .argv
            .iter()
            .flatten()
            .any(|word| word == domain.defined_by);
        let forgotten = domain.runs.len().checked_sub(said.runs.len());
        let wanted = (1..).zip(&domain.runs).skip(forgotten.unwrap_or(0));
        let mut runs = said.runs.iter().zip(wanted);
        let runs_are_true = forgotten.is_some_and(|count| count <= domain.forgotten_max)
            && runs.all(|((number, told), (wanted, run))| {
                *number == wanted && told.is_true_of(run) && self.has_image_of(&said.name, run)
            });
        said.name == domain.name
            && is_defined
            && runs_are_true
            && said.snapshots == domain.snapshots
            && said.managed == domain.managed
            && self.cores_of(&said.name) == domain.cores
    }

    fn cores_of(&self, name: &str) -> usize {
        let folder = Path::new("state").join(name).join("dump");
        let is_core = |path: &&PathBuf| path.parent() == Some(&folder) && is_final(path);
        self.files.iter().filter(is_core).count()
    }

    /// Whether the guest that a run has saved is in its file, or in the one that is about to be it.
    fn has_image_of(&self, name: &str, run: &Run) -> bool {
        let Run::Ended {
            image: Some(image), ..
        } = run
        else {
            return true;
        };
        let places = [format!("files/{image}"), format!("state/{name}/{image}")];
        let part = |place: &String| format!("{place}.domstate-part");
        let is_it = |path: &PathBuf, place: &String| {
            *path == Path::new(place) || *path == Path::new(&part(place))
        };
        self.files
            .iter()
            .any(|path| places.iter().any(|place| is_it(path, place)))
    }
}

/// Asks domstate of everything that is there. `whole` are the files of the tree that have all of their bytes.
///
/// # Errors
/// What could not be read: after a power cut there is nothing that cannot be.
pub(super) fn ask(host: &Host, whole: &[PathBuf]) -> anyhow::Result<Said> {
    let state = StateDir::choose(Some(host.state_dir()), true, &|_| None)?;
    let mut domains = Vec::new();
    for name in state.names()? {
        let domain = state.domain(&name);
        let newest = look(&domain)?;
        let mut runs = Vec::new();
        for number in domain.run_numbers()?.unwrap_or_default() {
            let seen = look_at_run(&domain, &domain.run(number))?;
            let journal = fs::read(domain.run(number).path().join(JOURNAL_FILE));
            let journal = String::from_utf8_lossy(&journal.unwrap_or_default()).into_owned();
            runs.push((number, Told::of(&seen.answer, &journal)));
        }
        let last = runs.last().map(|(_, told)| told.answer.clone());
        let newest_told = newest.run.map(|_| newest.answer.state.to_string());
        assert_eq!(newest_told, last);
        domains.push(DomainSaid {
            name: name.to_string(),
            argv: argv(&domain)?,
            runs,
            snapshots: snapshots(&domain)?,
            managed: match managed_image(&domain)? {
                Some(_) => Managed::Image,
                None => Managed::Nothing,
            },
        });
    }
    let files = whole.to_vec();
    Ok(Said { domains, files })
}

fn argv(domain: &DomainFolder) -> anyhow::Result<Option<Vec<OsString>>> {
    let path = domain.definition();
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Definition::load(&path)?.argv))
}

fn snapshots(domain: &DomainFolder) -> anyhow::Result<Vec<String>> {
    let snapshots = Snapshot::list(domain)?;
    Ok(snapshots
        .iter()
        .map(|snapshot| snapshot.name.to_string())
        .collect())
}

#[test]
fn a_line_that_is_torn_behind_a_brace_within_it_is_none() {
    let line = "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\r\n";
    let is_whole = |end: &usize| is_line(&line[..*end]);
    let whole: Vec<usize> = (1..=line.len()).filter(is_whole).collect();
    assert_eq!(whole, [line.len() - 2, line.len() - 1, line.len()]);
}
