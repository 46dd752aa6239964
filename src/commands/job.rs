//! What the verbs with a job share: how far it is, on the terminal.

use std::io::{Stderr, Stdout};

use crate::observe::Observation;
use crate::operation::{job_progress, one_line};
use crate::output::Printer;
use crate::store::{Placed, RunFolder};

/// Says that a file is there, and may lose its name if the power is cut now.
pub(super) fn warn_of(placed: Placed, printer: &mut Printer<Stdout, Stderr>) {
    if let Placed::Unsynced(error) = placed {
        let why = one_line(&error.into());
        printer.warn(&format!(
            "the file may lose its name by a power cut: its folder cannot be synced: {why}"
        ));
    }
}

/// The line that tells how far a job is, as virsh draws it.
pub(super) struct Bar<'a> {
    label: &'static str,
    /// `None`: nobody asked to see it.
    run: Option<RunFolder>,
    printer: &'a mut Printer<Stdout, Stderr>,
}

impl<'a> Bar<'a> {
    pub(super) fn new(
        label: &'static str,
        verbose: bool,
        seen: &Observation,
        printer: &'a mut Printer<Stdout, Stderr>,
    ) -> Self {
        Self {
            label,
            run: seen.run.clone().filter(|_| verbose),
            printer,
        }
    }

    /// Draws it anew.
    pub(super) fn show(&mut self) {
        let progress = self.run.as_ref().map(job_progress);
        if let Some(Ok(progress)) = progress {
            self.printer.progress(self.label, progress.percent());
        }
    }

    /// Draws it for the last time.
    pub(super) fn complete(&mut self) {
        if self.run.is_some() {
            self.printer.progress_complete(self.label);
        }
    }
}
