//! A wrong command line is told in one line.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_wrong_command_line_is_told_in_one_line() {
    for (words, message, hint) in [
        (
            &["--reason"][..],
            "the required argument <DOMAIN>... was not provided",
            "try 'domstate --help'",
        ),
        (
            &["start"],
            "the required argument <DOMAIN> was not provided",
            "try 'domstate start --help'",
        ),
        (
            &["define", "v"],
            "the required argument <QEMU ARG>... was not provided",
            "try 'domstate define --help'",
        ),
        (
            &["define"],
            "the required arguments <DOMAIN> and <QEMU ARG>... were not provided",
            "try 'domstate define --help'",
        ),
        (
            &["list", "--bogus"],
            "unexpected argument '--bogus' found",
            "try 'domstate list --help'",
        ),
        (
            &["state", "v", "--reson"],
            "unexpected argument '--reson' found",
            "did you mean '--reason'? See 'domstate state --help'",
        ),
        (
            &["domid", "a", "b"],
            "unexpected argument 'b' found",
            "try 'domstate domid --help'",
        ),
        (
            &["start", "--domain", "a", "b"],
            "the argument '--domain <DOMAIN>' cannot be used with '[DOMAIN]'",
            "try 'domstate start --help'",
        ),
        (
            &["list", "--table", "--name"],
            "the argument '--table' cannot be used with '--name'",
            "try 'domstate list --help'",
        ),
        (
            &["--format"],
            "a value is required for '--format <FORMAT>' but none was supplied [possible values: text, json]",
            "try 'domstate --help'",
        ),
        (
            &["v", "--format", "xml"],
            "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json]",
            "try 'domstate --help'",
        ),
        (
            &["wait", "v", "--timeout", "x"],
            "invalid value 'x' for '--timeout <DURATION>': use 30 (seconds), 500ms, 30s, 2m or 1h",
            "try 'domstate wait --help'",
        ),
        (
            &["wait", "v", "--for", "a\nb"],
            "invalid value 'a b' for '--for <CONDITION>': use a state as in 'shut off', a state with its reason as in 'shut off (crashed)', 'active', 'inactive' or 'change'",
            "try 'domstate wait --help'",
        ),
        (
            &["explain", "v", "--run", "0"],
            "invalid value '0' for '--run <N>': use a run's number as 'domstate history' shows it",
            "try 'domstate explain --help'",
        ),
        (
            &["start", "v", "--pass-fds", "-1"],
            "unexpected argument '-1' found",
            "try 'domstate start --help'",
        ),
        (
            &["start", "v", "-m", "512"],
            "unexpected argument '-m' found",
            "QEMU's command line stands behind --: 'domstate start DOMAIN -- QEMU ARG...'",
        ),
        (
            &["run", "v", "qemu-system-x86_64"],
            "unexpected argument 'qemu-system-x86_64' found",
            "QEMU's command line stands behind --: 'domstate run DOMAIN -- QEMU ARG...'",
        ),
        (
            &["start", "v", "--pass-fds", "3,a"],
            "invalid value 'a' for '--pass-fds <N,M>': use numbers of open file descriptors, as in 3,4",
            "try 'domstate start --help'",
        ),
        (
            &["snapshot-parent", "v", "--name"],
            "unexpected argument '--name' found",
            "domstate has not got virsh's 'snapshot-parent'; 'domstate --help' lists the verbs",
        ),
        (
            &["help", "nope"],
            "unknown verb 'nope'",
            "try 'domstate --help'",
        ),
    ] {
        assert_eq!(
            wrong(words),
            (message.to_owned(), hint.to_owned()),
            "{words:?}"
        );
    }
}

#[test]
fn a_usage_error_knows_the_format_that_was_asked_for() {
    for (words, expected) in [
        (&["--format", "json", "list", "--bogus"][..], Format::Json),
        (&["list", "--bogus", "--format=json"], Format::Json),
        (&["list", "--bogus"], Format::Text),
        (&["run", "--bogus", "--", "--format=json"], Format::Text),
    ] {
        match parse_words(words) {
            Err(Usage::Wrong { format, .. }) => assert_eq!(format, expected, "{words:?}"),
            other => panic!("{words:?}: {other:?}"),
        }
    }
}

#[test]
fn no_arguments_at_all_is_wrong_usage() {
    let usage = "Usage: domstate [--reason] DOMAIN...\n       domstate VERB [OPTION]... [DOMAIN]...\n\n\
                 Try 'domstate --help'\n";
    assert_eq!(parse_words(&[]), Err(Usage::Nothing(usage.to_owned())));
    assert_eq!(parse(vec![]), Err(Usage::Nothing(usage.to_owned())));
}
