//! The lifecycle policies and QEMU's own actions: what holds for a run, and what QEMU is to be told so that it does by
//! itself what it can. What it cannot, the supervisor does.
//!
//! Pure. The user's command line is not overruled: a policy that it contradicts is refused.

use std::ffi::OsString;
use std::fmt;

use super::actions::{Action, Actions, AtPanic, AtReboot, AtShutdown, Said};
use crate::domain::{Lifecycle, OnCrash, OnPoweroff, OnReboot, Policies};

/// Why the policies cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyRefused {
    /// QEMU's option, as the user wrote it, says otherwise than the policy of this option of ours.
    Contradicted {
        option: String,
        policy: &'static str,
        word: &'static str,
    },
    /// `on_poweroff` restart with `on_reboot` destroy: a reset would be a power-off to QEMU, and pause. libvirt refuses
    /// it too.
    RestartWithDestroy,
}

impl fmt::Display for PolicyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradicted {
                option,
                policy,
                word,
            } => write!(f, "option '{option}' contradicts {policy} {word}"),
            // As libvirt 9.0.0 has it, a quote short (qemuValidateLifecycleAction).
            Self::RestartWithDestroy => f.write_str(
                "unsupported configuration: qemu driver doesn't support 'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'",
            ),
        }
    }
}

impl std::error::Error for PolicyRefused {}

/// What holds for a run: a policy that the user gave, else what the command line says, else libvirt's default.
pub fn lifecycle(policies: &Policies, actions: &Actions) -> Result<Lifecycle, PolicyRefused> {
    if let Some(contradiction) = contradiction(policies, actions) {
        return Err(contradiction);
    }
    let on_crash = actions.panic_pauses().then_some(OnCrash::Preserve);
    let on_poweroff = actions.shutdown_pauses().then_some(OnPoweroff::Preserve);
    let on_reboot = actions.reboot_shuts_down().then_some(OnReboot::Destroy);
    let default = Lifecycle::default();
    let lifecycle = Lifecycle {
        on_crash: policies.on_crash.or(on_crash).unwrap_or(default.on_crash),
        on_poweroff: policies
            .on_poweroff
            .or(on_poweroff)
            .unwrap_or(default.on_poweroff),
        on_reboot: policies
            .on_reboot
            .or(on_reboot)
            .unwrap_or(default.on_reboot),
    };
    if lifecycle.on_poweroff == OnPoweroff::Restart && lifecycle.on_reboot == OnReboot::Destroy {
        return Err(PolicyRefused::RestartWithDestroy);
    }
    Ok(lifecycle)
}

/// What is to be added to the command line: one `-action` for the policies that were given and of which it says
/// nothing yet, or nothing. For policies that [`lifecycle`] let pass.
pub fn action_words(policies: &Policies, actions: &Actions) -> Vec<OsString> {
    let pairs = [
        pair(policies.on_crash.map(at_panic), actions.panic.as_ref()),
        pair(
            policies.on_poweroff.map(at_shutdown),
            actions.shutdown.as_ref(),
        ),
        pair(policies.on_reboot.map(at_reboot), actions.reboot.as_ref()),
    ];
    let pairs: Vec<String> = pairs.into_iter().flatten().collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    vec!["-action".into(), pairs.join(",").into()]
}

fn pair<A: Action>(wanted: Option<A>, said: Option<&Said<A>>) -> Option<String> {
    let wanted = wanted.filter(|_| said.is_none())?;
    Some(format!("{}={}", A::KEY, wanted.word()))
}

fn at_panic(policy: OnCrash) -> AtPanic {
    match policy {
        OnCrash::Destroy => AtPanic::Shutdown,
        OnCrash::Preserve
        | OnCrash::Restart
        | OnCrash::CoredumpDestroy
        | OnCrash::CoredumpRestart => AtPanic::Pause,
    }
}

fn at_shutdown(policy: OnPoweroff) -> AtShutdown {
    match policy {
        OnPoweroff::Destroy => AtShutdown::Poweroff,
        OnPoweroff::Restart | OnPoweroff::Preserve => AtShutdown::Pause,
    }
}

fn at_reboot(policy: OnReboot) -> AtReboot {
    match policy {
        OnReboot::Destroy => AtReboot::Shutdown,
        OnReboot::Restart => AtReboot::Reset,
    }
}

fn contradiction(policies: &Policies, actions: &Actions) -> Option<PolicyRefused> {
    let crash = policies.on_crash.zip(actions.panic.as_ref());
    let crash = crash.filter(|(policy, said)| match at_panic(*policy) == AtPanic::Pause {
        true => !actions.panic_pauses(),
        // Under `shutdown=pause` it stops first all the same, and the supervisor ends it.
        false => !matches!(said.action, AtPanic::Shutdown | AtPanic::ExitFailure),
    });
    let poweroff = policies.on_poweroff.zip(actions.shutdown.as_ref());
    let poweroff = poweroff.filter(|(policy, said)| at_shutdown(*policy) != said.action);
    let reboot = policies.on_reboot.zip(actions.reboot.as_ref());
    let reboot = reboot.filter(|(policy, said)| at_reboot(*policy) != said.action);
    // A reset that is a power-off to QEMU, and a power-off that pauses: nothing would end.
    let stays = policies.on_reboot.zip(actions.shutdown.as_ref());
    let stays = stays
        .filter(|(policy, said)| *policy == OnReboot::Destroy && said.action == AtShutdown::Pause);
    let (option, policy, word) = crash
        .map(|(policy, said)| (&said.option, "--on-crash", policy.word()))
        .or(poweroff.map(|(policy, said)| (&said.option, "--on-poweroff", policy.word())))
        .or(reboot.map(|(policy, said)| (&said.option, "--on-reboot", policy.word())))
        .or(stays.map(|(policy, said)| (&said.option, "--on-reboot", policy.word())))?;
    Some(PolicyRefused::Contradicted {
        option: option.clone(),
        policy,
        word,
    })
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
