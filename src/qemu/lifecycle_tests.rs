//! The tables of what holds, what is added and what is refused; and the installed QEMU takes every word.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::qemu::examine;

fn actions(line: &str) -> Actions {
    let words = line.split_whitespace();
    let argv: Vec<OsString> = std::iter::once("qemu-system-x86_64")
        .chain(words)
        .map(Into::into)
        .collect();
    examine(&argv, &|_| None).unwrap().actions
}

/// `crash:preserve poweroff:restart reboot:destroy`, or some of them.
fn policies(text: &str) -> Policies {
    let mut policies = Policies::default();
    for policy in text.split_whitespace() {
        let (event, word) = policy.split_once(':').unwrap();
        match event {
            "crash" => policies.on_crash = Some(OnCrash::of_word(word).unwrap()),
            "poweroff" => policies.on_poweroff = Some(OnPoweroff::of_word(word).unwrap()),
            "reboot" => policies.on_reboot = Some(OnReboot::of_word(word).unwrap()),
            _ => panic!("{policy}"),
        }
    }
    policies
}

/// What holds, in the same words.
fn holds(given: &str, line: &str) -> Result<String, String> {
    let lifecycle = lifecycle(&policies(given), &actions(line)).map_err(|e| e.to_string())?;
    Ok(format!(
        "crash:{} poweroff:{} reboot:{}",
        lifecycle.on_crash.word(),
        lifecycle.on_poweroff.word(),
        lifecycle.on_reboot.word()
    ))
}

fn added(given: &str, line: &str) -> String {
    let words = action_words(&policies(given), &actions(line));
    words.join(" ".as_ref()).into_string().unwrap()
}

#[test]
fn what_the_user_gave_holds_then_what_the_command_line_says_then_libvirts_default() {
    for (given, line, wanted) in [
        ("", "", "crash:destroy poweroff:destroy reboot:restart"),
        (
            "",
            "-no-reboot",
            "crash:destroy poweroff:destroy reboot:destroy",
        ),
        (
            "",
            "-no-shutdown",
            "crash:preserve poweroff:preserve reboot:restart",
        ),
        (
            "",
            "-no-shutdown -action panic=exit-failure",
            "crash:destroy poweroff:preserve reboot:restart",
        ),
        (
            "",
            "-no-shutdown -no-reboot -action panic=none",
            "crash:destroy poweroff:preserve reboot:destroy",
        ),
        (
            "",
            "-action panic=pause",
            "crash:preserve poweroff:destroy reboot:restart",
        ),
        (
            "",
            "-action panic=pause,reboot=shutdown -action panic=shutdown",
            "crash:destroy poweroff:destroy reboot:destroy",
        ),
        (
            "crash:coredump-restart poweroff:restart reboot:restart",
            "",
            "crash:coredump-restart poweroff:restart reboot:restart",
        ),
        (
            "crash:restart",
            "-no-shutdown -no-reboot",
            "crash:restart poweroff:preserve reboot:destroy",
        ),
        (
            "poweroff:restart",
            "-no-shutdown",
            "crash:preserve poweroff:restart reboot:restart",
        ),
        (
            "poweroff:restart",
            "",
            "crash:destroy poweroff:restart reboot:restart",
        ),
        // What one option says may be what a policy wants, though another alone would not.
        (
            "crash:preserve",
            "-no-shutdown -action panic=shutdown",
            "crash:preserve poweroff:preserve reboot:restart",
        ),
        // The supervisor ends it.
        (
            "crash:destroy",
            "-no-shutdown",
            "crash:destroy poweroff:preserve reboot:restart",
        ),
        (
            "crash:destroy",
            "-action panic=exit-failure",
            "crash:destroy poweroff:destroy reboot:restart",
        ),
    ] {
        assert_eq!(
            holds(given, line).as_deref(),
            Ok(wanted),
            "{given} | {line}"
        );
    }
}

#[test]
fn qemu_is_told_of_each_policy_that_was_given_and_that_the_user_did_not_tell_it_of() {
    for (given, line, wanted) in [
        ("", "", ""),
        ("", "-no-shutdown -no-reboot", ""),
        ("crash:destroy", "", "-action panic=shutdown"),
        ("crash:preserve", "", "-action panic=pause"),
        ("crash:restart", "", "-action panic=pause"),
        ("crash:coredump-destroy", "", "-action panic=pause"),
        ("crash:coredump-restart", "", "-action panic=pause"),
        ("poweroff:restart", "", "-action shutdown=pause"),
        ("poweroff:preserve", "", "-action shutdown=pause"),
        ("poweroff:destroy", "", "-action shutdown=poweroff"),
        ("reboot:destroy", "", "-action reboot=shutdown"),
        ("reboot:restart", "", "-action reboot=reset"),
        (
            "crash:preserve poweroff:restart reboot:restart",
            "-m 1",
            "-action panic=pause,shutdown=pause,reboot=reset",
        ),
        (
            "crash:preserve poweroff:restart reboot:restart",
            "-no-shutdown",
            "-action panic=pause,reboot=reset",
        ),
        (
            "crash:destroy reboot:destroy",
            "-action watchdog=pause,panic=exit-failure",
            "-action reboot=shutdown",
        ),
        (
            "crash:destroy poweroff:destroy reboot:destroy",
            "-no-reboot -action panic=shutdown,shutdown=poweroff",
            "",
        ),
    ] {
        assert!(holds(given, line).is_ok(), "{given} | {line}");
        assert_eq!(added(given, line), wanted, "{given} | {line}");
    }
}

#[test]
fn a_policy_that_the_command_line_contradicts_is_refused() {
    for (given, line, option, policy) in [
        (
            "reboot:restart",
            "-no-reboot",
            "-no-reboot",
            "--on-reboot restart",
        ),
        (
            "reboot:restart",
            "--no-reboot",
            "--no-reboot",
            "--on-reboot restart",
        ),
        (
            "reboot:destroy",
            "-no-reboot -action reboot=reset",
            "-action reboot=reset",
            "--on-reboot destroy",
        ),
        (
            "reboot:destroy",
            "-no-shutdown",
            "-no-shutdown",
            "--on-reboot destroy",
        ),
        (
            "poweroff:destroy",
            "-no-shutdown",
            "-no-shutdown",
            "--on-poweroff destroy",
        ),
        (
            "poweroff:restart",
            "--action shutdown=poweroff",
            "--action shutdown=poweroff",
            "--on-poweroff restart",
        ),
        (
            "crash:preserve",
            "-action panic=none",
            "-action panic=none",
            "--on-crash preserve",
        ),
        (
            "crash:preserve",
            "-action panic=shutdown",
            "-action panic=shutdown",
            "--on-crash preserve",
        ),
        (
            "crash:coredump-destroy",
            "-no-shutdown -action watchdog=none,panic=exit-failure",
            "-action watchdog=none,panic=exit-failure",
            "--on-crash coredump-destroy",
        ),
        (
            "crash:destroy",
            "-action panic=none",
            "-action panic=none",
            "--on-crash destroy",
        ),
        (
            "crash:destroy",
            "-action panic=pause",
            "-action panic=pause",
            "--on-crash destroy",
        ),
    ] {
        let wanted = format!("option '{option}' contradicts {policy}");
        assert_eq!(holds(given, line), Err(wanted), "{given} | {line}");
    }
}

#[test]
fn a_restart_on_poweroff_with_a_reboot_that_destroys_is_refused_in_libvirts_words() {
    let words = "unsupported configuration: qemu driver doesn't support \
        'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'";
    for (given, line) in [
        ("poweroff:restart reboot:destroy", ""),
        ("poweroff:restart", "-no-reboot"),
        ("poweroff:restart", "-no-shutdown -action reboot=shutdown"),
    ] {
        assert_eq!(
            holds(given, line),
            Err(words.to_owned()),
            "{given} | {line}"
        );
    }
}

/// `-action` with every word of a key, the last of which holds.
fn every_word<A: Action>() -> String {
    let pairs = A::ALL.iter().map(|a| format!("{}={}", A::KEY, a.word()));
    pairs.collect::<Vec<_>>().join(",")
}

#[test]
fn the_installed_qemu_knows_every_word() {
    for value in [
        every_word::<AtPanic>(),
        every_word::<AtShutdown>(),
        every_word::<AtReboot>(),
        "panic=frobnicate".to_owned(),
    ] {
        let mut child = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg", "-M", "none", "-display", "none"])
            .args(["-nodefaults", "-qmp", "stdio", "-action", &value])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("install qemu-system-x86 to run the tests");
        let end = r#"{"execute":"qmp_capabilities"}{"execute":"quit"}"#;
        // Who refuses its command line has gone before.
        drop(child.stdin.take().unwrap().write_all(end.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        let is_known = value != "panic=frobnicate";
        assert_eq!(output.status.success(), is_known, "{value}: {words}");
    }
}
