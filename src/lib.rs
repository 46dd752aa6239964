//! domstate runs QEMU from the command line that the user gives, waits on it, and answers `state (reason)` in
//! libvirt's words, with no daemon. This page is the architecture; each room's `mod.rs` has its own rules.
//!
//! # The one promise
//! Never a false answer. Success (`shut off (shutdown)`) is told only when the guest's own shutdown is on record;
//! else what was witnessed, what is inferred, or `unknown` with why. Where domstate errs, it errs toward bad news.
//!
//! # The idea: QEMU is its own flight recorder
//! A daemon that listens to QEMU can die; what it misses is gone. So QEMU itself appends its events to a file, the
//! *journal*, and domstate appends to the same file what users asked for and how the process ended. State is a pure
//! fold over that file; everything else (the supervisor, `state.json`) saves time and may be killed, stopped or deleted
//! at any moment.
//!
//! ```text
//!   domstate start v ──> domstate-supervisor launch ──exec──> domstate-supervisor watch
//!                              │ spawns                             │ waits, writes down the end,
//!                              v                                    │ checkpoints, bounds the files
//!        recorder.in ──> QEMU ──events──> journal <─────────────────┘
//!                              │ holds `lock`        ^
//!                              v                     │ read by everybody, at any time
//!                          qmp.sock <── suspend, resume, reset, shutdown (ASKED, SENT, DONE in the journal)
//!                              ^
//!                              │     <── domstate-supervisor serve: spawned by `watch` for a duty, then gone
//!                              │
//!          image ──> domstate-supervisor feed ──pipe──> QEMU -incoming fd:N        (restore; ends with the stream)
//!                    QEMU ──pipe──> domstate save ──> FILE.domstate-part ──> FILE  (save, dump; the worker of the job)
//! ```
//!
//! * `recorder.in` is a regular file of QMP commands that ends in `cont`; QEMU is started with `-S`. Without that pair a
//!   guest that ends at once runs before the recorder listens, and in a third of such runs the journal said nothing.
//! * QEMU writes each line with one `write(2)` under O_APPEND and so do we; a line of ours begins with a newline,
//!   because a full disk may have cut QEMU's line before it.
//! * `recorder.out` leads to /dev/null; the journal is the chardev's logfile.
//!
//! # Processes
//! * A *command* looks ([`observe`]) or acts ([`operation`]) and exits. Looking takes no lock, sends no QMP, signals nobody.
//!   (Only where what QEMU says may be lost, commands that tell a state ask it: `operation::inquire`.)
//! * The *supervisor* is this same binary under another `argv[0]` ([`operation::PROGRAM_NAME`]). Stage one spawns QEMU as
//!   its child; stage two is the same pid after an exec, in a fresh image: asleep it has about 50 KiB of its own (140 if
//!   linked dynamically); some 330 of the program's are shared by all. Stage two is also what adopts a run whose supervisor
//!   died: any command that meets a live QEMU without one starts it, after it has answered.
//! * The supervisor is a child subreaper, so a QEMU that a wrapper leaves behind becomes its child.
//! * `run` is stage two in the foreground, in the command's own process.
//! * `serve` does the duties of a run and ends: so the watcher stays small, and hears what happens meanwhile.
//! * `feed` copies a saved image into the QEMU that takes it up. It is there before QEMU is, and goes on if the command
//!   is killed.
//!
//! # Is QEMU alive?
//! Its pid and start time, learnt from the control socket's peer (what was spawned may be a wrapper); else the `lock`
//! that QEMU inherited *and* a process that has the journal open for writing only, as only QEMU has it (a process left
//! behind by a wrapper may hold the lock, our own processes have the journal open to read as well). From another pid
//! namespace such a process may be out of sight: then the lock alone counts, and the answer is inferred. A journal that is not the
//! file its first line names (device, inode) is a copy of the state directory: it is told as such, and nobody acts by it, or it
//! would undo what the original has finished since. Another boot id with the lock held is a container's, perhaps: the guest may live.
//! See `observe::life`.
//!
//! # Waiting
//! `observe::alarm` sleeps by dnotify and pidfds. Not by inotify: closing such a descriptor takes the kernel 14 ms, and
//! whoever waits for `wait` or `start` waits for its exit; also a user has but 128 instances. Nobody sleeps on a look that is
//! older than the watch: what was not watched when it was taken may have died since, and then nothing would wake the
//! sleeper (`observe::Watcher`).
//!
//! # Jobs and duties
//! A save, dump or snapshot is a *job*: it takes its time and leaves a file. Its *worker* is the command itself (`serve` for
//! a core file), named with the file in the ASKED line, which is on the disk before anything is done; that it lives, its OFD
//! lock on job.lock says, whatever namespace it died in. SENT, on the disk too, is the commit line: what was written is
//! whole. Who finds a job without its worker undoes it before that line and finishes it behind it
//! ([`domain::PendingJob`]); there is no state in which both could be done. What is whole and has no place (the rename fails) is
//! undone too, but behind a line that says so (FAILED with `taken_back`), on the disk before the guest goes on. Its RESUME would
//! say the same, if it were sure to be written; the disk that has no place may have no room for that either, and then whoever
//! comes when it has would end a guest that runs, as saved.
//!
//! What is written of a guest may not be what it is any more. One that somebody lets run while it is saved, and that shuts down,
//! panics or falls asleep before all is written, is not saved: SENT does not count then. One that he lets run behind SENT says so,
//! if there is room for it: who is about to place the file, or to end QEMU, asks QEMU how its guest stands, and takes the job back if
//! it runs. Lines lost behind SENT may have said it, so that such an end is inferred; lines lost before do not matter.
//!
//! Nothing is undone by half a record: not by a copy, nor where the journal could not be read to its end (`Observation::duty`); and
//! what was folded before such an error is not folded again (`Journal::read_on`).
//!
//! Sending a guest to another QEMU is a job too. QEMU waits before the last step (pause-before-switchover), and SENT means
//! that it may take it: before that line the guest stays here, behind it QEMU is let go on and its word awaited. Its
//! `completed` in the journal carries it out: from then on the guest runs elsewhere, and nothing lets it run here. QEMU says
//! so only once its destination has said that it has everything (return-path). Between the two nobody knows where the guest
//! runs: a QEMU that ends there is `shut off (unknown)`. One that does not hear that word lets the guest go on, which may run
//! on both sides then: `migrate` says so of whatever fails behind SENT. Handed over (post-copy), a guest whose worker died is
//! left to QEMU: there is nothing to undo, and the end of what is left here is `unknown`, too, however the way there broke off.
//!
//! QEMU's events name nobody. A worker writes STREAM_ASKED just before it tells QEMU to write, and what begins behind that
//! line is the job's, until QEMU gives it up or the guest runs behind it ([`domain::Stream`]). ASKED alone would not do: it is
//! synced, and on a slow disk somebody else has a second to send the guest away. If he is first even so QEMU refuses, and
//! STREAM_ANSWERED takes it back. What comes to its end before that line is somebody else's, a snapshot or the guest itself: our
//! own stream cannot have, for until then the pipe holds a page, or QEMU waits for our word. Neither line is synced, for the
//! same reason: a power cut that takes one leaves `unknown`. What else QEMU writes is somebody else's who has its monitor: that carries no job
//! out, is not cancelled, and a guest that goes with it is not let run here; who is about to say `cont` looks first. One that
//! somebody lets run while it is written is written on. A snapshot, ours or somebody else's, which QEMU announces as a migration
//! that is `completed` without having been `active`, takes the guest nowhere.
//!
//! What nobody is doing is a *duty* ([`domain::Duty`]): the end of such a job, what a policy asks for, letting a
//! restored guest run. Which one is due is worked out of the fold; doing it twice does no harm. They are done by
//! `operation::fulfil`: in `serve`, the servant of the supervisor, be it the first or one that has adopted the run, and
//! in the next verb (`operation::settle`), before it acts. Who has the monitor looks again first. Where QEMU is gone
//! and only a file is left, who would adopt starts `serve` alone.
//!
//! The stream goes through a pipe, handed to QEMU over the control socket (save, dump) or inherited (restore): it is
//! the one way that works on 7.2, 10 and 11 alike, and it breaks when the worker dies, so no job outlives its worker
//! unseen. The feeder puts one byte into the pipe before QEMU starts: an empty incoming stream spins QEMU for ever, one
//! that breaks off ends it. The rest waits until the recorder's status is in the journal: from then on QEMU tells when
//! all is loaded. A managed image that was taken up is known by the journals: the guest of a later run was let go, which is
//! on the disk before it runs. So it is not taken up twice, whoever was killed before the file was removed.
//!
//! A snapshot's job is QEMU's own: it goes on without its worker, and keeps its outcome under its id until that is
//! dismissed. So who finds a revert without its worker asks QEMU whether the snapshot is loaded, and what was to be made
//! is announced in `snapshots/.TAG.json` first, so that it can be deleted from disks that nobody has open any more.
//!
//! What cost time to learn of QEMU:
//! * `system_reset` during a dump aborts it (7.2 to 11.1); so does, on 7.2, a guest that resets itself just as it is stopped for
//!   one ("invalid runstate transition: 'save-vm' -> 'prelaunch'"), and, on 10 and 11, `cont` after a completed save of a
//!   guest in S3, and 7.2 wakes such a guest when it saves it. So a guest in S3 is not saved.
//! * It takes a stream whose tail is cut off for whole, in silence: the image's header has the length.
//! * 7.2 overlooks a `migrate_cancel` that comes between its STOP and the wait before the switchover, and waits for ever,
//!   `cancelling`; a `migrate-continue` from that very status wakes it. Nor does it give up connecting to who does not
//!   answer: it is `cancelling` for as long as the network tries, and refuses another migration or save meanwhile.
//! * It calls a snapshot a migration (MIGRATION setup, completed), after which the guest is still here. It would stop the
//!   guest by itself; stopped by us before, the journal tells whether it came to an end of its own.
//! * With capabilities that somebody has set for his migrations (`x-ignore-shared`, `compress`) an image cannot be restored:
//!   they are off for an image, a dump or a snapshot.
//! * Its default limit on a migration's bandwidth, 128 MiB a second, holds for a pipe or a file too.
//! * `shutdown=pause` makes a panic pause as well. A guest that panicked is kept by `-action panic=pause`, from 7.2 on,
//!   and a power-off is held by `shutdown=pause`; both are added to the command line only where a policy was given.
//! * It may say of a panic, a power-off or S3 in the same turn in which it is stopped for a job, and is `paused` then all the same: the journal
//!   tells. From `postmigrate` it takes a `cont` whatever the guest had come to before.
//! * A reset reaches a guest that panicked only after its STOP, and comes before the `cont`, else the dead kernel runs.
//!
//! # Who is believed
//! Nobody but the user and root can write to the state directory ([`store`] looks, twice a command). QEMU can append to its
//! journal, and a guest that broke out of it any line at all: lies about that guest, and no more. So nothing of the user's
//! is touched on a journal's word: a signal goes only to a process that is seen to be the run's (`observe::is_of_run`), a job's
//! file is touched only under a name or with a beginning that is the job's own, and a snapshot lies in the domain's folder
//! whatever the line says. SECURITY.md has the whole list.
//!
//! # Where the answer departs from QEMU's own words
//! SHUTDOWN's `guest` is true for a panic too: rules key on `reason`. A watchdog's reset under `-no-reboot` is announced
//! as guest-reset: the WATCHDOG before it tells. gdb's kill is announced as guest-shutdown (QEMU 11), and so is what a BMC
//! does to a guest that hangs: the launch notes whether there is a debugger's stub or a BMC, and then a guest that stood, or any
//! at all, is `unattributed` where nothing else tells (gdb's kill leaves words on QEMU's stderr, 7.2 to 11.1). A stub may be opened while the guest runs: so is a guest-shutdown just
//! behind a STOP that nobody on record has asked for. A watchdog of pseries (405, ETRAX) resets without a word: there a guest-reset is unattributed. GUEST_CRASHLOADED is a panic, though
//! QEMU lets the guest run on: what then shuts down is its crash kernel. SUSPEND and
//! SHUTDOWN, STOP and SHUTDOWN come in one turn of QEMU's loop: within a second the guest may have done both. QEMU drains its disks between the two, which may take longer, so behind a
//! second it is unknown, not a kill. After SUSPEND and SHUTDOWN a QEMU that stays may wake the guest: WAKEUP clears the end. A
//! SHUTDOWN behind a completed migration is no end of the guest: that runs elsewhere. What stands
//! in the log may be the guest's own writing (its serial line), so it never outweighs an event. An exit status that QEMU has announced with a shutdown is
//! the guest's, a silent one only an odd one of a device of its own (a board's, or a plugin's, means a failure as well), and either only if the
//! process is known to be QEMU: a wrapper's status may be odd too. QEMU (8.2 on) keeps the status of a shutdown that it has outlived: then it is nobody's for sure. (QEMU may end before the supervisor has
//! asked its socket who it is: then the name of the dead program tells.) A process that dumps its core, for minutes, or frees its
//! memory takes a signal and throws it away: who sent one was not the end of it. A SIGKILL was the kernel's, for want of memory, where
//! its log names the process; where that cannot be read, counters of QEMU's control group that rose as it died make it likely, no more. By
//! semihosting a guest ends QEMU with any status and no SHUTDOWN: where it can, every other status is `unknown`.
//!
//! # What lasts
//! At the start the run's folder appears whole, by one rename, with its first line on the disk; the oldest one loses its name
//! (`.gone-N`) before anything in it is removed. At the end: waitid with WNOWAIT, append EXITED, fsync the journal, hear for a
//! second at most who has asked for the end and lives (he says only then whether it was his doing), write the checkpoint durably, reap. While
//! nothing can be written what a living guest does is asked of QEMU (`operation::inquire`; looking itself sends no command). While
//! the disk is full the zombie is kept, so that everybody can still read its status. `wait` and `destroy` return once EXITED is on the disk.
//!
//! `state.json` lies in its run's folder and `NAME/state.json` is a link to it, so a supervisor that was stopped for a
//! week cannot write over what a later run has to say. It never knows more than a journal that is on the disk, and it
//! holds a digest of the bytes before its offset: a journal that was cut or replaced is noticed, and then success is
//! not told.
//!
//! Journal space is given up behind a DOMSTATE_CHECKPOINT line that holds the whole fold and the offset at which it was
//! meant to stand: QEMU writes at any moment, and a checkpoint that was overtaken by a line is void.
//!
//! A checkpoint carries the rules that it was made by, a digest of the source of [`domain`] and [`journal`] (`build.rs`). One that
//! was made by others, of an older supervisor's, say, is passed over where its journal is there to be folded again: what is mended in
//! the fold is mended for a run that is under way, too. Where the space in front was given up it is all there is; then only an end that it
//! has told is sure. What an older domstate would read wrongly needs a new FOLD_FORMAT, by which it refuses the checkpoint; a new line
//! that makes an answer worse must be one that it takes for damage.
//!
//! # Rooms
//! Lower rooms never import higher ones; a test (tests/house.rs) reads src/ and holds the list against it.
//!
//! | room | what it does |
//! |---|---|
//! | `main.rs` | hidden supervisor entry, parse, run, exit status |
//! | [`cli`] | the command line as a value |
//! | [`commands`] | one file a verb |
//! | [`output`] | the only room that prints |
//! | [`supervisor`] | the process that watches a run |
//! | [`operation`] | what is done to a domain |
//! | [`observe`] | looking, and waiting for change |
//! | [`qemu`] | QEMU's command line and its control socket |
//! | [`store`] | the state directory |
//! | [`journal`] | bytes to events and back; the only room that spells QEMU's event names |
//! | [`domain`] | pure: names, states, events, the fold, the table of ends |
//! | `sys.rs` | the only unsafe code |
//!
//! # How it is tried
//! `tests/stories` are whole stories on the real QEMU, `tests/model` is an independent model of libvirt's rules, `fuzz/` feeds
//! the readers. `tests/campaign` plays stories that nobody has written, against a witness outside: a guest answers each letter on its
//! serial line before it acts on it, so what was not heard was not done; what nobody did is never the reason. Power cuts are
//! played by `tests/stories/power_cuts` on a record of every write. RELIABILITY.md is made of what these runs leave.
//! `tests/golden` are state directories of each format, and scripts/check-older has older supervisors at work.
//!
//! # Where to change what
//! A new event: what an older domstate makes of its line (see above), `journal::parse` and [`domain::Fold::apply`]; the compiler lists the rest. A new way to end: a rule and
//! its place in the table of `domain::ending`, and a row in its tests. A new format: `make golden`. A new verb: `cli::verb`, a file in `commands`,
//! `make generate`, a story in tests/stories.

pub mod cli;
pub mod commands;
pub mod domain;
pub mod journal;
pub mod observe;
pub mod operation;
pub mod output;
pub mod qemu;
pub mod store;
pub mod supervisor;
mod sys;
