//! `domstate run`: QEMU in the foreground, with the terminal; the last line on stdout is how it ended.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use super::failure::guest_status;
use super::start::{keep, prepared};
use super::{Context, Exit, Failure};
use crate::cli::RunArgs;
use crate::domain::{Answer, Cause, Certainty, ShutOff, State, Verb};
use crate::operation::{From, StartOptions, sweep_managed_image};
use crate::output::{Detail, Format, Naming, Report};
use crate::store::Definition;
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
    // Read now: the domain may be forgotten, and run again, before its answer is printed.
    let uuid = match context.printer.format() {
        Format::Json => Definition::of_run(&run).ok().map(|kept| kept.uuid),
        Format::Text => None,
    };
    let report = |answer| Report {
        name: domain.name().clone(),
        uuid,
        id: None,
        run: Some(run.number()),
        supervisor: None,
        answer,
    };
    let conclusion = run_in_foreground(prepared, args.timeout, &mut context.printer.words())?;
    let (answer, timed_out, unrecorded) = match conclusion {
        Conclusion::NotExecuted {
            answer,
            error,
            message,
        } => {
            let failure = Failure::new("not-executed", vec![message]);
            context.printer.complain(&failure.complaint);
            let exit = if error.kind() == ErrorKind::NotFound {
                Exit::NotFound
            } else {
                Exit::NotExecutable
            };
            tell_or_complain(context, &report(answer), uses_stdio);
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
    let exit = exit_of(timed_out, args.guest_status, &answer, std::process::id());
    tell_or_complain(context, &report(answer), uses_stdio);
    Ok(exit)
}

/// What cannot be printed is on record all the same, and the exit status tells it.
fn tell_or_complain(context: &mut Context, report: &Report, uses_stdio: bool) {
    if let Err(failure) = tell(context, report, uses_stdio) {
        context.printer.complain(&failure.complaint);
    }
}

/// What came to its end in the moment in which its time was up did so for that only if the answer names us.
fn exit_of(timed_out: TimedOut, wants_guest_status: bool, answer: &Answer, ours: u32) -> Exit {
    let cause = answer.cause.as_ref();
    let is_ours = match cause {
        Some(Cause::Asked {
            verb: Verb::RunTimeout,
            actor,
        }) => actor.pid == ours,
        // There was no room to write down that we would.
        Some(Cause::HostSignal(sender)) => sender.pid == Some(ours),
        _ => false,
    };
    match guest_status(cause).filter(|_| wants_guest_status) {
        _ if timed_out == TimedOut::Yes && is_ours => Exit::TimedOut,
        Some(status) => Exit::Guest(status),
        // Or it gave one, and nobody saw that.
        None if wants_guest_status && is_inferred_success(answer) => Exit::Unknown,
        None => Exit::of(answer.state),
    }
}

fn is_inferred_success(answer: &Answer) -> bool {
    answer.state == State::ShutOff(ShutOff::Shutdown) && answer.certainty != Certainty::Witnessed
}

/// Prints the answer as the last line, on a line of its own.
fn tell(context: &mut Context, report: &Report, uses_stdio: bool) -> Result<(), Failure> {
    if context.printer.is_quiet() {
        return Ok(());
    }
    if uses_stdio && context.printer.format() == Format::Text && !ends_in_newline() {
        context.printer.line_end()?;
    }
    context
        .printer
        .answer(report, Detail::StateAndReason, Naming::Bare)?;
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
    use crate::domain::{Actor, SignalSender};

    const OURS: u32 = 811;

    fn told(reason: ShutOff, cause: Cause) -> Answer {
        Answer {
            state: State::ShutOff(reason),
            since: None,
            cause: Some(cause),
            certainty: Certainty::Witnessed,
        }
    }

    fn asked(verb: Verb, pid: u32) -> Cause {
        let (uid, command) = (0, String::new());
        let actor = Actor { uid, pid, command };
        Cause::Asked { verb, actor }
    }

    fn signalled(pid: u32) -> Cause {
        Cause::HostSignal(SignalSender {
            signal: Some(15),
            pid: Some(pid),
            command: None,
        })
    }

    #[test]
    fn only_a_run_that_its_own_time_out_has_ended_timed_out() {
        use ShutOff::{Crashed, Destroyed, Saved, Shutdown, Unknown};
        use TimedOut::{No, Yes};
        let segfault = Cause::Signal {
            signal: 11,
            core_dumped: false,
        };
        for (timed_out, reason, cause, exit) in [
            (
                Yes,
                Destroyed,
                asked(Verb::RunTimeout, OURS),
                Exit::TimedOut,
            ),
            (Yes, Destroyed, signalled(OURS), Exit::TimedOut),
            // Its signal found nobody, or was that of a `run` that was told to stop.
            (
                No,
                Destroyed,
                asked(Verb::RunTimeout, OURS),
                Exit::Destroyed,
            ),
            (No, Destroyed, signalled(OURS), Exit::Destroyed),
            (No, Destroyed, asked(Verb::Run, OURS), Exit::Destroyed),
            // Others were faster.
            (Yes, Destroyed, asked(Verb::Destroy, 812), Exit::Destroyed),
            (
                Yes,
                Destroyed,
                asked(Verb::RunTimeout, 812),
                Exit::Destroyed,
            ),
            (Yes, Destroyed, signalled(812), Exit::Destroyed),
            (Yes, Destroyed, Cause::HostUi, Exit::Destroyed),
            (Yes, Saved, asked(Verb::Save, 812), Exit::Done),
            (Yes, Crashed, segfault, Exit::CrashedOrUnmeetable),
            (Yes, Unknown, Cause::StatusLost, Exit::Unknown),
            (Yes, Shutdown, Cause::GuestShutdown, Exit::Done),
            (No, Shutdown, Cause::GuestShutdown, Exit::Done),
        ] {
            let answer = told(reason, cause);
            let told = exit_of(timed_out, false, &answer, OURS);
            assert_eq!(told, exit, "{timed_out:?}, {answer:?}");
        }
    }

    #[test]
    fn the_status_of_a_guest_that_gave_one_is_told_whose_time_was_up_too() {
        let exited = told(ShutOff::Shutdown, Cause::GuestExit { status: 33 });
        for timed_out in [TimedOut::Yes, TimedOut::No] {
            assert_eq!(exit_of(timed_out, true, &exited, OURS), Exit::Guest(33));
            assert_eq!(exit_of(timed_out, false, &exited, OURS), Exit::Done);
        }
        // Where nobody saw whether it gave one, who wants to know is not told that it is 0.
        let unseen = Answer {
            certainty: Certainty::Inferred,
            ..told(ShutOff::Shutdown, Cause::GuestShutdown)
        };
        assert_eq!(exit_of(TimedOut::No, true, &unseen, OURS), Exit::Unknown);
        assert_eq!(exit_of(TimedOut::No, false, &unseen, OURS), Exit::Done);
    }
}
