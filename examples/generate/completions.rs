//! The completions: clap's, and behind them the names of the domains, asked of domstate itself.

use clap::Command;
use clap_complete::{Generator, Shell, generate};

const BASH_DOMAINS: &str = include_str!("domains.bash");
const ZSH_DOMAINS: &str = include_str!("domains.zsh");
const FISH_DOMAINS: &str = include_str!("domains.fish");

pub(crate) fn bash() -> String {
    let (script, _hook) = split(
        &static_script(Shell::Bash),
        "\nif [[ \"${BASH_VERSINFO[0]}\"",
    );
    let command = built();
    let words = |mut words: Vec<String>| {
        words.sort();
        words.dedup();
        words.join(" | ")
    };
    let arguments = command.get_subcommands().flat_map(Command::get_arguments);
    let valued = arguments
        .filter(|arg| arg.get_action().takes_values())
        .filter_map(|arg| arg.get_long())
        .map(|long| format!("--{long}"));
    let no_domain = command.get_subcommands().filter(|verb| !takes_domain(verb));
    let no_domain = no_domain.map(|verb| verb.get_name().to_owned());
    script
        + &BASH_DOMAINS
            .replace("@VALUED@", &words(valued.collect()))
            .replace("@NO_DOMAIN@", &words(no_domain.collect()))
}

pub(crate) fn zsh() -> String {
    let script = static_script(Shell::Zsh);
    // Where clap knows of no better than files, a DOMAIN is a domain, and what follows -- is a command line.
    let lines = script.lines().map(|line| {
        let is_domain = line.contains("domain") || line.contains("DOMAIN");
        if line.contains("--condition=") {
            line.replace(":_default'", ":(domain-inactive)'")
        } else if is_domain && line.contains(":_default'") {
            line.replace(":_default'", ":_domstate_domains'")
        } else if line.contains("::qemu") {
            line.replace(":_default'", ":_normal'")
        } else {
            line.to_owned()
        }
    });
    let script = lines.map(|line| line + "\n").collect::<String>();
    // The first word may be a domain as well as a verb.
    let script = script.replace(
        "_describe -t commands 'domstate commands' commands \"$@\"",
        "_describe -t commands 'domstate commands' commands \"$@\"\n    _domstate_domains",
    );
    let (script, call) = split(&script, "\nif [ \"$funcstack[1]\"");
    script + "\n" + ZSH_DOMAINS + &call
}

pub(crate) fn fish() -> String {
    let command = built();
    let verbs: Vec<&str> = command
        .get_subcommands()
        .filter(|verb| takes_domain(verb))
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_all_aliases()))
        .collect();
    static_script(Shell::Fish) + &FISH_DOMAINS.replace("@VERBS@", &verbs.join(" "))
}

fn built() -> Command {
    let mut command = domstate::cli::command();
    command.build();
    command
}

fn takes_domain(verb: &Command) -> bool {
    verb.get_arguments()
        .any(|arg| arg.get_id().as_str().starts_with("domain"))
}

fn static_script(shell: impl Generator) -> String {
    let mut bytes = Vec::new();
    generate(shell, &mut domstate::cli::command(), "domstate", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The script before `mark`, and the rest.
fn split(script: &str, mark: &str) -> (String, String) {
    let at = script.find(mark).unwrap_or(script.len());
    let (head, tail) = script.split_at(at);
    (head.to_owned(), tail.to_owned())
}
