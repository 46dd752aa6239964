//! Whole stories on the real QEMU, in one binary. Each module has a reason; a test's name is what it proves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// A supervisor in which something fails.
mod adopter;
/// A guest at the other end of its serial line.
mod guest;
/// Hosts and bounded waits that the stories share.
mod harness;
/// A third party at QEMU's monitor.
mod monitor;
/// Which answers were seen.
mod pairs;
/// Processes that a story starts, signals and looks for.
mod process;
/// What the destination of a migration says on the way back.
mod return_path;

/// What else is done to a guest.
mod acts;
/// How a run ends, and what domstate calls it.
mod ends;
/// QEMU in the foreground: the terminal, the exit statuses, and who may end it.
mod foreground;
/// The guest image is what its source says.
mod guest_image;
/// A QEMU that hangs.
mod hung;
/// Guests that end in their very first instruction.
mod instant;
/// What a domain goes through while it lives, and what it may be told then.
mod lives;
/// What becomes of a guest that panics, powers itself off or resets itself.
mod policies;
/// Starts that fail, arguments that are refused, and names and places that are unusual.
mod starts;
/// What the verbs that only tell print, to the letter.
mod tells;
/// What somebody may do behind the record's back.
mod unrecorded;
/// A kernel that tells of no changes in a folder.
mod untold;
/// What is waited for, and what the exit status says of it.
mod waits;

/// A guest on its way to another QEMU.
mod migrations;
/// A guest that is taken back to where it was.
mod snapshots;

/// What virsh tells and what domstate tells, step by step.
mod parity;

/// A guest's memory goes into a file while the guest waits, or the guest goes on and there is no file.
mod dumps;
/// A managed image is given up for a fresh boot, and for nothing less.
mod force_boot;
/// What is in an image counts when it is taken up, and no image is taken up twice.
mod images;
/// What the stories of saves and dumps share.
mod jobs;
/// A save or a dump whose worker died.
mod orphans;
/// A guest goes into a file and comes back out of it, or it goes on and there is no file.
mod saves;
/// A guest that somebody else sends away does not run here, and a job of ours is not carried out by that.
mod sent_away;

/// What is asked when files of the state directory are damaged, cut or gone.
mod damage;

/// What was broken on purpose once, and must not be again.
mod broken;

/// Another boot of the host, another pid namespace.
mod boot;
/// Floods of events and words.
mod bounds;
/// What the caller of domstate has set up reaches QEMU, and nothing else of it.
mod caller;
/// A QEMU that has few rights, and what domstate executes.
mod confined;
/// A copy of the state directory.
mod copies;
/// What a QEMU that a guest broke out of may write.
mod forged;
/// Verbs that are killed at each of their system calls.
mod killed;

/// Several commands at once, and an old supervisor beside a new run.
mod concurrency;
/// A full disk, a read-only one.
mod disk;
/// What QEMU says of the guest and may be another's.
mod doubts;
/// The order in which things reach the disk.
mod durable;
/// What is done to a guest of whose record lines are lost.
mod lost_lines;
/// The power goes at any moment.
mod power_cuts;
/// Runs that are too long ago are removed whole.
mod prunes;

/// What is kept of a format is told and taken up by whatever comes after it.
mod golden;
/// A request that did not come to its end does not colour what the guest did.
mod intents;
/// Want of memory.
mod oom;
/// The answer needs no supervisor.
mod supervisor;
/// Whose the state directory is.
mod trusted;
/// State directories of other versions.
mod upgrade;
/// What is started need not be QEMU itself.
mod wrappers;
