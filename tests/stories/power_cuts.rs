//! The power goes at any moment, and what domstate says after the next boot is true.
//!
//! A story is recorded with all of its operations on files, QEMU's own included (`recording`, `trace`, `operations`). For
//! every moment of it the states are made that a file system may be left in (`crash`), and in each domstate is asked
//! (`judge`). The method is that of ALICE (Pillai and others, OSDI 2014).
//!
//! # What is assumed of the file system
//! As little as ext4 (data=ordered), xfs and btrfs promise, and less:
//!
//! * What was written to a file, and the length that it has got, is on the disk once an fsync or fdatasync of that file,
//!   begun after it, has returned. A name that appeared, went or changed is on the disk once an fsync of its folder has.
//!   An fsync of a file does nothing for its name, and one of a folder nothing for what is in its files.
//! * Until then each operation may be missing, or be there without those before it: a name without its file's content, the
//!   later of two names and not the earlier. All that one process did may be lost while what another did later is there.
//! * A write may be torn at any byte. Behind that the file ends, or has zeros as far as it was written, or has what was
//!   written later: so a file may have its length and nothing in it, and a line may be gone in the middle.
//! * A rename is one operation: it happened or not, and if it did the name leads to the one file or the other. A punched
//!   hole is one too.
//!
//! # What is tried
//! The states are more than anybody can try. At each moment at which something was begun or is on the disk for sure:
//!
//! * Every set of the names that are not on the disk for sure, where they are fewer than eight; else one of them alone, all
//!   but one, and all up to one. With each the contents of all files are there, missing, or zeros.
//! * Every write that is new there, torn at each of its bytes, with all else there, and with all else missing.
//! * Every write that is not on the disk for sure, missing or torn at its lines and sectors and at its first, middle and last
//!   byte, without what was written behind it, with that, or with zeros for it. With each all other files are there or
//!   missing, and so are all names.
//!
//! Not combined are two torn files, and a torn file with some of the names. Of the many equal writes that fill an image or a
//! dump some stand for all, and nothing in one is torn at each of its bytes. In the run that all tests are part of
//! ([`Depth::Bounded`]) it is fewer.
//!
//! # What is right
//! What truly happened up to a moment that is no earlier than the last that anybody was told of by a command's output; or
//! that the host went down (inferred), or `unknown` with the reason, for a guest of whose end nobody was told. What was told
//! as witnessed stays so. Every file is whole that has its final name. Nothing is an error.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;

/// Ends by devices and by others, and starts that fail.
mod abrupt;
/// The disk after a power cut.
mod aftermath;
/// Operations.
mod change;
/// What happens while a guest lives.
mod changes;
/// What is in a file.
mod content;
/// What a power cut may leave.
mod crash;
/// Definitions.
mod definitions;
/// The file system.
mod disk;
/// How runs end.
mod ends;
/// Jobs that are undone.
mod jobs;
/// Whether domstate is right.
mod judge;
/// Snapshots.
mod kept;
/// To another QEMU.
mod migration;
/// What was done.
mod operations;
/// The power goes, over and over.
mod outage;
/// Where a disk is made.
mod place;
/// What policies and users have a guest do.
mod policies;
/// From system calls to what they did.
mod reader;
/// What is kept of a run for RELIABILITY.md.
#[path = "../reliability/record.rs"]
mod record;
/// Stories that were written down.
mod recorded;
/// Stories, while they are written down.
mod recording;
/// The commands themselves.
mod sample;
/// Images and dumps.
mod saves;
/// How files are torn.
mod tears;
/// System calls.
mod trace;
/// What is true.
mod world;

use crash::Depth;
use outage::{Tally, cut_power};
use record::Record;
use recorded::{OutOfOrder, Recorded};
use recording::may_record;

fn depth() -> Depth {
    match std::env::var_os("DOMSTATE_EVERY_CRASH") {
        Some(_) => Depth::Every,
        None => Depth::Bounded,
    }
}

type Story = fn() -> Result<Recorded, OutOfOrder>;

/// So many times a story is recorded whose writes strace saw in another order than the kernel.
const RECORDINGS_MAX: usize = 10;

fn recorded(story: Story) -> Recorded {
    let mut recorded = story();
    for _ in 1..RECORDINGS_MAX {
        if recorded.is_err() {
            recorded = story();
        }
    }
    recorded.unwrap()
}

/// Cuts the power in a story at every moment; all that is said must be right.
fn survives(test: &str, story: Story, states_min: usize, wanted: &[&str]) {
    if !may_record(test) {
        return;
    }
    let _ = RECORD.lock().unwrap().get_or_insert_with(|| {
        let record = Record::begin("power-cuts", "make power-cuts");
        (record, BTreeMap::new())
    });
    let tally = cut_power(&recorded(story), depth());
    // Past the test runner's capture: what was tried is seen although the test passes.
    let _ = writeln!(std::io::stderr(), "{test}: {tally}");
    tally.assert_right(test);
    assert!(
        tally.states >= states_min,
        "{test}: only {} states",
        tally.states
    );
    for answer in wanted {
        let found = tally.answers.keys().any(|told| told.starts_with(answer));
        assert!(found, "{test}: never {answer}: {:?}", tally.answers);
    }
    keep(test, &tally);
}

/// How many stories there are.
const STORIES: usize = 21;

/// What came of each test's story.
type Rows = BTreeMap<String, Vec<String>>;

/// The stories that are over, and when the first of all began.
static RECORD: Mutex<Option<(Record, Rows)>> = Mutex::new(None);

/// Keeps what came of a story, and writes it all down with the last of them.
fn keep(test: &str, tally: &Tally) {
    let mut record = RECORD.lock().unwrap();
    let is_over = record.as_mut().is_some_and(|(_, rows)| {
        rows.insert(test.to_owned(), tally.row(&test.replace('_', " ")));
        rows.len() == STORIES
    });
    if !is_over || depth() == Depth::Bounded {
        return;
    }
    if let Some((mut record, rows)) = record.take() {
        let sum = |column: usize| -> usize {
            let figures = rows.values().map(|row| row[column].parse::<usize>());
            figures.map(Result::unwrap).sum()
        };
        let mut total = vec!["all".to_owned()];
        total.extend((1..=5).map(|column| sum(column).to_string()));
        total.push(String::new());
        let columns = [
            "Story",
            "Operations",
            "Syncs",
            "Moments",
            "States",
            "With commands",
            "Answers",
        ];
        record.table(
            "What was asked after a power cut, and what was answered; none was wrong",
            &columns,
            &rows.into_values().chain([total]).collect::<Vec<_>>(),
        );
        record.keep(&super::harness::qemu());
    }
}

#[test]
fn an_end_that_was_told_outlives_a_power_cut() {
    let test = "an_end_that_was_told_outlives_a_power_cut";
    let wanted = [
        "shut off (shutdown): guest-shutdown",
        "shut off (crashed): host-restart",
    ];
    survives(test, ends::ends, 300, &wanted);
}

#[test]
fn a_guest_that_lived_when_the_power_went_is_not_said_to_have_shut_down() {
    let test = "a_guest_that_lived_when_the_power_went_is_not_said_to_have_shut_down";
    survives(
        test,
        changes::changes,
        300,
        &["shut off (crashed): host-restart"],
    );
}

#[test]
fn a_power_off_that_was_no_end_is_none_after_a_power_cut() {
    let test = "a_power_off_that_was_no_end_is_none_after_a_power_cut";
    let wanted = [
        "shut off (crashed): host-restart",
        "shut off (destroyed): asked",
    ];
    survives(test, changes::restarts, 300, &wanted);
}

#[test]
fn what_an_adopter_told_outlives_a_power_cut() {
    let test = "what_an_adopter_told_outlives_a_power_cut";
    survives(
        test,
        changes::adoption,
        300,
        &["shut off (crashed): signal"],
    );
}

#[test]
fn a_guest_that_was_saved_is_in_its_file_after_a_power_cut() {
    let test = "a_guest_that_was_saved_is_in_its_file_after_a_power_cut";
    survives(test, saves::saves, 300, &["shut off (saved): asked"]);
}

#[test]
fn a_dump_is_whole_or_not_there_after_a_power_cut() {
    let test = "a_dump_is_whole_or_not_there_after_a_power_cut";
    survives(test, saves::dumps, 300, &["shut off (crashed): asked"]);
}

#[test]
fn a_snapshot_that_was_told_outlives_a_power_cut() {
    let test = "a_snapshot_that_was_told_outlives_a_power_cut";
    survives(
        test,
        kept::snapshots,
        300,
        &["shut off (from snapshot): asked"],
    );
}

#[test]
fn a_definition_is_the_old_one_or_the_new_one_after_a_power_cut() {
    let test = "a_definition_is_the_old_one_or_the_new_one_after_a_power_cut";
    survives(
        test,
        definitions::definitions,
        100,
        &["shut off (unknown): never-run"],
    );
}

#[test]
fn a_guest_that_was_migrated_is_not_said_to_have_ended_otherwise_after_a_power_cut() {
    let test = "a_guest_that_was_migrated_is_not_said_to_have_ended_otherwise_after_a_power_cut";
    let wanted = [
        "shut off (migrated): asked",
        "shut off (unknown): maybe-migrated",
    ];
    survives(test, migration::migration, 300, &wanted);
}

#[test]
fn a_core_is_there_after_a_power_cut_once_a_run_in_the_foreground_has_told_of_the_crash() {
    let test =
        "a_core_is_there_after_a_power_cut_once_a_run_in_the_foreground_has_told_of_the_crash";
    let wanted = [
        "shut off (crashed): guest-panic",
        "shut off (crashed): host-restart",
    ];
    survives(test, ends::foreground, 300, &wanted);
}

#[test]
fn an_old_run_is_there_or_gone_after_a_power_cut_and_the_others_are_there() {
    let test = "an_old_run_is_there_or_gone_after_a_power_cut_and_the_others_are_there";
    let wanted = [
        "shut off (destroyed): asked",
        "shut off (shutdown): guest-shutdown",
    ];
    survives(test, ends::one_run_too_many, 300, &wanted);
}

#[test]
fn an_end_that_a_device_has_brought_about_outlives_a_power_cut() {
    let test = "an_end_that_a_device_has_brought_about_outlives_a_power_cut";
    let wanted = [
        "shut off (shutdown): guest-reset",
        "shut off (crashed): watchdog",
    ];
    survives(test, abrupt::devices, 300, &wanted);
}

#[test]
fn an_end_that_somebody_at_the_monitor_has_brought_about_outlives_a_power_cut() {
    let test = "an_end_that_somebody_at_the_monitor_has_brought_about_outlives_a_power_cut";
    let wanted = [
        "shut off (destroyed): qmp-quit",
        "shut off (destroyed): qmp-reset",
    ];
    survives(test, abrupt::monitor, 300, &wanted);
}

#[test]
fn a_status_that_qemu_has_ended_with_outlives_a_power_cut() {
    let test = "a_status_that_qemu_has_ended_with_outlives_a_power_cut";
    let wanted = [
        "shut off (shutdown): guest-exit",
        "shut off (crashed): exit-status",
    ];
    survives(test, abrupt::statuses, 300, &wanted);
}

#[test]
fn a_start_that_was_told_to_have_failed_has_after_a_power_cut() {
    let test = "a_start_that_was_told_to_have_failed_has_after_a_power_cut";
    let wanted = ["shut off (failed): start-failure"];
    survives(test, abrupt::failures, 300, &wanted);
}

#[test]
fn a_guest_that_was_started_again_or_woken_up_lived_when_the_power_went() {
    let test = "a_guest_that_was_started_again_or_woken_up_lived_when_the_power_went";
    let wanted = [
        "shut off (crashed): host-restart",
        "shut off (shutdown): guest-shutdown",
    ];
    survives(test, policies::lives, 300, &wanted);
}

#[test]
fn a_guest_that_was_destroyed_after_its_panic_or_its_time_is_so_after_a_power_cut() {
    let test = "a_guest_that_was_destroyed_after_its_panic_or_its_time_is_so_after_a_power_cut";
    let wanted = [
        "shut off (crashed): guest-panic",
        "shut off (destroyed): asked",
    ];
    survives(test, policies::destroyed_late, 300, &wanted);
}

#[test]
fn a_job_that_was_aborted_has_left_nothing_after_a_power_cut() {
    let test = "a_job_that_was_aborted_has_left_nothing_after_a_power_cut";
    let wanted = ["shut off (crashed): host-restart"];
    survives(test, jobs::aborted, 300, &wanted);
}

#[test]
fn a_save_that_was_taken_back_has_left_nothing_after_a_power_cut() {
    let test = "a_save_that_was_taken_back_has_left_nothing_after_a_power_cut";
    let wanted = [
        "shut off (crashed): host-restart",
        "shut off (saved): asked",
    ];
    survives(test, jobs::taken_back, 300, &wanted);
}

#[test]
fn a_managed_image_that_was_removed_is_not_taken_up_after_a_power_cut() {
    let test = "a_managed_image_that_was_removed_is_not_taken_up_after_a_power_cut";
    let wanted = [
        "shut off (saved): asked",
        "shut off (crashed): host-restart",
    ];
    survives(test, saves::removed, 100, &wanted);
}

#[test]
fn a_managed_image_that_was_given_up_is_not_taken_up_after_a_power_cut() {
    let test = "a_managed_image_that_was_given_up_is_not_taken_up_after_a_power_cut";
    let wanted = [
        "shut off (saved): asked",
        "shut off (failed): start-failure",
        "shut off (crashed): host-restart",
    ];
    survives(test, saves::given_up, 300, &wanted);
}
