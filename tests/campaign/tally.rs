//! What is counted of a campaign, and what is kept of it.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;
use std::sync::LazyLock;

use crate::act::Theme;
use crate::failure::Failure;
use crate::harness;
use crate::pairs;
use crate::play::{Count, Faults, Played, freezer_lack, whose_clock};
use crate::record::Record;
use crate::story::Story;
use crate::volume::FileSystem;

/// Stories about one thing.
#[derive(Default)]
struct Subject {
    stories: u64,
    faults: Faults,
}

/// See the module.
pub(crate) struct Tally {
    is_kept: bool,
    record: Record,
    pub(crate) stories: u64,
    subjects: BTreeMap<String, Subject>,
    file_systems: BTreeMap<String, u64>,
    checks: u64,
    unsettled: u64,
    commands: u64,
    acts: BTreeMap<String, Count>,
    ends: BTreeMap<String, u64>,
    unknown: u64,
    not_run: u64,
    hung: u64,
    slowest_ms: BTreeMap<String, u128>,
    /// How each story that was objected to is played again, and the objection.
    objections: Vec<Vec<String>>,
}

impl Tally {
    /// Of a run that `command` repeats. `name` is the record that it renews, if it may.
    pub(crate) fn begin(name: Option<&'static str>, command: String, seed: u64) -> Self {
        let mut record = Record::begin(name.unwrap_or_default(), command);
        record.seed(seed);
        Self {
            is_kept: name.is_some(),
            record,
            stories: 0,
            subjects: BTreeMap::new(),
            file_systems: BTreeMap::new(),
            checks: 0,
            unsettled: 0,
            commands: 0,
            acts: BTreeMap::new(),
            ends: BTreeMap::new(),
            unknown: 0,
            not_run: 0,
            hung: 0,
            slowest_ms: BTreeMap::new(),
            objections: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, subject: &str, story: &Story, played: &Result<Played, Failure>) {
        self.stories += 1;
        let of_subject = self.subjects.entry(subject.to_owned()).or_default();
        of_subject.stories += 1;
        if let Ok(played) = played {
            of_subject.faults += played.faults;
        }
        let file_system = match (
            story.file_system,
            story.file_system.and_then(FileSystem::lack),
        ) {
            (None, _) => format!("the host's own ({})", own_file_system()),
            (Some(kind), None) => kind.name().to_owned(),
            (Some(kind), Some(lack)) => format!("{}: not run, {lack}", kind.name()),
        };
        *self.file_systems.entry(file_system).or_insert(0) += 1;
        if let Some((kind, _)) = &story.peer {
            self.has_happened(format!("a peer that is no QEMU: {kind}"));
        } else if story.theme == Theme::Clock {
            self.has_happened(whose_clock().to_owned());
        }
        if let Some(journey) = &story.journey {
            self.has_happened(format!("the guest goes to another QEMU: {}", journey.way));
        }
        let played = match played {
            Ok(played) => played,
            Err(failure) => return self.objections.push(failure.row()),
        };
        for (kind, count) in &played.done {
            let lack = freezer_lack().filter(|_| kind.contains("control group"));
            let kind = format!("{kind}{}", lack.unwrap_or_default());
            *self.acts.entry(kind).or_default() += *count;
        }
        self.checks += played.checks;
        self.unsettled += played.unsettled;
        self.commands += played.commands;
        self.hung += u64::from(played.hung);
        self.not_run += u64::from(!played.ran && !played.hung);
        for end in &played.ends {
            self.unknown += u64::from(end.contains("unknown"));
            *self.ends.entry(end.clone()).or_insert(0) += 1;
        }
        for (verb, took) in &played.slowest {
            let slowest = self.slowest_ms.entry(verb.clone()).or_insert(0);
            *slowest = (*slowest).max(took.as_millis());
        }
    }

    /// Counts what a whole story is about.
    fn has_happened(&mut self, what: String) {
        *self.acts.entry(what).or_default() += Count {
            tried: 1,
            came_to_pass: 1,
        };
    }

    pub(crate) fn keep(mut self) {
        if !self.is_kept {
            return;
        }
        let rows = |counts: &BTreeMap<String, u64>| -> Vec<Vec<String>> {
            let pairs = counts.iter();
            pairs
                .map(|(what, count)| vec![what.clone(), count.to_string()])
                .collect()
        };
        let whole = [
            ("stories", self.stories),
            (
                "stories that were objected to",
                self.objections.len() as u64,
            ),
            ("answers held against the witness", self.checks),
            (
                "answers not judged: something went on changing",
                self.unsettled,
            ),
            ("commands of domstate run", self.commands),
            (
                "stories not run, for want of their file system",
                self.not_run,
            ),
            (
                "stories that came to no end: QEMU met an error and hung",
                self.hung,
            ),
        ];
        let whole: Vec<Vec<String>> = whole
            .iter()
            .map(|(what, count)| vec![(*what).to_owned(), count.to_string()])
            .collect();
        let slowest: Vec<Vec<String>> = self
            .slowest_ms
            .iter()
            .map(|(verb, ms)| vec![verb.clone(), ms.to_string()])
            .collect();
        self.record
            .table("What was played:", &["", "count"], &whole);
        if !self.objections.is_empty() {
            self.record.table(
                "Objections. Each is a false answer, or a mistake of the judge's or of the host's:",
                &["played again by", "objection"],
                &self.objections,
            );
        }
        let of_subject = |(name, subject): (&String, &Subject)| {
            let Faults { asked, fired, .. } = subject.faults;
            vec![
                name.clone(),
                subject.stories.to_string(),
                asked.to_string(),
                fired.to_string(),
            ]
        };
        let subjects: Vec<Vec<String>> = self.subjects.iter().map(of_subject).collect();
        self.record.table(
            "Stories by what they are about (but for the random ones, and for two verbs at once, one for each system call and \
             fault), with the faults that \
             were set up and those of them that came to pass, as strace saw it:",
            &["subject", "stories", "faults", "came to pass"],
            &subjects,
        );
        self.record.table(
            "File systems that the state directory lay on:",
            &["file system", "stories"],
            &rows(&self.file_systems),
        );
        self.record.table(
            "Ends that were told, with how certain domstate was:",
            &["answer", "count"],
            &rows(&self.ends),
        );
        self.record.table(
            "Answers that were printed by other commands meanwhile:",
            &["answer", "count"],
            &rows(&pairs::seen()),
        );
        let of_act = |(act, count): (&String, &Count)| {
            let Count {
                tried,
                came_to_pass,
            } = count;
            vec![act.clone(), tried.to_string(), came_to_pass.to_string()]
        };
        let acts: Vec<Vec<String>> = self.acts.iter().map(of_act).collect();
        self.record.table(
            "What was done in the stories that were not objected to, and how often that came to pass, in that there was anybody \
             to do it to. What a fault did is told above.",
            &["act", "tried", "came to pass"],
            &acts,
        );
        self.record.table(
            "The slowest command of each verb (the machine was busy with other stories):",
            &["verb", "ms"],
            &slowest,
        );
        self.record.keep(&harness::qemu());
    }
}

/// What temporary files lie on.
fn own_file_system() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let mut stat = Command::new("stat");
        stat.args(["-f", "-c", "%T"]).arg(std::env::temp_dir());
        let output = stat.output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    });
    &NAME
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} stories, {} answers held against the witness, {} commands; ends:",
            self.stories, self.checks, self.commands
        )?;
        for (end, count) in &self.ends {
            writeln!(f, "{count:>8}  {end}")?;
        }
        for (name, subject) in &self.subjects {
            let Faults { asked, fired, .. } = subject.faults;
            writeln!(f, "{name}: {fired} of {asked} faults came to pass")?;
        }
        writeln!(f, "file systems:")?;
        for (file_system, count) in &self.file_systems {
            writeln!(f, "{count:>8}  {file_system}")?;
        }
        Ok(())
    }
}
