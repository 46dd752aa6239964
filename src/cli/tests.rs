//! Command lines as people type them, and what becomes of them.

use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::words::{FLAGS, LETTERS, VALUED};
use super::*;
use crate::domain::{Begin, OnCrash, OnPoweroff, OnReboot, Policies};
use crate::output::{Color, Format, Volume};

/// Help, asked for.
mod help;
/// Command lines that are wrong, and what is said of each.
mod wrong;

fn parse_words(words: &[&str]) -> Result<Cli, Usage> {
    let args = ["domstate"].iter().chain(words);
    parse(args.map(OsString::from).collect())
}

fn verb(words: &[&str]) -> Verb {
    parse_words(words)
        .unwrap_or_else(|e| panic!("{words:?}: {e:?}"))
        .verb
}

/// The line and the hint about a wrong command line.
fn wrong(words: &[&str]) -> (String, String) {
    match parse_words(words) {
        Err(Usage::Wrong { message, hint, .. }) => (message, hint),
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn a_first_word_that_is_no_verb_is_a_domain() {
    for (typed, meant) in [
        (&["v"][..], &["state", "v"][..]),
        (&["--reason", "v"], &["state", "--reason", "v"]),
        (&["--reason", "list"], &["state", "--reason", "list"]),
        (&["-q", "v", "w"], &["state", "v", "w", "-q"]),
        (&["--", "v"], &["state", "--", "v"]),
        (&["--", "list"], &["state", "list"]),
        (&["--domain", "v"], &["state", "--domain", "v"]),
        (
            &["--state-dir", "list", "v"],
            &["state", "v", "--state-dir=list"],
        ),
        (&["--format", "json", "v"], &["state", "v", "--format=json"]),
        (&["--format=json", "v"], &["state", "v", "--format=json"]),
        (&["domstate", "v", "--reason"], &["state", "--reason", "v"]),
        (&["await", "v"], &["wait", "v"]),
        (
            &["-q", "--color", "never", "list"],
            &["list", "-q", "--color", "never"],
        ),
    ] {
        assert_eq!(parse_words(typed), parse_words(meant), "{typed:?}");
        assert!(parse_words(typed).is_ok(), "{typed:?}");
    }
}

#[test]
fn a_domain_may_be_named_like_a_verb() {
    let Verb::State(state) = verb(&["state", "list", "state"]) else {
        panic!("no state");
    };
    assert_eq!(state.domains.iter().collect::<Vec<_>>(), ["list", "state"]);
}

#[test]
fn the_options_for_every_verb_stand_before_it_or_after_it() {
    for verb in command().get_subcommands().map(Command::get_name) {
        let tail: &[&str] = match verb {
            "list" => &[],
            "define" => &["--domain", "v", "--", "qemu"],
            "domrename"
            | "qemu-monitor-command"
            | "save"
            | "dump"
            | "migrate"
            | "snapshot-create-as"
            | "snapshot-revert"
            | "snapshot-delete" => &["--domain", "v", "word"],
            "restore" => &["file"],
            _ => &["--domain", "v"],
        };
        let options = [
            "--state-dir",
            "/d",
            "-q",
            "--format",
            "json",
            "--color",
            "always",
        ];
        let before = [&options, &[verb][..], tail].concat();
        let after = [&[verb], &options[..], tail].concat();
        for words in [before, after] {
            let cli = parse_words(&words).unwrap();
            let asked = cli.global.asked();
            assert_eq!(asked.format, Format::Json, "{words:?}");
            assert_eq!(asked.volume, Volume::Quiet, "{words:?}");
            assert_eq!(asked.color, Color::Always, "{words:?}");
            assert_eq!(cli.global.state_dir.unwrap().to_str(), Some("/d"));
        }
    }
}

#[test]
fn the_list_of_options_that_may_stand_before_a_domain_is_complete() {
    let mut command = command();
    command.build();
    let options = || command.get_opts().chain(command.get_arguments());
    for option in options() {
        let long = format!("--{}", option.get_long().unwrap());
        let list = if option.get_action().takes_values() {
            VALUED
        } else {
            FLAGS
        };
        assert!(list.contains(&long.as_str()), "{long}");
        assert!(
            option.get_short().is_none_or(|c| LETTERS.contains(&c)),
            "{long}"
        );
    }
}

#[test]
fn every_name_that_clap_takes_for_a_verb_is_known_before_clap_runs() {
    let mut command = command();
    command.build();
    for verb in command.get_subcommands() {
        for name in verb.get_all_aliases().chain([verb.get_name()]) {
            assert!(is_verb(name), "{name}");
        }
    }
}

#[test]
fn state_is_read_the_same_in_the_short_way_and_the_long_way() {
    for line in [
        &["v"][..],
        &["--reason", "v", "w", "--domain", "x"],
        &["-q", "state", "v", "-q", "--format", "json"],
        &["--state-dir", "a", "v", "--state-dir", "b"],
        &["state", "--", "-v", "--reason"],
        &["--reason", "--reason", "v"],
        &["state"],
        &["v", "--bogus"],
        &["v", "--color", "red"],
    ] {
        let args = ["domstate"].iter().chain(line).map(OsString::from);
        let words = Words::read(args.collect(), is_verb);
        let long = read(command(), words.args()).ok();
        assert!(
            read_state(&words).is_none_or(|short| Some(short) == long),
            "{line:?}"
        );
    }
}

#[test]
fn qemus_arguments_are_passed_on_untouched() {
    let odd = OsString::from_vec(b"-drive=\xff".to_vec());
    let mut args: Vec<OsString> = [
        "domstate",
        "run",
        "v",
        "--timeout",
        "2m",
        "--",
        "qemu",
        "--",
        "-q",
    ]
    .map(OsString::from)
    .to_vec();
    args.push(odd.clone());
    let Ok(Cli {
        verb: Verb::Run(run),
        global,
    }) = parse(args)
    else {
        panic!("no run");
    };
    assert_eq!(run.qemu, ["qemu".into(), "--".into(), "-q".into(), odd]);
    assert_eq!(
        (run.domain.as_str(), run.timeout),
        ("v", Some(Duration::from_secs(120)))
    );
    assert_eq!(global.asked().volume, Volume::Normal);
    let Verb::Start(start) = verb(&[
        "start",
        "--domain",
        "v",
        "--pass-fds",
        "3,4",
        "--paused",
        "--",
        "q",
    ]) else {
        panic!("no start");
    };
    assert_eq!(
        (start.domain.as_str(), start.passed.pass_fds.as_slice()),
        ("v", &[3, 4][..])
    );
    assert!(start.paused);
    assert_eq!(start.qemu, ["q"]);
}

#[test]
fn wait_takes_its_own_conditions_and_virshs() {
    let line = [
        "await",
        "v",
        "w",
        "--for",
        "shut off (saved)",
        "--condition",
        "domain-inactive",
        "--any",
    ];
    let Verb::Wait(wait) = verb(&line) else {
        panic!("no wait");
    };
    let words: Vec<String> = wait.conditions().iter().map(Condition::to_string).collect();
    assert_eq!(words, ["shut off (saved)", "inactive"]);
    assert_eq!(wait.domains.iter().collect::<Vec<_>>(), ["v", "w"]);
    assert_eq!((wait.domains.count(), wait.any), (2, true));
}

#[test]
fn policies_are_libvirts_and_so_are_the_refusals() {
    let Verb::Define(define) = verb(&[
        "define",
        "v",
        "--on-crash",
        "coredump-restart",
        "--on-poweroff",
        "restart",
        "--on-reboot",
        "restart",
        "--",
        "qemu",
    ]) else {
        panic!("no define");
    };
    assert_eq!(
        define.policy.policies(),
        Policies {
            on_crash: Some(OnCrash::CoredumpRestart),
            on_poweroff: Some(OnPoweroff::Restart),
            on_reboot: Some(OnReboot::Restart),
        }
    );
    for (words, told) in [
        (
            ["--on-crash", "rename-restart"],
            "unsupported configuration: qemu driver doesn't support the 'rename-restart' action for \
             'on_reboot'/'on_poweroff'/'on_crash'",
        ),
        (
            ["--on-poweroff", "preserve"],
            "unsupported configuration: qemu driver doesn't support the 'preserve' action for \
             'on_reboot'/'on_poweroff'",
        ),
        (
            ["--on-reboot", "preserve"],
            "unsupported configuration: qemu driver doesn't support the 'preserve' action for \
             'on_reboot'/'on_poweroff'",
        ),
        (
            ["--on-crash", "destory"],
            "use one of destroy, restart, preserve, coredump-destroy, coredump-restart",
        ),
        (["--on-reboot", "pause"], "use one of restart, destroy"),
    ] {
        let [option, word] = words;
        let (message, _) = wrong(&["define", "v", option, word, "--", "qemu"]);
        let form = format!("invalid value '{word}' for '{option} <ACTION>': {told}");
        assert_eq!(message, form);
    }
}

#[test]
fn a_save_takes_a_domain_and_a_file_in_both_forms() {
    for words in [
        &["save", "v", "/f", "--paused"][..],
        &["save", "--domain", "v", "/f", "--paused"],
    ] {
        let Verb::Save(save) = verb(words) else {
            panic!("no save");
        };
        assert_eq!(save.words.domain(), "v");
        assert_eq!(save.words.file(), std::path::Path::new("/f"));
        assert_eq!(save.begin.begin(), Some(Begin::Paused));
    }
    assert!(parse_words(&["save", "v"]).is_err());
    assert!(parse_words(&["save", "v", "/f", "--paused", "--running"]).is_err());
    assert!(parse_words(&["dump", "v", "/f", "--crash", "--reset"]).is_err());
}
