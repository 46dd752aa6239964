//! Whether what domstate says of a state directory is right, after the next boot.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use domstate::domain::{Answer, Certainty};
use domstate::observe::{look, look_at_run};
use domstate::operation::managed_image;
use domstate::store::encode::cause_kind;
use domstate::store::{Definition, DomainFolder, Snapshot, StateDir};

use super::super::harness::Host;
use super::disk::{Found, Tree};
use super::world::{Domain, Managed, Run, World};

/// A host whose files are what a power cut has left.
pub(super) struct Place<'a> {
    host: &'a Host,
    there: Option<Tree>,
}

impl<'a> Place<'a> {
    pub(super) fn new(host: &'a Host) -> Self {
        Self { host, there: None }
    }

    /// Somebody has changed what is there.
    pub(super) fn forget(&mut self) {
        self.there = None;
    }

    /// Makes the files those of `tree`.
    pub(super) fn put(&mut self, tree: &Tree) {
        let root = self.host.folder();
        let old = self.there.take().unwrap_or_else(|| {
            for folder in ["state", "files"] {
                let _ = fs::remove_dir_all(root.join(folder));
            }
            Tree::new()
        });
        let is_kept = |path: &PathBuf, found: &Found| match (tree.get(path), found) {
            (Some(Found::Folder), Found::Folder) => true,
            (now, _) => now == Some(found),
        };
        // What is in a folder comes behind it.
        for (path, found) in old
            .iter()
            .rev()
            .filter(|(path, found)| !is_kept(path, found))
        {
            let path = root.join(path);
            match found {
                Found::Folder => fs::remove_dir_all(path).unwrap(),
                Found::File(_) | Found::Link(_) => fs::remove_file(path).unwrap(),
            }
        }
        for (path, found) in tree
            .iter()
            .filter(|(path, found)| old.get(*path) != Some(found))
        {
            let path = root.join(path);
            match found {
                Found::Folder => {
                    fs::create_dir(&path).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
                }
                Found::File(bytes) => {
                    fs::write(&path, &**bytes).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                }
                Found::Link(target) => symlink(target, &path).unwrap(),
            }
        }
        self.there = Some(tree.clone());
    }
}

/// What domstate says of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) answer: String,
    pub(super) cause: &'static str,
    certainty: Certainty,
}

impl Told {
    fn of(answer: &Answer) -> Self {
        Self {
            answer: answer.state.to_string(),
            cause: answer.cause.as_ref().map_or("none", cause_kind),
            certainty: answer.certainty,
        }
    }

    /// Whether it is true of the run.
    fn is_true_of(&self, run: &Run) -> bool {
        let is_unknown = self.answer == "shut off (unknown)" && self.cause == "journal-damaged";
        let host_restart = self.answer == "shut off (crashed)" && self.cause == "host-restart";
        match run {
            Run::Lived => {
                (is_unknown && self.certainty == Certainty::Unknown)
                    || (host_restart && self.certainty == Certainty::Inferred)
            }
            Run::Ended { answer, cause, .. } => {
                self.answer == *answer && cause.split('|').any(|cause| self.cause == cause)
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
    definition: Option<Definition>,
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
        self.runs() == before.runs()
    }

    /// The same, with any further runs.
    pub(super) fn begins_with_runs(&self, before: &Self) -> bool {
        let now = self.runs();
        let mut before = before.runs().into_iter().zip(now);
        before.all(|(before, now)| now.starts_with(before))
    }

    fn runs(&self) -> Vec<&[(u32, Told)]> {
        self.domains
            .iter()
            .map(|domain| domain.runs.as_slice())
            .collect()
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
            .definition
            .as_ref()
            .is_some_and(|definition| definition.argv.iter().any(|word| word == domain.defined_by));
        let mut runs = said.runs.iter().zip((1..).zip(&domain.runs));
        let runs_are_true = said.runs.len() == domain.runs.len()
            && runs.all(|((number, told), (wanted, run))| {
                *number == wanted && told.is_true_of(run) && self.has_image_of(&said.name, run)
            });
        said.name == domain.name
            && is_defined
            && runs_are_true
            && said.snapshots == domain.snapshots
            && said.managed == domain.managed
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
            runs.push((number, Told::of(&seen.answer)));
        }
        let last = runs.last().map(|(_, told)| told.clone());
        assert_eq!(newest.run.map(|_| Told::of(&newest.answer)), last);
        domains.push(DomainSaid {
            name: name.to_string(),
            definition: definition(&domain)?,
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

fn definition(domain: &DomainFolder) -> anyhow::Result<Option<Definition>> {
    let path = domain.definition();
    path.exists().then(|| Definition::load(&path)).transpose()
}

fn snapshots(domain: &DomainFolder) -> anyhow::Result<Vec<String>> {
    let snapshots = Snapshot::list(domain)?;
    Ok(snapshots
        .iter()
        .map(|snapshot| snapshot.name.to_string())
        .collect())
}
