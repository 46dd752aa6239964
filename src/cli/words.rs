//! The arguments before clap sees them: where the verb is, and `state` put in where there is none.
//!
//! clap cannot say "a first bare word that is no verb is a domain", and flags for every verb may stand before
//! that word, some of them with a value that is a word too.

use std::ffi::{OsStr, OsString};

/// The options for every verb that take a value, as `cli::Global` declares them (a test compares).
pub(super) const VALUED: &[&str] = &["--state-dir", "--format", "--color"];

/// The options for every verb without a value, long; their letters are [`LETTERS`].
pub(super) const FLAGS: &[&str] = &["--quiet", "--version", "--help"];

/// The letters of [`FLAGS`], which may be joined (`-qV`).
pub(super) const LETTERS: &[char] = &['q', 'V', 'h'];

/// The arguments with a verb in them.
pub(super) struct Words {
    args: Vec<OsString>,
    /// Where in `args` the verb is; `None` where an option lacks its value and nothing follows.
    verb: Option<usize>,
    typed: Typed,
}

/// Whether the user named the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Verb,
    Nothing,
}

/// What an argument in front of the verb is.
enum Front {
    Flag,
    Valued,
    Word,
    /// Neither: it belongs to `state`, or to nobody, and clap will say so.
    Other,
}

impl Words {
    /// Finds the verb in `args` (the program's name first), or puts `state` where it would stand.
    pub(super) fn read(mut args: Vec<OsString>, is_verb: impl Fn(&str) -> bool) -> Self {
        let mut at = 1;
        while let Some(arg) = args.get(at) {
            match front(arg) {
                Front::Flag => at += 1,
                Front::Valued => at += 2,
                Front::Word if arg.to_str().is_some_and(&is_verb) => {
                    return Self {
                        args,
                        verb: Some(at),
                        typed: Typed::Verb,
                    };
                }
                Front::Word | Front::Other => break,
            }
        }
        let verb = (at <= args.len()).then_some(at);
        if let Some(at) = verb {
            args.insert(at, OsString::from("state"));
        }
        Self {
            args,
            verb,
            typed: Typed::Nothing,
        }
    }

    /// The arguments for clap.
    pub(super) fn args(&self) -> &[OsString] {
        &self.args
    }

    /// The arguments without the program's name and the verb, if the verb is `state`.
    pub(super) fn args_of_state(&self) -> Option<impl Iterator<Item = &OsString>> {
        let verb = self.verb?;
        let wanted = matches!(self.verb(), "state" | "domstate");
        let others = self.args.iter().enumerate().skip(1);
        wanted.then(|| others.filter_map(move |(at, arg)| (at != verb).then_some(arg)))
    }

    /// The verb, as it was typed or put in.
    pub(super) fn verb(&self) -> &str {
        let verb = self.verb.and_then(|at| self.args.get(at));
        verb.and_then(|verb| verb.to_str()).unwrap_or("state")
    }

    /// Whether the user named the verb.
    pub(super) fn typed(&self) -> Typed {
        self.typed
    }

    /// Whether nothing is set off by `--`.
    pub(super) fn lacks_dashes(&self) -> bool {
        !self.args.iter().any(|arg| arg == "--")
    }

    /// The first bare word, if it was taken for a domain.
    pub(super) fn stray(&self) -> Option<&str> {
        let after = self.args.get(self.verb? + 1)?.to_str()?;
        (self.typed == Typed::Nothing && !after.starts_with('-')).then_some(after)
    }
}

fn front(arg: &OsStr) -> Front {
    // What is not UTF-8 can be a domain's misspelt name or an unknown option; no verb either way.
    let Some(text) = arg.to_str() else {
        return Front::Other;
    };
    if text.starts_with("--") {
        let known = |list: &[&str], name| list.contains(&name);
        return match text.split_once('=') {
            Some((name, _)) if known(VALUED, name) => Front::Flag,
            None if known(VALUED, text) => Front::Valued,
            None if known(FLAGS, text) => Front::Flag,
            Some(_) | None => Front::Other,
        };
    }
    match text.strip_prefix('-') {
        None => Front::Word,
        Some("") => Front::Other,
        Some(letters) if letters.chars().all(|c| LETTERS.contains(&c)) => Front::Flag,
        Some(_) => Front::Other,
    }
}
