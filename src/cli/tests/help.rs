//! Help, asked for in every way.

use super::*;

fn help(words: &[&str]) -> String {
    match parse_words(words) {
        Err(Usage::Asked(text)) => text,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn help_is_asked_for_in_every_way_that_people_try() {
    let all = help(&["--help"]);
    assert!(all.starts_with("Run QEMU, wait on it and tell why it ended, in virsh's words, without a daemon\n\nUsage: domstate [--reason] DOMAIN...\n"));
    assert_eq!(help(&["-h"]), all);
    assert_eq!(help(&["help"]), all);
    assert_eq!(help(&["-q", "--help"]), all);
    let start = help(&["start", "--help"]);
    assert!(start.starts_with(
        "Start QEMU in the background\n\nUsage: domstate start DOMAIN [--paused] [--force-boot] [POLICY]... [--incoming URI] [--pass-fds N,M] [-- QEMU ARG...]\n"
    ));
    assert_eq!(help(&["help", "start"]), start);
    assert_eq!(help(&["start", "-h"]), start);
    for words in [&["-V"][..], &["--version"], &["list", "-V"]] {
        assert_eq!(
            help(words),
            concat!("domstate ", env!("CARGO_PKG_VERSION"), "\n")
        );
    }
}

#[test]
fn every_help_text_is_a_line_in_the_imperative_without_a_full_stop() {
    let mut command = command();
    command.clone().debug_assert();
    command.build();
    for verb in command.get_subcommands() {
        let about = verb.get_about().map(ToString::to_string).unwrap();
        for text in verb.get_arguments().filter_map(|arg| arg.get_help()) {
            let text = text.to_string();
            assert!(
                !text.ends_with('.') && text.starts_with(char::is_uppercase),
                "{text}"
            );
        }
        assert!(!about.ends_with('.') && !about.contains('\n'), "{about}");
        assert!(verb.get_name() == "help" || help(&[verb.get_name(), "-h"]).starts_with(&about));
    }
}
