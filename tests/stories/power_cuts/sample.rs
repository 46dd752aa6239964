//! The commands themselves, on what a power cut has left: they say the same, and the domain can be started or forgotten.

use domstate::observe::look_at_run;
use domstate::store::StateDir;

use super::super::harness::{Guest, Host, processes_with, until};
use super::judge::{Said, ask};

/// Asks by commands what `said` is about, then starts each domain and ends it, and forgets it.
///
/// # Errors
/// A command has failed, complained, or says something else.
pub(super) fn try_commands(host: &Host, said: &Said) -> Result<(), String> {
    let runs = |args: &[&str]| {
        let told = host.domstate(args);
        match told.code == Some(0) && told.stderr.is_empty() {
            true => Ok(told.stdout),
            false => Err(format!("domstate {args:?} says {told:?}")),
        }
    };
    runs(&["list", "--all", "--reason"])?;
    for name in said.names() {
        // The first look brings somebody about who writes down what it found.
        for _ in 0..2 {
            let answer = runs(&["--reason", name])?;
            if answer.trim_end() != said.answer(name) {
                return Err(format!(
                    "'{name}' is {answer}, and not {}",
                    said.answer(name)
                ));
            }
            runs(&["history", name])?;
            runs(&["explain", name])?;
            quiet(host);
        }
    }
    let after = ask(host, &[]).map_err(|error| format!("{error:#}"))?;
    if !after.has_same_runs(said) {
        return Err(format!("{after:#?} is told once it was written down"));
    }
    for name in said.names() {
        let line = host.line("v");
        runs(&["start", name])?;
        drop(Guest::taken(&line));
        runs(&["destroy", name])?;
        quiet(host);
        let after = ask(host, &[]).map_err(|error| format!("{error:#}"))?;
        if !after.has_one_run_more(said, name) {
            return Err(format!("{after:#?} is told after a start"));
        }
        let lose = ["--managed-save", "--snapshots-metadata", "--remove-dumps"];
        runs(&[&["undefine", name][..], &lose].concat())?;
    }
    match runs(&["list", "--all", "--name"])?.trim() {
        "" => Ok(()),
        left => Err(format!("{left} is left")),
    }
}

/// Waits until nobody is at it any more, and nobody is to come: who was just started is not seen yet.
fn quiet(host: &Host) {
    let state = host.state_dir().to_string_lossy().into_owned();
    until("everybody's end", || {
        processes_with(&state).is_empty() && !is_awaited(host).unwrap_or(true)
    });
}

/// Whether somebody was started for one of the runs by whoever looked at it.
fn is_awaited(host: &Host) -> anyhow::Result<bool> {
    let state = StateDir::choose(Some(host.state_dir()), true, &|_| None)?;
    for name in state.names()? {
        let domain = state.domain(&name);
        for number in domain.run_numbers()?.unwrap_or_default() {
            if look_at_run(&domain, &domain.run(number))?.is_orphaned() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
