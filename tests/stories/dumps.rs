//! A guest's memory goes into a file while the guest waits, in virsh's words.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::Child;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use serde_json::{Value, json};

use super::foreground::shown;
use super::harness::{Host, finish_child};
use super::jobs::{RANDOM_BYTES, UNLIMITED, assert_no_file, has_part, on_a_terminal};

/// A dump that comes to nothing changes nothing.
mod undone;

/// With what a dump is of the guest's memory alone, and with what it is QEMU's stream.
const FORMS: [&[&str]; 2] = [&["--memory-only"], &[]];

fn dump<'a>(file: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["dump", "v", file], options].concat()
}

/// Dumps `v` into `file`, which must succeed.
fn dumped(host: &Host, file: &str, options: &[&str]) {
    let said = host.domstate(&dump(file, options));
    let words = format!("Domain 'v' dumped to {file}\n");
    assert_eq!(
        (said.stdout, said.stderr),
        (words, String::new()),
        "{options:?}"
    );
    assert_eq!(said.code, Some(0));
    assert!(!has_part(file), "{options:?}");
}

/// The two lines of a dump to `file` that failed.
fn failed(file: &str, why: &str) -> String {
    format!("error: Failed to core dump domain 'v' to {file}\nerror: {why}\n")
}

fn aborted(file: &str) -> String {
    let why = "operation aborted: job 'domain core dump' canceled by client";
    failed(file, why)
}

/// Asserts that the file is what such a dump leaves, the caller's alone.
fn assert_is_dump(file: &str, options: &[&str]) {
    let metadata = fs::metadata(file).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{options:?}");
    let mut start = [0; 4];
    File::open(file).unwrap().read_exact(&mut start).unwrap();
    if options.contains(&"--memory-only") {
        assert_eq!(&start, b"\x7fELF", "{options:?}");
        assert!(metadata.len() >= 16 << 20, "{}", metadata.len());
    } else {
        assert_eq!(&start, b"QEVM", "{options:?}");
    }
}

/// A FIFO that has a reader who reads nothing.
fn fifo(host: &Host) -> (String, File) {
    let path = host.path("fifo");
    make_fifo(&path);
    let mut options = OpenOptions::new();
    let reader = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path);
    (path, reader.unwrap())
}

/// Reads a FIFO until nobody writes it any more.
fn read_out(mut reader: File) -> Vec<u8> {
    let waits = FcntlArg::F_SETFL(OFlag::empty());
    fcntl(&reader, waits).unwrap();
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    read
}

fn make_fifo(path: &str) {
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(path, mode).unwrap();
}

/// A dump into a FIFO that is full.
fn stuck(host: &Host, file: &str, options: &[&str]) -> Child {
    host.under_way(&dump(file, options), "paused (dumping)")
}

#[test]
fn a_running_guest_is_dumped_in_virshs_words_and_goes_on() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    for form in FORMS {
        for after in [&[][..], &["--live"]] {
            let options = [form, after].concat();
            let file = host.path("v.core");
            fs::write(&file, "old").unwrap();
            dumped(&host, &file, &options);
            host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
            assert_is_dump(&file, &options);
            guest.answers();
        }
    }
    host.assert_only_run(1);
}

#[test]
fn a_dump_with_a_reset_of_a_guest_that_may_not_reboot_ends_it_and_leaves_the_file() {
    for form in FORMS {
        let host = Host::new();
        let _guest = host.start("v", &["-no-reboot"]);
        let file = host.path("v.core");
        let options = [form, &["--reset"]].concat();
        dumped(&host, &file, &options);
        assert_is_dump(&file, &options);
        assert_eq!(host.wait("v"), "shut off (shutdown)");
        assert_eq!(host.json("v")["cause"]["verb"], "dump --reset");
    }
}

#[test]
fn a_dump_with_a_reset_that_qemu_would_ignore_is_refused() {
    let host = Host::new();
    let mut guest = host.start("v", &["-no-reboot", "-no-shutdown"]);
    let file = host.path("v.core");
    let why = "Requested operation is not valid: QEMU would neither reset the guest nor end (reboot=shutdown with \
               shutdown=pause)";
    host.refused(&dump(&file, &["--reset"]), &failed(&file, why));
    assert_no_file(&file);
    host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    guest.answers();
}

#[test]
fn whatever_is_asked_meanwhile_a_dump_with_a_reset_is_what_ended_the_guest() {
    let host = Host::new();
    let _guest = host.start_large(&["-no-reboot"]);
    let (file, reader) = fifo(&host);
    let dumping = stuck(&host, &file, &["--memory-only", "--reset"]);
    for _ in 0..9 {
        host.ok(&["qemu-monitor-command", "v", r#"{"execute":"query-status"}"#]);
    }
    read_out(reader);
    let said = finish_child(dumping);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert_eq!(host.json("v")["cause"]["verb"], "dump --reset");
}

#[test]
fn a_dump_with_a_reset_leaves_a_guest_that_boots() {
    for form in FORMS {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let file = host.path("v.core");
        let options = [form, &["--reset"]].concat();
        dumped(&host, &file, &options);
        host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
        assert_is_dump(&file, &options);
        guest.hears("READY");
        assert_eq!(host.answer("v"), "running (unpaused)");
        // One that was paused stays so, and boots when it is resumed.
        host.ok(&["suspend", "v"]);
        dumped(&host, &file, &options);
        host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
        host.ok(&["resume", "v"]);
        guest.hears("READY");
        guest.answers();
    }
}

#[test]
fn a_dump_that_crashes_the_guest_ends_it_as_crashed_and_names_who_asked() {
    for form in FORMS {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        let file = host.path("v.core");
        let options = [form, &["--crash"]].concat();
        dumped(&host, &file, &options);
        assert_eq!(host.answer("v"), "shut off (crashed)");
        let cause = host.json("v")["cause"].clone();
        assert_eq!(cause["kind"], "asked", "{cause}");
        assert!(
            cause["command"].as_str().unwrap().contains(" dump v "),
            "{cause}"
        );
        assert_eq!(host.json("v")["certainty"], "witnessed");
        assert_is_dump(&file, &options);
        let off = failed(
            &file,
            "Requested operation is not valid: domain is not running",
        );
        host.refused(&dump(&file, &options), &off);
        assert_is_dump(&file, &options);
    }
}

#[test]
fn a_guest_that_stands_is_dumped_and_stays_as_it_is() {
    for form in FORMS {
        let host = Host::new();
        let file = host.path("v.core");
        let panic = ["-device", "pvpanic", "-action", "panic=pause", "-qmp"];
        let third_party = host.third_party_socket("v");
        let mut guest = host.start("v", &[&panic[..], &[&third_party]].concat());
        host.ok(&["suspend", "v"]);
        let before = host.guest_json();
        dumped(&host, &file, form);
        assert_eq!(host.guest_json(), before, "{form:?}");
        if form.is_empty() {
            // QEMU itself writes a guest once only, until it runs again.
            let why = "Can't migrate the vm that was paused due to previous migration";
            let why = format!("QEMU refused the command: {why}");
            host.refused(&dump(&file, form), &failed(&file, &why));
            let saved = host.path("v.save");
            let words = format!("error: Failed to save domain 'v' to {saved}\nerror: {why}\n");
            host.refused(&["save", "v", &saved], &words);
            assert_no_file(&saved);
            assert_eq!(host.guest_json(), before, "{form:?}");
            assert_is_dump(&file, form);
        }
        let parameters = host
            .third_party("v")
            .execute("query-migrate-parameters", &json!({}));
        assert_eq!(parameters["max-bandwidth"], 128 << 20, "{form:?}");
        assert_eq!(host.ok(&["resume", "v"]), "Domain 'v' resumed\n");
        host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
        guest.answers();
        guest.press('p');
        host.wait_for("v", "crashed (panicked)");
        let before = host.guest_json();
        dumped(&host, &file, form);
        assert_eq!(host.guest_json(), before, "{form:?}");
        assert_is_dump(&file, form);
        assert_eq!(host.answer("v"), "crashed (panicked)");
        assert_eq!(host.ok(&["destroy", "v"]), "Domain 'v' destroyed\n");
    }
}

#[test]
fn a_guest_that_sleeps_in_memory_is_dumped_by_its_memory_only_and_sleeps_on() {
    let host = Host::new();
    let file = host.path("v.core");
    let mut guest = host.start("v", &[]);
    guest.press('s');
    host.wait_for("v", "pmsuspended (unknown)");
    let why = "Requested operation is not valid: domain is pmsuspended";
    host.refused(&dump(&file, &[]), &failed(&file, why));
    assert_no_file(&file);
    dumped(&host, &file, &["--memory-only"]);
    assert_eq!(host.answer("v"), "pmsuspended (unknown)");
    host.ok(&["dompmwakeup", "v"]);
    assert_eq!(host.answer("v"), "running (event wakeup)");
    guest.hears("READY");
}

#[test]
fn while_a_guest_is_dumped_that_is_told_and_nothing_else_is_done_to_it() {
    for form in FORMS {
        let host = Host::new();
        let mut guest = host.start_large(&[]);
        let (file, reader) = fifo(&host);
        let dumping = stuck(&host, &file, form);
        host.assert_at_it(&dumping, "dump", &[]);
        let info = host.ok(&["domjobinfo", "v"]);
        let begun =
            "Job type:         Unbounded   \nOperation:        Dump        \nTime elapsed:     ";
        assert!(info.starts_with(begun), "{info:?}");
        assert!(info.contains("\nData total:       "), "{info:?}");
        // Nothing of all that has kept it from being dumped, once somebody reads.
        let core = read_out(reader);
        let said = finish_child(dumping);
        assert_eq!(
            said.stdout,
            format!("Domain 'v' dumped to {file}\n"),
            "{said:?}"
        );
        assert!(core.len() > RANDOM_BYTES, "{}", core.len());
        assert_eq!(host.answer("v"), "running (unpaused)");
        guest.answers();
    }
}

#[test]
fn how_far_a_dump_is_is_shown_on_a_terminal_if_asked_for() {
    for form in FORMS {
        let host = Host::new();
        let _guest = host.start_large(&[]);
        let (file, reader) = fifo(&host);
        let args = [&dump(&file, form)[..], &["--verbose"]].concat();
        let (dumping, mut terminal) = on_a_terminal(&host, &args);
        shown(&mut terminal, "\rDump: [ ");
        read_out(reader);
        shown(&mut terminal, "\rDump: [100 %]\r\n");
        assert_eq!(finish_child(dumping).code, Some(0));
    }
}

#[test]
fn a_guest_that_stands_after_its_dump_since_somebody_let_it_run_meanwhile_is_not_said_to_be_dumped()
{
    let host = Host::new();
    let file = host.path("v.core");
    let _guest = host.start_slow(&[]);
    host.ok(&["suspend", "v"]);
    let dump = host.under_way(&["dump", "v", &file], "paused (user)");
    host.third_party("v").execute("cont", &json!({}));
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    host.limit(UNLIMITED);
    let said = finish_child(dump);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    host.assert_is("v", "paused (unknown)", &Value::Null, "witnessed");
}

#[test]
fn a_guest_that_slept_when_it_was_dumped_to_end_it_ended_for_that_as_somebody_saw() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    guest.press('s');
    host.wait_for("v", "pmsuspended (unknown)");
    let dump = host.path("dump");
    host.ok(&["dump", "v", "--memory-only", "--crash", &dump]);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let told = host.json("v");
    assert_eq!(told["certainty"], "witnessed", "{told}");
}
