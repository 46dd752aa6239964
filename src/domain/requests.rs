//! What users and policies ask for, and what became of it. A part of the fold's table.

use super::duty::ends_guest;
use super::ending;
use super::event::{
    Actor, Begin, BootId, Exit, Launch, LaunchKind, ShutdownCause, Timestamp, Verb,
};
use super::fold::Fold;
use super::intent::{Intent, Progress};
use super::job::{Job, PendingJob, is_save};
use super::policy::OnCrash;
use super::state::{Paused, Running, State};
use super::stream::Stream;
use super::trace::{Core, Machine, PassedPanic, Reboot, Restart, Shutdown, WatchdogEnd};
use super::transfer::Transfer;

impl Fold {
    pub(super) fn asked(
        &mut self,
        verb: Verb,
        actor: &Actor,
        job: Option<&Job>,
        at: Option<Timestamp>,
    ) {
        // A guest that is on its way out, or gone, was not ended by who asks now.
        let is_ending = self.is_leaving() || self.has_end();
        let too_late = ending::ENDING_VERBS.contains(&verb) && is_ending;
        if !too_late {
            let at = at.unwrap_or_default();
            let job = self.job.as_ref();
            let forgotten = self.intents.ask(verb, actor.clone(), at, job);
            self.explains_no_more(forgotten.as_ref());
        }
        if let Some(job) = job {
            self.job = Some(PendingJob {
                verb,
                progress: Progress::Asked,
                stream: Stream::of_new(job),
                is_taken: !job.announces,
                job: job.clone(),
            });
        }
        if verb == Verb::Reboot && !is_ending {
            self.reboot = Some(Reboot::Armed);
        } else if verb == Verb::CrashRestart && self.live == State::Crashed {
            self.restart = Some(Restart::AfterPanic);
        }
    }

    pub(super) fn advanced(
        &mut self,
        verb: Verb,
        pid: u32,
        progress: Progress,
        at: Option<Timestamp>,
    ) {
        if self.is_too_late(verb, pid, progress) {
            return;
        }
        if self.was_overtaken(verb, pid) {
            self.intents.withdraw(verb, pid);
            return;
        }
        // A guest that may go has not gone yet: that QEMU says, or nobody.
        if verb != Verb::Migrate {
            self.intents.advance(verb, pid, progress);
        }
        let ours = |job: &&mut PendingJob| job.verb == verb && job.job.worker.pid == pid;
        if verb == Verb::Suspend && matches!(self.live, State::Running(_)) {
            // What he did was overtaken before he could say so.
            self.intents.withdraw(verb, pid);
        }
        let is_anothers = self.is_sent_by_another();
        let (mut reverted, mut leaves, mut is_over) = (false, false, false);
        if let Some(job) = self.job.as_mut().filter(ours) {
            job.progress = progress;
            reverted = verb == Verb::SnapshotRevert && progress == Progress::Sent;
            leaves = verb == Verb::Migrate && progress == Progress::Sent;
            is_over = progress == Progress::Done && !ends_guest(verb);
        }
        if is_over {
            self.job = None;
            if !is_anothers {
                self.goes_nowhere(verb);
            }
            if verb != Verb::SnapshotRevert {
                self.stands_no_more(verb, at);
            }
        }
        if reverted {
            self.reverted(at);
        }
        if leaves {
            self.may_leave();
        }
        let is_told = verb == Verb::Reboot && progress == Progress::Sent;
        let is_armed = self.reboot == Some(Reboot::Armed);
        if is_told && !is_armed && self.shutdown.is_none() && !self.has_end() {
            // Meanwhile somebody has said of an earlier one that it is done.
            self.reboot = Some(Reboot::Armed);
        }
        if progress != Progress::Done {
            return;
        }
        self.answered(verb, pid);
        if verb == Verb::CrashDump {
            self.core_tried(Core::Dumped);
        }
        let is_reset = !self.resets_end_it() && self.shutdown.is_none();
        if verb == Verb::DumpReset && is_reset {
            // QEMU goes on: of a later reset it is not why.
            self.intents.withdraw(verb, pid);
        }
        // Whoever asks for a shutdown wants no restart; and a reboot that is done needs nothing more.
        if matches!(verb, Verb::Shutdown | Verb::Reboot) {
            self.reboot = None;
            self.intents.settle_acted(Verb::Reboot);
        }
    }

    /// QEMU did what it was told behind a SHUTDOWN: it has outlived that. Where the guest stood nothing else tells.
    fn answered(&mut self, verb: Verb, pid: u32) {
        let is_by_qemu = !ending::ENDING_VERBS.contains(&verb);
        let same = |intent: &&Intent| (intent.verb, intent.actor.pid) == (verb, pid);
        let asked = self
            .intents
            .0
            .iter()
            .rev()
            .find(same)
            .map(|intent| intent.at);
        if let Some(shutdown) = self.shutdown.as_mut()
            && is_by_qemu
            && shutdown.is_reset_of_standing_guest()
        {
            shutdown.stayed |= asked.zip(shutdown.at).is_some_and(|(asked, at)| asked > at);
        }
    }

    /// Another state was loaded into the guest: nothing of what it was before counts, but that it may have panicked before the
    /// snapshot was taken, of which whoever loads it says so by a gap.
    fn reverted(&mut self, at: Option<Timestamp>) {
        self.clear_ends();
        self.passed_panic = self.gap.then_some(PassedPanic::Lost);
        self.suspended = false;
        self.stopped_asleep = false;
        self.stop_cause = None;
        let state = match self.live {
            // It stood while it was loaded, and somebody else has let it run since.
            State::Running(_) => State::Running(Running::FromSnapshot),
            State::Paused(_)
            | State::InShutdown
            | State::ShutOff(_)
            | State::Crashed
            | State::PmSuspended => State::Paused(Paused::FromSnapshot),
        };
        self.enter(state, at);
    }

    /// Whether a guest that somebody was about to end ended by itself before he did: his signal found nobody, or a QEMU on its
    /// way out. QEMU says of no end that a signal brought about that it was the guest's own.
    fn was_overtaken(&self, verb: Verb, pid: u32) -> bool {
        let is_only_asked = self.intents.0.iter().rev().any(|intent| {
            (intent.verb, intent.actor.pid) == (verb, pid) && intent.progress == Progress::Asked
        });
        let by_itself = self
            .shutdown
            .as_ref()
            .is_some_and(|shutdown| is_own(shutdown) && !self.may_outlive(shutdown));
        // QEMU exits for that with status 0, and says no more.
        let powered_off = self.watchdog == Some(WatchdogEnd::PoweredOff);
        // One whose guest stands for its panic stays, be it that its STOP is still to come.
        let is_ended_by_panic = self.live != State::Crashed;
        let panicked = self.panic.as_ref().is_some_and(|panic| !panic.stands) && is_ended_by_panic;
        // 9 and 15: the signals that the verb sends. QEMU ends with status 0 for the latter.
        let crashed = self.end().is_some_and(|end| match end.exit {
            Some(Exit::Signal { signal, .. }) => !matches!(signal, 9 | 15),
            // What it says first is how it ends, whatever status it has kept: there was one to keep only from a device.
            Some(Exit::Status(status)) => {
                let keeps = |shutdown: &Shutdown| !shutdown.stayed || self.has_exit_device();
                status != 0 && !self.shutdown.as_ref().is_some_and(keeps)
            }
            None => false,
        });
        let ended = by_itself || powered_off || panicked || crashed;
        ending::ENDING_VERBS.contains(&verb) && is_only_asked && ended
    }

    fn came_to_own_end(&self) -> bool {
        self.panic.is_some() || self.shutdown.as_ref().is_some_and(is_own)
    }

    /// Whether a job that would end the guest is said to be carried out although the guest ran on, or came to another end,
    /// before that: what was written is not what it is any more. And whether a guest is said to be another one that was on
    /// its way out, or gone, before that.
    fn is_too_late(&self, verb: Verb, pid: u32, progress: Progress) -> bool {
        if verb == Verb::SnapshotRevert && progress == Progress::Sent {
            return self.is_leaving() || self.has_end();
        }
        let ours = |job: &&PendingJob| job.verb == verb && job.job.worker.pid == pid;
        if verb == Verb::SnapshotCreate && progress == Progress::Done && self.has_end() {
            // One that was not there when QEMU ended never will be.
            let mut job = self.job.iter().filter(ours);
            return job.any(|job| !job.is_committed());
        }
        if !ends_guest(verb) {
            return false;
        }
        match self.job.as_ref().filter(ours) {
            Some(job) if progress == Progress::Done => !job.is_committed(),
            Some(job) if self.is_in_vain(job) => true,
            // That it may go, it is told while it runs.
            Some(_) if verb == Verb::Migrate => self.has_end(),
            // What is written of a guest that has come to an end by itself would never be what it was.
            Some(_) if keeps_guest(verb) && (self.came_to_own_end() || self.suspended) => true,
            Some(_) => self.has_end() || matches!(self.live, State::Running(_)),
            None => true,
        }
    }

    pub(super) fn failed(&mut self, verb: Verb, pid: u32, message: &str, at: Option<Timestamp>) {
        let ours = |job: &PendingJob| job.verb == verb && job.job.worker.pid == pid;
        let is_anothers = self.is_sent_by_another() && !self.is_kept_undecided();
        if self.has_end() && self.may_be_sent_by_another() {
            // Nobody will say more.
            self.may_leave();
        }
        if self.is_kept_undecided() && self.job.as_ref().is_some_and(ours) {
            // It was that snapshot. What goes anywhere says so.
            self.goes_nowhere(verb);
        }
        let may_have_left = self.may_have_left() || self.is_handed_over();
        let job = self.job.take_if(|job| ours(job));
        if verb == Verb::Migrate && self.transfer == Transfer::Left && !is_anothers {
            // The guest has arrived, whatever whoever asked for it thinks.
            self.job = job;
            return;
        }
        if !self.may_have_reset(verb) {
            let withdrawn = self.intents.withdraw(verb, pid);
            self.explains_no_more(withdrawn.as_ref());
        }
        if let Some(job) = job.as_ref().filter(|_| is_anothers) {
            // It stands for what somebody else does with it.
            self.stands_no_more(job.verb, at);
        } else if let Some(job) = job.filter(|_| !may_have_left) {
            // Where nobody knows whether it has gone, to say that it has not would be a guess.
            if self.transfer != Transfer::Failed {
                // It goes nowhere: what QEMU has written is thrown away.
                self.goes_nowhere(verb);
            }
            self.stays_behind(&job, at);
        }
        if verb == Verb::CrashDump {
            self.core_tried(Core::Failed);
            let policy = self.launch.as_ref().map(|launch| launch.lifecycle.on_crash);
            if policy == Some(OnCrash::CoredumpDestroy) {
                self.keep_crashed(message);
            }
        } else if verb == Verb::CrashRestart {
            self.restart = None;
            self.keep_crashed(message);
        } else if verb == Verb::CrashDestroy && self.gap {
            // What was to be ended may have been let run in lines that are lost.
            self.keep_crashed(message);
        } else if verb == Verb::PoweroffRestart && self.gap {
            if self.live == State::Paused(Paused::ShuttingDown) {
                self.live = State::Paused(Paused::Unknown);
            }
        } else if verb == Verb::LetGo && self.began.is_none() {
            self.refusal = Some(message.to_owned());
        } else if verb == Verb::Reboot && self.restart.is_none() {
            // Somebody else's may have been told to it.
            let is_told = self.intents.carried_out(&[Verb::Reboot]).is_some();
            self.reboot = self.reboot.filter(|_| is_told);
        }
    }

    /// A request is out of the list. If it alone could have been why the guest stands, nobody knows why it does.
    fn explains_no_more(&mut self, request: Option<&Intent>) {
        let was_there = |request: &Intent| self.since.is_none_or(|since| request.at <= since);
        let explained = request.is_some_and(|request| {
            request.verb == Verb::Suspend
                && request.progress == Progress::Asked
                && was_there(request)
        });
        let is_alone = || {
            self.intents
                .before(Verb::Suspend, self.since)
                .next()
                .is_none()
        };
        if explained && self.live == State::Paused(Paused::User) && is_alone() {
            self.live = State::Paused(Paused::Unknown);
        }
    }

    /// Whether a reset that is said to have failed may be the one that ended the guest: who asked died before he could say
    /// that he had sent it, and who finds that says that it failed.
    fn may_have_reset(&self, verb: Verb) -> bool {
        let resets = matches!(verb, Verb::Reset | Verb::DumpReset);
        let shutdown = self.shutdown.as_ref();
        resets && shutdown.is_some_and(|s| s.cause == ShutdownCause::HostQmpSystemReset)
    }

    /// QEMU takes the stream of a dump or a snapshot for a migration.
    fn goes_nowhere(&mut self, verb: Verb) {
        if verb != Verb::SnapshotDelete {
            self.transfer = Transfer::None;
        }
    }

    pub(super) fn core_tried(&mut self, core: Core) {
        if let Some(panic) = &mut self.panic {
            panic.core = core;
        }
    }

    fn keep_crashed(&mut self, why: &str) {
        if let Some(panic) = &mut self.panic {
            panic.kept = Some(why.to_owned());
        }
    }

    /// Whether the guest has run since a job of `verb` began to save it at `began`, which has come to nothing.
    pub fn went_on_since(&self, verb: Verb, began: Timestamp) -> bool {
        let is_pending = self
            .job
            .as_ref()
            .is_some_and(|pending| pending.verb == verb);
        let stays = is_pending || self.intents.carried_out(&[verb]).is_some();
        !stays && self.resumed.is_some_and(|resumed| resumed > began)
    }

    /// Whether the guest ran, or may have, as seen in boot `now`: QEMU's word for it comes to the disk later than that it was let
    /// go.
    pub fn may_have_run(&self, now: &BootId) -> bool {
        // Of a QEMU that was seen to end, and whose words are all there, a guest that ran has said so.
        let has_ended = self.end().is_some_and(|end| end.exit.is_some()) && !self.gap;
        // Who ends it from outside may find one that has not.
        let is_found = |shutdown: &Shutdown| !is_own(shutdown) && shutdown.machine != Machine::Ran;
        let is_outsiders = self.shutdown.as_ref().is_some_and(is_found);
        let says_nothing = (!self.moved || is_outsiders) && self.panic.is_none();
        let has_not =
            |let_go: &Intent| has_ended && says_nothing && let_go.progress == Progress::Asked;
        let mut let_go = self.intents.0.iter().filter(|i| i.verb == Verb::LetGo);
        self.began.is_some()
            || let_go.any(|intent| !has_not(intent))
            || self.is_let_go_by_itself() && self.may_lack_first_word(now)
    }

    /// Whether QEMU may have taken the guest's disks back to a snapshot: it does so before it loads the memory, and may end in
    /// between.
    pub fn may_have_gone_back(&self) -> bool {
        let is_spawned = self.launcher.is_some() || self.qemu.is_some();
        self.kind() == LaunchKind::Snapshot && (is_spawned || self.refusal.is_none())
    }

    /// Whether QEMU lets the guest run without another word. A saved one is let go later, durably.
    fn is_let_go_by_itself(&self) -> bool {
        let runs =
            |launch: &Launch| launch.kind != LaunchKind::Restore && launch.begin == Begin::Running;
        self.launch.as_ref().is_some_and(runs)
    }

    /// Whether that it ran may be what is lost: with the host's power, or for want of room.
    fn may_lack_first_word(&self, now: &BootId) -> bool {
        let seen_end = self.end().filter(|end| end.exit.is_some());
        let is_other_boot = self.launch.as_ref().is_some_and(|l| l.boot != *now);
        let is_lost = self.gap || is_other_boot && seen_end.is_none();
        is_lost && self.refusal.is_none()
    }
}

/// Whether the job of this verb keeps the guest for later, and ends it here.
fn keeps_guest(verb: Verb) -> bool {
    is_save(verb) || verb == Verb::SnapshotHalt
}

/// Whether QEMU says that it was the guest's own doing.
fn is_own(shutdown: &Shutdown) -> bool {
    let own = [
        ShutdownCause::GuestShutdown,
        ShutdownCause::GuestReset,
        ShutdownCause::GuestPanic,
    ];
    own.contains(&shutdown.cause)
}
