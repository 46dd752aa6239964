//! Starting a domain: everything up to the moment at which a supervisor takes over.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::adopt::{Succession, adopt};
use super::feed::Feed;
use super::folder::{StartRefused, make_folder, save, take_folder_lock_to_start};
use super::fulfil::fulfil;
use super::managed::{managed_image, refuse_unread, sweep_managed_image};
use super::migrate::refuse_one_way;
use super::order::{LaunchOrder, ourselves};
use super::plan::plan;
use super::settle::refuse_while_busy;
use crate::domain::{
    Begin, Duty, Event, Life, LogWords, Paused, PendingJob, Policies, State, Verb,
};
use crate::journal::Journal;
use crate::observe::{Observation, Watcher, boot_id, look, look_at_run, now};
use crate::qemu::{self, Facts, RecorderPaths, SOCKET_NAME};
use crate::store::{
    Definition, DomainFolder, FolderLock, Lock, NewRun, OpenImage, RunFolder, Snapshot, may_exist,
    part_of, prune,
};

/// How long the supervisor may take to write down that QEMU ended.
const RECORD_GRACE: Duration = Duration::from_secs(5);

/// A socket's path holds 108 bytes, the NUL at its end included (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// How a domain is to be started.
#[derive(Debug)]
pub struct StartOptions {
    /// `None`: as the command line or the saved image has it.
    pub begin: Option<Begin>,
    /// Descriptors of the caller that QEMU is to have, by their numbers.
    pub passed: Vec<RawFd>,
    pub keep: Keep,
    /// For this run, over those of the definition.
    pub policies: Policies,
    /// The guest comes from another QEMU, to this address of QEMU's (`tcp:HOST:PORT`, `unix:PATH`).
    pub incoming: Option<String>,
    pub from: From,
}

/// Where the guest comes from.
#[derive(Debug)]
pub enum From {
    /// Its own boot, or the image that `managedsave` has left.
    Definition,
    /// Its own boot, whatever `managedsave` has left.
    Boot,
    /// This image.
    Image(OpenImage),
    /// The snapshot of this name that its disks hold.
    Snapshot(Snapshot),
}

/// Whether the definition is new and to be kept, or the one that the domain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Definition,
    Nothing,
}

/// A run that every reader sees, and that only waits for its QEMU.
#[derive(Debug)]
pub struct Prepared {
    pub order: LaunchOrder,
    pub lock: Lock,
    pub supervisor_lock: Lock,
    pub workdir: PathBuf,
    pub facts: Facts,
    /// A saved guest, to be fed to QEMU once it is spawned.
    pub feed: Option<Feed>,
    /// The run's folder, for QEMU to bind its socket by, where the path is too long for a socket.
    pub socket_folder: Option<OwnedFd>,
}

/// Makes the next run of `domain`.
///
/// # Errors
/// [`StartRefused`] if it is active; otherwise what is wrong with the command line, the policies, the working directory,
/// the saved image or the disk. Nothing was started then.
pub fn prepare(
    domain: &DomainFolder,
    definition: &Definition,
    mut options: StartOptions,
) -> Result<Prepared> {
    // What can be refused without the domain's lock is refused first.
    plan(definition, &options, None)?;
    options.incoming.as_deref().map_or(Ok(()), refuse_one_way)?;
    for number in &options.passed {
        if !std::path::Path::new(&format!("/proc/self/fd/{number}")).exists() {
            bail!("cannot pass descriptor {number}: it is not open");
        }
    }
    make_folder(domain)?;
    let (_folder_lock, defined) = take_domain(domain, &options)?;
    if defined.is_some() {
        options.keep = Keep::Nothing;
    }
    let definition = defined.as_ref().unwrap_or(definition);
    let seen = idle(domain, &options.from)?;
    let image = image(domain, definition, &mut options)?;
    if options.keep == Keep::Definition {
        save(domain, definition)?;
    }
    let mut definition = image.as_ref().map_or_else(
        || definition.clone(),
        |image| image.image.definition.clone(),
    );
    let plan = plan(&definition, &options, image.as_ref())?;
    // What holds for this run holds for what is saved of it.
    definition.policies = plan.policies;
    // The end of the last run is still to be written down, if its supervisor died.
    adopt(domain, &seen);
    let feed = image.map(Feed::new).transpose()?;
    let context = || format!("cannot make a new run in {}", domain.path().display());
    let lock = take_lock(domain).with_context(context)?;
    let incoming = options.incoming.as_deref();
    let commands = qemu::recorder_commands(plan.begin_of_recorder(), incoming);
    let new = NewRun::create(domain, &definition, &commands).with_context(context)?;
    let supervisor_lock = new.take_supervisor_lock().with_context(context)?;
    let launch = plan.launch(new.number())?;
    let run = new.publish(now(), &launch).with_context(context)?;
    let _ = prune(domain);
    let workdir = definition.workdir.clone();
    // Looked at here, so that a missing folder is not taken for a missing program.
    if let Err(error) = File::open(&workdir) {
        let words = Errno::from_raw(error.raw_os_error().unwrap_or_default()).desc();
        let message = format!(
            "cannot enter the working directory '{}': {words}",
            workdir.display()
        );
        record_refusal(&run, &message)?;
        bail!(message);
    }
    let socket_folder = socket_folder(&run)?;
    let paths = RecorderPaths {
        run: run.path().to_owned(),
        socket: socket_path(&run, socket_folder.as_ref()),
    };
    let mut passed = options.passed;
    passed.extend(socket_folder.as_ref().map(AsRawFd::as_raw_fd));
    passed.extend(feed.as_ref().map(Feed::descriptor));
    let order = LaunchOrder {
        lock: lock.as_fd().as_raw_fd(),
        supervisor_lock: supervisor_lock.as_fd().as_raw_fd(),
        passed,
        argv: plan.argv(&definition, feed.as_ref(), &paths),
        run,
    };
    Ok(Prepared {
        order,
        lock,
        supervisor_lock,
        workdir,
        facts: plan.facts,
        feed,
        socket_folder,
    })
}

/// Takes the right to start the domain, with the definition that it has: somebody may have defined it anew, or forgotten or renamed
/// it, since that was read. `None`: it gets one by this start.
fn take_domain(
    domain: &DomainFolder,
    options: &StartOptions,
) -> Result<(FolderLock, Option<Definition>)> {
    let folder_lock = take_folder_lock_to_start(domain);
    let is_defined = may_exist(&domain.definition());
    if options.keep == Keep::Nothing && !is_defined {
        if folder_lock.is_ok() {
            // With something in it, it stays.
            let _ = std::fs::remove_dir(domain.path());
        }
        bail!("failed to get domain '{}'", domain.name());
    }
    let folder_lock = folder_lock?;
    let defined = match &options.from {
        From::Image(image) if is_defined => Some(refuse_another(domain, image)?),
        From::Image(_) => None,
        From::Definition | From::Boot | From::Snapshot(_) => match options.keep {
            Keep::Nothing => Some(definition_now(domain)?),
            Keep::Definition => None,
        },
    };
    Ok((folder_lock, defined))
}

/// The definition that a domain has now.
fn definition_now(domain: &DomainFolder) -> Result<Definition> {
    Definition::load(&domain.definition())
        .with_context(|| format!("cannot read domain '{}'", domain.name()))
}

/// The definition of a domain to which a saved guest is to come.
///
/// # Errors
/// In virsh's words where that is of another guest.
fn refuse_another(domain: &DomainFolder, image: &OpenImage) -> Result<Definition> {
    let known = definition_now(domain)?;
    if known.uuid != image.image.definition.uuid {
        bail!(
            "operation failed: domain '{}' already exists with uuid {}",
            domain.name(),
            known.uuid
        );
    }
    Ok(known)
}

/// The domain, which must not be active, once nothing of an earlier run is left to be done.
fn idle(domain: &DomainFolder, from: &From) -> Result<Observation> {
    let seen = look(domain)?;
    if seen.is_active() {
        return Err(StartRefused::AlreadyActive.into());
    }
    // Its job would write into what the next run makes.
    refuse_while_busy(&seen)?;
    let is_given_up = matches!(from, From::Boot | From::Snapshot(_));
    if !is_given_up {
        refuse_unread(domain, &seen, "'start --force-boot' gives that up")?;
    }
    match seen.run.as_ref().filter(|_| seen.duty().is_some()) {
        Some(run) => {
            let done = fulfil(domain, run);
            let seen = look(domain)?;
            let saves = |pending: &&PendingJob| pending.verb == Verb::ManagedSave;
            let saved = seen.fold.job.as_ref().filter(saves);
            let is_there = saved.is_some_and(|pending| may_exist(&part_of(&pending.job.file)));
            match seen.duty() {
                // What the guest was saved in would be swept away once it has booted.
                Some(Duty::PlaceFile) if is_there && !is_given_up => done.map(|()| seen),
                // A file that cannot be removed must not keep the domain.
                Some(_) | None => Ok(seen),
            }
        }
        None => Ok(seen),
    }
}

/// The image that the guest comes from, if it is not to boot.
fn image(
    domain: &DomainFolder,
    definition: &Definition,
    options: &mut StartOptions,
) -> Result<Option<OpenImage>> {
    // One that was taken up, while the run that did is there to tell of it.
    if !matches!(options.from, From::Definition) {
        sweep_managed_image(domain);
    }
    match std::mem::replace(&mut options.from, From::Definition) {
        From::Definition => {}
        // It stays until the guest has begun, and is of no use then.
        From::Boot => return Ok(None),
        From::Image(image) => return Ok(Some(image)),
        // Whatever was saved since is of no use to a guest that goes back.
        snapshot @ From::Snapshot(_) => {
            options.from = snapshot;
            return Ok(None);
        }
    }
    let image = managed_image(domain)?;
    if image.is_none() {
        sweep_managed_image(domain);
    }
    if image.is_some() && options.incoming.is_some() {
        bail!(
            "the domain has a managed save image, in whose place no other guest can come: remove it by \
             'managedsave-remove'"
        );
    }
    if let Some(image) = &image
        && options.keep == Keep::Definition
        && image.image.definition.argv != definition.argv
    {
        bail!(
            "the domain has a managed save image, which another command line cannot take up: \
             start it without one, or by 'start --force-boot'"
        );
    }
    Ok(image)
}

/// Writes down that nothing was spawned, and why.
fn record_refusal(run: &RunFolder, message: &str) -> Result<()> {
    let journal = Journal::open(run.path())?;
    let message = message.to_owned();
    journal.append(now(), &Event::SpawnFailed { message })?;
    let gone = Event::Exited {
        pid: None,
        exit: None,
        boot: boot_id()?,
        words: LogWords::default(),
        oom: None,
    };
    journal.append(now(), &gone)?;
    Ok(journal.sync()?)
}

/// Takes the lock that QEMU is to inherit. A domain that is not active may still have it held, by what a wrapper left
/// behind: then that keeps a file that nobody looks at any more.
fn take_lock(domain: &DomainFolder) -> io::Result<Lock> {
    if let Some(lock) = Lock::try_take(&domain.lock())? {
        return Ok(lock);
    }
    let fresh = domain.path().join(format!(".lock-{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let lock =
        Lock::try_take(&fresh)?.ok_or_else(|| io::Error::other("somebody holds a new lock"))?;
    std::fs::rename(&fresh, domain.lock())?;
    Ok(lock)
}

fn socket_folder(run: &RunFolder) -> io::Result<Option<OwnedFd>> {
    let direct = run.path().join(SOCKET_NAME);
    if direct.as_os_str().as_bytes().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(None);
    }
    Ok(Some(File::open(run.path())?.into()))
}

fn socket_path(run: &RunFolder, folder: Option<&OwnedFd>) -> PathBuf {
    match folder {
        None => run.path().join(SOCKET_NAME),
        Some(folder) => PathBuf::from(format!(
            "/proc/self/fd/{}/{SOCKET_NAME}",
            folder.as_raw_fd()
        )),
    }
}

/// Hands a prepared run over to a supervisor in the background. Our copies of its locks go with it.
pub fn spawn_supervisor(prepared: Prepared) -> Result<RunFolder> {
    let run = prepared.order.run.clone();
    // Before the locks are handed down: none is the feeder's.
    let fed = prepared.feed.map(|feed| feed.start(&run)).transpose()?;
    let descriptors = [
        Some(prepared.lock.as_fd()),
        Some(prepared.supervisor_lock.as_fd()),
    ];
    let folder = prepared.socket_folder.as_ref().map(AsFd::as_fd);
    for descriptor in descriptors.into_iter().chain([folder]).flatten() {
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let mut command = ourselves();
    command
        .args(prepared.order.to_args())
        .current_dir(&prepared.workdir);
    command.spawn().context("cannot start the supervisor")?;
    drop(fed);
    Ok(run)
}

/// Waits until the guest of `run` runs, or stands where it was meant to, or never will. The last look is returned.
///
/// # Errors
/// Nobody can look, or whoever is to watch the run dies.
pub fn await_start(domain: &DomainFolder, run: &RunFolder) -> Result<Observation> {
    let mut watcher = Watcher::new();
    let mut gone_at: Option<Instant> = None;
    let mut succession = Succession::default();
    let mut seen = look_at_run(domain, run)?;
    loop {
        watcher.watch(domain, &seen);
        seen = look_at_run(domain, run)?;
        let arrives = seen.answer.state == State::Paused(Paused::Migrating);
        if seen.fold.began.is_some() || (arrives && seen.fold.refusal.is_none()) {
            return Ok(seen);
        }
        let mut limit = None;
        if matches!(seen.life, Life::Gone(_)) {
            let gone_at = *gone_at.get_or_insert_with(Instant::now);
            let is_late = gone_at.elapsed() >= RECORD_GRACE;
            if seen.is_settled() || seen.supervised.is_nobody() || is_late {
                // What is told of it outlives a power cut.
                let _ = Journal::open_read_only(run.path()).and_then(|journal| journal.sync());
                return Ok(seen);
            }
            limit = Some(gone_at + RECORD_GRACE);
        } else if seen.is_orphaned() {
            // Its supervisor was to let it go.
            limit = Some(succession.go_on(domain, &seen)?);
        }
        watcher.sleep_on(domain, &seen, limit)?;
    }
}
