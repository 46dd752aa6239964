//! A guest on its way from one QEMU to another, or out of a file.

use domstate::domain::{Begin, LaunchKind, Paused, Running, State, Verb};

use super::Guest;
use super::requests::{Asked, is_job};

/// Where a guest is that is sent to another QEMU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outgoing {
    No,
    /// Its memory is copied while it runs here.
    Copied,
    /// It runs there, and fetches from here.
    HandedOver,
    HandedOverAlone,
    Arrived,
}

impl Guest {
    pub(super) fn reason_outgoing(&self) -> Option<Paused> {
        match self.outgoing {
            Outgoing::No | Outgoing::Arrived => None,
            Outgoing::HandedOver => Some(Paused::PostCopy),
            Outgoing::HandedOverAlone => Some(Paused::PostCopyFailed),
            Outgoing::Copied => Some(Paused::Migrating),
        }
    }

    pub(super) fn migration(&mut self, word: &str) {
        // A file, or the guest's own disks, are where it goes.
        let is_elsewhere = |asked: &Asked| is_job(asked.verb) && asked.verb != Verb::Migrate;
        if self.asked.iter().any(is_elsewhere) {
            return;
        }
        match self.kind {
            LaunchKind::Incoming if !self.all_here => self.incoming(word),
            LaunchKind::Restore if !self.began => self.loading(word),
            _ => self.outgoing(word),
        }
    }

    pub(super) fn loading(&mut self, word: &str) {
        if word == "completed" && self.begin == Begin::Paused {
            self.arrived_standing();
        }
    }

    pub(super) fn incoming(&mut self, word: &str) {
        match word {
            "postcopy-active" => {
                self.post_copy = true;
                if self.runs() {
                    self.run(Running::PostCopy);
                }
            }
            "postcopy-paused" if self.runs() => self.run(Running::PostCopyFailed),
            "completed" => {
                self.all_here = true;
                match self.state {
                    State::Running(Running::PostCopy | Running::PostCopyFailed) => {
                        self.run(Running::Migrated);
                    }
                    _ if !self.began => self.arrived_standing(),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    pub(super) fn outgoing(&mut self, word: &str) {
        self.outgoing = match word {
            "setup" | "active" => Outgoing::Copied,
            "postcopy-active" | "postcopy-device" => Outgoing::HandedOver,
            "postcopy-paused" => Outgoing::HandedOverAlone,
            "completed" => Outgoing::Arrived,
            "failed" | "cancelled" => Outgoing::No,
            _ => self.outgoing,
        };
        let is_for_it = matches!(
            self.state,
            State::Paused(Paused::Migrating | Paused::PostCopy | Paused::PostCopyFailed)
        );
        if is_for_it {
            match self.outgoing {
                Outgoing::HandedOver => self.stand(Paused::PostCopy),
                Outgoing::HandedOverAlone => self.stand(Paused::PostCopyFailed),
                _ => {}
            }
        }
    }
}
