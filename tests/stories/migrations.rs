//! A guest that goes from one QEMU to another: what both are meanwhile, and that exactly one runs afterwards, whatever dies.

use std::net::TcpListener;
use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Guest, Host, finish_child, is_alive, s, send, spawn, until, with_argv};

/// What is not all here is left alone.
mod elsewhere;
/// A guest of which nobody can say where it is.
mod lost;
/// Somebody else at the source's monitor meanwhile.
mod overtaken;
/// A migration that comes to nothing.
mod undone;

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
        Self::with_options(kind, &[])
    }

    /// The same with options for `start`, on both sides.
    fn with_options(kind: &[&str], options: &[&str]) -> Self {
        let host = Host::new();
        let way = format!("unix:{}", host.folder().join("way").display());
        let third_party = host.third_party_socket("v");
        let mut args = vec!["-qmp", &third_party, "-device", "pvpanic"];
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
        let source = host.start_with("v", options, &args);
        let options = [&["--incoming", &way], options].concat();
        let destination = host.start_still("d", &options, &args[2..]);
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
    let args = with_argv(&["start", "v", "--incoming", &way], &argv);
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
fn after_its_time_a_guest_is_stopped_so_that_it_can_leave_and_runs_on_there() {
    let mut journey = Journey::slow();
    // At this rate it would take most of an hour.
    journey.limit("max-bandwidth", 4096);
    let said = finish_child(journey.migrate(&["--timeout", "300ms"]));
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    journey.has_arrived();
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
fn a_guest_that_is_all_there_before_it_runs_was_not_unpaused_by_anybody() {
    // On QEMU 7.2 either may come first.
    for _ in 0..4 {
        let mut journey = Journey::new();
        let args = ["migrate", "v", &journey.way, "--postcopy"];
        let said = journey.host.domstate(&args);
        if said.code != Some(0) {
            // QEMU 11.1's own, on a busy host, with nobody but two QEMUs: it fails when all of the guest is there.
            assert!(said.stderr.contains("Sibling indicated error"), "{said:?}");
            let here = journey.host.answer("v");
            let told = ["paused (post-copy failed)", "running (migration canceled)"];
            assert!(told.contains(&here.as_str()), "{here}: {said:?}");
            continue;
        }
        until("the first RESUME", || {
            journey.host.answer("d").starts_with("running")
        });
        journey.host.wait_for_event("d", "\"completed\"");
        journey.has_arrived();
    }
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
        ("shut off (unknown)", "maybe-migrated")
    );
}
