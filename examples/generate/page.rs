//! The man pages: what is said once by hand (domstate.1.in), with the verbs and options of the command line.

use clap::Command;
use clap_mangen::Man;

const HAND_WRITTEN: &str = include_str!("domstate.1.in");

/// The page of the states has nothing but the version to be filled in.
const STATES: &str = include_str!("domstate-states.7.in");

pub(crate) fn states() -> String {
    STATES.replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

pub(crate) fn render() -> String {
    let mut command = domstate::cli::command();
    let global = options(&global_only(&command));
    command.build();
    let verbs: Vec<String> = command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
        .map(verb_section)
        .collect();
    HAND_WRITTEN
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@VERBS@\n", &verbs.concat())
        .replace("@OPTIONS@\n", &global)
}

fn verb_section(verb: &Command) -> String {
    let mut section = format!(".SS {}\n", escape(verb.get_name()));
    let usage = verb.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let aliases: Vec<&str> = verb.get_all_aliases().collect();
    section += &format!(".nf\n\\fB{}\\fR\n.fi\n.PP\n", escape(usage));
    let about = verb.get_about().map(ToString::to_string);
    section += &format!("{}.\n", escape(&about.unwrap_or_default()));
    if !aliases.is_empty() {
        section += &format!("Also: {}.\n", escape(&aliases.join(", ")));
    }
    section += &options(&own_only(verb));
    if let Some(after) = verb.get_after_help() {
        section += &format!(".PP\n.nf\n{}\n.fi\n", escape(&after.to_string()));
    }
    section
}

/// The verb with what the other verbs have not got.
fn own_only(verb: &Command) -> Command {
    let known = [
        "help",
        "version",
        "domain",
        "domain_option",
        "domains",
        "domain_options",
    ];
    verb.clone().mut_args(move |arg| {
        let is_known = known.contains(&arg.get_id().as_str());
        let hidden = arg.is_global_set() || arg.is_positional() || is_known;
        arg.hide(hidden)
    })
}

fn global_only(command: &Command) -> Command {
    command.clone().mut_args(|arg| {
        let hidden = !arg.is_global_set();
        arg.hide(hidden)
    })
}

/// The options as clap_mangen lists them, without its section's title.
fn options(command: &Command) -> String {
    let command = command
        .clone()
        .disable_help_flag(true)
        .disable_version_flag(true);
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = Man::new(command).render_options_section(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines = text.lines().filter(|line| !is_title(line));
    lines.map(|line| format!("{line}\n")).collect()
}

fn is_title(line: &str) -> bool {
    line.starts_with(".SH")
        || line.starts_with(".SS")
        || line.starts_with(".ie")
        || line.starts_with(".el")
}

fn escape(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line
            .replace('\\', "\\e")
            .replace('-', "\\-")
            .replace('\'', "\\(aq");
        match line.strip_prefix('.') {
            Some(rest) => format!("\\&.{rest}"),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
