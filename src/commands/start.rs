//! `domstate start`: QEMU in the background. Returns once the guest runs.

use std::ffi::OsString;

use anyhow::{Context as _, Result, anyhow};

use super::define::definition;
use super::lookup::find;
use super::{Context, Exit, Failure, uid};
use crate::cli::StartArgs;
use crate::domain::{Begin, Cause, Exit as QemuExit, Name, ShutOff, State};
use crate::observe::Observation;
use crate::operation::{
    From, Keep, Prepared, StartOptions, StartRefused, await_start, give_up_managed_image, one_line,
    prepare, spawn_supervisor, sweep_managed_image,
};
use crate::store::{Definition, DomainFolder, Log};

/// As many of QEMU's last lines as are quoted when it did not start.
const QUOTED_LINES_MAX: usize = 10;

pub(super) fn run(args: &StartArgs, context: &mut Context) -> Result<Exit, Failure> {
    let options = StartOptions {
        begin: args.paused.then_some(Begin::Paused),
        passed: args.passed.pass_fds.clone(),
        keep: keep(&args.qemu),
        policies: args.policy.policies(),
        incoming: args.incoming.clone(),
        from: match args.force_boot {
            true => From::Boot,
            false => From::Definition,
        },
    };
    let (domain, prepared) = prepared(context, args.domain.as_str(), &args.qemu, options)?;
    let name = domain.name();
    let takes_up = prepared.feed.is_some();
    let run = prepared.order.run.number();
    started(&domain, prepared, sentence(name))?;
    if args.force_boot {
        give_up_managed_image(&domain, run);
    } else if takes_up {
        sweep_managed_image(&domain);
    }
    context
        .printer
        .success(&format!("Domain '{name}' started"))?;
    Ok(Exit::Done)
}

/// Starts what was prepared, in the background, and waits until it runs. `sentence` says what has failed otherwise.
pub(super) fn started(
    domain: &DomainFolder,
    prepared: Prepared,
    sentence: String,
) -> Result<(), Failure> {
    let started = spawn_supervisor(prepared).and_then(|run| await_start(domain, &run));
    match started {
        Ok(seen) if seen.fold.began.is_none() && !seen.is_active() => {
            Err(not_started(sentence, &seen))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::of_command(sentence, &error)),
    }
}

/// A command line that was given is kept; one that the domain has stays as it is.
pub(super) fn keep(argv: &[OsString]) -> Keep {
    if argv.is_empty() {
        Keep::Nothing
    } else {
        Keep::Definition
    }
}

/// A run that is ready for its QEMU: with `argv`, which is kept as the domain's definition, or without, from the one
/// that it has.
pub(super) fn prepared(
    context: &Context,
    typed: &str,
    argv: &[OsString],
    options: StartOptions,
) -> Result<(DomainFolder, Prepared), Failure> {
    if argv.is_empty() {
        let domain = find(&context.state, typed).map_err(|failure| {
            failure.hinting(format!(
                "a new domain needs its command line: 'domstate start {typed} -- QEMU ARG...'"
            ))
        })?;
        let loaded = Definition::load(&domain.definition())
            .with_context(|| format!("cannot read domain '{}'", domain.name()));
        let prepared = loaded.and_then(|definition| prepare(&domain, &definition, options));
        return match prepared {
            Ok(prepared) => Ok((domain, prepared)),
            Err(error) => Err(start_failure(domain.name(), &error)),
        };
    }
    let name: Name = typed
        .parse()
        .map_err(|e| Failure::new("invalid-name", vec![format!("{e}")]))?;
    let domain = context.state.domain(&name);
    let policies = options.policies;
    let defined = definition(&context.state, &domain, argv, policies);
    let prepared = defined.and_then(|definition| {
        let domain = context.state.create(uid())?.domain(&name);
        let prepared = prepare(&domain, &definition, options)?;
        Ok((domain, prepared))
    });
    prepared.map_err(|error| start_failure(&name, &error))
}

fn start_failure(name: &Name, error: &anyhow::Error) -> Failure {
    if error.is::<StartRefused>() {
        // virsh says this alone.
        return Failure::new("already-active", vec![one_line(error)]);
    }
    Failure::of_command(sentence(name), error)
}

fn sentence(name: &Name) -> String {
    format!("Failed to start domain '{name}'")
}

/// QEMU was there, or was to be, and is gone before the guest ran.
fn not_started(sentence: String, seen: &Observation) -> Failure {
    let (why, quotes) = reason(seen);
    let mut failure = Failure::new("start-failed", vec![sentence, one_line(&why)]);
    if quotes && let Some(run) = &seen.run {
        let log = Log::open_read_only(run.path()).and_then(|log| log.last_lines(QUOTED_LINES_MAX));
        failure.complaint.quoted = log.unwrap_or_default();
    }
    failure
}

/// Why it did not start, and whether QEMU's own words say more.
fn reason(seen: &Observation) -> (anyhow::Error, bool) {
    if let Some(refusal) = &seen.fold.refusal {
        return (anyhow!("{refusal}"), false);
    }
    if seen.answer.state != State::ShutOff(ShutOff::Failed) {
        return (anyhow!("the domain is {}", seen.answer.state), false);
    }
    let how = match &seen.answer.cause {
        Some(Cause::StartFailure {
            exit: Some(QemuExit::Status(status)),
            ..
        }) => {
            format!("exit status {status}")
        }
        Some(Cause::StartFailure {
            exit: Some(QemuExit::Signal { signal, .. }),
            ..
        }) => crate::store::encode::signal_name(*signal).into_owned(),
        _ => "nobody saw how".to_owned(),
    };
    (anyhow!("QEMU ended before it was ready ({how})"), true)
}
