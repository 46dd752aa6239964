//! What a run is to be, worked out of the definition, the options and the saved image before anything is made of it.

use std::ffi::OsString;

use anyhow::Result;

use super::asking::actor;
use super::config_file::examine;
use super::feed::Feed;
use super::start::{From, StartOptions};
use crate::domain::{Begin, Launch, LaunchKind, Lifecycle, Name, Policies};
use crate::observe::{boot_id, pid_namespace};
use crate::qemu::{self, Facts, RecorderPaths};
use crate::store::{Definition, OpenImage};

/// What a run is to be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) facts: Facts,
    /// The definition's, and over them those that were given for this run.
    pub(super) policies: Policies,
    kind: LaunchKind,
    begin: Begin,
    lifecycle: Lifecycle,
    /// Where the guest comes from is told by the recorder, not by the command line.
    defers: bool,
    /// The snapshot that it comes from.
    snapshot: Option<Name>,
    /// It is not known whether the guest had panicked before it was saved.
    may_have_panicked: bool,
    /// What QEMU is told on top of the user's command line, so that it does by itself what it can.
    action_words: Vec<OsString>,
}

/// Works it out.
///
/// # Errors
/// The command line is not allowed, or contradicts the policies.
pub(super) fn plan(
    definition: &Definition,
    options: &StartOptions,
    image: Option<&OpenImage>,
) -> Result<Plan> {
    let facts = examine(&definition.argv, &definition.workdir)?;
    let (kept, given) = (definition.policies, options.policies);
    let policies = Policies {
        on_crash: given.on_crash.or(kept.on_crash),
        on_poweroff: given.on_poweroff.or(kept.on_poweroff),
        on_reboot: given.on_reboot.or(kept.on_reboot),
    };
    let lifecycle = qemu::lifecycle(&policies, &facts.actions)?;
    let snapshot = match &options.from {
        From::Snapshot(snapshot) => Some(snapshot),
        From::Definition | From::Boot | From::Image(_) => None,
    };
    let may_have_panicked = match (image, snapshot) {
        (Some(image), _) => image.image.may_have_panicked,
        (None, Some(snapshot)) => snapshot.may_have_panicked,
        (None, None) => false,
    };
    let begin = match image {
        Some(image) => options.begin.unwrap_or(image.image.begin),
        None if snapshot.is_some() => options.begin.unwrap_or(Begin::Running),
        None if facts.starts_paused => Begin::Paused,
        None => options.begin.unwrap_or(Begin::Running),
    };
    Ok(Plan {
        kind: match (image, &options.incoming) {
            (Some(_), _) => LaunchKind::Restore,
            (None, Some(_)) => LaunchKind::Incoming,
            (None, None) if snapshot.is_some() => LaunchKind::Snapshot,
            (None, None) => facts.kind,
        },
        snapshot: snapshot.map(|snapshot| snapshot.name.clone()),
        may_have_panicked,
        defers: options.incoming.is_some(),
        begin,
        lifecycle,
        action_words: qemu::action_words(&policies, &facts.actions),
        policies,
        facts,
    })
}

impl Plan {
    /// What the recorder is to do: a restored guest is let go once it is loaded, which the recorder cannot wait for.
    pub(super) fn begin_of_recorder(&self) -> Begin {
        match self.kind {
            LaunchKind::Restore => Begin::Paused,
            LaunchKind::Boot | LaunchKind::Incoming | LaunchKind::Snapshot => self.begin,
        }
    }

    /// The first line of the run's journal.
    pub(super) fn launch(&self, run: u32) -> Result<Launch> {
        Ok(Launch {
            run,
            kind: self.kind,
            begin: self.begin,
            boot: boot_id()?,
            pid_namespace: pid_namespace()?,
            // There is none yet.
            journal: None,
            exit_device: self.facts.exit_device,
            may_have_panicked: self.may_have_panicked,
            debugger: self.facts.debugger,
            bmc: self.facts.bmc,
            lifecycle: self.lifecycle,
            actor: actor(),
        })
    }

    /// QEMU's whole command line.
    pub(super) fn argv(
        &self,
        definition: &Definition,
        feed: Option<&Feed>,
        paths: &RecorderPaths,
    ) -> Vec<OsString> {
        let mut argv = match (feed, &self.snapshot) {
            (Some(feed), _) => {
                let mut argv = qemu::for_restore(&definition.argv);
                argv.extend(qemu::incoming_words(feed.descriptor()));
                argv
            }
            (None, Some(name)) => {
                let mut argv = qemu::for_restore(&definition.argv);
                argv.extend(qemu::snapshot_words(name.as_str()));
                argv
            }
            (None, None) if self.defers => {
                let mut argv = qemu::for_restore(&definition.argv);
                argv.extend(["-incoming".into(), "defer".into()]);
                argv
            }
            (None, None) => definition.argv.clone(),
        };
        argv.extend(self.action_words.iter().cloned());
        qemu::with_recorder(&argv, paths)
    }
}
