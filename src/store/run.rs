//! Making a run's folder, and keeping the folders of past runs few.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::PathBuf;

use super::definition::Definition;
use super::durable::{create_folder, sync_folder, write_lightly};
use super::lock::{FolderLock, Lock};
use super::log::Log;
use super::paths::{DomainFolder, RunFolder};
use super::trust::refuse_link;
use crate::domain::{Event, Launch, Timestamp};
use crate::journal::Journal;

/// The runs that are kept, the current one included.
const RUNS_KEPT: usize = 10;

/// How the name of a link begins that is still to become `state.json`.
const LINK: &str = ".state-";

/// A run's folder under a name that no reader looks at, until it is whole.
#[derive(Debug)]
pub struct NewRun {
    temporary: PathBuf,
    run: RunFolder,
    domain: DomainFolder,
}

impl NewRun {
    /// Makes the folder of the run after the last one, with everything that QEMU's recorder needs.
    /// `definition` is what it is started from, `recorder_commands` what QEMU is told at its start.
    pub fn create(
        domain: &DomainFolder,
        definition: &Definition,
        recorder_commands: &str,
    ) -> io::Result<Self> {
        refuse_link(&domain.runs()).map_err(io::Error::other)?;
        create_folder(&domain.runs())?;
        let last = domain.run_numbers()?.and_then(|n| n.last().copied());
        let run = domain.run(last.map_or(1, |last| last.saturating_add(1)));
        let temporary = domain.runs().join(format!(".new-{}", std::process::id()));
        match std::fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        DirBuilder::new().mode(0o700).create(&temporary)?;
        let new = Self {
            temporary,
            run,
            domain: domain.clone(),
        };
        new.fill(definition, recorder_commands)
            .inspect_err(|_| new.abandon())?;
        Ok(new)
    }

    fn fill(&self, definition: &Definition, recorder_commands: &str) -> io::Result<()> {
        Log::create(&self.temporary)?;
        definition.save_lightly(&RunFolder::at(self.temporary.clone(), 0).definition())?;
        write_lightly(
            &self.temporary.join("recorder.in"),
            recorder_commands.as_bytes(),
        )?;
        // What QEMU would write to the other end of its pipe goes into the journal as the chardev's log.
        symlink("/dev/null", self.temporary.join("recorder.out"))?;
        Journal::create(&self.temporary).map(|_| ())
    }

    /// The number that the run will have.
    pub fn number(&self) -> u32 {
        self.run.number()
    }

    /// Takes the lock that only this run's supervisor holds, before anybody else can see the run.
    pub fn take_supervisor_lock(&self) -> io::Result<Lock> {
        let path = self.temporary.join("supervisor.lock");
        Lock::try_take(&path)?.ok_or_else(|| io::Error::other("somebody holds a new lock"))
    }

    /// Makes the run the current one: on return it is on the disk with its first line, and every reader sees it.
    pub fn publish(self, at: Timestamp, launch: &Launch) -> io::Result<RunFolder> {
        let published = self.try_publish(at, launch);
        if published.is_err() {
            self.abandon();
        }
        published.map(|()| self.run)
    }

    fn try_publish(&self, at: Timestamp, launch: &Launch) -> io::Result<()> {
        let journal = Journal::open(&self.temporary)?;
        let mut launch = launch.clone();
        launch.journal = journal.id().ok().flatten();
        journal.append(at, &Event::Launched(Box::new(launch)))?;
        journal.file().sync_all()?;
        sync_folder(&self.temporary)?;
        // What needs room comes before the step that every reader sees.
        let link = self.make_link()?;
        let published = std::fs::rename(&self.temporary, self.run.path())
            .and_then(|()| sync_folder(&self.domain.runs()))
            .and_then(|()| std::fs::rename(&link, self.domain.state()))
            .and_then(|()| sync_folder(self.domain.path()));
        if published.is_err() {
            let _ = std::fs::remove_file(&link);
            // Nothing was started: the last run is the current one again.
            let _ = std::fs::rename(self.run.path(), &self.temporary);
        }
        published
    }

    fn make_link(&self) -> io::Result<PathBuf> {
        make_link(&self.domain, &self.run)
    }

    fn abandon(&self) {
        let _ = std::fs::remove_dir_all(&self.temporary);
    }
}

/// Makes the link to the run's checkpoint, for other programs, under a name of its own.
fn make_link(domain: &DomainFolder, run: &RunFolder) -> io::Result<PathBuf> {
    let link = domain.path().join(format!("{LINK}{}", std::process::id()));
    let _ = std::fs::remove_file(&link);
    symlink(run.relative("state.json"), &link)?;
    Ok(link)
}

/// Has other programs find the checkpoint of `run`, if it is the newest, where whoever made that died before he could.
pub fn link_checkpoint(domain: &DomainFolder, run: &RunFolder) -> io::Result<()> {
    let is_linked = std::fs::read_link(domain.state());
    if is_linked.is_ok_and(|target| target == run.relative("state.json")) {
        return Ok(());
    }
    // Whoever has it is making a newer one, or is about to do the same.
    let Some(_lock) = FolderLock::try_take(domain.path()).map_err(io::Error::other)? else {
        return Ok(());
    };
    let numbers = domain.run_numbers()?.unwrap_or_default();
    if numbers.last() != Some(&run.number()) {
        return Ok(());
    }
    let link = make_link(domain, run)?;
    std::fs::rename(link, domain.state())?;
    sync_folder(domain.path())
}

/// Removes the folders of runs that are too long ago, and what a killed `start` has left of one. Runs are removed oldest
/// first, so that the numbers never begin anew. A run loses its name before anything of it is lost, on the disk too:
/// nobody reads half of one.
pub fn prune(domain: &DomainFolder) -> io::Result<()> {
    remove_leftovers(domain)?;
    let numbers = domain.run_numbers()?.unwrap_or_default();
    let surplus = numbers.len().saturating_sub(RUNS_KEPT);
    if surplus == 0 {
        return Ok(());
    }
    for number in numbers.iter().take(surplus) {
        let nameless = domain.runs().join(format!(".gone-{number}"));
        std::fs::rename(domain.run(*number).path(), nameless)?;
    }
    sync_folder(&domain.runs())?;
    remove_leftovers(domain)
}

/// Removes what is under the names that no reader looks at.
fn remove_leftovers(domain: &DomainFolder) -> io::Result<()> {
    for entry in std::fs::read_dir(domain.path())? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(LINK.as_bytes())
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    for entry in std::fs::read_dir(domain.runs())? {
        let entry = entry?;
        let name = entry.file_name();
        let is_left = |kind: &[u8]| name.as_encoded_bytes().starts_with(kind);
        if is_left(b".new-") || is_left(b".gone-") {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
