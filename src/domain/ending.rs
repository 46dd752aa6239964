//! How a run ended: an ordered table of rules; the first that matches tells.
//!
//! Success (`shutdown`) needs the guest's own shutdown on record. Everything else is what was witnessed, what
//! can be inferred, or `unknown` with why. Where the truth is in doubt, the worse news is told.

/// What a verb did that ends a guest.
mod asked;
/// What the guest did, and what looks like it.
mod guest;

use self::asked::{asked_and_carried_out, asked_and_gone};
use self::guest::{
    guest_exit_device, guest_shut_down, killed_by_debugger, may_have_run_on, panicked,
    panicked_and_went_on, watchdog_ended_it,
};
use super::answer::{Answer, Certainty};
use super::cause::{Cause, OomKill};
use super::duty::ENDING_JOBS;
use super::event::{Exit, LogWords, ShutdownCause, SignalSender, Timestamp, Verb};
use super::fold::Fold;
use super::intent::{Intent, Progress};
use super::state::{ShutOff, State};
use super::trace::{Exited, Machine, Shutdown};

/// The verbs that end a guest.
pub(super) const ENDING_VERBS: &[Verb] = &[Verb::Destroy, Verb::Run, Verb::RunTimeout];

/// What a rule makes of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reason: ShutOff,
    pub(super) cause: Cause,
    pub(super) certainty: Certainty,
}

/// Everything that a rule may look at.
struct Case<'a> {
    fold: &'a Fold,
    exit: Option<Exit>,
    words: &'a LogWords,
    /// What the kernel tells of whether it killed QEMU for want of memory.
    oom: Option<&'a OomKill>,
    /// Gone since the boot that the run began in, as far as anybody saw.
    other_boot: bool,
    /// When the end was seen.
    at: Option<Timestamp>,
    /// QEMU is still there.
    is_pending: bool,
}

impl Case<'_> {
    /// Whether how QEMU ended stands in the journal. Else it was seen just now, or nobody has seen it.
    fn is_on_record(&self) -> bool {
        self.fold.end().is_some_and(|end| end.exit.is_some())
    }
}

type Rule = fn(&Case<'_>) -> Option<Verdict>;

/// The table. Order matters and is part of the design: the comments say why a rule stands where it does.
const RULES: &[Rule] = &[
    no_record,
    // A guest that was saved is in its file, whoever ended the rest of it.
    saved_or_dumped,
    // What a user asked for and got is why the guest ended, whatever QEMU called it.
    asked_and_carried_out,
    // Before everything that presumes a guest that ran.
    lost_before_it_could_begin,
    never_began,
    // guest=true stands in the SHUTDOWN of a panic too, so the panic is looked at first.
    panicked,
    // Before the guest's own reset: the SHUTDOWN that a watchdog's reset becomes looks the same.
    watchdog_ended_it,
    // One that stood for its migration cannot have shut down here, whatever QEMU found still to be done.
    stood_and_may_run_elsewhere,
    killed_by_debugger,
    // Before all that take what QEMU said of its guest for the end of it.
    may_have_run_on,
    // Before its own shutdown: that is its crash kernel's, or what its kernel does about the panic.
    panicked_and_went_on,
    guest_shut_down,
    // Whatever became of QEMU, the guest may have been elsewhere by then: no reset of what is left of it here ends it.
    may_run_elsewhere,
    host_reset_that_ends_the_run,
    host_ended_it,
    host_ended_it_by_its_own_words,
    // A verb that only said that it would end the guest has no better claim than who says that it did.
    killed_for_memory,
    asked_and_gone,
    signalled,
    guest_exit_device,
    bad_status,
    status_zero_without_shutdown,
    host_restarted,
    gone_unseen,
];

/// The answer for a run whose QEMU is gone. `seen` is what the one who looked could see; an end that is on
/// record outweighs it.
pub(super) fn conclude(fold: &Fold, seen: &Exited) -> Answer {
    let end = fold.end().unwrap_or(seen);
    let case = Case {
        fold,
        exit: end.exit.or(seen.exit),
        words: &end.words,
        oom: end.oom.as_deref(),
        other_boot: fold.launch.as_ref().is_some_and(|l| l.boot != end.boot),
        at: end.at,
        is_pending: false,
    };
    let verdict = RULES.iter().find_map(|rule| rule(&case));
    let verdict = verdict.unwrap_or_else(|| verdict_unknown(Cause::StatusLost));
    let since = match &fold.shutdown {
        // Nobody saw QEMU go, but it said that it would.
        Some(shutdown) if case.exit.is_none() && !fold.may_outlive(shutdown) => shutdown.at,
        // Found gone: when it went, nobody knows. Where nothing was spawned, nothing went.
        _ if case.exit.is_none() && fold.refusal.is_none() => None,
        // Seen dead, and not written down yet.
        Some(shutdown) => end.at.or(shutdown.at),
        None => end.at,
    };
    Answer {
        state: State::ShutOff(verdict.reason),
        since,
        cause: Some(verdict.cause),
        certainty: verdict.certainty,
    }
}

/// Why QEMU is shutting down while it is still there.
pub(super) fn pending(fold: &Fold) -> Option<Verdict> {
    let case = Case {
        fold,
        exit: None,
        words: &LogWords::default(),
        oom: None,
        other_boot: false,
        at: None,
        is_pending: true,
    };
    let rules: &[Rule] = &[
        panicked,
        watchdog_ended_it,
        panicked_and_went_on,
        guest_shut_down,
        host_reset_that_ends_the_run,
        host_ended_it,
    ];
    rules.iter().find_map(|rule| rule(&case))
}

fn witnessed(reason: ShutOff, cause: Cause) -> Verdict {
    Verdict {
        reason,
        cause,
        certainty: Certainty::Witnessed,
    }
}

fn inferred(reason: ShutOff, cause: Cause) -> Verdict {
    Verdict {
        reason,
        cause,
        certainty: Certainty::Inferred,
    }
}

fn verdict_unknown(cause: Cause) -> Verdict {
    Verdict {
        reason: ShutOff::Unknown,
        cause,
        certainty: Certainty::Unknown,
    }
}

/// The cause when the journal itself has lost what would tell.
fn lines_lost(why: &str) -> Cause {
    Cause::JournalDamaged {
        file: "journal".to_owned(),
        why: why.to_owned(),
    }
}

fn asked(intent: &Intent) -> Cause {
    Cause::Asked {
        verb: intent.verb,
        actor: intent.actor.clone(),
    }
}

fn exit_cause(exit: Option<Exit>) -> Cause {
    match exit {
        Some(Exit::Signal {
            signal,
            core_dumped,
        }) => Cause::Signal {
            signal,
            core_dumped,
        },
        Some(Exit::Status(status)) => Cause::ExitStatus { status },
        None => Cause::StatusLost,
    }
}

/// A SHUTDOWN of one of `causes`.
fn shutdown_of<'a>(case: &Case<'a>, causes: &[ShutdownCause]) -> Option<&'a Shutdown> {
    let shutdown = case.fold.shutdown.as_ref()?;
    causes.contains(&shutdown.cause).then_some(shutdown)
}

fn no_record(case: &Case<'_>) -> Option<Verdict> {
    let lost = case.fold.launch.is_none();
    lost.then(|| verdict_unknown(lines_lost("the beginning of the run is missing")))
}

fn saved_or_dumped(case: &Case<'_>) -> Option<Verdict> {
    let verbs: Vec<Verb> = ENDING_JOBS.iter().map(|(verb, _)| *verb).collect();
    let intent = case.fold.intents.carried_out(&verbs)?;
    let (_, reason) = ENDING_JOBS.iter().find(|(verb, _)| *verb == intent.verb)?;
    // In lines that are lost it may have been let run before its QEMU was told to end. One that has arrived elsewhere is there.
    let is_sure = !intent.cut || intent.verb == Verb::Migrate;
    Some(match is_sure {
        true => witnessed(*reason, asked(intent)),
        false => inferred(*reason, asked(intent)),
    })
}

fn lost_before_it_could_begin(case: &Case<'_>) -> Option<Verdict> {
    let fold = case.fold;
    if fold.began.is_some() || case.exit.is_some() || fold.refusal.is_some() {
        return None;
    }
    if case.other_boot {
        // The power cut may have taken the unsynced RESUME with it: `failed` would be a guess.
        return Some(inferred(ShutOff::Crashed, Cause::HostRestart));
    }
    fold.gap
        .then(|| verdict_unknown(lines_lost("lines were lost before the guest ran")))
}

fn never_began(case: &Case<'_>) -> Option<Verdict> {
    let fold = case.fold;
    // Restored, it may have been sent away before it ran.
    if fold.began.is_some() || may_run_elsewhere(case).is_some() {
        return None;
    }
    if fold.gap && fold.refusal.is_none() {
        // What was lost may be the RESUME; a SHUTDOWN that was not lost still tells.
        let lost = || verdict_unknown(lines_lost("lines were lost before the guest ran"));
        return fold.shutdown.is_none().then(lost);
    }
    let message = fold.refusal.clone();
    let message = message.or_else(|| oom_kill(case).map(OomKill::evidence));
    let cause = Cause::StartFailure {
        exit: case.exit,
        message: message.or_else(|| case.words.last_line.clone()),
    };
    Some(if case.exit.is_some() || fold.refusal.is_some() {
        witnessed(ShutOff::Failed, cause)
    } else {
        inferred(ShutOff::Failed, cause)
    })
}

/// `reset` and `dump --reset` under reboot=shutdown: virsh calls it a shutdown when the user asked for it.
fn host_reset_that_ends_the_run(case: &Case<'_>) -> Option<Verdict> {
    let shutdown = shutdown_of(case, &[ShutdownCause::HostQmpSystemReset])?;
    // QEMU may have stayed: only an end that looks like its own is taken for it, or one that nobody saw.
    let is_whole = !case.other_boot && !case.fold.gap;
    let is_unseen = case.exit.is_none() && is_whole && !case.is_pending;
    let is_its_own = case.exit == Some(Exit::Status(0));
    let may_have_stayed = match case.is_pending {
        true => shutdown.is_reset_of_standing_guest(),
        false => case.fold.may_be_reset_of_standing_guest(shutdown),
    };
    if may_have_stayed && !is_its_own && !is_unseen {
        return None;
    }
    let is_sure = !may_have_stayed || is_its_own && !case.fold.gap;
    let resets = [Verb::Reset, Verb::DumpReset];
    let intent = case.fold.intents.likeliest(&resets, shutdown.at);
    Some(match intent {
        // It may have been somebody else's: who asked died, or is only about to say that it was sent.
        Some(intent) if intent.progress == Progress::Asked => {
            inferred(ShutOff::Destroyed, asked(intent))
        }
        Some(intent) if is_sure => witnessed(ShutOff::Shutdown, asked(intent)),
        Some(intent) => inferred(ShutOff::Shutdown, asked(intent)),
        // It may only seem to be long ago, by a clock that was set since; or be what is lost.
        None if !is_sure || case.fold.gap || case.fold.intents.has_any(&resets) => {
            inferred(ShutOff::Destroyed, Cause::QmpReset)
        }
        None => witnessed(ShutOff::Destroyed, Cause::QmpReset),
    })
}

fn host_ended_it(case: &Case<'_>) -> Option<Verdict> {
    let shutdown = case.fold.shutdown.as_ref()?;
    let cause = match shutdown.cause {
        ShutdownCause::HostSignal => {
            let sender = case.words.terminated.clone().unwrap_or_default();
            let intents = &case.fold.intents;
            let named = intents.recent_by(ENDING_VERBS, shutdown.at, sender.pid);
            match named.or_else(|| intents.recent(ENDING_VERBS, shutdown.at)) {
                // The verb died between acting and saying so, but QEMU names the process.
                Some(intent) if sender.pid == Some(intent.actor.pid) => asked(intent),
                // QEMU's words went elsewhere: it may have been another's signal.
                Some(intent) if sender.pid.is_none() => {
                    return Some(inferred(ShutOff::Destroyed, asked(intent)));
                }
                _ => Cause::HostSignal(sender),
            }
        }
        // A policy's, of a guest that somebody reset, or let run, in that very moment.
        ShutdownCause::HostQmpQuit => {
            let intents = &case.fold.intents;
            match intents.recent(&[Verb::CrashDestroy], shutdown.at) {
                // Until it says that it has, it may have been another's.
                Some(intent) if intent.progress == Progress::Asked => {
                    return Some(inferred(ShutOff::Destroyed, asked(intent)));
                }
                Some(intent) => asked(intent),
                None => Cause::QmpQuit,
            }
        }
        ShutdownCause::HostUi => Cause::HostUi,
        ShutdownCause::HostError => {
            return Some(witnessed(ShutOff::Crashed, exit_cause(case.exit)));
        }
        ShutdownCause::Unknown => {
            let why = "QEMU gave a reason for its shutdown that this domstate does not know";
            return Some(verdict_unknown(lines_lost(why)));
        }
        ShutdownCause::GuestShutdown
        | ShutdownCause::GuestReset
        | ShutdownCause::GuestPanic
        | ShutdownCause::HostQmpSystemReset => return None,
    };
    Some(witnessed(ShutOff::Destroyed, cause))
}

/// The SHUTDOWN line was lost on a full disk, but QEMU's own log tells of the signal: if it is not the guest that wrote that there.
fn host_ended_it_by_its_own_words(case: &Case<'_>) -> Option<Verdict> {
    let sender: &SignalSender = case.words.terminated.as_ref()?;
    // Where a guest may end QEMU as it likes the words may be its own, too.
    let says_nothing = case.fold.shutdown.is_none() && !case.fold.has_exit_device();
    let orderly = says_nothing && case.exit == Some(Exit::Status(0));
    orderly.then(|| inferred(ShutOff::Destroyed, Cause::HostSignal(sender.clone())))
}

fn stood_and_may_run_elsewhere(case: &Case<'_>) -> Option<Verdict> {
    let shutdown = shutdown_of(
        case,
        &[ShutdownCause::GuestShutdown, ShutdownCause::GuestReset],
    )?;
    let stood = shutdown.machine != Machine::Ran;
    stood.then(|| may_run_elsewhere(case)).flatten()
}

fn may_run_elsewhere(case: &Case<'_>) -> Option<Verdict> {
    let fold = case.fold;
    let may_go = fold.may_have_left() || fold.may_be_sent_by_another();
    let is_elsewhere = may_go || fold.is_handed_over() || fold.was_sent_away();
    is_elsewhere.then(|| verdict_unknown(Cause::MaybeMigrated))
}

/// The signal that the kernel sends for want of memory, and its word that it sent it to this very process, or figures that
/// make it likely.
fn oom_kill<'a>(case: &Case<'a>) -> Option<&'a OomKill> {
    let killed = matches!(case.exit, Some(Exit::Signal { signal: 9, .. }));
    let told = |oom: &&OomKill| match oom {
        OomKill::Logged { .. } => true,
        OomKill::Counted(counts) => counts.rose(),
    };
    case.oom.filter(|_| killed).filter(told)
}

/// By figures alone it is inferred: of the group another may have been the victim, and this one somebody else's.
fn killed_for_memory(case: &Case<'_>) -> Option<Verdict> {
    let oom = oom_kill(case)?;
    let cause = Cause::OomKill(oom.clone());
    Some(match oom {
        OomKill::Logged { .. } => witnessed(ShutOff::Crashed, cause),
        OomKill::Counted(_) => inferred(ShutOff::Crashed, cause),
    })
}

/// Whether what ended may have been a wrapper of a QEMU that ran and that nobody has identified: it may live.
fn may_be_a_wrappers(case: &Case<'_>) -> bool {
    let fold = case.fold;
    fold.qemu.is_none() && fold.launcher.is_some() && fold.began.is_some()
}

fn signalled(case: &Case<'_>) -> Option<Verdict> {
    let cause = || exit_cause(case.exit);
    match case.exit? {
        Exit::Signal { .. } if may_be_a_wrappers(case) => Some(inferred(ShutOff::Crashed, cause())),
        // The signals that a verb sends: that it would may be what was lost, or only seem to be long ago, by a clock that
        // was set since.
        Exit::Signal { signal: 9 | 15, .. }
            if case.fold.gap || case.fold.intents.has_any(ENDING_VERBS) =>
        {
            Some(inferred(ShutOff::Crashed, cause()))
        }
        Exit::Signal { .. } => Some(witnessed(ShutOff::Crashed, cause())),
        Exit::Status(_) => None,
    }
}

fn bad_status(case: &Case<'_>) -> Option<Verdict> {
    match case.exit {
        Some(Exit::Status(status)) if status != 0 => {
            let cause = Cause::ExitStatus { status };
            Some(match may_be_a_wrappers(case) {
                true => inferred(ShutOff::Crashed, cause),
                false => witnessed(ShutOff::Crashed, cause),
            })
        }
        _ => None,
    }
}

/// Never success: either the line that would tell was lost, or QEMU ended in a way that announces nothing.
fn status_zero_without_shutdown(case: &Case<'_>) -> Option<Verdict> {
    if case.exit != Some(Exit::Status(0)) {
        return None;
    }
    Some(if case.fold.gap {
        verdict_unknown(lines_lost("lines were lost while the guest ran"))
    } else {
        inferred(ShutOff::Crashed, Cause::ExitStatus { status: 0 })
    })
}

fn host_restarted(case: &Case<'_>) -> Option<Verdict> {
    case.other_boot
        .then(|| inferred(ShutOff::Crashed, Cause::HostRestart))
}

fn gone_unseen(case: &Case<'_>) -> Option<Verdict> {
    // QEMU 7.2 announces nothing when its guest ends it by a device: its status alone tells.
    let may_be_its_own = case.fold.has_exit_device();
    Some(if case.fold.gap {
        verdict_unknown(lines_lost("lines were lost while the guest ran"))
    } else if may_be_its_own {
        verdict_unknown(Cause::StatusLost)
    } else {
        inferred(ShutOff::Crashed, Cause::StatusLost)
    })
}
