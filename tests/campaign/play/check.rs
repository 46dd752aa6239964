//! Domstate is asked, and held against what is seen before and after.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domstate::domain::{Paused, Running, ShutOff, State};
use domstate::observe::now;
use domstate::store::encode::time_text;

use super::Stage;
use crate::act::{Act, Theme};
use crate::judge::{Life, Other, judge_manners, words};
use crate::machine::Wrapper;
use crate::objection::Objection;
use crate::told::Told;
use crate::witness::Qemu;

impl Stage<'_> {
    /// Asks domstate, and judges the answer by what is seen before and after.
    pub(super) fn check(&mut self) -> Result<(), Objection> {
        // strace is told of a death before anybody else: until it lets go, a zombie is like one who is on his way out.
        let dying_until = Instant::now() + Duration::from_secs(5);
        // Until nothing changed meanwhile; then nothing excuses a falsehood.
        let mut tries = 0;
        while tries < 5 {
            let moment = time_text(now());
            let before = self.outside();
            let said = self.run(&["--format", "json", self.domain], None)?;
            self.played.commands += 1;
            if self.is_gone {
                return Ok(judge_manners(&["--format"], &said)?);
            }
            if said.code != Some(0) {
                if self.may_be_undefined() && said.stderr.contains("no-such-domain") {
                    self.is_undefined = true;
                    return Ok(());
                }
                return Err(format!("no answer: {said:?}").into());
            }
            let mut told = Told::read(&said.stdout)?;
            told.place = fs::metadata(self.host.state_dir()).map_or(0, |at| at.ino());
            let is_zombie = before.alive.is_empty()
                && told.state == State::InShutdown
                && self.acts.iter().any(|act| act.followed().is_some());
            // QEMU was to outlive its guest, and has not: until that is on record nobody can tell.
            let is_unrecorded = before.alive.is_empty()
                && told.cause["kind"] == "status-lost"
                && !self.witness.supervisors().is_empty();
            if (is_zombie || is_unrecorded) && Instant::now() < dying_until {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            if self.outside() == before {
                return self.judge(told, &before, moment);
            }
            tries += 1;
        }
        self.played.unsettled += 1;
        Ok(())
    }

    /// Whether the domain may not have been defined, or not be any more, and there is no guest that would keep him from it.
    fn may_be_undefined(&self) -> bool {
        let is_undefine = |act| words(act).is_some_and(|words| words[0] == "undefine");
        let mut acts = self.story.groups.iter().flatten();
        let is_defined = self.story.start.is_none() && !acts.any(is_undefine);
        !is_defined && self.witness.alive().is_empty()
    }

    /// Whether what came from these acts may be a guest that was in a file: `start` takes what `managedsave` left.
    pub(super) fn may_be_restored(&self, acts: &[Act]) -> bool {
        let of = |acts: &[Act], verb: &str| acts.iter().filter_map(words).any(|w| w[0] == verb);
        let is_kept = |group: &Vec<Act>| of(group, "managedsave");
        of(acts, "restore")
            || of(acts, "snapshot-revert")
            || (of(acts, "start") && self.story.groups.iter().any(is_kept))
    }

    fn outside(&self) -> Outside {
        // One that is only just starting may not have connected.
        let starts = |act| words(act).is_some_and(|words| ["start", "restore"].contains(&words[0]));
        let alive = if self.acts.iter().any(starts) && self.witness.connected().is_empty() {
            self.witness.alive()
        } else {
            self.witness.connected()
        };
        // A process that is stopped says nothing.
        let status = match alive.as_slice() {
            [pid] if !is_stopped(*pid) => self.witness.status(),
            _ => None,
        };
        if alive.is_empty() {
            self.witness.hear_out();
        }
        let is_starting =
            alive.is_empty() && self.acts.iter().any(starts) && self.witness.is_being_started();
        Outside {
            is_starting,
            alive,
            status,
            events: self
                .witness
                .look(|qemus| qemus.iter().map(|qemu| qemu.events.len()).sum()),
        }
    }

    /// Whether what was told is true, as far as it has been heard of.
    fn verdict(&self, told: &Told, outside: &Outside) -> Result<(), String> {
        let other = self.other.as_ref().map(|other| other.look(Other::of));
        self.witness.look(|qemus| {
            let newest = qemus.get(self.qemus_before..).and_then(<[_]>::last);
            let life = Life {
                machine: &self.story.machine,
                theme: self.story.theme,
                acts: &self.acts,
                // One that has only just begun has not connected.
                qemu: newest
                    .filter(|qemu| outside.alive.is_empty() || outside.alive.contains(&qemu.pid)),
                heard_before: 0,
                earlier: &qemus[..qemus.len().saturating_sub(1)],
                role: self.role,
                other,
                may_be_restored: self.may_be_restored(&self.acts),
                is_obscure: self.is_obscure,
                may_lose_lines: self.story.breaks_qemu_at("write"),
                is_deaf: self.story.deafens_witness(),
                before: self.before,
                is_next_run: self
                    .last
                    .as_ref()
                    .is_some_and(|last| last.place != told.place || last.run < told.run),
            };
            if outside.alive.len() > 1 {
                return Err(format!("two QEMUs of one domain: {:?}", outside.alive));
            }
            if outside.alive.is_empty() {
                if told.state.to_string() == "paused (starting up)" && outside.is_starting {
                    return Ok(());
                }
                life.judge_dead(told)?;
            } else {
                life.judge_alive(told, outside.status.as_deref())?;
            }
            let is_of = |calm: &&Calm| calm.is_of(qemus) && told.is_of_run_of(&calm.told);
            let Some(calm) = self.calm.as_ref().filter(is_of) else {
                return Ok(());
            };
            let acts = &self.acts[calm.acts..];
            if acts.iter().all(Act::leaves_alone) && calm.outside == *outside {
                return calm.judge_again(told);
            }
            let since = Life {
                acts,
                heard_before: calm.heard,
                ..life
            };
            since.judge_since(told, &calm.moment)
        })
    }

    /// Whether nothing that was done to the QEMU that lives is still to come.
    fn calm(&self, told: &Told, outside: &Outside, moment: String) -> Option<Calm> {
        let is_quiet = matches!(outside.status.as_deref(), Some("running" | "paused"))
            && matches!(told.state, State::Running(_) | State::Paused(_));
        let is_followed = self.acts.iter().any(|act| act.followed().is_some());
        let is_sent = |act| {
            let verbs = ["migrate", "shutdown", "reboot"];
            words(act).is_some_and(|words| verbs.contains(&words[0]))
        };
        let goes_on = self.acts.iter().any(is_sent)
            || self.acts.contains(&Act::Monitor("migrate"))
            || self.acts.contains(&Act::Monitor("savevm"));
        if !is_quiet || is_followed || goes_on || self.story.deafens_witness() {
            return None;
        }
        self.witness.look(|qemus| {
            let newest = qemus.last()?;
            let is_watched = self.story.machine.watchdog.is_some() && newest.did('g');
            let sleeps = newest.did('s');
            if outside.alive != [newest.pid] || is_watched || sleeps {
                return None;
            }
            Some(Calm {
                acts: self.acts.len(),
                moment,
                qemus: qemus.len(),
                heard: newest.heard.len(),
                told: told.clone(),
                outside: outside.clone(),
            })
        })
    }

    fn judge(&mut self, told: Told, outside: &Outside, moment: String) -> Result<(), Objection> {
        self.played.checks += 1;
        let is_another = |last: &Told| !last.is_of_run_of(&told);
        if self.last.as_ref().is_some_and(is_another) {
            self.settle();
        }
        // An end that is told again was held against what was seen then, if nothing more has been seen.
        let is_told_again = self.last.as_ref().is_some_and(|last| {
            let same = (last.state, &last.cause) == (told.state, &told.cause);
            same && last.is_of_run_of(&told) && outside.alive.is_empty()
        }) && self
            .ended_after
            .is_some_and(|(_, qemus)| qemus == self.witness.count());
        if is_told_again {
            return Ok(());
        }
        let mut verdict = self.verdict(&told, outside);
        // What the guest said may still be on its way to us.
        let deadline = Instant::now() + Duration::from_secs(2);
        while verdict.is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            verdict = self.verdict(&told, outside);
        }
        verdict.map_err(|why| format!("{why}, and domstate tells {told:?}; {outside:?}"))?;
        // A wrapper that waits takes the status, which could be seen until then.
        let status_is_taken = self.story.machine.wrapper == Wrapper::Waits
            && told.cause["kind"] == "status-lost"
            && self
                .last
                .as_ref()
                .is_some_and(|last| last.state == told.state);
        if let Some(last) = &self.last
            && last.has_ended()
            && last.is_of_run_of(&told)
            && !status_is_taken
        {
            // What was inferred may be witnessed later.
            let may_become = match last.certainty.as_str() {
                "witnessed" => {
                    let same = (last.state, &last.cause) == (told.state, &told.cause);
                    // Where nothing can be written a signal is doubted.
                    let is_doubted = matches!(self.story.theme, Theme::Storage | Theme::Vanishing);
                    same && (is_doubted || told.certainty == "witnessed")
                }
                _ => last.state == told.state || told.certainty == "witnessed",
            };
            if !may_become {
                return Err(format!("{last:?} became {told:?}").into());
            }
        }
        if told.has_ended() && outside.alive.is_empty() {
            self.before = Some(told.state);
            self.ended_after = Some((self.acts.len(), self.witness.count()));
            if told.certainty == "witnessed" {
                self.settle();
            }
            if self
                .last
                .as_ref()
                .is_none_or(|last| !last.is_of_run_of(&told))
                || !self.last.as_ref().is_some_and(Told::has_ended)
            {
                let end = format!("{}, {}", told.state, told.certainty);
                self.played.ends.push(end);
            }
        }
        let spoken = self.spoken.lock().unwrap().take();
        // Where nothing can be written down nobody knows who did it.
        if let Some(spoken) = spoken
            && !matches!(self.story.theme, Theme::Storage | Theme::Vanishing)
        {
            let status = outside.status.as_deref();
            let judged = spoken.judge(self.last.as_ref(), &told, status);
            judged.map_err(|why| format!("{why}: domstate tells {told:?}; {outside:?}"))?;
        }
        self.is_kept(&told)?;
        self.calm = self.calm(&told, outside, moment);
        self.last = Some(told);
        Ok(())
    }
}

impl Stage<'_> {
    /// Whether a guest that is told to be in a file is: as long as nothing was done behind that.
    fn is_kept(&self, told: &Told) -> Result<(), String> {
        let is_last = |act: &Act| {
            let kept = ["save", "managedsave"];
            words(act).is_some_and(|words| kept.contains(&words[0])) || act.leaves_alone()
        };
        if told.state != State::ShutOff(ShutOff::Saved)
            || !self.acts.iter().rev().take(1).all(is_last)
        {
            return Ok(());
        }
        let folder = self.host.state_dir().join(self.domain);
        let place = match told.cause["verb"].as_str() {
            Some("managedsave") => folder.join("managed.save"),
            _ => self.host.folder().join("file"),
        };
        let is_there = |place: &Path| fs::metadata(place).is_ok_and(|file| file.len() > 0);
        let part = PathBuf::from(format!("{}.domstate-part", place.display()));
        if is_there(&place) || is_there(&part) {
            return Ok(());
        }
        Err(format!(
            "{} is not there, and {told:?} is told",
            place.display()
        ))
    }

    /// What was done until the end that was told last belongs to the past: nothing more will be seen of it.
    fn settle(&mut self) {
        if let Some((acts, qemus)) = self.ended_after.take() {
            self.acts.drain(..acts);
            self.calm = None;
            self.qemus_before = qemus;
        }
    }
}

/// A moment at which it lived, and nothing of what had been done was still to come.
pub(super) struct Calm {
    /// How much had been done.
    acts: usize,
    /// In RFC 3339.
    moment: String,
    /// How many QEMUs had been seen, and so many lines had been heard of the newest.
    qemus: usize,
    heard: usize,
    told: Told,
    outside: Outside,
}

impl Calm {
    /// Whether no QEMU has come since.
    fn is_of(&self, qemus: &[Qemu]) -> bool {
        self.qemus == qemus.len()
    }

    /// Whether the same is told again, or more.
    fn judge_again(&self, told: &Told) -> Result<(), String> {
        let says_nothing = [
            State::Paused(Paused::Unknown),
            State::Running(Running::Unknown),
        ];
        if self.told.state == told.state || says_nothing.contains(&self.told.state) {
            return Ok(());
        }
        Err(format!(
            "nothing has happened since {:?} was told",
            self.told
        ))
    }
}

/// What is seen of the guest from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outside {
    /// No QEMU is there, and somebody of domstate's who may start one.
    is_starting: bool,
    alive: Vec<i32>,
    status: Option<String>,
    events: usize,
}

fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}
