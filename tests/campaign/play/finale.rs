//! The end of a story: everything is let go of, nothing is left over, and in a third of the stories, and in all of a sweep, the next
//! start works.

use std::fs;
use std::time::{Duration, Instant};

use domstate::domain::{ShutOff, State};
use nix::sys::signal::Signal;

use super::{ACT_BOUND, Stage};
use crate::act::{Act, Storage};
use crate::harness::processes_with;
use crate::judge::words;
use crate::objection::Objection;
use crate::process::state_of;
use crate::told::Told;

impl Stage<'_> {
    /// Lets go of everything that was stopped, filled or taken away.
    pub(super) fn recover(&mut self) -> Result<(), Objection> {
        self.see_the_traced_out();
        for child in self.children.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.thaw();
        let mut pids = self.witness.alive();
        pids.extend(self.witness.supervisors());
        for pid in pids {
            self.send(pid, Signal::SIGCONT);
        }
        self.perform(&[Act::Storage(Storage::Back)])?;
        self.perform(&[Act::Storage(Storage::Writable)])?;
        self.perform(&[Act::Storage(Storage::Roomy)])?;
        self.let_start()
    }

    /// Lets who is traced come to his end where his guest has: strace goes with him, and has seen what he met.
    fn see_the_traced_out(&self) {
        const ENDING: Duration = Duration::from_secs(5);
        let is_traced = !self.children.lock().unwrap().is_empty();
        if !is_traced || !self.witness.alive().is_empty() {
            return;
        }
        let deadline = Instant::now() + ENDING;
        // Who is traced stands for a moment at each call (`t`), which is not this.
        let is_stopped = |pid: &i32| state_of(*pid) == Some('T');
        let goes_on = |pid: &i32| !is_stopped(pid) && !self.is_frozen(*pid);
        while self.witness.supervisors().iter().any(goes_on) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until nothing of it is just starting: a `start` that was killed may have left somebody who does.
    fn let_start(&mut self) -> Result<(), Objection> {
        let begun = Instant::now();
        while self.run(&["--reason", self.domain], None)?.stdout == "paused (starting up)\n" {
            if begun.elapsed() > ACT_BOUND {
                return Err(Objection::Late("it starts and starts".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends the guest if it lives. Nothing is left over, and the answer needs nothing but the journal.
    pub(super) fn end(&mut self) -> Result<(), Objection> {
        if !self.witness.alive().is_empty() {
            self.perform(&[Act::Verb(vec!["destroy"])])?;
            if !self.witness.alive().is_empty() {
                return Err("destroy leaves it alive".to_owned().into());
            }
            self.check()?;
        }
        self.leaves_nothing()?;
        self.check()?;
        let last = self.last.clone();
        let _ = fs::remove_file(
            self.host
                .state_dir()
                .join(format!("{}/state.json", self.domain)),
        );
        self.check()?;
        // The same end may have been seen by somebody meanwhile.
        let is_same = |told: &Told, last: &Told| {
            let is_seen = last.certainty == "inferred" && told.certainty == "witnessed";
            told.state == last.state && (told.cause == last.cause || is_seen)
        };
        if let (Some(last), Some(told)) = (&last, &self.last)
            && !is_same(told, last)
        {
            return Err(format!("without its checkpoint {last:?} is {told:?}").into());
        }
        self.tells_the_same()?;
        if self.story.seed.is_multiple_of(3) {
            self.starts_again()?;
        }
        self.judge_history()?;
        let history = self.run(&["history", self.domain], None)?;
        let all = ["--managed-save", "--remove-dumps", "--snapshots-metadata"];
        let words = [["undefine", self.domain].as_slice(), &all].concat();
        let undefined = self.run(&words, None)?;
        if (history.code, undefined.code) != (Some(0), Some(0)) {
            return Err(format!("{history:?} {undefined:?}").into());
        }
        if self.host.state_dir().join(self.domain).exists() {
            return Err("undefine leaves its folder".to_owned().into());
        }
        Ok(())
    }

    /// Everything that tells an end tells the same.
    fn tells_the_same(&self) -> Result<(), Objection> {
        let Some(last) = &self.last else {
            return Ok(());
        };
        let answer = last.state.to_string();
        let state = last.state.word();
        let kind = last.cause["kind"].as_str().unwrap_or_default();
        for (args, wanted) in [
            (["--reason", self.domain].as_slice(), [&answer, ""]),
            (&["list", "--all", "--reason"], [&answer, ""]),
            (&["history", self.domain], [&answer, kind]),
            (&["dominfo", self.domain], [state, ""]),
            (&["wait", self.domain, "--timeout", "1s"], ["", ""]),
        ] {
            let said = self.run(args, None)?;
            let last_line = said.stdout.trim_end().lines().last().unwrap_or_default();
            let text = if args[0] == "history" {
                last_line
            } else {
                &said.stdout
            };
            let tells = wanted.iter().all(|word| text.contains(word));
            // What never ran has no history.
            let has_none = last.run.is_none() && args[0] == "history";
            if said.code != Some(0) || !(tells || has_none) {
                return Err(format!("{args:?} does not tell {last:?}: {said:?}").into());
            }
        }
        Ok(())
    }

    /// Whatever happened, the next start works, or the guest comes back from the file that it is in.
    fn starts_again(&mut self) -> Result<(), Objection> {
        let file = self.host.folder().join("file").display().to_string();
        let is_in_file = self.last.as_ref().is_some_and(|last| {
            last.state == State::ShutOff(ShutOff::Saved) && last.cause["verb"] == "save"
        });
        let args = match is_in_file {
            true => ["restore", &file],
            false => ["start", self.domain],
        };
        let mut said = self.run(&args, None)?;
        // Where nobody knows whether its disks still fit what it was saved in, the user has to say what is to be.
        let reverts = |act: &Act| words(act).is_some_and(|words| words[0] == "snapshot-revert");
        let is_asked = said.stderr.contains("'start --force-boot' boots");
        if is_asked && self.story.acts().any(reverts) {
            said = self.run(&["start", self.domain, "--force-boot"], None)?;
        }
        if said.code != Some(0) {
            return Err(format!("it does not start again: {said:?}").into());
        }
        let verb = if is_in_file { "restore" } else { "start" };
        self.acts.push(Act::Verb(vec![verb]));
        self.check()?;
        self.perform(&[Act::Verb(vec!["destroy"])])?;
        self.check()?;
        self.leaves_nothing()
    }

    /// No process of domstate's stays behind.
    pub(super) fn leaves_nothing(&self) -> Result<(), Objection> {
        let folder = self.host.folder().to_string_lossy().into_owned();
        let deadline = Instant::now() + Duration::from_secs(70);
        while !self.witness.supervisors().is_empty() {
            if Instant::now() > deadline {
                return Err(format!("processes are left: {:?}", processes_with(&folder)).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}
