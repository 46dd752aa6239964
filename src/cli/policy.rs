//! The policies that `define`, `start` and `run` take, with libvirt's words.

use clap::Args;

use crate::domain::{OnCrash, OnPoweroff, OnReboot, Policies};

// What is to become of the domain when its guest ends by itself.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[group(skip)]
pub struct PolicyArgs {
    /// When the guest panics: destroy, restart, preserve, coredump-destroy or coredump-restart
    #[arg(long, value_name = "ACTION", value_parser = on_crash)]
    on_crash: Option<OnCrash>,
    /// When the guest powers itself off: destroy or restart
    #[arg(long, value_name = "ACTION", value_parser = on_poweroff)]
    on_poweroff: Option<OnPoweroff>,
    /// When the guest resets itself: restart or destroy
    #[arg(long, value_name = "ACTION", value_parser = on_reboot)]
    on_reboot: Option<OnReboot>,
}

impl PolicyArgs {
    /// What was given.
    pub fn policies(&self) -> Policies {
        Policies {
            on_crash: self.on_crash,
            on_poweroff: self.on_poweroff,
            on_reboot: self.on_reboot,
        }
    }
}

/// Actions that libvirt knows and its QEMU driver refuses (9.0.0, `qemuValidateLifecycleAction`).
const RENAME_RESTART: &str = "unsupported configuration: qemu driver doesn't support the \
    'rename-restart' action for 'on_reboot'/'on_poweroff'/'on_crash'";
const PRESERVE: &str = "unsupported configuration: qemu driver doesn't support the 'preserve' \
    action for 'on_reboot'/'on_poweroff'";

fn on_crash(word: &str) -> Result<OnCrash, String> {
    OnCrash::of_word(word).ok_or_else(|| {
        refusal(
            word,
            &OnCrash::ALL.iter().map(|a| a.word()).collect::<Vec<_>>(),
        )
    })
}

fn on_poweroff(word: &str) -> Result<OnPoweroff, String> {
    if word == OnPoweroff::Preserve.word() {
        return Err(PRESERVE.to_owned());
    }
    OnPoweroff::of_word(word).ok_or_else(|| refusal(word, &["destroy", "restart"]))
}

fn on_reboot(word: &str) -> Result<OnReboot, String> {
    if word == OnPoweroff::Preserve.word() {
        return Err(PRESERVE.to_owned());
    }
    OnReboot::of_word(word).ok_or_else(|| refusal(word, &["restart", "destroy"]))
}

fn refusal(word: &str, known: &[&str]) -> String {
    match word {
        "rename-restart" => RENAME_RESTART.to_owned(),
        _ => format!("use one of {}", known.join(", ")),
    }
}
