//! What somebody may do behind the record's back, or to put another in his place.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::forged::Stranger;
use super::guest::Guest;
use super::harness::{Host, PATIENCE, finish, not_run};

/// A debugger kills a guest that it finds stopped. QEMU 11 calls that the guest's shutdown, and tells otherwise on its stderr
/// alone; 7.2 announces nothing.
#[test]
fn a_debugger_that_is_let_in_and_whose_kill_goes_elsewhere_did_not_shut_the_guest_down() {
    let host = Host::new();
    let script = host.path("qemu.sh");
    std::fs::write(&script, "#!/bin/sh\nexec \"$@\" 2>/dev/null\n").unwrap();
    let line = host.line("v");
    let argv = host.argv("v", &["-qmp", &host.third_party_socket("v")]);
    let mut args = vec!["start", "v", "--", "sh", &script];
    args.extend(argv.iter().map(String::as_str));
    host.ok(&args);
    let _guest = Guest::connected(&line);
    let stub = host.path("gdb");
    let let_in = format!("gdbserver unix:{stub},server=on,wait=off");
    host.third_party("v")
        .execute("human-monitor-command", &json!({"command-line": let_in}));
    let mut gdb = UnixStream::connect(stub).unwrap();
    gdb.set_read_timeout(Some(PATIENCE)).unwrap();
    gdb.write_all(b"+$k#6b").unwrap();
    let _ = gdb.read_to_end(&mut Vec::new());
    let told = host.wait("v");
    let of_its_own = ["shut off (shutdown)", "shut off (destroyed)"].contains(&told.as_str());
    assert!(!of_its_own, "{told}: {}", host.journal("v"));
    assert_ne!(host.json("v")["certainty"], "witnessed");
}

/// cpr-exec (QEMU 11) puts another program into QEMU's process, which need not record. Here another process stands for it.
#[test]
fn what_a_guest_does_that_was_sent_to_a_qemu_that_does_not_record_is_unknown() {
    let host = Host::new();
    let _guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    let away = json!({"uri": format!("exec:cat > {}", host.path("away"))});
    host.third_party("v").execute("migrate", &away);
    host.wait_for_event("v", "\"completed\"");
    host.assert_is("v", "paused (migrating)", &Value::Null, "witnessed");
    host.kill_unseen("v");
    let another = Stranger::new();
    host.note("v", Duration::ZERO, "QEMU", &another.as_json());
    let cause = json!({
        "kind": "journal-damaged",
        "file": "runs/00000001/journal",
        "why": "QEMU does not write it any more",
    });
    host.assert_is("v", "running (unknown)", &cause, "unknown");
}

#[test]
fn a_guest_of_which_a_copy_is_made_while_it_runs_is_not_said_to_have_been_canceled() {
    let host = Host::new();
    let mut guest = host.start("v", &["-qmp", &host.third_party_socket("v")]);
    let mut monitor = host.third_party("v");
    let capability = json!({"capability": "background-snapshot", "state": true});
    let capabilities = json!({"capabilities": [capability]});
    if monitor.is_refused("migrate-set-capabilities", &capabilities) {
        not_run("needs write faults for user space: a copy that is made of a guest while it runs");
        return;
    }
    let away = json!({"uri": format!("exec:cat > {}", host.path("copy"))});
    monitor.execute("migrate", &away);
    host.wait_for_event("v", "\"completed\"");
    host.assert_is("v", "running (unpaused)", &Value::Null, "witnessed");
    guest.answers();
}

/// QEMU names the sender as he calls himself.
#[test]
fn who_sends_a_signal_and_calls_himself_by_qemus_words_is_not_believed() {
    let words = "q: terminating on signal 15 from pid 1 (init";
    // Longer than what is else read of the log's end.
    let long = format!("x{}\n{words}", " ".repeat(20_000));
    for name in [words, &format!("x)\n{words}"), &long] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        let script = format!(
            "kill -TERM {0}; while kill -0 {0} 2>/dev/null; do :; done",
            host.qemu_pid("v")
        );
        let mut sender = Command::new("sh");
        sender.arg0(name).args(["-c", &script]);
        assert_eq!(finish(sender).code, Some(0));
        let nobody = json!({"kind": "host-signal", "signal": null, "pid": null, "command": null});
        host.assert_ends("v", "shut off (destroyed)", &nobody);
        assert!(host.ok(&["logs", "v"]).contains("from pid 1 (init)"));
    }
}
