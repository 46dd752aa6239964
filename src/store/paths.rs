//! Where everything lies. Making a path touches nothing; the few functions that look at the disk say so.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::libc;

use super::trust::Access;
use crate::domain::Name;

/// The managed image's name in its domain's folder.
pub(super) const MANAGED_SAVE: &str = "managed.save";

/// The state directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
    /// What the caller may do in it, as it was found when it was checked; `None` if it was not there, or nobody looked.
    pub(super) granted: Option<Access>,
}

/// One domain's folder.
#[derive(Clone, Debug)]
pub struct DomainFolder {
    name: Name,
    path: PathBuf,
    /// As of the state directory that it lies in.
    granted: Option<Access>,
}

/// One run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    number: u32,
    path: PathBuf,
}

impl StateDir {
    /// Chooses the state directory: `explicit` (`--state-dir`, else `$DOMSTATE_DIR`) is it; else
    /// /var/lib/domstate for root, else $XDG_STATE_HOME/domstate, else ~/.local/state/domstate.
    ///
    /// # Errors
    /// When none of them is known.
    pub fn choose(
        explicit: Option<PathBuf>,
        is_root: bool,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let set = |name| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = if let Some(explicit) = explicit.or_else(|| set("DOMSTATE_DIR")) {
            explicit
        } else if is_root {
            PathBuf::from("/var/lib/domstate")
        } else if let Some(state_home) = set("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
            state_home.join("domstate")
        } else if let Some(home) = set("HOME") {
            home.join(".local/state/domstate")
        } else {
            bail!("cannot find the state directory: neither $HOME nor $XDG_STATE_HOME is set")
        };
        if root.as_os_str().is_empty() {
            bail!("cannot use the state directory '': an empty path");
        }
        // QEMU and the supervisor have working directories of their own.
        let root = std::path::absolute(&root)
            .with_context(|| format!("cannot use the state directory {}", root.display()))?;
        let granted = None;
        Ok(Self { root, granted })
    }

    /// Its path, absolute.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Whether it was there when it was checked. What has come since is nobody's whom the caller knows.
    pub fn was_there(&self) -> bool {
        self.granted.is_some()
    }

    /// The folder that a domain of this name has or would have.
    pub fn domain(&self, name: &Name) -> DomainFolder {
        DomainFolder {
            name: name.clone(),
            path: self.root.join(name.as_str()),
            granted: self.granted,
        }
    }

    /// Reads the names of all domains, sorted. A state directory that is not there has none.
    pub fn names(&self) -> Result<Vec<Name>> {
        let entries = match std::fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries,
        };
        let context = || format!("cannot read the state directory {}", self.root.display());
        let mut names = Vec::new();
        for entry in entries.with_context(context)? {
            let file_name = entry.with_context(context)?.file_name();
            let name = file_name
                .to_str()
                .and_then(|name| name.parse::<Name>().ok());
            names.extend(name.filter(|name| self.domain(name).exists()));
        }
        names.sort_by_key(|name| (name.as_str().to_lowercase(), name.clone()));
        Ok(names)
    }
}

/// Whether a file is there, or may be for all that is known: an error of the disk is no proof that it is not.
pub fn may_exist(path: &Path) -> bool {
    path.try_exists().unwrap_or_else(|error| {
        let is_no_place_of_ours = matches!(
            error.kind(),
            io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
        );
        // Nor has a loop of links anything at its end.
        !is_no_place_of_ours && error.raw_os_error() != Some(libc::ELOOP)
    })
}

impl DomainFolder {
    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the state directory was found to be one in which the caller may do more than look.
    pub fn may_be_acted_on(&self) -> bool {
        self.granted == Some(Access::Act)
    }

    /// Looks whether the domain exists: a definition, or at least runs of one that lost it. One of which that cannot be told does:
    /// who then looks at it says why. What is no folder, or somebody else's, is none.
    pub fn exists(&self) -> bool {
        may_exist(&self.definition()) || may_exist(&self.runs())
    }

    pub fn definition(&self) -> PathBuf {
        self.path.join("domain.json")
    }

    /// The link to the current run's checkpoint, for other programs.
    pub fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// The file whose lock QEMU holds.
    pub fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// The image that `managedsave` leaves for the next start.
    pub fn managed_save(&self) -> PathBuf {
        self.path.join(MANAGED_SAVE)
    }

    /// The folder of the core files that `--on-crash coredump-*` leaves.
    pub fn dumps(&self) -> PathBuf {
        self.path.join("dump")
    }

    /// The folder of what is kept of internal snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// The file of the snapshot of this name, there or not.
    pub fn snapshot(&self, tag: &Name) -> PathBuf {
        self.snapshots().join(format!("{tag}.json"))
    }

    /// The folder of run `number`, there or not.
    pub fn run(&self, number: u32) -> RunFolder {
        RunFolder {
            number,
            path: self.runs().join(format!("{number:08}")),
        }
    }

    /// Reads the numbers of the runs, oldest first. `None` if there never was one.
    pub fn run_numbers(&self) -> io::Result<Option<Vec<u32>>> {
        self.check().map_err(io::Error::other)?;
        let entries = match std::fs::read_dir(self.runs()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            // Eight digits: a run that is still being made has another name.
            let number = name
                .to_str()
                .filter(|n| n.len() >= 8 && n.bytes().all(|b| b.is_ascii_digit()));
            let Some(number) = number.and_then(|n| n.parse::<u32>().ok()) else {
                continue;
            };
            // Not passed over: then an older run would be the current one.
            if entry.file_type()?.is_symlink() {
                let what = format!("{} is a symbolic link", entry.path().display());
                return Err(io::Error::other(what));
            }
            numbers.push(number);
        }
        numbers.sort_unstable();
        Ok(Some(numbers))
    }

    /// Looks for the newest run.
    pub fn latest_run(&self) -> io::Result<Option<RunFolder>> {
        let numbers = self.run_numbers()?.unwrap_or_default();
        Ok(numbers.last().map(|number| self.run(*number)))
    }
}

impl RunFolder {
    /// The folder at `path` as that of run `number`.
    pub fn at(path: PathBuf, number: u32) -> Self {
        Self { number, path }
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file whose lock the worker of a save or a dump holds.
    pub fn job_lock(&self) -> PathBuf {
        self.path.join("job.lock")
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// What the run was started from; the domain's own definition may be another by now.
    pub fn definition(&self) -> PathBuf {
        self.path.join("definition.json")
    }

    pub fn supervisor_lock(&self) -> PathBuf {
        self.path.join("supervisor.lock")
    }

    /// The file's path within the domain's folder, as messages name it.
    pub fn relative(&self, file: &str) -> String {
        format!("runs/{:08}/{file}", self.number)
    }

    /// The domain's folder, two levels up. Nobody has looked whose state directory it lies in.
    pub fn domain(&self) -> Option<DomainFolder> {
        let path = self.path.parent()?.parent()?;
        let name = path.file_name()?.to_str()?.parse().ok()?;
        Some(DomainFolder {
            name,
            path: path.to_owned(),
            granted: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(explicit: Option<&str>, is_root: bool, set: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let row = set.iter().find(|(key, _)| *key == name);
            row.map(|(_, value)| OsString::from(value))
        };
        let dir = StateDir::choose(explicit.map(PathBuf::from), is_root, &variable).ok()?;
        Some(dir.path().to_str().unwrap().to_owned())
    }

    #[test]
    fn the_state_directory_is_the_first_that_is_named() {
        let all = [
            ("DOMSTATE_DIR", "/d"),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(chosen(Some("/e"), true, &all).as_deref(), Some("/e"));
        assert_eq!(chosen(None, true, &all).as_deref(), Some("/d"));
        assert_eq!(
            chosen(None, true, &all[1..]).as_deref(),
            Some("/var/lib/domstate")
        );
        assert_eq!(
            chosen(None, false, &all[1..]).as_deref(),
            Some("/x/domstate")
        );
        assert_eq!(
            chosen(None, false, &all[2..]).as_deref(),
            Some("/h/.local/state/domstate")
        );
        assert_eq!(chosen(None, false, &[]), None);
        assert_eq!(chosen(Some(""), false, &all), None);
        // The XDG base directory specification: a relative path is to be ignored.
        let relative = [("XDG_STATE_HOME", "x"), ("HOME", "/h")];
        assert_eq!(
            chosen(None, false, &relative).as_deref(),
            Some("/h/.local/state/domstate")
        );
    }
}
