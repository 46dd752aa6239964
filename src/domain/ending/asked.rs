//! Ends that a verb came to, or may have.

use super::{Case, ENDING_VERBS, Verdict, asked, inferred, oom_kill, shutdown_of, witnessed};
use crate::domain::cause::OomKill;
use crate::domain::event::{Exit, ShutdownCause, SignalSender};
use crate::domain::intent::{Intent, Progress};
use crate::domain::state::ShutOff;

pub(super) fn asked_and_carried_out(case: &Case<'_>) -> Option<Verdict> {
    let intents = &case.fold.intents;
    let sender = sender_by_qemus_words(case);
    let named = sender.and_then(|pid| intents.carried_out_by(ENDING_VERBS, pid));
    let intent = named.or_else(|| intents.carried_out(ENDING_VERBS))?;
    if was_dying(case) || is_anothers_end(case) {
        return None;
    }
    // The signal was recorded as sent and found a QEMU that would not end at once and was let be: that
    // request is settled by `Failed`, so one that is still here is what ended it. Not for sure while whoever sent it has
    // not said that it did: a QEMU that hangs heeds no SIGTERM, and may be killed by somebody else, or with the host.
    let obeyed = match case.exit {
        Some(Exit::Status(_) | Exit::Signal { signal: 15, .. }) => true,
        Some(Exit::Signal { .. }) | None => case.fold.shutdown.is_some(),
    };
    // Of two signals QEMU names the last, and a guest may write the same words into the log: they raise a doubt, no more.
    let is_doubted = sender.is_some_and(|pid| pid != intent.actor.pid)
        || is_sender_in_doubt(case)
        || may_have_been_dying(case)
        || has_another_word(case);
    let is_ended = obeyed || intent.progress == Progress::Done;
    let is_sure = is_ended && !is_doubted && !may_have_shut_down(case, intent);
    Some(match is_sure {
        true => witnessed(ShutOff::Destroyed, asked(intent)),
        false => inferred(ShutOff::Destroyed, asked(intent)),
    })
}

/// Whether the guest's own shutdown may stand in lines that are lost: QEMU ends with the same status for either, or nobody has
/// seen it, and neither announcement is there, nor its word in the log for whose signal it obeyed. Where none are lost it was
/// ending by itself, without a word.
fn may_have_shut_down(case: &Case<'_>, intent: &Intent) -> bool {
    let may_be_silent = case.fold.gap || case.fold.qemu.is_some();
    let says_nothing = case.fold.shutdown.is_none() && may_be_silent;
    let sender = case.words.terminated.as_ref().and_then(|term| term.pid);
    let is_named = sender == Some(intent.actor.pid);
    says_nothing && !matches!(case.exit, Some(Exit::Signal { .. })) && !is_named
}

/// Whose signal QEMU says that it obeyed, where that is no wrapper which passed on another's.
fn sender_by_qemus_words(case: &Case<'_>) -> Option<u32> {
    obeyed_signal(case)?.pid
}

fn obeyed_signal<'a>(case: &Case<'a>) -> Option<&'a SignalSender> {
    shutdown_of(case, &[ShutdownCause::HostSignal])?;
    let is_wrapped = case.fold.qemu != case.fold.launcher;
    case.words.terminated.as_ref().filter(|_| !is_wrapped)
}

/// Whether it names several.
fn is_sender_in_doubt(case: &Case<'_>) -> bool {
    obeyed_signal(case).is_some_and(SignalSender::is_of_several)
}

/// Whether QEMU was on its way out already when a verb sent its signal, which the kernel takes of a process that dumps its core,
/// or frees its memory, and throws away. One that obeys says so first, and dies of no signal but the verb's own.
fn was_dying(case: &Case<'_>) -> bool {
    let by_another = match case.exit {
        Some(Exit::Signal { signal: 9, .. }) => {
            matches!(oom_kill(case), Some(OomKill::Logged { .. }))
        }
        Some(Exit::Signal { signal, .. }) => signal != 15,
        // It exits by itself, its guest by a device.
        Some(Exit::Status(status)) => status != 0,
        None => false,
    };
    let says_nothing = case.fold.shutdown.is_none() && !case.fold.gap;
    // What a wrapper dies of is its own affair.
    by_another && says_nothing && case.fold.qemu.is_some()
}

/// Whether QEMU says what ended it, and no signal is called that: an error of the host's, or a reset, if it has not outlived that.
fn is_anothers_end(case: &Case<'_>) -> bool {
    let fold = case.fold;
    let Some(shutdown) = fold.shutdown.as_ref().filter(|_| !fold.gap) else {
        return false;
    };
    let is_its_own = matches!(case.exit, Some(Exit::Status(_)));
    match shutdown.cause {
        ShutdownCause::HostError => !shutdown.stayed,
        // Of one that stays the second word is lost only with others.
        ShutdownCause::HostQmpSystemReset => is_its_own && !fold.may_outlive(shutdown),
        ShutdownCause::GuestShutdown
        | ShutdownCause::GuestReset
        | ShutdownCause::GuestPanic
        | ShutdownCause::HostQmpQuit
        | ShutdownCause::HostSignal
        | ShutdownCause::HostUi
        | ShutdownCause::Unknown => false,
    }
}

/// Whether it says that it ends for something else, which may have come in the same moment, and that it does not outlive.
fn has_another_word(case: &Case<'_>) -> bool {
    let Some(shutdown) = &case.fold.shutdown else {
        return false;
    };
    let is_of_verb = match shutdown.cause {
        // By its monitor it ends who may not signal it.
        ShutdownCause::HostSignal | ShutdownCause::HostQmpQuit => true,
        ShutdownCause::GuestShutdown
        | ShutdownCause::GuestReset
        | ShutdownCause::GuestPanic
        | ShutdownCause::HostError
        | ShutdownCause::HostQmpSystemReset
        | ShutdownCause::HostUi
        | ShutdownCause::Unknown => false,
    };
    !is_of_verb && !case.fold.may_outlive(shutdown)
}

/// The same by figures alone, which tell that somebody of QEMU's control group was killed for want of memory.
fn may_have_been_dying(case: &Case<'_>) -> bool {
    let is_counted = matches!(oom_kill(case), Some(OomKill::Counted(_)));
    is_counted && case.fold.shutdown.is_none()
}

/// A verb announced that it would end the guest, and the guest was gone soon after, by a signal that the verb sends.
pub(super) fn asked_and_gone(case: &Case<'_>) -> Option<Verdict> {
    let intent = case.fold.intents.recent(ENDING_VERBS, case.at)?;
    let fits = match case.exit {
        // 9 and 15: the signals that the verb sends.
        Some(Exit::Signal { signal, .. }) => matches!(signal, 9 | 15),
        Some(Exit::Status(_)) => false,
        None => false,
    };
    let only_asked = intent.progress == Progress::Asked;
    (fits && only_asked).then(|| inferred(ShutOff::Destroyed, asked(intent)))
}
