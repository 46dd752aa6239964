//! The end of a run: put on the disk, and told by those who had a hand in it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{End, News, Patience, Turn, Watch, WhoEnded};
use crate::domain::{Certainty, Exit};
use crate::observe::{Sight, process};
use crate::operation::{Ward, fulfil};

/// How often it is tried to put the end on a full disk.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long `run` tries to put the end on a full disk before it tells it all the same.
const FOREGROUND_PATIENCE: Duration = Duration::from_secs(3);

/// How long a command that has asked for the end may take to say whether it was its doing.
const WORD_GRACE: Duration = Duration::from_secs(1);

impl Watch {
    pub(super) fn end(&mut self, who: WhoEnded) -> Result<Turn> {
        let ward = match who {
            WhoEnded::Qemu => self.wards.qemu.take(),
            WhoEnded::Launcher => self.wards.launcher.take(),
        };
        // QEMU's last lines were written before it died: read them before the end is judged.
        self.recorder.catch_up()?;
        match &ward {
            Some(ward) => self.record_exit(ward)?,
            None => self.record(&End::default())?,
        }
        let mut heard = false;
        if let Some(domain) = self.run.domain().filter(|_| self.fold().job.is_some()) {
            // Its file is all that is left of a job. What cannot be done now is left for the next who looks.
            let _ = fulfil(&domain, &self.run);
            self.recorder.catch_up()?;
            heard = true;
        }
        if self.hear_who_asked() == News::Some || heard {
            // A checkpoint must never know more than the journal that it sums up.
            let _ = self.recorder.sync();
        }
        let mut concluded = self.recorder.conclude();
        for ward in ward.into_iter().chain(self.wards.launcher.take()) {
            ward.reap();
        }
        // The end is on record. Only those who read state.json themselves still wait for room on the disk.
        while concluded.is_err() && self.patience == Patience::Endless && self.recorder.is_current()
        {
            std::thread::sleep(RETRY_INTERVAL);
            concluded = self.recorder.conclude();
        }
        Ok(Turn::Ended)
    }

    /// Whoever has asked for the end says only behind it whether it was his doing: he is waited for. In front of the conclusion,
    /// which gives back the room for more words.
    fn hear_who_asked(&mut self) -> News {
        let mut news = News::None;
        let mut is_summed_up = false;
        let give_up_at = Instant::now() + WORD_GRACE;
        while self.is_in_doubt() && Instant::now() < give_up_at {
            let unsettled = self.fold().intents.unsettled();
            let unsettled: Vec<Ward> = unsettled
                .filter(|pid| *pid != std::process::id())
                .filter_map(process)
                .map(Ward::of)
                .filter(|ward| !ward.has_ended())
                .collect();
            let descriptors: Vec<_> = unsettled.iter().filter_map(Ward::descriptor).collect();
            if descriptors.is_empty() {
                break;
            }
            if !std::mem::replace(&mut is_summed_up, true) {
                // Should we die meanwhile, no guest is said to run.
                let _ = self.recorder.sync().and_then(|()| self.recorder.sum_up());
            }
            let slept = self
                .alarm
                .sleep(&descriptors, None, Some(give_up_at), Sight::Whole);
            let Ok(read) = slept.and_then(|_| Ok(self.recorder.catch_up()?)) else {
                break;
            };
            if read == News::Some {
                news = read;
            }
        }
        // What one said who has gone since.
        match self.recorder.catch_up() {
            Ok(News::None) | Err(_) => news,
            Ok(News::Some) => News::Some,
        }
    }

    /// Whether another word may change what is told, where one can be read.
    fn is_in_doubt(&self) -> bool {
        self.unrecorded.is_none() && self.conclusion().certainty != Certainty::Witnessed
    }

    pub(super) fn record_exit(&mut self, ward: &Ward) -> Result<()> {
        let (process, exit) = (ward.process(), ward.exit());
        let was_killed = matches!(exit, Some(Exit::Signal { signal: 9, .. }));
        self.record(&End {
            pid: Some(process.pid),
            exit,
            oom: was_killed.then(|| self.oom.told_of(process)).flatten(),
        })
    }

    /// Puts an end on the disk. In the background that is tried until there is room, in the foreground only for a
    /// while: somebody waits for the answer.
    fn record(&mut self, end: &End) -> Result<()> {
        let give_up_at = match self.patience {
            Patience::Endless => None,
            Patience::Limited => Some(Instant::now() + FOREGROUND_PATIENCE),
        };
        loop {
            let Err(error) = self.recorder.record_exit(end) else {
                return Ok(());
            };
            if !self.recorder.is_current() {
                // The folder was removed: there is nobody left to tell.
                return Err(error).context("the run's folder is gone");
            }
            if give_up_at.is_some_and(|at| at <= Instant::now()) {
                self.recorder.presume_exit(end);
                self.unrecorded = Some(error);
                return Ok(());
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }
}
