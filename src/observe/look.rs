//! One look at a domain.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::statfs::{EXT4_SUPER_MAGIC, Statfs, statfs};
use nix::sys::statvfs::FsFlags;

use super::host::{Reach, reach};
use super::life::{Supervised, has_let_go, life};
use super::origin::{Origin, origin, origin_by_qemu};
use super::process::is_named_as_qemu;
use super::replay::{Replay, feared_loss, gap, replay};
use super::worker::worker;
use crate::domain::{Answer, Cause, Certainty, Damage, Duty, Fold, Life, ShutOff, State, Worker};
use crate::journal::{JOURNAL_FILE, Journal};
use crate::store::{DomainFolder, RunFolder};

/// Far longer than it takes to write a line, unless its writer waits for a processor: then the answer is only less
/// certain than it might be.
const LINE_TAKES: Duration = Duration::from_millis(1);

/// Why a copy cannot be believed whose guest has ended since.
const COPIED: &str = "it seems to be a copy, which may lack what was written since";

/// Why nobody knows what a guest does whose QEMU was replaced by one that was not started by domstate.
const UNRECORDED: &str = "QEMU does not write it any more";

/// What one look saw.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The current run; `None` if the domain never ran.
    pub run: Option<RunFolder>,
    pub fold: Fold,
    pub life: Life,
    /// Whether the process that does the job, if there is one, is there.
    pub worker: Worker,
    pub supervised: Supervised,
    /// Whether it is its run's own journal that was looked at.
    pub origin: Origin,
    /// Lines may be lost, of which nothing is on record yet.
    pub may_lack_lines: bool,
    /// The journal could not be read to its end.
    pub is_unread: bool,
    pub answer: Answer,
}

impl Observation {
    /// Whether the record knows nothing of a panic: QEMU was asked, and nobody who goes by the record does anything about it.
    pub fn is_crash_of_qemus_word(&self) -> bool {
        self.answer.state == State::Crashed && self.fold.live != State::Crashed
    }

    /// QEMU's pid while the domain is active, where it means QEMU: its id. What was launched may be a wrapper.
    pub fn id(&self) -> Option<u32> {
        let launcher = || self.fold.launcher.filter(|it| is_named_as_qemu(*it));
        let pid = self.fold.qemu.or_else(launcher)?.pid;
        (self.is_active() && self.pids_mean_its_own()).then_some(pid)
    }

    /// The pid that its supervisor has noted, where it means the supervisor.
    pub fn supervisor(&self) -> Option<u32> {
        match self.supervised {
            Supervised::By(pid) => pid.filter(|_| self.pids_mean_its_own()),
            Supervised::Nobody => None,
        }
    }

    /// Whether its pids mean its own processes here, and not somebody else's.
    fn pids_mean_its_own(&self) -> bool {
        let launch = self.fold.launch.as_ref();
        launch.is_some_and(|launch| reach(launch).is_ok_and(|reach| reach == Reach::Same))
    }

    /// Whether QEMU is there.
    pub fn is_active(&self) -> bool {
        self.answer.state.is_active()
    }

    /// Whether the run has ended and its end is on record.
    pub fn is_settled(&self) -> bool {
        match (&self.run, &self.life) {
            (None, _) => true,
            // What nobody can know nobody writes down.
            (Some(_), Life::Gone(_)) => self.fold.has_end() || self.origin.may_lack_lines(),
            (Some(_), Life::Lives | Life::MayLive) => false,
        }
    }

    /// What is to be done about it, by whoever finds it so: nothing by a part of what is on record.
    pub fn duty(&self) -> Option<Duty> {
        let is_whole = !self.is_copy() && !self.is_unread;
        self.run.as_ref().filter(|_| is_whole)?;
        self.fold.duty(&self.life, self.worker)
    }

    /// Whether somebody should be started to look after the run: it lives or ended, and nobody writes it down; or there
    /// is something to be done, and nobody does it.
    pub fn is_orphaned(&self) -> bool {
        let Some(launch) = self.fold.launch.as_ref().filter(|_| self.run.is_some()) else {
            return false;
        };
        // From another pid namespace a guest that lives cannot be told from one that is gone.
        let in_reach = || {
            reach(launch).is_ok_and(|reach| match reach {
                Reach::Same => true,
                Reach::OtherBoot => matches!(self.life, Life::Gone(_)),
                Reach::OtherNamespace => false,
            })
        };
        let is_wanted = !self.is_settled() || self.duty().is_some();
        is_wanted && self.supervised.is_nobody() && in_reach() && !self.is_copy()
    }

    fn is_copy(&self) -> bool {
        self.origin == Origin::Copy
    }

    fn never_ran() -> Self {
        Self {
            run: None,
            fold: Fold::default(),
            life: Life::Gone(crate::domain::Exited::default()),
            worker: Worker::Gone,
            supervised: Supervised::Nobody,
            origin: Origin::Untold,
            may_lack_lines: false,
            is_unread: false,
            answer: Answer {
                state: State::ShutOff(ShutOff::Unknown),
                since: None,
                cause: Some(Cause::NeverRun),
                // Nothing happened, and that is on record.
                certainty: Certainty::Witnessed,
            },
        }
    }
}

/// Looks at the domain's current run.
pub fn look(domain: &DomainFolder) -> Result<Observation> {
    let context = || format!("cannot read domain '{}'", domain.name());
    let Some(numbers) = domain.run_numbers().with_context(context)? else {
        return Ok(Observation::never_ran());
    };
    match numbers.last() {
        Some(number) => look_at_run(domain, &domain.run(*number)).with_context(context),
        None => Ok(Observation::never_ran()),
    }
}

/// Looks at one run of the domain.
pub fn look_at_run(domain: &DomainFolder, run: &RunFolder) -> Result<Observation> {
    let mut replay = replay(run)?;
    let mut life = life(domain, run, &replay.fold)?;
    if matches!(life, Life::Gone(_)) && !replay.fold.has_end() {
        // QEMU, or the supervisor, may have written its last lines between the reading and the look at /proc.
        let seen = |replay: &Replay| (replay.fold.qemu, replay.fold.launcher);
        let before = seen(&replay);
        let was_feared = replay.is_loss_feared;
        replay = super::replay::replay(run)?;
        replay.is_loss_feared |= was_feared;
        let later = self::life(domain, run, &replay.fold)?;
        life = if seen(&replay) == before {
            life.and_later(later)
        } else {
            later
        };
    }
    match life {
        // Whoever broke off in that line is gone.
        Life::Gone(_) if replay.unfinished && !replay.fold.has_end() => replay.end_line(run),
        Life::Lives | Life::MayLive if replay.unfinished && is_stump(run, &replay) => {
            replay.apply(&gap());
        }
        Life::Gone(_) | Life::Lives | Life::MayLive => {}
    }
    let supervised = Supervised::look(run);
    let mut origin = match is_certain(&replay.fold, &life, supervised) {
        true => Origin::Untold,
        false => origin(run, &replay.fold).unwrap_or(Origin::Untold),
    };
    match life {
        Life::Lives if supervised.is_nobody() => {
            origin = origin_by_qemu(run, &replay.fold, origin);
            if origin == Origin::Copy {
                life = Life::MayLive;
            }
        }
        Life::Gone(_) if origin.may_lack_lines() && !replay.fold.has_end() => {
            replay.damage.get_or_insert_with(|| Damage {
                file: run.relative(JOURNAL_FILE),
                why: COPIED.to_owned(),
            });
        }
        Life::Lives | Life::MayLive | Life::Gone(_) => {}
    }
    let may_be_lost = || replay.is_loss_feared || !has_room(run) && !keeps_room(run);
    // What is to be done about it goes by what is on record.
    let doubted = (!replay.fold.has_end() && may_be_lost()).then(|| {
        let mut fold = replay.fold.clone();
        fold.apply(&feared_loss());
        fold
    });
    let fold = doubted.as_ref().unwrap_or(&replay.fold);
    let unrecorded = (life == Life::Lives && is_unrecorded(run, &replay.fold)).then(|| Damage {
        file: run.relative(JOURNAL_FILE),
        why: UNRECORDED.to_owned(),
    });
    let mut answer = match (&unrecorded, &replay.damage) {
        (Some(damage), _) => Fold::answer_unrecorded(damage),
        (None, Some(damage)) => fold.answer_despite(damage, &life),
        (None, None) => fold.answer(&life),
    };
    if let Some(Cause::JournalDamaged { file, .. }) = &mut answer.cause {
        // The fold does not know where its run lies.
        *file = run.relative(JOURNAL_FILE);
    }
    Ok(Observation {
        run: Some(run.clone()),
        supervised,
        origin,
        may_lack_lines: doubted.is_some(),
        is_unread: replay.is_unread,
        worker: worker(run, &replay.fold)?,
        fold: replay.fold,
        life,
        answer,
    })
}

/// Whether a QEMU that has sent its guest away has sent it to one that took its own place, and that nobody has told to record.
fn is_unrecorded(run: &RunFolder, fold: &Fold) -> bool {
    // One that is to end closes its files first.
    let may_be_replaced = fold.may_run_there() && fold.shutdown.is_none();
    let qemu = fold.qemu.filter(|_| may_be_replaced);
    qemu.is_some_and(|qemu| has_let_go(run, fold, qemu))
}

/// Whether it is of no moment where a run's journal comes from: its supervisor knows better, or all is done.
fn is_certain(fold: &Fold, life: &Life, supervised: Supervised) -> bool {
    match life {
        Life::Lives => !supervised.is_nobody(),
        Life::MayLive => false,
        Life::Gone(_) => fold.has_end() && fold.job.is_none(),
    }
}

/// Whether the line without an end is one that QEMU could not write whole (a full disk): it does not come back to it, and
/// loses what follows without a trace. A line that is just being written has its end in an instant.
fn is_stump(run: &RunFolder, seen: &Replay) -> bool {
    std::thread::sleep(LINE_TAKES);
    let now = Journal::open_read_only(run.path())
        .and_then(|journal| journal.read(seen.offset, &mut |_| {}));
    let has_its_end = now.is_ok_and(|now| !now.unfinished || now.offset != seen.offset);
    !has_its_end
}

/// Whether something can be written there, as far as the file system tells.
fn has_room(run: &RunFolder) -> bool {
    let told = statfs(run.path());
    told.is_ok_and(|told| {
        // Some have no end that they would tell of.
        let is_full = told.blocks() > 0 && told.blocks_available() == 0;
        !is_full && !is_read_only(run, &told)
    })
}

/// Whether QEMU's next words have room that was kept for them.
fn keeps_room(run: &RunFolder) -> bool {
    let is_writable = statfs(run.path()).is_ok_and(|told| !is_read_only(run, &told));
    let kept = || Journal::open_read_only(run.path()).and_then(|journal| journal.keeps_room());
    is_writable && kept().unwrap_or(false)
}

fn is_read_only(run: &RunFolder, told: &Statfs) -> bool {
    let is_said = told.flags().contains(FsFlags::ST_RDONLY);
    let may_hide_it = told.filesystem_type() == EXT4_SUPER_MAGIC;
    is_said || Journal::is_immutable(run.path()) || may_hide_it && Journal::is_read_only(run.path())
}
