//! Which policies hold: what is kept, what is given for a run, and what is refused.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{PVPANIC, assert_crashed, assert_lives, destroy, said};
use crate::harness::{Guest, Host, Said, finish, qemu, with_argv};

/// Starts `v` as it is defined, panics it, and asserts what it then is, with `preserve` or `restart` in force.
fn start_and_panic(host: &Host, options: &[&str], policy: &str) {
    let line = host.line("v");
    host.ok(&[&["start", "v"], options].concat());
    let mut guest = Guest::connected(&line);
    guest.press('p');
    if policy == "preserve" {
        assert_eq!(host.wait("v"), "crashed (panicked)");
        assert_crashed(host);
    } else {
        guest.hears("READY");
        assert_lives(host, "running (crashed)");
    }
    destroy(host);
}

/// `verb v` with these options, on a command line that can panic.
fn with_command_line(host: &Host, verb: &str, options: &[&str]) -> Said {
    let argv = host.argv("v", &PVPANIC);
    let args = with_argv(&[&[verb, "v"], options].concat(), &argv);
    host.domstate(&args)
}

#[test]
fn a_policy_is_kept_with_the_command_line_that_it_was_given_with_and_else_holds_for_one_run() {
    let host = Host::new();
    let defined = with_command_line(&host, "define", &["--on-crash", "preserve"]);
    assert_eq!(defined, said("Domain 'v' defined\n", "", 0));
    start_and_panic(&host, &[], "preserve");
    start_and_panic(&host, &["--on-crash", "restart"], "restart");
    start_and_panic(&host, &[], "preserve");
    // A new definition has the policies that it was given, and no older ones.
    let _line = host.line("v");
    let started = with_command_line(&host, "start", &["--on-poweroff", "restart"]);
    assert_eq!(started, said("Domain 'v' started\n", "", 0));
    let shown = json_of(&host, &["show", "v"]);
    assert_eq!(shown["on_crash"], Value::Null);
    assert_eq!(shown["on_poweroff"], "restart");
}

/// What domstate tells of it in JSON.
fn json_of(host: &Host, args: &[&str]) -> Value {
    let args = [&["--format", "json"], args].concat();
    serde_json::from_str(&host.ok(&args)).unwrap()
}

#[test]
fn the_policies_are_shown_on_a_line_that_can_be_pasted() {
    let host = Host::new();
    let policies = "--on-crash coredump-restart --on-poweroff restart --on-reboot restart";
    let words: Vec<&str> = policies.split(' ').collect();
    with_command_line(&host, "define", &words);
    let (line, json) = (host.ok(&["show", "v"]), json_of(&host, &["show", "v"]));
    assert!(
        line.contains(&format!(" && domstate define v {policies} -- ")),
        "{line}"
    );
    assert_eq!(json["on_crash"], "coredump-restart");
    assert_eq!(json["on_poweroff"], "restart");
    assert_eq!(json["on_reboot"], "restart");
    let uuid = json["uuid"].clone();
    host.ok(&["undefine", "v"]);
    let mut paste = Command::new("sh");
    paste
        .args(["-c", &line])
        .env("DOMSTATE_DIR", host.state_dir());
    let program = PathBuf::from(env!("CARGO_BIN_EXE_domstate"));
    let path = std::env::var("PATH").unwrap();
    paste.env(
        "PATH",
        format!("{}:{path}", program.parent().unwrap().display()),
    );
    assert_eq!(finish(paste), said("Domain 'v' defined\n", "", 0));
    assert_eq!(host.ok(&["show", "v"]), line);
    let mut again = json_of(&host, &["show", "v"]);
    // Nothing keeps that of a domain that is gone.
    assert_ne!(again["uuid"].take(), uuid);
    again["uuid"] = uuid;
    assert_eq!(again, json);
}

#[test]
fn policies_that_contradict_each_other_or_the_command_line_are_refused_and_nothing_is_kept() {
    const ON_RESTART_AND_DESTROY: &str = "unsupported configuration: qemu driver doesn't support \
        'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'";
    let host = Host::new();
    for (policies, qemu_args, why) in [
        (
            &["--on-poweroff", "restart", "--on-reboot", "destroy"][..],
            &[][..],
            ON_RESTART_AND_DESTROY,
        ),
        (
            &["--on-poweroff", "restart"],
            &["-no-reboot"],
            ON_RESTART_AND_DESTROY,
        ),
        (
            &["--on-crash", "preserve"],
            &["-action", "panic=none"],
            "option '-action panic=none' contradicts --on-crash preserve",
        ),
        (
            &["--on-reboot", "restart"],
            &["-no-reboot"],
            "option '-no-reboot' contradicts --on-reboot restart",
        ),
        (
            &["--on-poweroff", "destroy"],
            &["-no-shutdown"],
            "option '-no-shutdown' contradicts --on-poweroff destroy",
        ),
    ] {
        let program = qemu();
        let argv = [&["--", &program], qemu_args].concat();
        for (verb, sentence, code) in [
            ("define", "Failed to define domain 'v'", 1),
            ("start", "Failed to start domain 'v'", 1),
            ("run", "Failed to start domain 'v'", 125),
        ] {
            let refused = host.domstate(&[&[verb, "v"], policies, &argv].concat());
            let stderr = format!("error: {sentence}\nerror: {why}\n");
            assert_eq!(refused, said("", &stderr, code), "{verb} {policies:?}");
        }
    }
    assert_eq!(host.ok(&["list", "--all", "--name"]).trim(), "");
    // What is kept and what is given for a run have to agree as well.
    with_command_line(&host, "define", &["--on-poweroff", "restart"]);
    let stderr = format!("error: Failed to start domain 'v'\nerror: {ON_RESTART_AND_DESTROY}\n");
    host.refused(&["start", "v", "--on-reboot", "destroy"], &stderr);
    assert_eq!(host.answer("v"), "shut off (unknown)");
}

#[test]
fn words_that_are_no_policies_are_wrong_usage_in_libvirts_words_where_it_has_some() {
    const REFUSED: &str = "unsupported configuration: qemu driver doesn't support";
    let host = Host::new();
    let rename =
        format!("{REFUSED} the 'rename-restart' action for 'on_reboot'/'on_poweroff'/'on_crash'");
    let preserve = format!("{REFUSED} the 'preserve' action for 'on_reboot'/'on_poweroff'");
    let crash = "use one of destroy, restart, preserve, coredump-destroy, coredump-restart";
    for (option, word, why) in [
        ("--on-crash", "rename-restart", rename.as_str()),
        ("--on-poweroff", "rename-restart", &rename),
        ("--on-reboot", "rename-restart", &rename),
        ("--on-poweroff", "preserve", &preserve),
        ("--on-reboot", "preserve", &preserve),
        ("--on-crash", "destory", crash),
        (
            "--on-poweroff",
            "coredump-destroy",
            "use one of destroy, restart",
        ),
        ("--on-reboot", "reset", "use one of restart, destroy"),
    ] {
        for verb in ["define", "start", "run"] {
            let line = format!("error: invalid value '{word}' for '{option} <ACTION>': {why}\n");
            let refused = with_command_line(&host, verb, &[option, word]);
            assert_eq!(refused, said("", &line, 2), "{verb} {option} {word}");
        }
    }
    assert!(!host.state_dir().join("v").exists());
}
