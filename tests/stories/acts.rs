//! What else is done to a guest, in virsh's words.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::harness::{Host, send, until};

const NOT_RUNNING: &str = "error: Requested operation is not valid: domain is not running\n";

#[test]
fn a_guest_that_sleeps_in_memory_is_woken_up() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let awake = host.domstate(&["dompmwakeup", "v"]);
    assert_eq!(awake.code, Some(1));
    assert_eq!(
        awake.stderr,
        "error: Domain 'v' could not be woken up\n\
         error: QEMU refused the command: Unable to wake up: guest is not in suspended state\n"
    );
    assert_eq!(host.answer("v"), "running (booted)");
    guest.press('s');
    host.wait_for("v", "pmsuspended (unknown)");
    let woken = host.ok(&["dompmwakeup", "v"]);
    assert_eq!(woken, "Domain 'v' successfully woken up\n");
    assert_eq!(host.answer("v"), "running (event wakeup)");
    guest.hears("READY");
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let off = host.domstate(&["dompmwakeup", "v"]);
    assert_eq!(off.code, Some(1));
    assert!(off.stderr.ends_with(NOT_RUNNING), "{off:?}");
}

#[test]
fn an_nmi_changes_no_answer_and_prints_nothing() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    assert_eq!(host.ok(&["inject-nmi", "v"]), "");
    assert_eq!(host.answer("v"), "running (booted)");
    assert!(host.journal("v").contains("inject-nmi"));
    host.ok(&["destroy", "v"]);
    let off = host.domstate(&["inject-nmi", "v"]);
    assert_eq!((off.code, off.stderr.as_str()), (Some(1), NOT_RUNNING));
}

#[test]
fn a_command_to_the_monitor_is_answered_as_qemu_answers_and_told_as_third_partys() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let say = |command: &str| host.domstate(&["qemu-monitor-command", "v", command]);
    let status = say(r#"{"execute":"query-status"}"#);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["return"]["status"], "running");
    let paused = say(r#"{"execute":"stop"}"#);
    assert_eq!(paused.stdout, "{\"return\":{}}\n");
    // As virsh says: nobody asked for a pause.
    assert_eq!(host.answer("v"), "paused (unknown)");
    say(r#"{"execute":"cont"}"#);
    assert_eq!(host.answer("v"), "running (unpaused)");
    let refused = say(r#"{"execute":"no-such-command"}"#);
    assert_eq!(refused.code, Some(0));
    assert!(refused.stdout.starts_with("{\"error\":{"), "{refused:?}");
    for junk in ["junk", "[]", "{}", r#"{"execute":7}"#] {
        let said = say(junk);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{junk}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    }
    host.ok(&[
        "qemu-monitor-command",
        "--domain",
        "v",
        r#"{"execute":"quit"}"#,
    ]);
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["cause"]["kind"], "qmp-quit");
    assert_eq!(say(r#"{"execute":"stop"}"#).stderr, NOT_RUNNING);
}

#[test]
fn the_disk_that_failed_is_named() {
    let host = Host::new();
    let disk = host.folder().join("disk");
    std::fs::write(&disk, [0; 512]).unwrap();
    let drive = format!(
        "driver=blkdebug,image.driver=file,image.filename={},inject-error.0.event=none,\
         inject-error.0.iotype=write,inject-error.0.errno=28,werror=stop,if=ide,index=0,id=hda",
        disk.display()
    );
    let mut guest = host.start("v", &["-drive", &drive]);
    assert_eq!(host.ok(&["domblkerror", "v"]), "No errors found\n");
    guest.press('w');
    host.wait_for("v", "paused (I/O error)");
    assert_eq!(host.ok(&["domblkerror", "v"]), "hda: no space\n");
    host.ok(&["destroy", "v"]);
    let off = host.domstate(&["domblkerror", "v"]);
    assert_eq!((off.code, off.stderr.as_str()), (Some(1), NOT_RUNNING));
}

#[test]
fn whether_a_disk_failed_in_lines_that_are_lost_is_not_known() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let journal = host.run_folder("v").join("journal");
    let mut journal = std::fs::OpenOptions::new()
        .append(true)
        .open(journal)
        .unwrap();
    std::io::Write::write_all(&mut journal, b"{\n").unwrap();
    let unclear = host.domstate(&["domblkerror", "v"]);
    let words = "error: whether a disk has failed cannot be known\n";
    assert_eq!((unclear.code, unclear.stderr.as_str()), (Some(1), words));
}

#[test]
fn a_disk_error_that_was_told_late_is_not_why_somebody_else_stopped_the_guest() {
    let host = Host::new();
    let disk = host.folder().join("disk");
    std::fs::write(&disk, [0; 512]).unwrap();
    let fails = |n| {
        let inject = format!("inject-error.{n}");
        format!("{inject}.event=none,{inject}.iotype=write,{inject}.errno=28,{inject}.once=on")
    };
    let drive = format!(
        "driver=blkdebug,image.driver=file,image.filename={},{},{},werror=stop,if=ide,index=0",
        disk.display(),
        fails(0),
        fails(1)
    );
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-drive", &drive, "-qmp", &third_party]);
    let mut third = host.third_party("v");
    let nothing = json!({});
    guest.press('w');
    for _ in 0..2 {
        until("the error", || {
            third.execute("query-status", &nothing)["status"] == "io-error"
        });
        third.execute("cont", &nothing);
    }
    guest.hears("ok");
    third.execute("stop", &nothing);
    // QEMU 10 holds the second back for a second.
    until("both to be told", || {
        host.journal("v").matches("\"BLOCK_IO_ERROR\"").count() == 2
    });
    host.assert_is("v", "paused (unknown)", &Value::Null, "witnessed");
    assert_eq!(host.ok(&["domblkerror", "v"]), "No errors found\n");
}

#[test]
fn a_domain_that_is_renamed_keeps_its_reason_and_its_history() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let active = host.domstate(&["domrename", "v", "w"]);
    assert_eq!(active.code, Some(1));
    assert_eq!(
        active.stderr,
        "error: Requested operation is not valid: cannot rename active domain\n"
    );
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let (uuid, history) = (host.ok(&["domuuid", "v"]), host.ok(&["history", "v"]));
    host.ok(&["define", "taken", "--", "qemu-system-x86_64"]);
    let taken = host.domstate(&["domrename", "v", "taken"]);
    assert_eq!(
        taken.stderr,
        "error: Requested operation is not valid: domain with name 'taken' already exists\n"
    );
    let invalid = host.domstate(&["domrename", "v", "../w"]);
    assert!(
        invalid
            .stderr
            .starts_with("error: invalid domain name '../w'"),
        "{invalid:?}"
    );
    assert_eq!(
        host.ok(&["domrename", "v", "w"]),
        "Domain successfully renamed\n"
    );
    assert_eq!(host.answer("w"), "shut off (crashed)");
    assert_eq!(host.ok(&["domuuid", "w"]), uuid);
    assert_eq!(host.ok(&["history", "w"]), history);
    let gone = host.domstate(&["--reason", "v"]);
    assert_eq!(gone.stderr, "error: failed to get domain 'v'\n");
    let state = std::fs::read_to_string(host.state_dir().join("w/state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(
        (&state["name"], &state["reason"]),
        (&"w".into(), &"crashed".into())
    );
}

#[test]
fn a_reset_of_which_qemu_would_take_no_notice_is_refused_and_the_guest_is_as_it_was() {
    let host = Host::new();
    let _guest = host.start("v", &["-no-reboot", "-no-shutdown"]);
    host.ok(&["suspend", "v"]);
    let why = "error: Failed to reset domain 'v'\n\
               error: Requested operation is not valid: QEMU would neither reset the guest nor end \
               (reboot=shutdown with shutdown=pause)\n";
    host.refused(&["reset", "v"], why);
    assert_eq!(host.answer("v"), "paused (user)");
    // One that runs stands then, and has shut down.
    host.ok(&["resume", "v"]);
    host.ok(&["reset", "v"]);
    host.wait_for("v", "in shutdown (unknown)");
}
