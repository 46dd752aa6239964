//! What [`super::parse`] says instead of a command line: the help that was asked for, or one line about what
//! is wrong. clap's own message is a block of several lines; only its first sentence is kept.

use std::ffi::OsString;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::words::{Typed, Words};
use super::{USAGE, is_virsh_verb};
use crate::output::Format;

/// Why there is no command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Usage {
    /// Help or version text that was asked for: for stdout, exit status 0.
    Asked(String),
    /// There were no arguments: the usage text for stderr, exit status 2.
    Nothing(String),
    /// One line without `error: `, a hint without `hint: `, in the format that was asked for as far as can
    /// be told; exit status 2.
    Wrong {
        message: String,
        hint: String,
        format: Format,
    },
}

impl Usage {
    pub(super) fn nothing() -> Self {
        Self::Nothing(format!("Usage: {USAGE}\n\nTry 'domstate --help'\n"))
    }

    pub(super) fn new(error: &Error, words: &Words) -> Self {
        if error.kind() == ErrorKind::DisplayHelp {
            return Self::Asked(error.to_string());
        }
        if error.kind() == ErrorKind::DisplayVersion {
            return Self::Asked(concat!("domstate ", env!("CARGO_PKG_VERSION"), "\n").to_owned());
        }
        Self::Wrong {
            message: sentence(error),
            hint: hint(error, words),
            format: typed_format(words.args()),
        }
    }
}

/// clap's message on one line: no tip, no usage, no list of values.
fn sentence(error: &Error) -> String {
    if error.kind() == ErrorKind::MissingRequiredArgument
        && let Some(missing) = strings(error, ContextKind::InvalidArg)
    {
        return match missing {
            [one] => format!("the required argument {one} was not provided"),
            many => format!(
                "the required arguments {} were not provided",
                many.join(" and ")
            ),
        };
    }
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) {
        return format!("unknown verb '{word}'");
    }
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let block = text.split("\n\n").next().unwrap_or(text);
    let words: Vec<&str> = block.split_whitespace().collect();
    words.join(" ")
}

fn hint(error: &Error, words: &Words) -> String {
    if let Some(word) = words.stray().filter(|word| is_virsh_verb(word)) {
        return format!("domstate has not got virsh's '{word}'; 'domstate --help' lists the verbs");
    }
    let help = match words.typed() {
        Typed::Verb if words.verb() != "help" => format!("'domstate {} --help'", words.verb()),
        Typed::Verb | Typed::Nothing => "'domstate --help'".to_owned(),
    };
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(similar)) => format!("did you mean '{similar}'? See {help}"),
        _ if is_stray_qemu_word(error, words) => {
            let verb = words.verb();
            format!("QEMU's command line stands behind --: 'domstate {verb} DOMAIN -- QEMU ARG...'")
        }
        _ => format!("try {help}"),
    }
}

/// Whether what clap stumbled over looks like a part of QEMU's command line, with the `--` before it forgotten.
fn is_stray_qemu_word(error: &Error, words: &Words) -> bool {
    let takes_qemu = matches!(words.verb(), "start" | "run" | "define");
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.trim_start_matches('-'),
        _ => return false,
    };
    let is_number = word.starts_with(|c: char| c.is_ascii_digit());
    takes_qemu && words.lacks_dashes() && !is_number && error.kind() == ErrorKind::UnknownArgument
}

fn strings(error: &Error, kind: ContextKind) -> Option<&[String]> {
    match error.get(kind) {
        Some(ContextValue::Strings(strings)) => Some(strings),
        _ => None,
    }
}

/// The format that the user wants errors in. clap keeps nothing of a line that it refuses.
fn typed_format(args: &[OsString]) -> Format {
    let mut args = args.iter().take_while(|arg| *arg != "--").peekable();
    let mut format = Format::Text;
    while let Some(arg) = args.next() {
        let json = arg == "--format=json"
            || (arg == "--format" && args.peek().is_some_and(|value| *value == "json"));
        if json {
            format = Format::Json;
        }
    }
    format
}
