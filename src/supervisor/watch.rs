//! The watcher: sees what QEMU writes, keeps the checkpoint true, and writes down how QEMU ended.
//!
//! Order at the end, so that nothing is reported that a power cut could take back: see the exit status without
//! reaping, append it, fsync the journal, write the checkpoint durably, then reap. While the disk is full the
//! zombie is kept, for everybody to read its status from, and the record is tried again.

/// How a run comes to its end on the disk.
mod conclude;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::memory::give_back;
use super::oom::OomWitness;
use super::recorder::{End, News, Recorder};
use super::service::Service;
use crate::domain::{Answer, Event, Exit, Fold, Process, Verb};
use crate::observe::{
    Alarm, Reach, Sight, find_qemu, is_named_as_qemu, is_newest, lock_is_held, process, reach,
};
use crate::operation::{NOT_RUNNING, Ward};
use crate::qemu;
use crate::store::{Lock, RunFolder, link_checkpoint};
use crate::sys;

/// How long nothing must have happened before memory is given back.
const TIDY_DELAY: Duration = Duration::from_millis(100);

/// QEMU announced its end and does not come to it: 7.2 and 10.0 can hang in monitor_cleanup. Generous, because QEMU
/// may as well be flushing its disks, and killing it then would harm them.
const LEAVE_GRACE: Duration = Duration::from_secs(60);

/// What was spawned is gone, and somebody holds QEMU's lock: a wrapper that left QEMU in the background, which may take
/// so long to open the journal.
const COMING_GRACE: Duration = Duration::from_secs(10);

/// How often it is looked meanwhile whether the lock is still held.
const COMING_INTERVAL: Duration = Duration::from_millis(100);

/// Whether there is still something to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Continues,
    Ended,
}

/// What was spawned, and QEMU, where that is known, be it another process or the same.
#[derive(Debug, Default)]
struct Wards {
    launcher: Option<Ward>,
    qemu: Option<Ward>,
}

impl Wards {
    fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let wards = self.launcher.iter().chain(&self.qemu);
        wards.filter_map(Ward::descriptor)
    }

    fn has_unwatched(&self) -> bool {
        self.launcher
            .iter()
            .chain(&self.qemu)
            .any(Ward::is_unwatched)
    }
}

/// What came of looking at everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Done {
        /// When to look again, even if nothing happens.
        look_at: Option<Instant>,
    },
    Over,
}

/// A run under watch.
#[derive(Debug)]
pub(super) struct Watch {
    run: RunFolder,
    recorder: Recorder,
    wards: Wards,
    service: Service,
    alarm: Alarm,
    /// When QEMU was first seen to be on its way out.
    leaving_since: Option<Instant>,
    /// Since when the launcher is dead and QEMU may still come.
    coming_since: Option<Instant>,
    /// When something last happened, if the memory that it took was not given back yet.
    untidy_since: Option<Instant>,
    tidy_next: bool,
    patience: Patience,
    unrecorded: Option<io::Error>,
    oom: OomWitness,
    _lock: Lock,
}

/// How long a full disk is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Endless,
    Limited,
}

impl Watch {
    pub(super) fn new(run: RunFolder, lock: Lock, patience: Patience) -> Result<Self> {
        sys::survive_file_size_limit();
        let mut alarm = Alarm::new();
        let _ = alarm.watch(run.path());
        let recorder = Recorder::open(&run)?;
        let mut watch = Self {
            run,
            recorder,
            wards: Wards::default(),
            service: Service::default(),
            alarm,
            leaving_since: None,
            coming_since: None,
            untidy_since: Some(Instant::now()),
            tidy_next: false,
            patience,
            unrecorded: None,
            oom: OomWitness::from_now(),
            _lock: lock,
        };
        watch.recorder.catch_up()?;
        let fold = watch.fold();
        let reach = fold.launch.as_ref().map(reach).transpose()?;
        if reach == Some(Reach::OtherNamespace) {
            bail!("the run belongs to another pid namespace");
        }
        let domain = watch.run.domain();
        if let Some(domain) = &domain {
            // Without room for it other programs read the run before, and its number.
            let _ = link_checkpoint(domain, &watch.run);
        }
        if reach == Some(Reach::OtherBoot)
            && !fold.has_end()
            && domain
                .is_some_and(|d| is_newest(&d, &watch.run) && lock_is_held(&d).unwrap_or(false))
        {
            bail!("the run belongs to another boot id, and its QEMU may live");
        }
        // After another boot its pids are strangers', whose ends are not QEMU's and who must not be killed for it.
        let known = (reach == Some(Reach::Same)).then_some((fold.launcher, fold.qemu));
        let (launcher, qemu) = known.unwrap_or_default();
        watch.wards.launcher = launcher.map(Ward::of);
        watch.wards.qemu = qemu.map(Ward::of);
        if let Some(process) = qemu.or(launcher) {
            watch.oom.watch(process);
        }
        Ok(watch)
    }

    pub(super) fn run(&self) -> &RunFolder {
        &self.run
    }

    /// The run's folder, whatever its path leads to by now.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.recorder.folder()
    }

    pub(super) fn fold(&self) -> &Fold {
        self.recorder.fold()
    }

    /// The process to send signals to: QEMU, or what is to become it.
    pub(super) fn target(&self) -> Option<&Ward> {
        self.wards.qemu.as_ref().or(self.wards.launcher.as_ref())
    }

    /// Writes down what we did.
    pub(super) fn note(&mut self, event: Event) {
        self.recorder.note(event);
    }

    /// Takes note of everything that happened, then sleeps until more does, `extra` is readable, or `deadline`.
    pub(super) fn turn(
        &mut self,
        extra: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> Result<Turn> {
        let Work::Done { look_at } = self.work()? else {
            return Ok(Turn::Ended);
        };
        if std::mem::take(&mut self.tidy_next) {
            give_back();
        }
        self.sleep(extra, [deadline, look_at].into_iter().flatten().min())?;
        Ok(Turn::Continues)
    }

    /// Takes note of everything that happened. Not inlined: while we sleep, what it had on the stack is given back.
    #[inline(never)]
    fn work(&mut self) -> Result<Work> {
        let was_news = self.recorder.catch_up()?;
        self.identify();
        if self.take_note_of_ends()? == Turn::Ended {
            return Ok(Work::Over);
        }
        self.service.attend(&self.run, self.recorder.fold())?;
        let had_news = self.recorder.checkpoint_if_news();
        self.recorder.bound();
        let refused = self.fold().refusal.is_some() && self.fold().began.is_none();
        let leave_by = self.leave_deadline();
        let overstays = leave_by.is_some_and(|by| by <= Instant::now());
        // QEMU would not let the guest run, and nobody else would end it; or it announced its end and hangs: its
        // reason is recorded and stands, only the process is in the way.
        if (refused || overstays)
            && self.recorder.is_current()
            && let Some(ward) = self.target()
        {
            let _ = ward.kill(&self.run);
        }
        let leave_by = leave_by.filter(|by| *by > Instant::now());
        let tidy_at = self.tidy_up(was_news == News::Some || had_news);
        let coming = self.coming_since;
        let coming_at = coming.map(|_| Instant::now() + COMING_INTERVAL);
        let retry_at = [self.recorder.retry_at(), self.service.retry_at()];
        let retry_at = retry_at.into_iter().flatten().min();
        let process = self.target().map(Ward::process);
        let counted_at = process.and_then(|process| self.oom.look(process));
        let look_at = [leave_by, coming_at, retry_at, tidy_at, counted_at];
        Ok(Work::Done {
            look_at: look_at.into_iter().flatten().min(),
        })
    }

    /// Gives back what is not needed to sleep, once nothing has happened for a moment: under a flood of events it would
    /// all be needed again at once. When to look whether that moment has passed.
    fn tidy_up(&mut self, had_news: bool) -> Option<Instant> {
        if had_news {
            self.untidy_since = Some(Instant::now());
        }
        let due = self.untidy_since? + TIDY_DELAY;
        if due > Instant::now() {
            return Some(due);
        }
        self.untidy_since = None;
        self.tidy_next = true;
        None
    }

    fn leave_deadline(&mut self) -> Option<Instant> {
        if !self.fold().is_leaving() {
            self.leaving_since = None;
            return None;
        }
        let since = *self.leaving_since.get_or_insert_with(Instant::now);
        Some(since + LEAVE_GRACE)
    }

    /// Learns which process QEMU is, once it listens on its control socket.
    fn identify(&mut self) {
        if self.wards.qemu.is_some() || !self.recorder.qemu_spoke() {
            return;
        }
        // Not by its path, which may be another run's by now.
        let pid = qemu::listener_pid(self.recorder.folder()).ok();
        if let Some(found) = pid.filter(|pid| *pid != 0).and_then(process) {
            self.identified(found);
        }
    }

    fn identified(&mut self, qemu: Process) {
        if self.recorder.append(&Event::Identified(qemu)).is_ok() {
            self.wards.qemu = Some(Ward::of(qemu));
        }
        self.oom.watch(qemu);
    }

    /// Its QEMU among all processes, by its journal's path: as long as that is its own.
    fn find_qemu(&self) -> Option<Process> {
        let found = find_qemu(&self.run)?;
        self.recorder.is_current().then_some(found)
    }

    fn take_note_of_ends(&mut self) -> Result<Turn> {
        // In this order: the two may be one process, which may die between the looks.
        let launcher_ended = self.wards.launcher.as_ref().is_none_or(Ward::has_ended);
        if let Some(qemu) = self.wards.qemu.as_ref().filter(|qemu| qemu.has_ended()) {
            // One that was never seen to live may be there under another start time: that of a time namespace.
            let unseen = qemu.descriptor().is_none();
            match unseen.then(|| self.find_qemu()).flatten() {
                Some(found) => self.identified(found),
                None => return self.end(WhoEnded::Qemu),
            }
        }
        if !launcher_ended {
            return Ok(Turn::Continues);
        }
        if self.wards.qemu.is_none() {
            // What was spawned is gone, or nothing was. QEMU may live on without it: a wrapper that did not exec.
            match self.find_qemu() {
                Some(found) => self.identified(found),
                None if self.may_come() => return Ok(Turn::Continues),
                None if self.was_qemu() => return self.end(WhoEnded::Qemu),
                None => return self.end(WhoEnded::Launcher),
            }
        }
        self.coming_since = None;
        let qemu = self.wards.qemu.as_ref().map(|qemu| qemu.process().pid);
        let launcher = self.wards.launcher.take();
        if let Some(launcher) = launcher.filter(|it| Some(it.process().pid) != qemu) {
            self.record_exit(&launcher)?;
            launcher.reap();
        }
        Ok(Turn::Continues)
    }

    /// Whether what was spawned is dead by now, and was QEMU itself. A script may be called so, too: a shell's word for a signal
    /// is none of QEMU's.
    fn was_qemu(&mut self) -> bool {
        let is_qemus = |launcher: &&Ward| {
            let is_shells = matches!(launcher.exit(), Some(Exit::Status(129..)));
            is_named_as_qemu(launcher.process()) && !is_shells
        };
        let qemu = self.wards.launcher.as_ref().filter(is_qemus);
        if let Some(qemu) = qemu.map(Ward::process) {
            self.identified(qemu);
        }
        self.wards.qemu.is_some()
    }

    /// Whether QEMU may be on its way though what was spawned is gone: the wrapper's child that will be QEMU has the
    /// lock before it has the journal. Where nobody could write down what was spawned, who holds the lock is it.
    fn may_come(&mut self) -> bool {
        let fold = self.fold();
        let is_starting = fold.began.is_none() && fold.refusal.is_none();
        let spawned_unseen = fold.launcher.is_none();
        // That of an older run is the next one's.
        let lock_is_held = || {
            let domain = self.run.domain().filter(|d| is_newest(d, &self.run));
            domain.is_some_and(|domain| lock_is_held(&domain).unwrap_or(false))
        };
        let since = *self.coming_since.get_or_insert_with(Instant::now);
        is_starting && lock_is_held() && (spawned_unseen || since.elapsed() < COMING_GRACE)
    }

    /// Takes back what we asked for: it was not why QEMU ended.
    pub(super) fn withdraw(&mut self, verb: Verb) {
        let (pid, message) = (std::process::id(), NOT_RUNNING.to_owned());
        self.note(Event::Failed { verb, pid, message });
        // An older one says less, and nothing that is wrong.
        let _ = self.recorder.sync().and_then(|()| self.recorder.sum_up());
    }

    /// The run's answer, once it has ended.
    pub(super) fn conclusion(&self) -> Answer {
        self.recorder.conclusion()
    }

    /// Why the end is not on the disk, if it is not.
    pub(super) fn unrecorded(&self) -> Option<&io::Error> {
        self.unrecorded.as_ref()
    }

    fn sleep(&mut self, extra: &[BorrowedFd<'_>], deadline: Option<Instant>) -> Result<()> {
        // A launcher that is known to be dead would keep us awake.
        let is_coming = self.coming_since.is_some();
        let wards = self.wards.descriptors().filter(|_| !is_coming);
        let descriptors: Vec<BorrowedFd<'_>> = wards
            .chain(self.service.descriptors())
            .chain(extra.iter().copied())
            .collect();
        let sight = match self.wards.has_unwatched() {
            true => Sight::Partial,
            false => Sight::Whole,
        };
        let counters = self.oom.descriptor();
        let woken = self.alarm.sleep(&descriptors, counters, deadline, sight)?;
        if woken.has_changed {
            self.oom.woken();
        }
        Ok(())
    }
}

/// Whose end is the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhoEnded {
    Qemu,
    /// What was spawned: as far as anybody knows it was QEMU.
    Launcher,
}
