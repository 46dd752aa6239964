//! Giving a run whose supervisor died a new one.

use std::fs::symlink_metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::unistd::{AccessFlags, access};

use super::order::{SUPERVISOR_ENVIRONMENT, ourselves, servant, watch_args};
use crate::observe::{Observation, Supervised, Watcher, look, look_at_run};
use crate::store::{DomainFolder, RunFolder};

/// How long a verb that is about to act waits for the new supervisor to be there.
const ADOPTION_WAIT: Duration = Duration::from_millis(500);

/// So many that were started one after the other for a run may die: what kills them would kill the next as well.
const DEATHS_MAX: u32 = 10;

/// Starts a supervisor for the run that `seen` is about, if it needs one and is the caller's own, in a state directory
/// of the caller's own. What cannot be done is left: the next command may be able to.
pub fn adopt(domain: &DomainFolder, seen: &Observation) {
    // Nobody waits for it: it outlives this command.
    let _ = adopter(domain, seen);
}

fn adopter(domain: &DomainFolder, seen: &Observation) -> Option<Child> {
    let run = seen.run.as_ref().filter(|_| seen.is_orphaned())?;
    // In another user's state directory these two may be replaced between this look and what is done with them.
    if !domain.may_be_acted_on() || !is_own(domain.path()) || !is_own(run.path()) {
        return None;
    }
    // Where nothing can be written a supervisor would end at once, after every query.
    access(run.path(), AccessFlags::W_OK).ok()?;
    let mut command = if seen.is_settled() {
        // Only a job is left to be finished or undone.
        servant(run)
    } else {
        let mut command = ourselves();
        command.args(watch_args(run, None)).env_clear();
        command.envs(SUPERVISOR_ENVIRONMENT);
        command
    };
    command.spawn().ok()
}

/// Whether the file is the caller's own, and no link to one that is.
fn is_own(path: &Path) -> bool {
    let uid = nix::unistd::geteuid().as_raw();
    symlink_metadata(path).is_ok_and(|found| !found.is_symlink() && found.uid() == uid)
}

/// One that lived so long did not die of what its successor would die of at once.
const LIVES_LONG: Duration = Duration::from_secs(60);

/// The supervisors that a command which stays gives the newest run of a domain, one after the other.
#[derive(Debug, Default)]
pub struct Succession {
    newest: Option<Child>,
    started_at: Option<Instant>,
    /// Of how many of those that were started for `run` in succession.
    deaths: u32,
    run: Option<RunFolder>,
}

impl Succession {
    /// The same as [`adopt`], over and over: whoever watches a run for long does not start more than can be of use. When to
    /// look again, if one is on its way.
    pub fn adopt(&mut self, domain: &DomainFolder, seen: &Observation) -> Option<Instant> {
        if !seen.is_orphaned() {
            return None;
        }
        let look_at = self.go_on(domain, seen).ok();
        look_at.filter(|_| self.newest.is_some())
    }

    /// Starts the next, if the run needs one and none is on its way. When to look again.
    ///
    /// # Errors
    /// So many of them died that there will not be one.
    pub(super) fn go_on(&mut self, domain: &DomainFolder, seen: &Observation) -> Result<Instant> {
        let look_at = Instant::now() + ADOPTION_WAIT;
        if self.run != seen.run {
            (self.newest, self.deaths) = (None, 0);
            self.run.clone_from(&seen.run);
        }
        if let Some(newest) = &mut self.newest {
            match newest.try_wait()? {
                None => return Ok(look_at),
                // Somebody else's was quicker.
                Some(status) if status.success() => {}
                Some(_) if self.started_at.is_some_and(|at| at.elapsed() >= LIVES_LONG) => {
                    self.deaths = 1;
                }
                Some(_) => self.deaths += 1,
            }
        }
        if self.deaths >= DEATHS_MAX {
            bail!(
                "nobody watches it: {DEATHS_MAX} supervisors died one after the other; its QEMU is left to the next command"
            );
        }
        self.newest = adopter(domain, seen);
        self.started_at = Some(Instant::now());
        Ok(look_at)
    }
}

/// The same for a verb that is about to act: what it brings about should be witnessed.
pub fn adopt_and_wait(domain: &DomainFolder, seen: Observation) -> Result<Observation> {
    if !seen.is_orphaned() || seen.is_settled() {
        return Ok(seen);
    }
    let mut watcher = Watcher::new();
    watcher.watch(domain, &seen);
    adopt(domain, &seen);
    let deadline = Instant::now() + ADOPTION_WAIT;
    let Some(run) = &seen.run else {
        return look(domain);
    };
    while Supervised::look(run).is_nobody() && Instant::now() < deadline {
        watcher.sleep(Some(deadline))?;
    }
    // Not at a newer one: that this one ended may be what somebody waits for.
    look_at_run(domain, run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_what_is_the_callers_own_is_not_the_callers_own() {
        let place = std::env::temp_dir().join(format!("domstate-adopt-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir(&place).unwrap();
        let link = place.join("link");
        std::os::unix::fs::symlink(&place, &link).unwrap();
        assert_eq!((is_own(&place), is_own(&link)), (true, false));
        std::fs::remove_dir_all(&place).unwrap();
    }
}
