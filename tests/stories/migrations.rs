//! A guest that goes from one QEMU to another: what both are meanwhile, and that exactly one runs afterwards, whatever dies.

use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{Backlog, listen};
use serde_json::{Value, json};

use super::harness::{Guest, Host, finish_child, is_alive, s, send, spawn, until};

/// A source that runs, a destination that waits for it, and the way between them.
struct Journey {
    host: Host,
    source: Guest,
    destination: Guest,
    way: String,
}

impl Journey {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With a memory that takes its time: random, and QEMU's limit below what it would be.
    fn slow() -> Self {
        let journey = Self::with(&["slow"]);
        journey.limit("max-bandwidth", 1_000_000);
        journey
    }

    fn with(kind: &[&str]) -> Self {
        let host = Host::new();
        let way = format!("unix:{}", host.folder().join("way").display());
        let third_party = host.third_party_socket("v");
        let mut args = vec!["-qmp", &third_party];
        let random = host.folder().join("random");
        let memory = format!(
            "loader,file={},addr=0x200000,force-raw=on",
            random.display()
        );
        if !kind.is_empty() {
            // Repeating it would be compressed away; it need not be good.
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .take(1 << 20)
            .flatten()
            .collect();
            std::fs::write(&random, bytes).unwrap();
            args.extend(["-device", &memory]);
        }
        let source = host.start("v", &args);
        let destination = host.start_still("d", &["--incoming", &way], &args[2..]);
        host.assert_is("d", "paused (migrating)", &Value::Null, "witnessed");
        Self {
            host,
            source,
            destination,
            way,
        }
    }

    /// Sets one of QEMU's limits at the source, in bytes per second.
    fn limit(&self, name: &str, value: u64) {
        let mut monitor = self.host.third_party("v");
        monitor.execute("migrate-set-parameters", &json!({name: value}));
    }

    fn migrate(&self, options: &[&str]) -> Child {
        let mut args = vec!["migrate", "v", &self.way];
        args.extend(options);
        let child = spawn(self.host.command(&args));
        self.host.wait_for_event("v", "\"migrate\"");
        child
    }

    fn is_under_way(&self) {
        self.host.wait_for_event("v", "\"active\"");
    }

    /// Both as they are when the guest has gone, and it runs.
    fn has_arrived(&mut self) {
        let asked = &self.host.json("v")["cause"];
        assert_eq!(asked["kind"], "asked");
        assert_eq!(asked["verb"], "migrate");
        assert_eq!(self.host.answer("v"), "shut off (migrated)");
        self.host
            .assert_is("d", "running (migrated)", &Value::Null, "witnessed");
        self.destination.answers();
    }

    /// Both as they are when nothing came of it: the source runs and is told so, and the destination has given up.
    fn has_stayed(&mut self, answers: &[&str]) {
        let answer = self.host.answer("v");
        assert!(
            answers.contains(&answer.as_str()),
            "{answer}\n{}",
            self.host.journal("v")
        );
        self.source.answers();
        assert_eq!(self.host.wait("d"), "shut off (failed)");
    }
}

const CANCELED: &str = "error: operation aborted: job 'migration out' canceled by client\n";

#[test]
fn a_guest_that_is_migrated_runs_there_and_is_shut_off_here() {
    let mut journey = Journey::new();
    assert_eq!(journey.host.ok(&["migrate", "v", &journey.way]), "");
    journey.has_arrived();
    let resumed = journey.host.domstate(&["resume", "v"]);
    assert!(
        resumed.stderr.contains("domain is not running"),
        "{resumed:?}"
    );
    journey.destination.press('o');
    let shutdown = json!({"kind": "guest-shutdown"});
    journey
        .host
        .assert_ends("d", "shut off (shutdown)", &shutdown);
}

#[test]
fn a_guest_goes_there_and_back_over_tcp() {
    let host = Host::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = format!("tcp:127.0.0.1:{}", port.local_addr().unwrap().port());
    drop(port);
    let _source = host.start("v", &[]);
    let mut guest = host.start_still("d", &["--incoming", &way], &[]);
    host.ok(&["migrate", "--domain", "v", &way]);
    guest.answers();
    let argv = host.argv("v", &[]);
    let line = host.line("v");
    let mut args = vec!["start", "v", "--incoming", &way, "--"];
    args.extend(argv.iter().map(String::as_str));
    host.ok(&args);
    let mut guest = Guest::taken(&line);
    host.ok(&["migrate", "d", &way]);
    guest.answers();
    assert_eq!(host.answer("v"), "running (migrated)");
    assert_eq!(host.answer("d"), "shut off (migrated)");
}

#[test]
fn a_guest_that_is_paused_arrives_paused() {
    let mut journey = Journey::new();
    journey.host.ok(&["suspend", "v"]);
    journey.host.ok(&["migrate", "v", &journey.way]);
    assert_eq!(journey.host.answer("v"), "shut off (migrated)");
    journey
        .host
        .assert_is("d", "paused (user)", &Value::Null, "witnessed");
    journey.host.ok(&["resume", "d"]);
    assert_eq!(journey.host.answer("d"), "running (unpaused)");
    journey.destination.answers();
}

#[test]
fn a_migration_under_way_is_told_refuses_other_verbs_and_can_be_aborted() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    assert_eq!(journey.host.answer("v"), "running (booted)");
    let told = journey.host.ok(&["domjobinfo", "v"]);
    assert!(
        told.contains("Operation:        Outgoing migration"),
        "{told}"
    );
    for verb in ["suspend", "reset", "reboot", "managedsave"] {
        let refused = journey.host.domstate(&[verb, "v"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("is at it: migrate"), "{refused:?}");
    }
    assert_eq!(journey.host.ok(&["domjobabort", "v"]), "");
    let said = finish_child(migrate);
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), CANCELED));
    journey.has_stayed(&["running (booted)"]);
}

#[test]
fn a_migration_that_a_third_party_cancels_at_its_last_step_leaves_the_guest_at_its_source() {
    for _ in 0..3 {
        let mut journey = Journey::slow();
        let migrate = journey.migrate(&[]);
        journey.is_under_way();
        // Who would let it go looks away.
        let worker = i32::try_from(migrate.id()).unwrap();
        send(worker, Signal::SIGSTOP);
        let mut monitor = journey.host.third_party("v");
        monitor.execute("migrate-set-parameters", &json!({"max-bandwidth": 0}));
        // From here on QEMU 7.2 may overlook it, and waits before the switchover for a word.
        monitor.hears("STOP");
        monitor.execute("migrate_cancel", &json!({}));
        send(worker, Signal::SIGCONT);
        let said = finish_child(migrate);
        assert_eq!((said.code, said.stderr.as_str()), (Some(1), CANCELED));
        journey.has_stayed(&["running (migration canceled)"]);
    }
}

#[test]
fn ctrl_c_cancels_a_migration() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    send(i32::try_from(migrate.id()).unwrap(), Signal::SIGINT);
    let said = finish_child(migrate);
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), CANCELED));
    journey.has_stayed(&["running (booted)"]);
}

#[test]
fn after_its_time_a_guest_is_stopped_so_that_it_can_leave_and_runs_on_there() {
    let mut journey = Journey::slow();
    // At this rate it would take most of an hour.
    journey.limit("max-bandwidth", 4096);
    let said = finish_child(journey.migrate(&["--timeout", "300ms"]));
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    journey.has_arrived();
}

#[test]
fn a_destination_that_dies_leaves_the_guest_at_its_source() {
    let mut journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    send(journey.host.qemu_pid("d"), Signal::SIGKILL);
    let said = finish_child(migrate);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("job 'migration out' failed"),
        "{said:?}"
    );
    journey.has_stayed(&["running (booted)", "running (migration canceled)"]);
}

#[test]
fn a_source_that_dies_takes_the_guest_with_it() {
    let journey = Journey::slow();
    let migrate = journey.migrate(&[]);
    journey.is_under_way();
    send(journey.host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(finish_child(migrate).code, Some(1));
    assert_eq!(journey.host.wait("v"), "shut off (crashed)");
    assert_eq!(journey.host.wait("d"), "shut off (failed)");
}

#[test]
fn a_command_that_dies_leaves_the_guest_at_its_source_also_without_a_supervisor() {
    for supervised in ["a supervisor", "none"] {
        let mut journey = Journey::slow();
        let migrate = journey.migrate(&[]);
        journey.is_under_way();
        if supervised == "none" {
            journey.host.kill_supervisor("v");
        }
        send(i32::try_from(migrate.id()).unwrap(), Signal::SIGKILL);
        finish_child(migrate);
        assert_eq!(journey.host.ok(&["suspend", "v"]), "Domain 'v' suspended\n");
        journey.host.ok(&["resume", "v"]);
        journey.has_stayed(&["running (unpaused)"]);
    }
}

/// An address of which nobody is told that nobody answers there, as long as what comes with it is kept.
fn silence() -> (String, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    (format!("tcp:{address}"), listener, queue)
}

#[test]
fn a_destination_that_does_not_answer_is_given_up_and_the_guest_runs_on() {
    let (way, _listener, _queue) = silence();
    for end in ["Ctrl-C", "domjobabort", "death"] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let migrate = spawn(host.command(&["migrate", "v", &way]));
        host.wait_for_event("v", "\"setup\"");
        let worker = i32::try_from(migrate.id()).unwrap();
        match end {
            "Ctrl-C" => send(worker, Signal::SIGINT),
            "domjobabort" => assert_eq!(host.ok(&["domjobabort", "v"]), ""),
            _ => send(worker, Signal::SIGKILL),
        }
        let said = finish_child(migrate);
        if end != "death" {
            assert_eq!((said.code, said.stderr.as_str()), (Some(1), CANCELED));
        }
        assert_eq!(host.answer("v"), "running (booted)");
        host.ok(&["suspend", "v"]);
        host.ok(&["resume", "v"]);
        guest.answers();
    }
}

#[test]
fn a_way_that_leads_nowhere_changes_nothing() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    for (uri, words) in [
        (
            "unix:/nowhere/at/all",
            "Failed to connect to '/nowhere/at/all'",
        ),
        ("tcp:127.0.0.1:1", "Failed to connect to '127.0.0.1:1'"),
        ("nonsense:1", "migration protocol"),
    ] {
        let said = host.domstate(&["migrate", "v", uri]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
        assert!(said.stderr.contains(words), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
        assert_eq!(host.answer("v"), "running (booted)");
        guest.answers();
    }
    let bad = host.domstate(&[
        "start",
        "d",
        "--incoming",
        "nonsense:1",
        "--",
        &super::harness::qemu(),
    ]);
    assert_eq!(bad.code, Some(1));
    assert!(
        bad.stderr
            .starts_with("error: Failed to start domain 'd'\nerror: "),
        "{bad:?}"
    );
    assert_eq!(host.answer("d"), "shut off (failed)");
}

#[test]
fn a_guest_that_is_handed_over_runs_there_while_its_memory_is_still_here() {
    let mut journey = Journey::slow();
    journey.limit("max-bandwidth", 20_000);
    journey.limit("max-postcopy-bandwidth", 4096);
    let migrate = journey.migrate(&["--postcopy"]);
    journey.host.wait_for("d", "running (post-copy)");
    journey.host.wait_for("v", "paused (post-copy)");
    // There is no way back: whoever presses Ctrl-C here presses it for nothing.
    send(i32::try_from(migrate.id()).unwrap(), Signal::SIGINT);
    let aborted = journey.host.domstate(&["domjobabort", "v"]);
    assert_eq!(
        aborted.stderr,
        "error: Requested operation is not valid: cannot abort migration in post-copy mode\n"
    );
    journey.limit("max-postcopy-bandwidth", 0);
    let said = finish_child(migrate);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    journey.has_arrived();
}

#[test]
fn a_command_that_dies_while_a_guest_is_handed_over_keeps_nobody_from_the_end_of_that() {
    for supervised in ["a supervisor", "none"] {
        let mut journey = Journey::slow();
        journey.limit("max-bandwidth", 20_000);
        journey.limit("max-postcopy-bandwidth", 4096);
        let migrate = journey.migrate(&["--postcopy"]);
        journey.host.wait_for("d", "running (post-copy)");
        journey.host.wait_for("v", "paused (post-copy)");
        if supervised == "none" {
            journey.host.kill_supervisor("v");
        }
        send(i32::try_from(migrate.id()).unwrap(), Signal::SIGKILL);
        finish_child(migrate);
        let resumed = journey.host.domstate(&["resume", "v"]);
        assert_eq!(resumed.code, Some(1), "{resumed:?}");
        assert_eq!(journey.host.answer("v"), "paused (post-copy)");
        journey.limit("max-postcopy-bandwidth", 0);
        assert_eq!(journey.host.wait("v"), "shut off (migrated)");
        journey.has_arrived();
    }
}

#[test]
fn a_hand_over_that_breaks_off_is_told_on_both_sides() {
    let journey = Journey::slow();
    journey.limit("max-bandwidth", 20_000);
    journey.limit("max-postcopy-bandwidth", 4096);
    let migrate = journey.migrate(&["--postcopy"]);
    journey.host.wait_for("d", "running (post-copy)");
    journey.host.wait_for("v", "paused (post-copy)");
    let destination = journey.host.qemu_pid("d");
    send(destination, Signal::SIGKILL);
    until("the destination's death", || !is_alive(destination));
    journey.host.wait_for("v", "paused (post-copy failed)");
    let said = finish_child(migrate);
    assert_eq!(said.code, Some(1));
    let resumed = journey.host.domstate(&["resume", "v"]);
    assert_eq!(resumed.code, Some(1), "{resumed:?}");
    assert_eq!(journey.host.answer("v"), "paused (post-copy failed)");
    journey.host.ok(&["destroy", "v"]);
    assert_eq!(journey.host.answer("v"), "shut off (destroyed)");

    let journey = Journey::slow();
    journey.limit("max-bandwidth", 20_000);
    journey.limit("max-postcopy-bandwidth", 4096);
    let migrate = journey.migrate(&["--postcopy"]);
    journey.host.wait_for("d", "running (post-copy)");
    send(journey.host.qemu_pid("v"), Signal::SIGKILL);
    journey.host.wait_for("d", "running (post-copy failed)");
    assert_eq!(finish_child(migrate).code, Some(1));
    let kind = journey.host.json("v")["cause"]["kind"].clone();
    assert_eq!(
        (journey.host.answer("v").as_str(), s(&kind)),
        ("shut off (crashed)", "signal")
    );
}
