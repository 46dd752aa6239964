//! Both live.

use std::io::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use super::player::Patience;
use super::story::{Story, Theme};
use super::table::{Played, table};
use super::{told_by_domstate, told_by_virsh};

/// Many a story waits more than it works.
const AT_ONCE: usize = 4;

/// Nothing that follows a step by itself comes later than this after what went before.
const QUIET: Duration = Duration::from_secs(2);

/// Plays a theme on both, and prints the table; a difference that is not documented fails.
pub(super) fn compare(name: &str) {
    let is_recording = std::env::var("DOMSTATE_RECORD").is_ok_and(|value| !value.is_empty());
    // Only stories and themes of this name.
    let only = std::env::var("DOMSTATE_STORIES").unwrap_or_default();
    let mut theme = Theme::read(name);
    let is_wanted = |story: &Story| name == only || story.name.contains(&only);
    if !theme.stories.iter().any(is_wanted) {
        return;
    }
    if is_recording {
        record(&mut theme, is_wanted);
    }
    let stories = theme.stories.into_iter().filter(is_wanted);
    let played = at_once(stories.collect(), |story| Played {
        virsh: if is_recording {
            Ok(story.steps.iter().map(|step| step.told.clone()).collect())
        } else {
            told_by_virsh(&story, Patience::UntilExpected)
        },
        domstate: told_by_domstate(&story),
        story,
    });
    let (table, undocumented) = table(&played);
    let failed = played
        .iter()
        .flat_map(|played| [&played.virsh, &played.domstate]);
    let failed: Vec<&String> = failed
        .filter_map(|told| told.as_ref().err())
        .filter(|why| why.starts_with("failed"))
        .collect();
    let _ = writeln!(
        std::io::stdout(),
        "\n{table}\n{name}: {} stories, {undocumented} undocumented differences",
        played.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(undocumented, 0, "undocumented differences");
}

/// Puts down in the stories what virsh tells.
fn record(theme: &mut Theme, is_wanted: impl Fn(&Story) -> bool) {
    let stories = std::mem::take(&mut theme.stories);
    let is_wanted: Vec<bool> = stories.iter().map(is_wanted).collect();
    let stories = stories.into_iter().zip(is_wanted).collect();
    theme.stories = at_once(stories, |(mut story, is_wanted): (Story, bool)| {
        if is_wanted {
            let told = told_by_virsh(&story, Patience::UntilQuiet(QUIET));
            match told {
                Ok(told) => {
                    for (step, told) in story.steps.iter_mut().zip(told) {
                        step.told = told;
                    }
                }
                Err(why) => {
                    let _ = writeln!(std::io::stdout(), "{}: not recorded: {why}", story.name);
                }
            }
        }
        story
    });
    theme.write(&versions());
}

/// Who it is recorded from, and when.
fn versions() -> String {
    let first_line = |program: &str, args: &[&str]| {
        let said = Command::new(program).args(args).output().expect(program);
        let said = String::from_utf8(said.stdout).unwrap();
        said.lines().next().unwrap().trim().to_owned()
    };
    let libvirt = first_line("virsh", &["--version"]);
    let qemu = first_line(&super::super::harness::qemu(), &["--version"]);
    let date = first_line("date", &["-u", "+%Y-%m-%d"]);
    format!("Told by virsh of libvirt {libvirt}, with {qemu}, under TCG, on {date}.")
}

/// Does it to all, some at once; the results in the same order.
fn at_once<T: Send, R: Send>(all: Vec<T>, act: impl Fn(T) -> R + Sync) -> Vec<R> {
    let waiting = Mutex::new(all.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((number, one)) = next else { break };
                    let result = act(one);
                    done.lock().unwrap().push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}
