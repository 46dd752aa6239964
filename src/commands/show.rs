//! `domstate show`: the definition, as a command line that can be pasted.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::lookup::find;
use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::domain::{Name, OnCrash, OnPoweroff, OnReboot, Policies};
use crate::output::{Format, escaped};
use crate::store::Definition;

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let domain = find(&context.state, args.as_str())?;
    let name = domain.name();
    let definition = Definition::load(&domain.definition())
        .with_context(|| format!("cannot read domain '{name}'"))?;
    if context.printer.format() == Format::Json {
        let argv: Vec<_> = definition
            .argv
            .iter()
            .map(|a| a.to_string_lossy())
            .collect();
        context.printer.object(&json!({
            "name": name.as_str(),
            "uuid": definition.uuid.to_string(),
            "workdir": definition.workdir.to_string_lossy(),
            "argv": argv,
            "on_crash": definition.policies.on_crash.map(OnCrash::word),
            "on_poweroff": definition.policies.on_poweroff.map(OnPoweroff::word),
            "on_reboot": definition.policies.on_reboot.map(OnReboot::word),
        }))?;
    } else {
        context
            .printer
            .verbatim(&command_line(name, &definition)?)?;
    }
    Ok(Exit::Done)
}

fn command_line(name: &Name, definition: &Definition) -> Result<Vec<u8>> {
    let mut line = b"cd ".to_vec();
    line.extend_from_slice(&quoted(definition.workdir.as_os_str())?);
    line.extend_from_slice(format!(" && domstate define {name}").as_bytes());
    for (option, word) in policies(&definition.policies) {
        line.extend_from_slice(format!(" --{option} {word}").as_bytes());
    }
    line.extend_from_slice(b" --");
    for word in &definition.argv {
        line.push(b' ');
        line.extend_from_slice(&quoted(word)?);
    }
    line.push(b'\n');
    Ok(line)
}

fn policies(given: &Policies) -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = [
        ("on-crash", given.on_crash.map(OnCrash::word)),
        ("on-poweroff", given.on_poweroff.map(OnPoweroff::word)),
        ("on-reboot", given.on_reboot.map(OnReboot::word)),
    ];
    all.into_iter()
        .filter_map(|(option, word)| Some((option, word?)))
}

fn quoted(word: &OsStr) -> Result<Vec<u8>> {
    let is_harmless = |text: &str| matches!(escaped(text), Cow::Borrowed(_));
    if !word.to_str().is_some_and(is_harmless) {
        return Ok(quoted_by_numbers(word.as_bytes()));
    }
    let quoted =
        shlex::bytes::try_quote(word.as_bytes()).context("an argument cannot be quoted")?;
    Ok(quoted.into_owned())
}

/// `$'\033'`, as bash, zsh, ksh and POSIX of 2024 read it: for what a terminal would obey.
fn quoted_by_numbers(word: &[u8]) -> Vec<u8> {
    let mut quoted = b"$'".to_vec();
    for byte in word {
        match byte {
            b'\'' | b'\\' => quoted.extend([b'\\', *byte]),
            b' '..=b'~' => quoted.push(*byte),
            _ => quoted.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn every_word_comes_back_out_of_a_shell_and_is_harmless_to_a_terminal() {
        let odd: Vec<u8> = (1..=255).collect();
        let words: [&[u8]; 6] = [
            b"plain",
            b"a b'c\\d",
            "\u{e9}\u{6f22}".as_bytes(),
            "\u{1b}[2J\u{9b}\u{202e}'\\7".as_bytes(),
            b"\x9b\xff",
            &odd,
        ];
        for word in words {
            let quoted = quoted(OsStr::from_bytes(word)).unwrap();
            let text = std::str::from_utf8(&quoted).unwrap();
            assert_eq!(escaped(text), text);
            let script = format!("printf %s {text}");
            let output = Command::new("bash").args(["-c", &script]).output();
            assert_eq!(output.unwrap().stdout, word, "{text}");
        }
    }
}
