//! What is true: which domains there are, and what became of each of their runs.

use domstate::domain::Certainty;

/// Everything that may be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct World {
    pub(super) domains: Vec<Domain>,
    /// Files that are there, whole, by their names in the folder of the user's files.
    pub(super) files: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    pub(super) name: &'static str,
    /// A word that only this definition has in its command line.
    pub(super) defined_by: &'static str,
    pub(super) runs: Vec<Run>,
    /// So many of the first of them may have been forgotten, each whole.
    pub(super) forgotten_max: usize,
    /// Core files that are whole.
    pub(super) cores: usize,
    pub(super) snapshots: Vec<&'static str>,
    pub(super) managed: Managed,
}

/// Whether the domain's next start takes up a guest that was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Managed {
    Image,
    Nothing,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// The guest lived when the power went, or nobody has told of its end yet.
    Lived,
    Ended {
        answer: &'static str,
        cause: &'static str,
        certainty: Certainty,
        /// Where a saved guest is, in the folder of the user's files or the domain's.
        image: Option<&'static str>,
    },
}

/// A run that ended so, for this cause, as somebody saw it.
pub(super) fn ended(answer: &'static str, cause: &'static str) -> Run {
    Run::Ended {
        answer,
        cause,
        certainty: Certainty::Witnessed,
        image: None,
    }
}

/// A run that ended so, for this cause, as it follows from what is left.
pub(super) fn inferred(answer: &'static str, cause: &'static str) -> Run {
    Run::Ended {
        answer,
        cause,
        certainty: Certainty::Inferred,
        image: None,
    }
}

/// A run whose guest may be elsewhere.
pub(super) fn maybe_migrated() -> Run {
    unknown("maybe-migrated")
}

/// A run of which nobody knows how it ended, for this reason.
pub(super) fn unknown(cause: &'static str) -> Run {
    Run::Ended {
        answer: "shut off (unknown)",
        cause,
        certainty: Certainty::Unknown,
        image: None,
    }
}

/// A run whose guest is in this file.
pub(super) fn saved(image: &'static str) -> Run {
    Run::Ended {
        answer: "shut off (saved)",
        cause: "asked",
        certainty: Certainty::Witnessed,
        image: Some(image),
    }
}

impl World {
    /// A world with this domain in it, and nothing else.
    pub(super) fn with(name: &'static str, defined_by: &'static str, runs: &[Run]) -> Self {
        let domain = Domain {
            name,
            defined_by,
            runs: runs.to_vec(),
            forgotten_max: 0,
            cores: 0,
            snapshots: Vec::new(),
            managed: Managed::Nothing,
        };
        Self {
            domains: vec![domain],
            files: Vec::new(),
        }
    }

    /// The same with these files of the user's.
    pub(super) fn files(mut self, files: &[&'static str]) -> Self {
        self.files = files.to_vec();
        self
    }

    /// The same with the domain of another world, whose name comes later.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.domains.extend(other.domains);
        self
    }

    /// The same with the oldest run of the one domain, or without it.
    pub(super) fn with_or_without_oldest(mut self) -> Self {
        self.domains[0].forgotten_max = 1;
        self
    }

    /// The same with a core file of the one domain.
    pub(super) fn core(mut self) -> Self {
        self.domains[0].cores = 1;
        self
    }

    /// The same with these snapshots of the one domain.
    pub(super) fn snapshots(mut self, snapshots: &[&'static str]) -> Self {
        self.domains[0].snapshots = snapshots.to_vec();
        self
    }

    /// The same with a saved guest for the next start of the one domain.
    pub(super) fn managed(mut self) -> Self {
        self.domains[0].managed = Managed::Image;
        self
    }
}
