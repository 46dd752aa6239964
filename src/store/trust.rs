//! Who may write to the state directory. What lies in it is believed and acted upon: command lines are executed, files
//! renamed and removed. So nobody but its owner, and root, may be able to put anything there.
//!
//! Two looks a command, because a query must stay cheap: at the state directory and at the folder that it lies in; and
//! two more once it was made. The folders further up need none: whoever replaces one of them can put there only what is not the caller's own.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::durable::create_folder;
use super::paths::{DomainFolder, StateDir};

const ROOT: u32 = 0;

/// Write permission of group and others (inode(7)).
const WRITABLE_BY_OTHERS: u32 = 0o022;

const WRITABLE_BY_ALL: u32 = 0o002;

/// Who may write to a folder can remove only what is their own there.
const STICKY: u32 = 0o1000;

/// What a verb does to the domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Look,
    Act,
}

impl StateDir {
    /// Looks whether the user `uid` may believe what lies here.
    ///
    /// # Errors
    /// It is another user's, or others may write to it or replace it. Root may look at what another user has, and not
    /// act: it would execute, rename and remove what that user has put there.
    pub fn check(&mut self, uid: u32, access: Access) -> Result<()> {
        let context = || format!("cannot use the state directory {}", self.path().display());
        let granted = look_at(self.path(), uid, access).with_context(context)?;
        self.granted = granted;
        Ok(())
    }

    /// Makes it, mode 0700, with its parents, where it is not there yet, for the user `uid` to act in.
    ///
    /// # Errors
    /// It cannot be made, or may not be believed: where others may make folders, too, one of them may have been faster.
    pub fn create(&self, uid: u32) -> Result<Self> {
        create_folder(self.path()).with_context(|| {
            format!(
                "cannot create the state directory {}",
                self.path().display()
            )
        })?;
        let mut created = self.clone();
        created.check(uid, Access::Act)?;
        Ok(created)
    }
}

/// What the user may do in the state directory at `path`, if it is there.
fn look_at(path: &Path, uid: u32, access: Access) -> Result<Option<Access>> {
    let Ok(found) = fs::symlink_metadata(path) else {
        check_nearest(path)?;
        return Ok(None);
    };
    check_parent(path)?;
    if !found.is_symlink() {
        return check_folder(&found, uid, access).map(Some);
    }
    let granted = check_owner(&found, uid, access)?;
    // A link that leads nowhere, say, is for who opens it to complain of.
    let Ok(real) = fs::canonicalize(path) else {
        return Ok(None);
    };
    check_parent(&real)?;
    let granted_there = check_folder(&fs::symlink_metadata(&real)?, uid, access)?;
    Ok(Some(granted.min(granted_there)))
}

impl DomainFolder {
    /// Looks whether the folders on the way to its runs are folders.
    ///
    /// # Errors
    /// One of them is a symbolic link.
    pub fn check(&self) -> Result<()> {
        refuse_link(self.path())?;
        refuse_link(&self.runs())
    }
}

/// Refuses a symbolic link in the state directory: what is written there would come to lie somewhere else.
///
/// # Errors
/// It is one. What is not there is none.
pub fn refuse_link(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        bail!("{} is a symbolic link", path.display());
    }
    Ok(())
}

fn check_folder(found: &Metadata, uid: u32, access: Access) -> Result<Access> {
    let granted = check_owner(found, uid, access)?;
    if found.mode() & WRITABLE_BY_OTHERS != 0 {
        bail!(
            "others may write to it (mode {:04o})",
            found.mode() & 0o7777
        );
    }
    Ok(granted)
}

/// The most that the user may do there, which is not less than `access`.
fn check_owner(found: &Metadata, uid: u32, access: Access) -> Result<Access> {
    let owner = found.uid();
    if owner == uid || owner == ROOT {
        return Ok(Access::Act);
    }
    match (uid, access) {
        (ROOT, Access::Look) => Ok(Access::Look),
        (ROOT, Access::Act) => bail!("it belongs to user {owner}, as whom root does not act"),
        (_, Access::Look | Access::Act) => bail!("it belongs to user {owner}"),
    }
}

/// Looks at the folder that `path` lies in.
fn check_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let Ok(found) = fs::metadata(parent) else {
        return Ok(());
    };
    if found.mode() & WRITABLE_BY_ALL != 0 && found.mode() & STICKY == 0 {
        let mode = found.mode() & 0o7777;
        let parent = parent.display();
        bail!("anybody may replace it: {parent} has mode {mode:04o}, without the sticky bit");
    }
    Ok(())
}

/// The same for a state directory that is not there yet, and maybe its parents neither.
fn check_nearest(path: &Path) -> Result<()> {
    let is_missing = |path: &Path| -> bool {
        let found: io::Result<PathBuf> = fs::canonicalize(path);
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    let mut nearest = path;
    while let Some(parent) = nearest.parent().filter(|parent| is_missing(parent)) {
        nearest = parent;
    }
    check_parent(nearest)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("domstate-trust-{name}-{}", std::process::id());
            let place = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&place);
            fs::create_dir_all(place.join("parent/state")).unwrap();
            let this = Self(place);
            this.set_modes(0o755, 0o700);
            this
        }

        fn set_modes(&self, parent: u32, state: u32) {
            for (path, mode) in [("parent", parent), ("parent/state", state)] {
                let path = self.0.join(path);
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }

        fn check(&self, state: &str, uid: u32, access: Access) -> Result<(), String> {
            self.granted(state, uid, access).map(drop)
        }

        /// What may be done to a domain there.
        fn granted(&self, state: &str, uid: u32, access: Access) -> Result<bool, String> {
            let mut chosen = self.chosen(state);
            chosen.check(uid, access).map_err(|error| cause(&error))?;
            Ok(chosen.domain(&"v".parse().unwrap()).may_be_acted_on())
        }

        fn chosen(&self, state: &str) -> StateDir {
            StateDir::choose(Some(self.0.join(state)), false, &|_| None).unwrap()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn cause(error: &anyhow::Error) -> String {
        error.root_cause().to_string()
    }

    fn me() -> u32 {
        fs::metadata("/proc/self").unwrap().uid()
    }

    #[test]
    fn a_folder_that_others_may_write_to_or_replace_is_refused() {
        let place = Place::new("modes");
        for (parent, state, refused) in [
            (0o755, 0o700, None),
            (0o755, 0o755, None),
            (0o1777, 0o700, None),
            (0o775, 0o700, None),
            (0o755, 0o770, Some("others may write to it (mode 0770)")),
            (0o755, 0o702, Some("others may write to it (mode 0702)")),
            (0o755, 0o1777, Some("others may write to it (mode 1777)")),
            (0o777, 0o700, Some("has mode 0777, without the sticky bit")),
        ] {
            place.set_modes(parent, state);
            for access in [Access::Look, Access::Act] {
                let told = place.check("parent/state", me(), access);
                match refused {
                    None => assert_eq!(told, Ok(()), "{parent:o} {state:o}"),
                    Some(words) => assert!(told.unwrap_err().ends_with(words)),
                }
            }
        }
        // One that is not there yet is as safe as where it will be made.
        for (state, is_safe) in [
            ("parent/new", false),
            ("parent/new/state", false),
            ("new", true),
        ] {
            let told = place.check(state, me(), Access::Act);
            assert_eq!(told.is_ok(), is_safe, "{state}: {told:?}");
        }
    }

    #[test]
    fn one_that_somebody_else_has_made_since_is_refused() {
        let place = Place::new("race");
        let (uid, words) = match me() {
            // What is root's everybody has to believe.
            ROOT => (ROOT, "it belongs to user 1000, as whom root does not act"),
            _ => (me() + 1000, &*format!("it belongs to user {}", me())),
        };
        let mut chosen = place.chosen("parent/new");
        chosen.check(uid, Access::Act).unwrap();
        let made = place.0.join("parent/new");
        fs::create_dir(&made).unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).unwrap();
        if me() == ROOT {
            std::os::unix::fs::chown(&made, Some(1000), None).unwrap();
        }
        assert_eq!(cause(&chosen.create(uid).unwrap_err()), words);
        // The same of the caller's own.
        fs::remove_dir(&made).unwrap();
        assert!(!chosen.was_there());
        let created = chosen.create(me()).unwrap();
        assert!(created.domain(&"v".parse().unwrap()).may_be_acted_on());
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to_and_by_whoever_made_it() {
        let place = Place::new("link");
        symlink("parent/state", place.0.join("link")).unwrap();
        assert_eq!(place.check("link", me(), Access::Act), Ok(()));
        place.set_modes(0o777, 0o700);
        assert!(place.check("link", me(), Access::Look).is_err());
        place.set_modes(0o755, 0o777);
        assert!(place.check("link", me(), Access::Look).is_err());
    }

    #[test]
    fn what_is_another_users_is_refused_but_for_root_to_look_at() {
        let place = Place::new("owner");
        let told = |uid, access| place.check("parent/state", uid, access);
        let stranger = me() + 1000;
        // What is root's everybody has to believe.
        let expected = match me() {
            ROOT => Ok(()),
            owner => Err(format!("it belongs to user {owner}")),
        };
        assert_eq!(told(stranger, Access::Look), expected);
        if me() == ROOT {
            std::os::unix::fs::chown(place.0.join("parent/state"), Some(stranger), None).unwrap();
            assert_eq!(told(ROOT, Access::Look), Ok(()));
            let granted = |state, uid| place.granted(state, uid, Access::Look);
            assert_eq!(granted("parent/state", ROOT), Ok(false));
            assert_eq!(granted("parent/state", stranger), Ok(true));
            // Nor does a link of root's own make it root's.
            symlink("parent/state", place.0.join("link")).unwrap();
            assert_eq!(granted("link", ROOT), Ok(false));
            let words = format!("it belongs to user {stranger}, as whom root does not act");
            assert_eq!(told(ROOT, Access::Act), Err(words));
            assert_eq!(told(stranger, Access::Act), Ok(()));
            let words = format!("it belongs to user {stranger}");
            assert_eq!(told(stranger + 1, Access::Look), Err(words));
        }
    }
}
