//! `domstate run`: QEMU in the foreground, with the terminal; the last line on stdout is how it ended.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use super::failure::guest_status;
use super::start::{keep, prepared};
use super::{Context, Exit, Failure};
use crate::cli::RunArgs;
use crate::domain::{Answer, Cause};
use crate::observe::look;
use crate::operation::{From, StartOptions, sweep_managed_image};
use crate::output::{Detail, Format, Naming};
use crate::supervisor::{Conclusion, TimedOut, run_in_foreground};

pub(super) fn run(args: &RunArgs, context: &mut Context) -> Result<Exit, Failure> {
    let ours = |failure: Failure| failure.exiting(Exit::Ourselves);
    try_run(args, context).map_err(ours)
}

fn try_run(args: &RunArgs, context: &mut Context) -> Result<Exit, Failure> {
    let options = StartOptions {
        begin: None,
        passed: args.passed.pass_fds.clone(),
        keep: keep(&args.qemu),
        policies: args.policy.policies(),
        incoming: None,
        from: From::Definition,
    };
    let (domain, prepared) = prepared(context, args.domain.as_str(), &args.qemu, options)?;
    let uses_stdio = prepared.facts.uses_stdio;
    let run = prepared.order.run.clone();
    let takes_up = prepared.feed.is_some();
    let conclusion = run_in_foreground(prepared, args.timeout, context.printer.stderr())?;
    let (answer, timed_out, unrecorded) = match conclusion {
        Conclusion::NotExecuted { error, message } => {
            let failure = Failure::new("not-executed", vec![message]);
            context.printer.complain(&failure.complaint);
            let exit = if error.kind() == ErrorKind::NotFound {
                Exit::NotFound
            } else {
                Exit::NotExecutable
            };
            tell(context, &domain, uses_stdio, None)?;
            return Ok(exit);
        }
        Conclusion::Ended {
            answer,
            timed_out,
            unrecorded,
        } => (answer, timed_out, unrecorded),
    };
    if let Some(why) = unrecorded {
        let message = format!(
            "cannot keep how run {} of '{}' ended: {why}",
            run.number(),
            domain.name()
        );
        context
            .printer
            .complain(&Failure::new("unrecorded", vec![message]).complaint);
    }
    if takes_up {
        sweep_managed_image(&domain);
    }
    let exit = exit_of(timed_out, args.guest_status, &answer);
    // What cannot be printed is on record all the same, and the exit status tells it.
    if let Err(failure) = tell(context, &domain, uses_stdio, Some(answer)) {
        context.printer.complain(&failure.complaint);
    }
    Ok(exit)
}

/// A guest that ended by itself in the moment in which its time was up did not end for that.
fn exit_of(timed_out: TimedOut, wants_guest_status: bool, answer: &Answer) -> Exit {
    let cause = answer.cause.as_ref();
    let by_itself = matches!(
        cause,
        Some(
            Cause::GuestShutdown
                | Cause::GuestReset
                | Cause::GuestPanic { .. }
                | Cause::GuestExit { .. }
                | Cause::Watchdog { .. }
        )
    );
    match guest_status(cause).filter(|_| wants_guest_status) {
        _ if timed_out == TimedOut::Yes && !by_itself => Exit::TimedOut,
        Some(status) => Exit::Guest(status),
        None => Exit::of(answer.state),
    }
}

/// Prints the answer as the last line, on a line of its own.
fn tell(
    context: &mut Context,
    domain: &crate::store::DomainFolder,
    uses_stdio: bool,
    answer: Option<Answer>,
) -> Result<(), Failure> {
    if context.printer.is_quiet() {
        return Ok(());
    }
    let seen = look(domain)?;
    let mut report = context.report(domain, &seen);
    // What was seen here outweighs what a full disk could keep.
    report.answer = answer.unwrap_or(report.answer);
    report.id = None;
    report.supervisor = None;
    if uses_stdio && context.printer.format() == Format::Text && !ends_in_newline() {
        context.printer.line_end()?;
    }
    context
        .printer
        .answer(&report, Detail::StateAndReason, Naming::Bare)?;
    Ok(())
}

/// Whether what QEMU wrote on our stdout ended in a newline. Only a file can tell: for a terminal or a pipe the
/// answer is that it may not have.
fn ends_in_newline() -> bool {
    let Ok(descriptor) = std::io::stdout().as_fd().try_clone_to_owned() else {
        return false;
    };
    let file = std::fs::File::from(descriptor);
    let Ok(metadata) = file.metadata() else {
        return false;
    };
    if !metadata.is_file() {
        return false;
    }
    let Some(last) = metadata.len().checked_sub(1) else {
        return true;
    };
    let mut byte = [0];
    // Opened for writing only, as shells do: read it by another way to the same file.
    let readable = std::fs::File::open("/proc/self/fd/1");
    readable
        .and_then(|file| file.read_at(&mut byte, last))
        .is_ok()
        && byte == *b"\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Certainty, ShutOff, State};

    fn told(reason: ShutOff, cause: Cause) -> Answer {
        Answer {
            state: State::ShutOff(reason),
            since: None,
            cause: Some(cause),
            certainty: Certainty::Witnessed,
        }
    }

    #[test]
    fn a_run_whose_guest_ended_by_itself_did_not_time_out() {
        use TimedOut::{No, Yes};
        let shut_down = told(ShutOff::Shutdown, Cause::GuestShutdown);
        let exited = told(ShutOff::Shutdown, Cause::GuestExit { status: 33 });
        let killed = told(ShutOff::Destroyed, Cause::HostUi);
        for (timed_out, answer, wants_status, exit) in [
            (No, &shut_down, false, Exit::Done),
            (Yes, &shut_down, false, Exit::Done),
            (Yes, &exited, true, Exit::Guest(33)),
            (Yes, &exited, false, Exit::Done),
            (Yes, &killed, false, Exit::TimedOut),
            (No, &killed, false, Exit::of(killed.state)),
        ] {
            let told = exit_of(timed_out, wants_status, answer);
            assert_eq!(told.code(), exit.code(), "{timed_out:?}, {answer:?}");
        }
    }
}
