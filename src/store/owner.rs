//! Whose the file of a save or a dump is.

use crate::domain::{Job, Name, Timestamp};

use super::paths::{DomainFolder, RunFolder};

/// The job that makes a file. A name and a number of a run come again when a domain is undefined and defined anew; the
/// time at which the job began does not.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    pub name: &'a Name,
    pub run: u32,
    pub began: Timestamp,
}

impl<'a> Owner<'a> {
    pub fn new(domain: &'a DomainFolder, run: &RunFolder, job: &Job) -> Self {
        Self {
            name: domain.name(),
            run: run.number(),
            began: job.began,
        }
    }
}
