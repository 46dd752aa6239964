//! Stories as text: what happens to a guest, step by step, and what virsh answered and printed after each step.
//!
//! ```text
//! ## a name
//! domain: on_crash=preserve watchdog=pause
//! start v -> running (booted)
//!     Domain 'v' started
//! key p -> crashed (panicked)
//! signal 15 to QEMU -> shut off (shutdown)
//! ! it had crashed -> shut off (crashed)
//! ```
//!
//! The last line says that domstate answers otherwise there, and by which name the reason is known. What it prints
//! otherwise stands below, as virsh's words do; nothing, where it prints the same.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Stories of one theme, in a file of their own.
pub(super) struct Theme {
    pub(super) path: PathBuf,
    pub(super) stories: Vec<Story>,
}

#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) name: String,
    /// What the domain is like: `on_crash=preserve`, say.
    pub(super) domain: Vec<(String, String)>,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) action: String,
    /// What virsh told.
    pub(super) told: Told,
    pub(super) difference: Option<Difference>,
}

/// What domstate tells otherwise, on purpose.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) reason: String,
    pub(super) told: Told,
}

/// What was told after a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `state (reason)`; [`UNASKED`] where nobody could be asked.
    pub(super) answer: String,
    /// What the command of the step printed, without its blank lines.
    pub(super) printed: String,
}

/// The answer of a step after which nobody is asked.
pub(super) const UNASKED: &str = "-";

impl Story {
    /// What the domain's setting `key` is.
    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        let found = self.domain.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// The folder of the stories.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/virsh")
}

impl Theme {
    /// The theme of this name.
    pub(super) fn read(name: &str) -> Self {
        let path = folder().join(format!("{name}.story"));
        let text = fs::read_to_string(&path).unwrap();
        let stories = text.split("\n## ").skip(1);
        let stories = stories.map(story).collect();
        Self { path, stories }
    }

    /// The names of all themes there are.
    pub(super) fn names() -> Vec<String> {
        let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap());
        let names = files.map(|file| file.file_name().into_string().unwrap());
        let mut names: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".story").map(str::to_owned))
            .collect();
        names.sort_unstable();
        names
    }

    /// Writes the theme anew under this first line.
    pub(super) fn write(&self, heading: &str) {
        let mut text = format!("# {heading}\n");
        for story in &self.stories {
            let _ = write!(text, "\n## {}\n", story.name);
            let domain = story
                .domain
                .iter()
                .map(|(key, value)| format!(" {key}={value}"));
            let domain: String = domain.collect();
            if !domain.is_empty() {
                let _ = writeln!(text, "domain:{domain}");
            }
            for step in &story.steps {
                write_told(&mut text, &step.action, &step.told);
                if let Some(Difference { reason, told }) = &step.difference {
                    write_told(&mut text, &format!("! {reason}"), told);
                }
            }
        }
        fs::write(&self.path, text).unwrap();
    }
}

fn story(text: &str) -> Story {
    let (name, rest) = text.split_once('\n').unwrap();
    let mut story = Story {
        name: name.to_owned(),
        domain: Vec::new(),
        steps: Vec::new(),
    };
    for line in rest.lines().filter(|line| !line.is_empty()) {
        if let Some(settings) = line.strip_prefix("domain: ") {
            let settings = settings.split(' ').map(|s| s.split_once('=').unwrap());
            story.domain = settings
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect();
        } else if let Some(printed) = line.strip_prefix("    ") {
            let step = story.steps.last_mut().unwrap();
            let told = step
                .difference
                .as_mut()
                .map(|difference| &mut difference.told);
            let told = told.unwrap_or(&mut step.told);
            told.printed = joined(&told.printed, printed);
        } else {
            let told = line.rsplit_once(" -> ");
            let (what, answer) = told.unwrap_or_else(|| panic!("{name}: no answer: {line}"));
            let told = Told {
                answer: answer.to_owned(),
                printed: String::new(),
            };
            match what.strip_prefix("! ") {
                Some(reason) => {
                    let reason = reason.to_owned();
                    let step = story.steps.last_mut().unwrap();
                    step.difference = Some(Difference { reason, told });
                }
                None => story.steps.push(Step {
                    action: what.to_owned(),
                    told,
                    difference: None,
                }),
            }
        }
    }
    story
}

fn write_told(text: &mut String, what: &str, told: &Told) {
    let _ = writeln!(text, "{what} -> {}", told.answer);
    for line in told.printed.lines() {
        let _ = writeln!(text, "    {line}");
    }
}

fn joined(lines: &str, line: &str) -> String {
    match lines {
        "" => line.to_owned(),
        _ => format!("{lines}\n{line}"),
    }
}
