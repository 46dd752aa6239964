//! Domstate is asked, and held against what is seen before and after.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use domstate::domain::{ShutOff, State};
use domstate::observe::now;
use domstate::store::OpenImage;
use domstate::store::encode::time_text;

use super::Stage;
use super::calm::Calm;
use crate::act::{Act, Theme};
use crate::journey::Role;
use crate::judge::{Life, Other, judge_manners, words};
use crate::machine::Wrapper;
use crate::objection::Objection;
use crate::process::state_of;
use crate::told::Told;

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
            told.place = self.place();
            let defines = |act| words(act).is_some_and(|words| words[0] == "define");
            let is_new = told.cause["kind"] == "never-run" && self.acts.iter().any(defines);
            if is_new && self.may_be_undefined() {
                // It was forgotten, and defined again.
                self.is_undefined = true;
                return Ok(());
            }
            let is_zombie = before.alive.is_empty()
                && told.state == State::InShutdown
                && self.acts.iter().any(|act| act.in_qemu().is_some());
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

    /// Which folder of the domain it is.
    pub(super) fn place(&self) -> (u64, Option<SystemTime>) {
        let folder = fs::metadata(self.host.state_dir().join(self.domain));
        folder.map_or((0, None), |folder| (folder.ino(), folder.created().ok()))
    }

    /// Whether the domain may not have been defined, or not be any more, and there is no guest that would keep him from it.
    pub(super) fn may_be_undefined(&self) -> bool {
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
            || ((of(acts, "start") || of(acts, "run")) && self.story.groups.iter().any(is_kept))
    }

    pub(super) fn outside(&self) -> Outside {
        // One that is only just starting may not have connected.
        let verbs = ["start", "run", "restore", "snapshot-revert"];
        let starts = |act| words(act).is_some_and(|words| verbs.contains(&words[0]));
        let alive = if self.acts.iter().any(starts) && self.witness.connected().is_empty() {
            self.witness.alive()
        } else {
            self.witness.connected()
        };
        // A process that is stopped says nothing.
        let status = match alive.as_slice() {
            [pid] if !is_stopped(*pid) && !self.is_frozen(*pid) => self.witness.status(),
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
            heard: self
                .witness
                .look(|qemus| qemus.last().map_or(0, |qemu| qemu.heard.len())),
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
                is_obscure: self.is_run_obscure,
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
                heard_before: calm.outside.heard,
                ..life
            };
            since.judge_since(told, &calm.told, &calm.moment)
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
            let is_as_sure = last.certainty == told.certainty;
            same && is_as_sure && last.is_of_run_of(&told) && outside.alive.is_empty()
        }) && self
            .ended_after
            .is_some_and(|(_, qemus)| qemus == self.witness.count());
        if is_told_again {
            self.judge_answers(&told)?;
            return self.judge_spoken(&told, outside);
        }
        let mut verdict = self.verdict(&told, outside);
        // What the guest said may still be on its way to us.
        let deadline = Instant::now() + Duration::from_secs(2);
        while verdict.is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            verdict = self.verdict(&told, outside);
        }
        verdict.map_err(|why| format!("{why}, and domstate tells {told:?}; {outside:?}"))?;
        if let Some(last) = &self.last
            && last.has_ended()
            && last.is_of_run_of(&told)
            && !self.may_become(last, &told)
        {
            return Err(format!("{last:?} became {told:?}").into());
        }
        self.judge_answers(&told)?;
        self.judge_started()?;
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
        self.judge_spoken(&told, outside)?;
        self.is_kept(&told)?;
        if told.has_ended() {
            self.ended.retain(|ended| !ended.is_of_run_of(&told));
            self.ended.push(told.clone());
        }
        self.calm = self.calm(&told, outside, moment);
        self.last = Some(told);
        Ok(())
    }
}

impl Stage<'_> {
    /// Whether an end that was told as `last` may be told as `told`: what was inferred may be witnessed later.
    pub(super) fn may_become(&self, last: &Told, told: &Told) -> bool {
        // A wrapper that waits takes the status, which could be seen until then; so does init, before a supervisor that is not
        // QEMU's parent, and that cannot read, has seen it.
        let cannot_read = |act: &Act| matches!(act, Act::Adoption(fault) if fault.error.is_some());
        let takes_status =
            self.story.machine.wrapper == Wrapper::Waits || self.story.acts().any(cannot_read);
        let status_is_taken =
            takes_status && told.cause["kind"] == "status-lost" && last.state == told.state;
        let may_become = match last.certainty.as_str() {
            "witnessed" => {
                let same = (last.state, &last.cause) == (told.state, &told.cause);
                // Where nothing can be written a signal is doubted, also in the end that is written at last; and so is a
                // shutdown: lines may be lost in front of it.
                let may_fail = matches!(self.story.theme, Theme::Storage | Theme::Vanishing)
                    || self.story.breaks_writing();
                let kinds = ["signal", "guest-shutdown", "guest-reset"];
                let is_doubted = may_fail && kinds.iter().any(|kind| told.cause["kind"] == *kind);
                same && (is_doubted || told.certainty == "witnessed")
            }
            _ => last.state == told.state || told.certainty == "witnessed",
        };
        may_become || status_is_taken
    }

    /// Whether a guest that is told to be in a file is, unless somebody may have taken it up or away since.
    fn is_kept(&self, told: &Told) -> Result<(), String> {
        if told.state != State::ShutOff(ShutOff::Saved) || self.may_lack_image {
            return Ok(());
        }
        let folder = self.host.state_dir().join(self.domain);
        let place = match told.cause["verb"].as_str() {
            Some("managedsave") => folder.join("managed.save"),
            // The other end's as well.
            _ if self.role != Role::Alone => return Ok(()),
            _ => self.host.folder().join("file"),
        };
        let is_there = |place: &Path| {
            let run = OpenImage::open(place).map(|open| u64::from(open.image.run));
            run.is_ok_and(|run| Some(run) == told.run)
        };
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
            // Who watches the next run is started with it. But for what another boot would lose, that is a new page.
            self.is_run_obscure =
                self.story.theme != Theme::Plain || self.acts.iter().any(Act::obscures);
            self.qemus_before = qemus;
        }
    }
}

/// What is seen of the guest from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outside {
    /// No QEMU is there, and somebody of domstate's who may start one.
    is_starting: bool,
    pub(super) alive: Vec<i32>,
    pub(super) status: Option<String>,
    events: usize,
    /// How many lines the newest guest has said.
    pub(super) heard: usize,
}

/// Whether somebody has stopped it, be it for a moment to look at it.
fn is_stopped(pid: i32) -> bool {
    state_of(pid).is_some_and(|state| ['T', 't'].contains(&state))
}
