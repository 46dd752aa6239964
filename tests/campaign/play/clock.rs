//! The host's clock, which is stepped as commands begin: as root for all who have to do with the domain, supervisors and QEMU as
//! well, else for the commands alone.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;

/// Runs a command where /etc is `$1`, and the clock that of the file `$2`. What is unmounted outside is so within, too.
const IN_ITS_OWN_TIME: &str = "mount --bind \"$2\" \"$1/domstate-clock\" && mount --rbind \"$1\" /etc && shift 2 && exec \"$@\"";

/// What is needed of the host's /etc.
const KEPT: &[&str] = &[
    "ld.so.cache",
    "passwd",
    "group",
    "nsswitch.conf",
    "localtime",
];

/// A story's clock.
pub(super) struct Clock {
    seed: u64,
    steps: AtomicU64,
    /// By how many seconds it is stepped; `None` where only commands can be told.
    file: Option<(File, PathBuf)>,
}

impl Clock {
    /// With its file in `folder`.
    pub(super) fn new(seed: u64, folder: &Path) -> Self {
        let file = nix::unistd::geteuid().is_root().then(|| {
            let path = folder.join("clock");
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).open(&path).unwrap();
            file.write_all_at(&0_i64.to_ne_bytes(), 0).unwrap();
            (file, path)
        });
        Self {
            seed,
            steps: AtomicU64::new(0),
            file,
        }
    }

    /// Steps it, and gives back the command as it sees that.
    pub(super) fn stepped(&self, mut command: Command) -> Command {
        let steps = [0, 1, -1, 3600, -3600, 86400, -86400, 400_000_000];
        let number = self.steps.fetch_add(1, Ordering::Relaxed);
        let mut rng = Rng::with_seed(self.seed.wrapping_add(number << 32));
        let step: i64 = steps[rng.usize(..steps.len())];
        let Some((file, path)) = &self.file else {
            command.env("DOMSTATE_CLOCK_STEP", step.to_string());
            command.env("LD_PRELOAD", library());
            return command;
        };
        // In place: it is mapped.
        file.write_all_at(&step.to_ne_bytes(), 0).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "slave"]);
        unshare.args(["sh", "-c", IN_ITS_OWN_TIME, "sh"]);
        unshare.arg(etc()).arg(path);
        wrapped(unshare, &command)
    }
}

/// Whose clock is stepped on this host, for people.
pub(crate) fn whose_clock() -> &'static str {
    match nix::unistd::geteuid().is_root() {
        true => "the clock is stepped as commands begin",
        false => "the clock is stepped as commands begin, for these alone: not root",
    }
}

/// The same command, run by another, with the same environment and no input.
pub(super) fn wrapped(mut by: Command, command: &Command) -> Command {
    by.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => by.env(name, value),
            None => by.env_remove(name),
        };
    }
    by.stdin(Stdio::null());
    by
}

/// An /etc in which everybody loads the clock, made once.
fn etc() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("etc");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        for name in KEPT {
            // Not every host has each.
            let _ = fs::copy(Path::new("/etc").join(name), folder.join(name));
        }
        let library = format!("{}\n", library().display());
        fs::write(folder.join("ld.so.preload"), library).unwrap();
        fs::write(folder.join("domstate-clock"), "").unwrap();
        folder
    });
    &FOLDER
}

/// What steps the clock of who loads it, built once.
fn library() -> &'static Path {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaign/clock.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]);
        assert!(cc.arg(&library).arg(source).status().unwrap().success());
        library
    });
    &LIBRARY
}
