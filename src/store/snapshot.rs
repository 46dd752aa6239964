//! What is kept of an internal snapshot: the guest's state lies in its disks, and here what the disks do not say.
//!
//! ```text
//! STATE/NAME/snapshots/TAG.json     a snapshot
//! STATE/NAME/snapshots/.TAG.json    one that is being made: its disks may hold something by that name, or not
//! ```
//! A tag obeys the rules of a domain's name, so it never begins with a dot.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::durable::{FORMAT, create_folder, read_json_of, sync_folder, write_durably};
use super::encode::time_text;
use super::new_image::Placed;
use super::owner::Owner;
use super::paths::DomainFolder;
use super::save_image::time_of;
use super::trust::refuse_link;
use crate::domain::{Begin, Name, Timestamp};
use crate::journal::{os_from_json, os_to_json};

/// That of one whose guest is in doubt: who knows no more would take a guest back to it as if it were not.
const DOUBTED_FORMAT: u64 = FORMAT + 1;

/// A snapshot of a guest: its memory and all disks that it can write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub name: Name,
    pub created_at: Timestamp,
    /// What the guest did when it was taken, and does again after a revert.
    pub begin: Begin,
    /// The run that it was taken of.
    pub run: u32,
    /// Lines of that were lost: the guest's kernel may have panicked before.
    pub may_have_panicked: bool,
    /// Where it lies; the first disk holds the guest's memory too.
    pub disks: Vec<SnapshotDisk>,
}

/// A disk that holds a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotDisk {
    /// QEMU's name for it in that run.
    pub node: String,
    /// What `qemu-img` finds it by.
    pub file: PathBuf,
}

impl Snapshot {
    /// Reads the snapshot at `path`; `None` if there is none.
    ///
    /// # Errors
    /// With the path and the field that is wrong.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let context = || format!("{}", path.display());
        let value = match read_json_of(path, DOUBTED_FORMAT) {
            Ok(value) => value,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error).with_context(context),
        };
        Self::from_json(&value).map(Some).with_context(context)
    }

    /// Reads all snapshots of the domain, in the order of virsh: by name, whatever its case.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn list(domain: &DomainFolder) -> Result<Vec<Self>> {
        let mut snapshots = Vec::new();
        for name in names(domain)? {
            snapshots.extend(Self::load(&domain.snapshot(&name))?);
        }
        Ok(snapshots)
    }

    /// Whether it is what `owner` makes. By run and time: the domain may have got another name since.
    fn is_of(&self, owner: &Owner<'_>) -> bool {
        self.run == owner.run && self.created_at == owner.began
    }

    /// Says that it is about to be made; on return that is on the disk.
    pub fn announce(&self, place: &Path) -> io::Result<()> {
        if let Some(folder) = place.parent() {
            refuse_link(folder).map_err(io::Error::other)?;
            create_folder(folder)?;
        }
        write_durably(
            &draft_of(place),
            format!("{:#}\n", self.to_json()).as_bytes(),
        )
    }

    /// Reads what `owner` has announced for `place` and has not got its name yet.
    pub fn load_announced(place: &Path, owner: &Owner<'_>) -> Result<Option<Self>> {
        let announced = Self::load(&draft_of(place))?;
        Ok(announced.filter(|snapshot| snapshot.is_of(owner)))
    }

    fn to_json(&self) -> Value {
        let disk = |disk: &SnapshotDisk| json!({"node": disk.node, "file": os_to_json(disk.file.as_os_str())});
        json!({
            "format": match self.may_have_panicked {
                true => DOUBTED_FORMAT,
                false => FORMAT,
            },
            "name": self.name.as_str(),
            "created_at": time_text(self.created_at),
            "running": self.begin == Begin::Running,
            "run": self.run,
            "may_have_panicked": self.may_have_panicked,
            "disks": self.disks.iter().map(disk).collect::<Vec<_>>(),
        })
    }

    fn from_json(value: &Value) -> Result<Self> {
        let field = |name: &'static str| {
            let missing = move || anyhow!("field '{name}' is missing");
            value.get(name).ok_or_else(missing)
        };
        let wrong = |name: &'static str| move || anyhow!("field '{name}' is not what it should be");
        let name = field("name")?.as_str().and_then(|text| text.parse().ok());
        let created_at = field("created_at")?.as_str().and_then(time_of);
        let begin = field("running")?.as_bool().map(|running| match running {
            true => Begin::Running,
            false => Begin::Paused,
        });
        let run = field("run")?.as_u64().and_then(|run| run.try_into().ok());
        let disks = field("disks")?
            .as_array()
            .and_then(|disks| disks.iter().map(disk_from_json).collect());
        Ok(Self {
            name: name.ok_or_else(wrong("name"))?,
            created_at: created_at.ok_or_else(wrong("created_at"))?,
            begin: begin.ok_or_else(wrong("running"))?,
            run: run.ok_or_else(wrong("run"))?,
            // Older ones do not say.
            may_have_panicked: value.get("may_have_panicked").and_then(Value::as_bool)
                == Some(true),
            disks: disks.ok_or_else(wrong("disks"))?,
        })
    }
}

fn disk_from_json(value: &Value) -> Option<SnapshotDisk> {
    Some(SnapshotDisk {
        node: value.get("node")?.as_str()?.to_owned(),
        file: os_from_json(value.get("file")?)?.into(),
    })
}

/// Reads the names of the domain's snapshots, sorted as virsh sorts them.
fn names(domain: &DomainFolder) -> Result<Vec<Name>> {
    let folder = domain.snapshots();
    let context = || format!("cannot read {}", folder.display());
    refuse_link(&folder)?;
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(context)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(context)?.path();
        names.extend(tag_of(&path));
    }
    names.sort_by_key(|name| (name.as_str().to_lowercase(), name.clone()));
    Ok(names)
}

/// How many snapshots the domain has, be they such that cannot be read.
pub fn snapshot_count(domain: &DomainFolder) -> Result<usize> {
    Ok(names(domain)?.len())
}

/// The snapshot whose file this is.
pub fn tag_of(place: &Path) -> Option<Name> {
    let name = place.file_name()?.to_str()?;
    name.strip_suffix(".json")?.parse().ok()
}

/// Gives the snapshot that `owner` has made its name, if nobody has yet.
pub fn put_snapshot_in_place(place: &Path, owner: &Owner<'_>) -> Result<Placed> {
    if Snapshot::load_announced(place, owner)?.is_some() {
        std::fs::rename(draft_of(place), place)?;
    } else if Snapshot::load(place)?.is_none_or(|snapshot| !snapshot.is_of(owner)) {
        bail!("what was announced is gone");
    }
    Ok(Placed::of(place.parent().map_or(Ok(()), sync_folder)))
}

/// Forgets that `owner` was to make a snapshot, with what is left of a writing that broke off.
pub fn discard_snapshot(place: &Path, owner: &Owner<'_>) -> io::Result<()> {
    let draft = draft_of(place);
    if let Ok(Some(snapshot)) = Snapshot::load(&draft)
        && !snapshot.is_of(owner)
    {
        return Ok(());
    }
    let name = draft.file_name().unwrap_or_default().as_encoded_bytes();
    let Some(folder) = draft.parent().filter(|folder| folder.is_dir()) else {
        return Ok(());
    };
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let left = entry.file_name();
        let rest = left.as_encoded_bytes().strip_prefix(name);
        if rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(b".new")) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Forgets a snapshot that is gone from the disks.
pub fn forget_snapshot(place: &Path) -> io::Result<()> {
    remove(place)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
    }
}

fn draft_of(place: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    place.with_file_name(name)
}

fn is_missing(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            name: "s1".parse().unwrap(),
            created_at: Timestamp(1_795_402_802_904_513),
            begin: Begin::Paused,
            run: 7,
            may_have_panicked: true,
            disks: vec![SnapshotDisk {
                node: "#block350".to_owned(),
                file: "/a/b.qcow2".into(),
            }],
        }
    }

    #[test]
    fn a_snapshot_comes_back_and_a_damaged_one_names_the_field() {
        let whole = snapshot().to_json();
        assert_eq!(Snapshot::from_json(&whole).unwrap(), snapshot());
        for key in ["name", "created_at", "running", "run", "disks"] {
            let mut cut = whole.clone();
            cut[key] = json!({});
            let error = Snapshot::from_json(&cut).unwrap_err().to_string();
            assert_eq!(error, format!("field '{key}' is not what it should be"));
            cut.as_object_mut().unwrap().remove(key);
            let error = Snapshot::from_json(&cut).unwrap_err().to_string();
            assert_eq!(error, format!("field '{key}' is missing"));
        }
    }

    #[test]
    fn a_snapshot_is_none_before_it_has_its_name() {
        let folder = std::env::temp_dir().join(format!("domstate-snap-{}", std::process::id()));
        let place = folder.join("s1.json");
        let made = snapshot();
        let owner = Owner {
            name: &made.name,
            run: made.run,
            began: made.created_at,
        };
        let later = Owner {
            began: Timestamp(made.created_at.0 + 1),
            ..owner
        };
        made.announce(&place).unwrap();
        let other = Snapshot {
            name: "s1.json".parse().unwrap(),
            ..snapshot()
        };
        other.announce(&folder.join("s1.json.json")).unwrap();
        assert_eq!(Snapshot::load(&place).unwrap(), None);
        let announced = |owner| Snapshot::load_announced(&place, owner).unwrap();
        assert_eq!(announced(&owner), Some(snapshot()));
        // Whoever is late with an older one of the same name.
        assert_eq!(announced(&later), None);
        discard_snapshot(&place, &later).unwrap();
        assert!(put_snapshot_in_place(&place, &later).is_err());
        for _ in 0..2 {
            let placed = put_snapshot_in_place(&place, &owner).unwrap();
            assert!(matches!(placed, Placed::Durably));
            assert_eq!(Snapshot::load(&place).unwrap(), Some(snapshot()));
            discard_snapshot(&place, &owner).unwrap();
        }
        assert!(put_snapshot_in_place(&place, &later).is_err());
        assert!(draft_of(&folder.join("s1.json.json")).exists());
        assert_eq!(tag_of(&place).unwrap().as_str(), "s1");
        assert_eq!(tag_of(&draft_of(&place)), None);
        forget_snapshot(&place).unwrap();
        assert!(put_snapshot_in_place(&place, &owner).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
