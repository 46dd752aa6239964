//! What is to become of a domain when its guest ends by itself: libvirt's lifecycle policies.
//!
//! The words and defaults are libvirt's (`on_crash`, `on_poweroff` and `on_reboot` of its domain XML; 9.0 to 11.3).

macro_rules! actions {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// libvirt's word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The action that a word stands for.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.word() == word)
            }
        }
    };
}

actions!(
    /// What happens when the guest's kernel panics.
    OnCrash {
        Destroy = "destroy",
        Restart = "restart",
        /// It stays as it is, for somebody to look at.
        Preserve = "preserve",
        CoredumpDestroy = "coredump-destroy",
        CoredumpRestart = "coredump-restart",
    }
);

actions!(
    /// What happens when the guest powers itself off.
    OnPoweroff {
        Destroy = "destroy",
        Restart = "restart",
        /// QEMU stays and nothing happens. No policy of libvirt's: QEMU's own `-no-shutdown`.
        Preserve = "preserve",
    }
);

actions!(
    /// What happens when the guest resets itself.
    OnReboot {
        Restart = "restart",
        Destroy = "destroy",
    }
);

/// The policies that a user gave. Where there is none, what QEMU's command line says holds, and else libvirt's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    pub on_crash: Option<OnCrash>,
    pub on_poweroff: Option<OnPoweroff>,
    pub on_reboot: Option<OnReboot>,
}

/// The policies that hold for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    pub on_crash: OnCrash,
    pub on_poweroff: OnPoweroff,
    pub on_reboot: OnReboot,
}

impl Default for Lifecycle {
    /// libvirt's defaults.
    fn default() -> Self {
        Self {
            on_crash: OnCrash::Destroy,
            on_poweroff: OnPoweroff::Destroy,
            on_reboot: OnReboot::Restart,
        }
    }
}
