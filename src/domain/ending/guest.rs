//! Ends that the guest came to by itself, and what looks like one and is not.

use super::{
    Case, Verdict, inferred, lines_lost, may_run_elsewhere, shutdown_of, verdict_unknown, witnessed,
};
use crate::domain::cause::Cause;
use crate::domain::changes::STOPPING_MICROS;
use crate::domain::event::{Bmc, Exit, ExitDevice, ShutdownCause, Verb};
use crate::domain::state::{ShutOff, State};
use crate::domain::trace::{Machine, PassedPanic, Shutdown, WatchdogEnd};

pub(super) fn panicked(case: &Case<'_>) -> Option<Verdict> {
    let panic = case.fold.panic.as_ref();
    let ends_by_it = shutdown_of(case, &[ShutdownCause::GuestPanic]).is_some();
    if !ends_by_it && panic.is_none() {
        return None;
    }
    let info = panic.and_then(|panic| panic.info.clone());
    let kept = None;
    let cause = Cause::GuestPanic { info, kept };
    // A power cut takes lines with or without a trace: it may have been reset, and have run on until then.
    let stood = case.fold.live == State::Crashed;
    if stood && case.other_boot && !case.is_on_record() && !ends_by_it {
        return Some(inferred(ShutOff::Crashed, cause));
    }
    let may_be_past = panic.is_some_and(|panic| panic.cut) && !ends_by_it;
    // What it then says of its end may be what a policy has done about the panic, or the end of a guest that ran on.
    let says = case.fold.shutdown.is_some() || matches!(case.exit, Some(Exit::Status(_)));
    match may_be_past {
        true if says => Some(verdict_unknown(lines_lost(
            "lines were lost after the guest had panicked",
        ))),
        true => None,
        false => Some(witnessed(ShutOff::Crashed, cause)),
    }
}

/// A guest whose kernel panicked, for which QEMU was not to stop it, and that shut down behind it.
pub(super) fn panicked_and_went_on(case: &Case<'_>) -> Option<Verdict> {
    use ShutdownCause::{GuestReset, GuestShutdown};
    let ends: &[ShutdownCause] = match case.fold.passed_panic? {
        // It dumps its memory, and reboots or powers off.
        PassedPanic::CrashLoaded => &[GuestShutdown, GuestReset],
        // Of which nobody wants to hear: it is as free as one that never panicked to power itself off.
        PassedPanic::Ignored => &[GuestReset],
        PassedPanic::Lost => return None,
    };
    shutdown_of(case, ends)?;
    if case.fold.gap {
        let why = "lines were lost, and the guest had panicked";
        return Some(verdict_unknown(lines_lost(why)));
    }
    let cause = Cause::GuestPanic {
        info: None,
        kept: None,
    };
    Some(witnessed(ShutOff::Crashed, cause))
}

/// gdb's `kill`, which always finds the guest stopped: QEMU 11 calls it guest-shutdown, 7.2 says nothing but on its
/// stderr. Its words alone would not do: the guest may write the same into the log over its serial line.
pub(super) fn killed_by_debugger(case: &Case<'_>) -> Option<Verdict> {
    let guest = shutdown_of(case, &[ShutdownCause::GuestShutdown]);
    let stood = guest.is_some_and(|shutdown| match shutdown.machine {
        // Its STOP may be what was lost.
        Machine::Ran => case.words.gdb_killed && case.fold.gap,
        // Or it shut itself down in the moment in which somebody stopped it.
        Machine::JustStopped | Machine::JustSuspended | Machine::JustStoppedByAnother => {
            case.words.gdb_killed
        }
        // Or it ran, and the line that says so is lost.
        Machine::Stood => case.words.gdb_killed,
    });
    let ran = matches!(case.fold.live, State::Running(_));
    // What was killed may be the rest of a guest that is elsewhere.
    let silent = case.fold.shutdown.is_none() && may_run_elsewhere(case).is_none();
    let silent = silent && !ran && case.words.gdb_killed;
    if stood || silent && case.exit == Some(Exit::Status(0)) {
        return Some(witnessed(ShutOff::Destroyed, Cause::HostUi));
    }
    // Behind a wrapper that took the status.
    let is_wrapped = case.fold.launcher != case.fold.qemu && !case.fold.gap;
    let is_unseen = case.fold.has_end() && case.exit.is_none() && !case.other_boot;
    let unseen = silent && is_wrapped && is_unseen;
    unseen.then(|| inferred(ShutOff::Destroyed, Cause::HostUi))
}

fn exit_device(case: &Case<'_>) -> ExitDevice {
    let launch = case.fold.launch.as_ref();
    launch.map_or(ExitDevice::None, |launch| launch.exit_device)
}

fn may_be_debugged(case: &Case<'_>) -> bool {
    let launch = case.fold.launch.as_ref();
    launch.is_some_and(|launch| launch.debugger)
}

/// Whether nobody has said that it is he who had just stopped it.
fn may_be_debuggers_stop(case: &Case<'_>, machine: Machine, shutdown: &Shutdown) -> bool {
    let intents = &case.fold.intents;
    match machine {
        Machine::JustStoppedByAnother => true,
        Machine::JustSuspended => !intents.has_acted(Verb::Suspend, shutdown.at, STOPPING_MICROS),
        Machine::Ran | Machine::JustStopped | Machine::Stood => false,
    }
}

/// Why a guest-shutdown or guest-reset may be somebody else's doing.
fn doubt(case: &Case<'_>, shutdown: &Shutdown) -> Option<Cause> {
    let bmc = case.fold.launch.as_ref().map_or(Bmc::None, |l| l.bmc);
    let unattributed = |why: &str| {
        let why = why.to_owned();
        Some(Cause::Unattributed { why })
    };
    // QEMU may have stayed, and let it run again in the lines that are lost; or a watchdog reset it in them.
    let was_killed = matches!(case.exit, Some(Exit::Signal { .. }));
    match (shutdown.cause, shutdown.machine) {
        (_, Machine::Stood) if case.fold.gap => {
            Some(lines_lost("lines were lost before the guest shut down"))
        }
        // Or its crash kernel, which ends by that.
        (ShutdownCause::GuestReset, _)
            if case.fold.gap || case.fold.passed_panic == Some(PassedPanic::Lost) =>
        {
            Some(lines_lost("lines were lost before the guest was reset"))
        }
        _ if case.fold.gap && was_killed => Some(lines_lost(
            "lines were lost, and QEMU was killed after the guest had shut down",
        )),
        _ if bmc == Bmc::CutsPower => {
            unattributed("it says the same if a BMC cuts the power of one that hangs")
        }
        (ShutdownCause::GuestReset, _) if bmc == Bmc::Resets => {
            unattributed("it says the same if a watchdog of its board resets one that hangs")
        }
        (_, machine) if machine != Machine::Ran && may_be_debugged(case) => {
            unattributed("it says the same if a debugger kills it")
        }
        // One may be let in at any time (HMP `gdbserver`).
        (ShutdownCause::GuestShutdown, machine)
            if may_be_debuggers_stop(case, machine, shutdown) =>
        {
            unattributed(
                "somebody had just stopped the guest, and it says the same if a debugger kills it",
            )
        }
        // Its STOP may be what was lost.
        (_, Machine::Ran) if case.fold.gap && may_be_debugged(case) => {
            unattributed("it says the same if a debugger kills it")
        }
        (_, Machine::Stood) => unattributed("the guest stood still just then"),
        (
            _,
            Machine::Ran
            | Machine::JustStopped
            | Machine::JustSuspended
            | Machine::JustStoppedByAnother,
        ) => None,
    }
}

/// QEMU was to outlive the shutdown of its guest, or may have been, and nobody has written down how it ended itself: so the
/// last of the record may be missing, and with it that the guest was started again. A power cut takes what was not yet on
/// the disk, a file system that went read-only all that QEMU wrote since; neither leaves half a line.
pub(super) fn may_have_run_on(case: &Case<'_>) -> Option<Verdict> {
    use ShutdownCause::{GuestReset, GuestShutdown, HostQmpSystemReset};
    let shutdown = shutdown_of(case, &[GuestShutdown, GuestReset, HostQmpSystemReset])?;
    // Who finds it gone says so, and no more.
    if case.is_on_record() || !case.fold.may_outlive(shutdown) {
        return None;
    }
    Some(match case.other_boot {
        true => inferred(ShutOff::Crashed, Cause::HostRestart),
        false => verdict_unknown(Cause::StatusLost),
    })
}

/// Whether that the guest panicked into its crash kernel may be what is lost.
fn may_be_crash_kernels(case: &Case<'_>) -> bool {
    match case.fold.passed_panic {
        Some(PassedPanic::Lost) => true,
        Some(PassedPanic::CrashLoaded | PassedPanic::Ignored) => case.fold.gap,
        None => false,
    }
}

pub(super) fn guest_shut_down(case: &Case<'_>) -> Option<Verdict> {
    let shutdown = shutdown_of(
        case,
        &[ShutdownCause::GuestShutdown, ShutdownCause::GuestReset],
    )?;
    let by_device = case.fold.has_exit_device();
    // That it has outlived one may be what is lost.
    let may_be_kept = case.fold.outlived || case.fold.gap && case.fold.may_outlive(shutdown);
    let may_be_crash_kernels = may_be_crash_kernels(case);
    let is_seen = match case.exit {
        // The status of an earlier one that it has outlived.
        Some(Exit::Status(status)) if status != 0 => !may_be_kept,
        Some(Exit::Status(_)) => case.fold.qemu.is_some(),
        Some(Exit::Signal { .. }) | None => false,
    };
    let is_lost = by_device && !is_seen && !case.is_pending;
    // It may have stayed in the lines that are lost. What a power cut takes is the end of the record.
    let is_cut = shutdown.cut && case.exit.is_none() && !case.other_boot && !case.is_pending;
    let cause = match (shutdown.cause, case.exit) {
        // QEMU 10 announces isa-debug-exit as a shutdown (8.2 some boards' devices), and ends with no such status by itself.
        (ShutdownCause::GuestShutdown, Some(Exit::Status(status)))
            if by_device
                && status != 0
                && case.fold.qemu.is_some()
                && !may_be_kept
                && !may_be_crash_kernels =>
        {
            Cause::GuestExit { status }
        }
        // What may be a wrapper's, or what the guest gave: not that it succeeded.
        (ShutdownCause::GuestShutdown, Some(Exit::Status(status)))
            if by_device && status != 0 && case.fold.qemu.is_none() =>
        {
            return Some(verdict_unknown(Cause::ExitStatus { status }));
        }
        (own, _) => {
            if let Some(cause) = doubt(case, shutdown) {
                return Some(verdict_unknown(cause));
            }
            if own == ShutdownCause::GuestReset {
                Cause::GuestReset
            } else if is_lost || is_cut || may_be_crash_kernels {
                // It ended QEMU itself, and may have given a status, that of a failure perhaps; or nobody saw whether it went.
                return Some(inferred(ShutOff::Shutdown, Cause::GuestShutdown));
            } else {
                Cause::GuestShutdown
            }
        }
    };
    Some(witnessed(ShutOff::Shutdown, cause))
}

/// A guest that hung and was reset or powered off for it did not shut itself down.
pub(super) fn watchdog_ended_it(case: &Case<'_>) -> Option<Verdict> {
    let reset = shutdown_of(case, &[ShutdownCause::GuestReset]).is_some();
    let action = match case.fold.watchdog? {
        WatchdogEnd::PoweredOff if case.fold.shutdown.is_none() => "poweroff",
        WatchdogEnd::Reset if reset => "reset",
        WatchdogEnd::PoweredOff | WatchdogEnd::Reset => return None,
    };
    let action = action.to_owned();
    Some(witnessed(ShutOff::Crashed, Cause::Watchdog { action }))
}

/// A guest may end QEMU with no SHUTDOWN: by isa-debug-exit on 7.2, with status (value << 1) | 1, and by semihosting on all
/// (7.2 to 11), with any status. 0 and 1 are QEMU's own as well, and no even one is of isa-debug-exit; what ended may be a
/// wrapper of a QEMU that nobody identified: whose those are, the record does not tell.
pub(super) fn guest_exit_device(case: &Case<'_>) -> Option<Verdict> {
    let device = exit_device(case);
    let status = match case.exit? {
        Exit::Status(status) if device.is_there() => status,
        Exit::Status(_) | Exit::Signal { .. } => return None,
    };
    let is_qemus = case.fold.qemu.is_some() && !case.fold.may_keep_status();
    let is_crash_kernels = case.fold.passed_panic == Some(PassedPanic::CrashLoaded);
    let may_be_its = is_crash_kernels || may_be_crash_kernels(case);
    let is_its_own = device == ExitDevice::Own && is_qemus && !may_be_its;
    Some(match is_its_own && status >= 3 && status % 2 == 1 {
        true => witnessed(ShutOff::Shutdown, Cause::GuestExit { status }),
        false => verdict_unknown(Cause::ExitStatus { status }),
    })
}
