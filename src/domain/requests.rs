//! What users and policies ask for, and what became of it. A part of the fold's table.

use super::duty::{ENDING_JOBS, ends_guest};
use super::ending;
use super::event::{Actor, Timestamp, Verb};
use super::fold::Fold;
use super::intent::Progress;
use super::job::{Job, PendingJob};
use super::policy::OnCrash;
use super::state::State;
use super::trace::{Core, Reboot, Restart};

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
            self.intents
                .ask(verb, actor.clone(), at.unwrap_or_default());
        }
        if let Some(job) = job {
            self.job = Some(PendingJob {
                verb,
                progress: Progress::Asked,
                job: job.clone(),
            });
        }
        if verb == Verb::Reboot && !is_ending {
            self.reboot = Some(Reboot::Armed);
        } else if verb == Verb::CrashRestart && self.live == State::Crashed {
            self.restart = Some(Restart::AfterPanic);
        }
    }

    pub(super) fn advanced(&mut self, verb: Verb, pid: u32, progress: Progress) {
        if self.is_too_late(verb, pid, progress) {
            return;
        }
        self.intents.advance(verb, pid, progress);
        let ours = |job: &&mut PendingJob| job.verb == verb && job.job.worker.pid == pid;
        if let Some(job) = self.job.as_mut().filter(ours) {
            job.progress = progress;
            if progress == Progress::Done && !ENDING_JOBS.contains(&verb) {
                self.job = None;
                // QEMU takes the stream of a dump for a migration.
                self.goes_nowhere();
            }
        }
        if progress != Progress::Done {
            return;
        }
        if verb == Verb::CrashDump {
            self.core_tried(Core::Dumped);
        }
        // Whoever asks for a shutdown wants no restart; and a reboot that is done needs nothing more.
        if matches!(verb, Verb::Shutdown | Verb::Reboot) {
            self.reboot = None;
        }
    }

    /// Whether a job that would end the guest is said to be carried out although the guest ran on, or came to another end,
    /// before that: what was written is not what it is any more.
    fn is_too_late(&self, verb: Verb, pid: u32, progress: Progress) -> bool {
        if !ends_guest(verb) {
            return false;
        }
        let ours = |job: &&PendingJob| job.verb == verb && job.job.worker.pid == pid;
        match self.job.as_ref().filter(ours) {
            Some(job) if progress == Progress::Done => !job.is_committed(),
            Some(_) => self.has_end() || matches!(self.live, State::Running(_)),
            None => true,
        }
    }

    pub(super) fn failed(&mut self, verb: Verb, pid: u32, message: &str) {
        self.intents.withdraw(verb, pid);
        let ours = |job: &PendingJob| job.verb == verb && job.job.worker.pid == pid;
        if self.job.as_ref().is_some_and(ours) {
            self.job = None;
            // What QEMU has written is thrown away.
            self.goes_nowhere();
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
        } else if verb == Verb::LetGo && self.began.is_none() {
            self.refusal = Some(message.to_owned());
        } else if verb == Verb::Reboot && self.restart.is_none() {
            self.reboot = None;
        }
    }

    fn goes_nowhere(&mut self) {
        self.outgoing = false;
        self.migrated_away = false;
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

    /// Whether somebody has aborted the job that is under way. QEMU tells only of one that it is writing a stream for.
    pub fn is_job_aborted(&self) -> bool {
        let Some(pending) = &self.job else {
            return false;
        };
        let later = self.intents.0.iter().rev();
        let later = later.take_while(|intent| {
            intent.verb != pending.verb || intent.actor.pid != pending.job.worker.pid
        });
        let mut aborts = later.filter(|intent| intent.verb == Verb::JobAbort);
        aborts.any(|intent| intent.progress == Progress::Done)
    }

    /// The guest runs on: what was saved of it is not what it is any more.
    pub(super) fn take_back_job(&mut self) {
        if let Some(pending) = &mut self.job
            && pending.is_committed()
        {
            pending.progress = Progress::Asked;
        }
        self.intents.settle(ENDING_JOBS);
    }
}

/// Whether the verb saves the guest.
pub(super) fn is_save(verb: Verb) -> bool {
    matches!(verb, Verb::Save | Verb::ManagedSave)
}
