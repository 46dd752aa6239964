//! Copies of the state directory: damaged, and as another boot finds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use domstate::domain::{ShutOff, State};

use super::{LOOK_BOUND, Stage};
use crate::act::Act;
use crate::harness::finish;
use crate::judge::{Life, judge_manners};
use crate::objection::Objection;
use crate::told::Told;

impl Stage<'_> {
    fn copy(&self) -> Option<PathBuf> {
        let copy = self
            .host
            .folder()
            .join(format!("copy-{}", fastrand::u64(..)));
        let mut cp = Command::new("cp");
        cp.arg("-a").arg(self.host.state_dir()).arg(&copy);
        // Files come and go meanwhile.
        let _ = cp.output();
        copy.exists().then_some(copy)
    }

    /// Whether there was anything to copy.
    pub(super) fn ask_damaged_copy(&self, seed: u64) -> Result<bool, Objection> {
        let Some(copy) = self.copy() else {
            return Ok(false);
        };
        damage(&copy, seed);
        for args in [
            ["--format", "json", self.domain].as_slice(),
            &["--reason", self.domain],
            &["list", "--all", "--reason"],
            &["history", self.domain],
            &["explain", self.domain],
        ] {
            let begun = Instant::now();
            let said = self.host.domstate_in(&copy, args);
            if begun.elapsed() > LOOK_BOUND || !matches!(said.code, Some(0 | 1)) {
                return Err(format!("{args:?} of a damaged copy: {said:?}").into());
            }
            judge_manners(args, &said)?;
            if args[0] == "--format" && said.code == Some(0) {
                self.judge_copy(&said.stdout)?;
            }
        }
        Ok(true)
    }

    /// Whether it was asked: that needs root.
    pub(super) fn ask_after_boot(&self) -> Result<bool, Objection> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(false);
        }
        let Some(copy) = self.copy() else {
            return Ok(false);
        };
        let boot = self.host.folder().join("boot_id");
        fs::write(&boot, "22222222-2222-4222-8222-222222222222\n").unwrap();
        let script = r#"mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@""#;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(boot);
        command.arg(env!("CARGO_BIN_EXE_domstate"));
        command.args(["--format", "json", self.domain]);
        command.env("DOMSTATE_DIR", copy);
        let said = finish(command);
        self.note(&format!("after another boot: {said:?}"));
        if said.code != Some(0) {
            *self.after_boot.lock().unwrap() = Some(Err(said));
            return Ok(true);
        }
        let told = Told::read(&said.stdout)?;
        if !told.has_ended() {
            return Err(format!("it survived another boot: {said:?}").into());
        }
        *self.after_boot.lock().unwrap() = Some(Ok(told));
        self.judge_copy(&said.stdout)?;
        Ok(true)
    }

    /// Whether what a copy told after another boot is what it must, where nothing else was done meanwhile: what had been seen,
    /// or that the host went down on a guest that lived.
    pub(super) fn judge_boot(&self) -> Result<(), Objection> {
        let told = self.after_boot.lock().unwrap().take();
        let told = match told {
            Some(Ok(told)) => told,
            None => return Ok(()),
            Some(Err(_)) if self.may_be_undefined() || self.is_gone => return Ok(()),
            Some(Err(said)) => return Err(format!("no answer after another boot: {said:?}").into()),
        };
        let Some(last) = &self.last else {
            return Ok(());
        };
        let is_unknown = told.certainty == "unknown";
        let is_hidden = self.is_obscure || self.goes_on();
        let holds = if last.has_ended() {
            let is_same = (told.state, &told.cause) == (last.state, &last.cause);
            let is_less = told.certainty != "witnessed" || told.state == last.state;
            is_same || last.certainty != "witnessed" || (self.is_obscure && is_less)
        } else if self.has_stayed_calm() {
            let is_crash = told.state == State::ShutOff(ShutOff::Crashed);
            let went_down = told.cause["kind"] == "host-restart" && told.certainty == "inferred";
            (is_crash && went_down) || (is_unknown && is_hidden)
        } else {
            true
        };
        if holds {
            return Ok(());
        }
        Err(format!("{last:?} was told, and after another boot {told:?}").into())
    }

    /// Whether all is as it was when it was asked last.
    fn has_stayed_calm(&self) -> bool {
        let Some(calm) = &self.calm else {
            return false;
        };
        calm.acts + 1 == self.acts.len() && self.outside() == calm.outside
    }

    /// Whether somebody may have sent it away.
    fn goes_on(&self) -> bool {
        let sends = |act: &Act| matches!(act, Act::Monitor("migrate" | "savevm"));
        self.acts.iter().any(sends)
    }

    /// Whether success is told of a copy though there never was any.
    fn judge_copy(&self, json: &str) -> Result<(), Objection> {
        let told = Told::read(json)?;
        if told.state.to_string() != "shut off (shutdown)" {
            return Ok(());
        }
        let story: Vec<Act> = self.story.groups.iter().flatten().cloned().collect();
        if self.holds_of_one(&story, |life: &Life<'_>| life.may_have_shut_down()) {
            return Ok(());
        }
        Err(format!("a copy tells success: {json}").into())
    }
}

/// Damages a file somewhere below a folder: cut, overwritten, or something put in.
fn damage(folder: &Path, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                folders.push(entry.path());
            } else if kind.is_ok_and(|kind| kind.is_file()) {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return;
    }
    let path = &files[rng.usize(..files.len())];
    let Ok(mut bytes) = fs::read(path) else {
        return;
    };
    let at = rng.usize(..=bytes.len());
    match rng.u8(..5) {
        0 => bytes.truncate(at),
        1 => bytes[at..].fill(0),
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
        3 => drop(bytes.splice(at..at, std::iter::repeat_n(rng.u8(..), 100))),
        _ => drop(bytes.drain(..at)),
    }
    let _ = fs::write(path, bytes);
}
