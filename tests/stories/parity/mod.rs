//! What virsh tells and what domstate tells, beside each other. The stories of tests/virsh are written once, with the
//! answers that were recorded from virsh, and are played on either, step by step, on the real QEMU.
//!
//! - As they are, on domstate, against what was recorded. libvirt is not needed.
//! - With `DOMSTATE_UNDER_TEST=virsh`, on an installed libvirt, against the same.
//! - With `DOMSTATE_UNDER_TEST=both` (`make parity`), on both, against each other; with a table. `RECORD=1` records anew.
//!
//! Each difference is in a list, with both answers and the reason; another one fails.

mod devices;
mod differences;
mod domstate;
mod instance;
mod live;
mod player;
mod story;
mod table;
mod virsh;

use std::panic::{AssertUnwindSafe, catch_unwind};

use differences::{NOT_PLAYED, Verdict, expected_of_domstate, judge};
use domstate::Domstate;
use player::{Patience, play};
use story::{Story, Theme, Told};
use virsh::Virsh;

fn all_stories() -> Vec<Story> {
    let themes = Theme::names().into_iter().map(|name| Theme::read(&name));
    themes.flat_map(|theme| theme.stories).collect()
}

/// Why domstate does not play this story.
fn unplayed(story: &Story) -> Option<&'static str> {
    let unplayed = NOT_PLAYED.iter().find(|(name, _)| *name == story.name);
    unplayed.map(|(_, why)| *why)
}

/// What domstate tells; the reason if it cannot.
fn told_by_domstate(story: &Story) -> Result<Vec<Told>, String> {
    if let Some(why) = unplayed(story) {
        return Err(why.to_owned());
    }
    let steps = story.steps.iter();
    let expected = steps.map(|step| expected_of_domstate(step, &step.told).0.answer);
    let expected: Vec<String> = expected.collect();
    caught(|| {
        play(
            &mut Domstate::new(story),
            story,
            &expected,
            Patience::UntilExpected,
        )
    })
}

/// What virsh tells.
fn told_by_virsh(story: &Story, patience: Patience) -> Result<Vec<Told>, String> {
    let steps = story.steps.iter();
    let expected: Vec<String> = steps.map(|step| step.told.answer.clone()).collect();
    caught(|| play(&mut Virsh::new(story), story, &expected, patience))
}

/// A story that fails does not keep the others from being told.
fn caught(told: impl FnOnce() -> Vec<Told>) -> Result<Vec<Told>, String> {
    catch_unwind(AssertUnwindSafe(told)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("failed: {}", text.unwrap_or_default())
    })
}

/// Plays a theme on whoever is under test, against what was recorded; or on both, against each other.
fn check(theme: &str) {
    let under_test = std::env::var("DOMSTATE_UNDER_TEST");
    let is_virsh = match under_test.as_deref() {
        Err(_) | Ok("domstate") => false,
        Ok("virsh") => true,
        Ok("both") => return live::compare(theme),
        Ok(other) => panic!("DOMSTATE_UNDER_TEST={other}"),
    };
    let mut failures = Vec::new();
    for story in Theme::read(theme).stories {
        if !is_virsh && unplayed(&story).is_some() {
            continue;
        }
        let told = if is_virsh {
            told_by_virsh(&story, Patience::UntilExpected)
        } else {
            told_by_domstate(&story)
        };
        let told = match told {
            Ok(told) => told,
            Err(why) => {
                failures.push(format!("{}: {why}", story.name));
                continue;
            }
        };
        for (step, told) in story.steps.iter().zip(told) {
            let is_right = if is_virsh {
                told == step.told
            } else {
                !matches!(judge(step, &step.told, &told), Verdict::Undocumented)
            };
            if !is_right {
                let recorded = &step.told;
                failures.push(format!(
                    "{}: {}\n  recorded {recorded:?}\n  told     {told:?}",
                    story.name, step.action
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

macro_rules! themes {
    ($($theme:ident)+) => {
        $(#[test] fn $theme() { check(stringify!($theme)); })+

        const THEMES: &[&str] = &[$(stringify!($theme)),+];
    };
}

themes!(disks dumps ends lives migrations names policies refusals saves snapshots watchdog watchers);

#[test]
fn every_theme_is_played_and_no_two_stories_have_the_same_name() {
    assert_eq!(Theme::names(), THEMES);
    let mut names: Vec<String> = all_stories().into_iter().map(|story| story.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 60, "{count} stories");
}
