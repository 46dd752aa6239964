//! Dumping the guest's memory into a file: for the user, and for `--on-crash coredump-*`.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::asking::{Asking, one_line};
use super::fulfil::end_after_job;
use super::interrupts::Interrupts;
use super::jobs::look_after;
use super::limits::restore_limit;
use super::monitor::{actions_at_reset, refuse_idle_reset};
use super::pump::{cancelled_or, pipe, pump};
use super::settle::{Held, NOT_RUNNING, answer_by, connect, hold};
use super::stream::{await_transfer, migrate_into_pipe};
use super::undo::take_back;
use super::worker::{commit, job, refuse_what_is_sent, stop_for};
use crate::domain::{Before, Duty, Job, OnPoweroff, OnReboot, Paused, State, Transfer, Verb};
use crate::observe::{Observation, look_at_run, now};
use crate::qemu::{Control, ControlError};
use crate::store::encode::time_text;
use crate::store::{
    DomainFolder, DumpFile, Owner, Placed, RunFolder, create_folder, discard_dump, may_exist,
    put_dump_in_place, refuse_link, time_of,
};

/// As many core files as are kept of a domain: each is as large as the guest's memory.
const CORES_KEPT: usize = 5;

/// How long QEMU may take to say that a dump is over once it has closed its file.
const DUMP_GRACE: Duration = Duration::from_secs(10);

/// How often it is asked meanwhile.
const DUMP_INTERVAL: Duration = Duration::from_millis(5);

/// What became of a guest whose dump failed behind its reset.
const RESET_ALL_THE_SAME: &str = "the guest was reset all the same";

/// What becomes of the guest after its dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDump {
    GoesOn,
    Crash,
    Reset,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpForm {
    /// An ELF core of the guest's memory (QEMU's dump-guest-memory).
    Memory,
    /// QEMU's migration stream, as virsh writes it without `--memory-only`.
    Stream,
}

/// What is being done, by whom it was asked.
struct Dump<'a> {
    domain: &'a DomainFolder,
    run: &'a RunFolder,
    asking: Asking,
    job: Job,
    form: DumpForm,
    after: AfterDump,
}

/// Dumps the guest's memory into the file at `path`.
///
/// # Errors
/// In virsh's words where it is not running; else what failed. The guest then goes on as before, unless it is said to have been
/// reset, and there is no file.
pub fn dump(
    domain: &DomainFolder,
    seen: Observation,
    path: &Path,
    form: DumpForm,
    after: AfterDump,
    progress: &mut dyn FnMut(),
) -> Result<Placed> {
    let Held { run, control, seen } = hold(domain, seen)?;
    let before = dumpable(&seen, form)?;
    if after == AfterDump::Reset {
        refuse_idle_reset(&seen)?;
    }
    let context = || format!("cannot write {}", path.display());
    let place = DumpFile::place(path).with_context(context)?;
    let verb = match after {
        AfterDump::GoesOn => Verb::Dump,
        AfterDump::Crash => Verb::DumpCrash,
        AfterDump::Reset => Verb::DumpReset,
    };
    let interrupts = Interrupts::take()?;
    let job = job(&place, before)?;
    let dump = Dump {
        asking: Asking::begin_job(&run, verb, job.clone())?,
        domain,
        run: &run,
        job,
        form,
        after,
    };
    dump.carry_out(control, &interrupts, progress)
}

/// Dumps the memory of a guest that panicked, as its policy wants it. That it fails is written down, and no error.
pub(super) fn dump_core(domain: &DomainFolder, run: &RunFolder) -> Result<()> {
    let interrupts = Interrupts::take()?;
    let control = connect(run)?;
    if look_at_run(domain, run)?.duty() != Some(Duty::DumpCore) {
        return Ok(());
    }
    let time = time_text(now());
    let place = domain
        .dumps()
        .join(format!("{:08}-{time}.core", run.number()));
    let room = make_room(domain);
    let job = job(&place, Before::Stood)?;
    let dump = Dump {
        asking: Asking::begin_job(run, Verb::CrashDump, job.clone())?,
        domain,
        run,
        job,
        form: DumpForm::Memory,
        after: AfterDump::GoesOn,
    };
    if let Err(error) = room {
        dump.asking.failed_durably(&one_line(&error));
        return Ok(());
    }
    let _ = dump.carry_out(control, &interrupts, &mut || {});
    Ok(())
}

/// Makes the folder of the core files, and room for one more in it.
fn make_room(domain: &DomainFolder) -> Result<()> {
    let folder = domain.dumps();
    let context = || format!("cannot write {}", folder.display());
    refuse_link(&folder)?;
    create_folder(&folder).with_context(context)?;
    let mut cores: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(context)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_core(path))
        .collect();
    // What was never finished is of no use, and nobody is at it: this is the only job.
    let is_unfinished = |core: &mut PathBuf| {
        core.extension() != Some(OsStr::new("core")) && !is_owed_its_name(domain, core)
    };
    for part in cores.extract_if(.., is_unfinished) {
        std::fs::remove_file(part).with_context(context)?;
    }
    // By run and time.
    cores.sort();
    let surplus = (cores.len() + 1).saturating_sub(CORES_KEPT);
    for core in cores.iter().take(surplus) {
        std::fs::remove_file(core).with_context(context)?;
    }
    Ok(())
}

/// Whether all of the core is written, and nobody has come to give it its name, as far as is known.
fn is_owed_its_name(domain: &DomainFolder, part: &Path) -> bool {
    let name = part.file_name().map(OsStr::as_encoded_bytes);
    let number = name.and_then(|name| std::str::from_utf8(name.get(..8)?).ok()?.parse().ok());
    let run = number.map(|number| domain.run(number));
    let is_owed = |run: &RunFolder| {
        let seen = look_at_run(domain, run);
        // One that cannot be looked at may be.
        seen.map_or(true, |seen| {
            seen.is_unread || seen.fold.job.is_some_and(|job| job.is_committed())
        })
    };
    // Of a run that is not kept any more nobody will.
    run.is_some_and(|run| may_exist(run.path()) && is_owed(&run))
}

/// Whether a file is one of ours: on the folder another disk may be mounted, with other people's files on it.
pub(super) fn is_core(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_encoded_bytes);
    let name = name.unwrap_or_default();
    let (number, rest) = name.split_at(name.len().min(8));
    let rest = rest.strip_prefix(b"-").map(std::str::from_utf8);
    let rest = rest.and_then(Result::ok).unwrap_or_default();
    let (time, end) = rest.split_once(".core").unwrap_or_default();
    let is_whole = end.is_empty() || end.ends_with(".domstate-part");
    let is_named = number.iter().all(u8::is_ascii_digit) && time_of(time).is_some() && is_whole;
    is_named && path.symlink_metadata().is_ok_and(|found| found.is_file())
}

/// Whether the guest runs, if it has a memory that can be dumped.
fn dumpable(seen: &Observation, form: DumpForm) -> Result<Before> {
    match seen.answer.state {
        State::Running(_) => Ok(Before::Ran),
        // See `save`: QEMU does not survive it.
        _ if seen.fold.suspended && form == DumpForm::Stream => {
            bail!("Requested operation is not valid: domain is pmsuspended")
        }
        // What is here is not the guest any more.
        _ if seen.fold.transfer == Transfer::Left => bail!(NOT_RUNNING),
        State::Paused(_) | State::Crashed | State::InShutdown | State::PmSuspended
            if seen.fold.began.is_some() =>
        {
            Ok(Before::Stood)
        }
        State::Paused(_)
        | State::Crashed
        | State::InShutdown
        | State::PmSuspended
        | State::ShutOff(_) => bail!(NOT_RUNNING),
    }
}

impl Dump<'_> {
    fn carry_out(
        self,
        control: Control,
        interrupts: &Interrupts,
        progress: &mut dyn FnMut(),
    ) -> Result<Placed> {
        let file = match DumpFile::create(&self.job.file, &self.owner())
            .with_context(|| self.cannot_write())
        {
            Ok(file) => file,
            // Nothing was done yet; what is there may be somebody else's dump.
            Err(error) => {
                self.asking.failed_durably(&one_line(&error));
                return Err(error);
            }
        };
        let written = self
            .write(control, &file, interrupts, progress)
            .and_then(|()| match self.after {
                AfterDump::Reset => self.keep(&file).context(RESET_ALL_THE_SAME),
                AfterDump::GoesOn | AfterDump::Crash => self.keep(&file),
            });
        let placed = match written {
            Ok(placed) => placed,
            Err(error) => {
                let (domain, run, before) = (self.domain, self.run, self.job.before);
                take_back(domain, run, before, Verb::Dump, &self.asking, &error)?;
                let _ = discard_dump(&self.job.file, &self.owner());
                self.asking.failed_durably(&one_line(&error));
                return Err(error);
            }
        };
        self.asking.done_durably();
        if self.after == AfterDump::Crash {
            end_after_job(self.domain, self.run, Verb::DumpCrash)?;
        }
        Ok(placed)
    }

    /// Gives the dump, of which all is written, its name.
    fn keep(&self, file: &DumpFile) -> Result<Placed> {
        self.commit()?;
        let placed = put_dump_in_place(&self.job.file, &self.owner())
            .with_context(|| self.cannot_write())?;
        if !file.is_at(&self.job.file) {
            bail!("{}: it was removed meanwhile", self.cannot_write());
        }
        Ok(placed)
    }

    fn owner(&self) -> Owner<'_> {
        Owner::new(self.domain, self.run, &self.job)
    }

    fn commit(&self) -> Result<()> {
        match self.after {
            AfterDump::Crash => commit(self.domain, self.run, &self.asking, "domain core dump"),
            // It said so as it did it.
            AfterDump::Reset => Ok(()),
            AfterDump::GoesOn => {
                let _control = connect(self.run)?;
                look_after(self.domain, self.run)
                    .map_err(|error| cancelled_or(error, "domain core dump"))?;
                self.asking.carried_out()
            }
        }
    }

    /// Whether a reset is the end of the run (`-no-reboot`, and QEMU does not stay).
    fn is_ended_by_reset(&self) -> Result<bool> {
        let seen = look_at_run(self.domain, self.run)?;
        let (on_reboot, on_poweroff) = actions_at_reset(&seen);
        Ok(on_reboot == OnReboot::Destroy && on_poweroff != OnPoweroff::Preserve)
    }

    fn cannot_write(&self) -> String {
        format!("cannot write {}", self.job.file.display())
    }

    fn write(
        &self,
        mut control: Control,
        file: &DumpFile,
        interrupts: &Interrupts,
        progress: &mut dyn FnMut(),
    ) -> Result<()> {
        // QEMU would let it go on by itself after a plain dump of its memory; for all else it must not.
        let stop = self.job.before == Before::Ran
            && (self.form == DumpForm::Stream || self.after != AfterDump::GoesOn);
        match self.after {
            AfterDump::GoesOn if stop => {
                stop_for(self.domain, self.run, &mut control, "dumped")?;
            }
            // Whatever it has come to meanwhile, it is not let go on from there.
            AfterDump::Crash | AfterDump::Reset if stop => drop(control.execute("stop", None)?),
            AfterDump::GoesOn | AfterDump::Crash | AfterDump::Reset => {}
        }
        let pipe = match self.form {
            DumpForm::Stream => {
                migrate_into_pipe(self.domain, self.run, &mut control, &self.asking)?
            }
            DumpForm::Memory => dump_into_pipe(&mut control)?,
        };
        drop(control);
        let mut look = || {
            progress();
            look_after(self.domain, self.run)
        };
        pump(pipe, file.file(), interrupts, &mut look)
            .and_then(|()| match self.form {
                DumpForm::Stream => await_transfer(self.domain, self.run),
                DumpForm::Memory => self.await_dump(),
            })
            .map_err(|error| cancelled_or(error, "domain core dump"))?;
        file.seal().with_context(|| self.cannot_write())?;
        let goes_on = stop && self.after != AfterDump::Crash;
        let stays = self.form == DumpForm::Stream && self.after != AfterDump::Crash;
        if !goes_on && !stays && self.after != AfterDump::Reset {
            return Ok(());
        }
        let mut control = connect(self.run)?;
        if self.after != AfterDump::Reset {
            return self.let_go_on(&mut control, goes_on);
        }
        // Until here it may be aborted.
        look_after(self.domain, self.run)
            .map_err(|error| cancelled_or(error, "domain core dump"))?;
        if let Err(error) = control.execute("system_reset", None) {
            let is_refused = matches!(error, ControlError::Refused { .. });
            let error = anyhow::Error::from(error);
            return Err(match is_refused {
                true => error,
                // It does not say what came of it.
                false => error.context("the guest may have been reset"),
            });
        }
        self.go_on_behind_reset(&mut control, goes_on)
            .context(RESET_ALL_THE_SAME)
    }

    /// Not what has come to an end by itself just as it was stopped; one that was reset begins anew.
    fn let_go_on(&self, control: &mut Control, goes_on: bool) -> Result<()> {
        restore_limit(control)?;
        let may_go_on = self.after == AfterDump::Reset
            || !look_at_run(self.domain, self.run)?.fold.came_to_an_end();
        if goes_on && may_go_on {
            refuse_what_is_sent(self.domain, self.run)?;
            control.execute("cont", None)?;
        }
        Ok(())
    }

    fn go_on_behind_reset(&self, control: &mut Control, goes_on: bool) -> Result<()> {
        if !self.is_ended_by_reset()? {
            self.let_go_on(control, goes_on)?;
        }
        // While nobody else is heard, so that nobody aborts what has been done. Not before the guest goes on: whoever finds it
        // without us then lets it.
        self.asking.carried_out()
    }

    /// Waits until QEMU says what came of a dump whose file it has closed, and lets the guest go on, where it does that.
    fn await_dump(&self) -> Result<()> {
        let mut control = connect(self.run)?;
        let deadline = Instant::now() + DUMP_GRACE;
        loop {
            control.set_deadline(answer_by());
            let dump = control.execute("query-dump", None)?;
            // "completed" comes before the RESUME, and a reset between the two kills QEMU (7.2 to 11.1).
            let seen = look_at_run(self.domain, self.run)?;
            let stands = seen.answer.state == State::Paused(Paused::Dumping);
            let resumes = self.after == AfterDump::GoesOn && self.job.before == Before::Ran;
            let is_late = Instant::now() >= deadline;
            match dump.get("status").and_then(Value::as_str) {
                Some("completed") if !(resumes && stands) || is_late => return Ok(()),
                Some("completed" | "active") if !is_late => std::thread::sleep(DUMP_INTERVAL),
                Some(status) => bail!("QEMU could not write it ({status})"),
                None => bail!("QEMU does not say what came of it"),
            }
        }
    }
}

fn dump_into_pipe(control: &mut Control) -> Result<OwnedFd> {
    const NAME: &str = "domstate-job";
    let (from, to) = pipe()?;
    control.pass(NAME, to.as_fd())?;
    // Detached, so that the monitor answers meanwhile.
    let arguments = json!({"paging": false, "protocol": format!("fd:{NAME}"), "detach": true});
    control.execute("dump-guest-memory", Some(arguments))?;
    Ok(from)
}

/// Whether a job leaves an image behind.
pub(super) fn is_save(verb: Verb) -> bool {
    matches!(verb, Verb::Save | Verb::ManagedSave)
}

/// Whether a job leaves a dump behind, and no image.
pub(super) fn is_dump(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Dump | Verb::DumpCrash | Verb::DumpReset | Verb::CrashDump
    )
}
