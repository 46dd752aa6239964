//! Plays a story on whoever can tell it: the guest's side of it, and the questions after each step.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::super::harness::{Guest, PATIENCE, Said, is_alive, send, until};
use super::story::{Step, Story, Told, UNASKED};

/// Which of two hosts: the one that a story begins on, and the one that guests migrate to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Here,
    There,
}

/// Who tells a story: domstate, or virsh with a libvirt behind it.
pub(super) trait Teller {
    /// Runs a command of a story.
    fn run(&mut self, side: Side, words: &[&str]) -> Said;
    /// `state (reason)` of the domain now, or what is printed instead.
    fn answer(&mut self, side: Side, domain: &str) -> String;
    fn qemu_pid(&mut self, side: Side) -> i32;
    /// Kills whoever watches the domain.
    fn watcher_dies(&mut self);
    /// Puts another in its place.
    fn watcher_returns(&mut self);
    /// Where its commands are run; `DIR` in what they print.
    fn folder(&self) -> &Path;
    /// Where the guests' serial lines connect to.
    fn line(&self) -> &UnixListener;
}

/// When an answer is taken for the one that a step leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// As soon as it is the one that is expected.
    UntilExpected,
    /// When it has not changed for so long: only for a recording, which expects nothing.
    UntilQuiet(Duration),
}

/// States that something else follows by itself.
const PASSING: [&str; 5] = [
    "in shutdown (unknown)",
    "paused (starting up)",
    "paused (saving)",
    "paused (dumping)",
    "paused (creating snapshot)",
];

/// Plays the story; what was told after each step. `expected` is the answer after each.
pub(super) fn play(
    teller: &mut dyn Teller,
    story: &Story,
    expected: &[String],
    patience: Patience,
) -> Vec<Told> {
    let mut play = Play {
        teller,
        guest: None,
        domain: "v".to_owned(),
        side: Side::Here,
        patience,
    };
    let mut told = Vec::new();
    for (step, expected) in story.steps.iter().zip(expected) {
        told.push(play.step(step, expected));
    }
    if let (Some(last), Patience::UntilExpected) = (told.last_mut(), patience) {
        play.confirm(last);
    }
    told
}

struct Play<'a> {
    teller: &'a mut dyn Teller,
    guest: Option<Guest>,
    domain: String,
    /// Where the last step was.
    side: Side,
    patience: Patience,
}

impl Play<'_> {
    fn step(&mut self, step: &Step, expected: &str) -> Told {
        let (side, action) = match step.action.strip_prefix("there ") {
            Some(action) => (Side::There, action),
            None => (Side::Here, step.action.as_str()),
        };
        self.side = side;
        let printed = self.act(side, action);
        while let Some(guest) = Guest::waiting(self.teller.line()) {
            // A QEMU that could not start, or take a guest, may have connected, too.
            if !guest.is_gone() || self.guest.is_none() {
                self.guest = Some(guest);
            }
        }
        let answer = match step.told.answer.as_str() {
            UNASKED => UNASKED.to_owned(),
            _ => self.answer(side, expected),
        };
        if action.starts_with("start ") && answer == "running (booted)" && !is_refusal(&printed) {
            self.guest().hears("READY");
        }
        Told { answer, printed }
    }

    fn guest(&mut self) -> &mut Guest {
        self.guest.as_mut().expect("a guest's serial line")
    }

    /// Does what the step says; what its command printed.
    fn act(&mut self, side: Side, action: &str) -> String {
        let words: Vec<&str> = action.split(' ').collect();
        match words.as_slice() {
            // The guest echoes a letter before it obeys.
            ["key", key] => {
                self.guest().press(key.chars().next().unwrap());
                self.guest().hears(key);
            }
            ["guest", "boots"] => self.guest().hears("READY"),
            ["look"] => {}
            ["signal", number, "to", "QEMU"] => {
                let signal = Signal::try_from(number.parse::<i32>().unwrap()).unwrap();
                let pid = self.teller.qemu_pid(side);
                send(pid, signal);
                if ![Signal::SIGSTOP, Signal::SIGCONT].contains(&signal) {
                    until("QEMU's death", || !is_alive(pid));
                }
            }
            // What is printed then is chance.
            ["silently", words @ ..] => {
                self.act(side, &words.join(" "));
            }
            ["watcher", "dies"] => self.teller.watcher_dies(),
            ["watcher", "returns"] => self.teller.watcher_returns(),
            ["qemu-monitor-command", domain, ..] => {
                let command = action.split('\'').nth(1).expect("JSON in quotes");
                return self.run(side, &["qemu-monitor-command", domain, command]);
            }
            words => return self.run(side, words),
        }
        String::new()
    }

    fn run(&mut self, side: Side, words: &[&str]) -> String {
        let said = self.teller.run(side, words);
        let folder = self.teller.folder().display().to_string();
        let printed = format!("{}{}", said.stdout, said.stderr).replace(&folder, "DIR");
        let lines = printed.lines().map(str::trim_end);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let printed = lines.join("\n");
        let is_ok = said.code == Some(0);
        assert_eq!(is_ok, !is_refusal(&printed), "{words:?}: {said:?}");
        if let (["domrename", _, name], true) = (words, is_ok) {
            (*name).clone_into(&mut self.domain);
        }
        printed
    }

    /// The answer that the step leads to.
    fn answer(&mut self, side: Side, expected: &str) -> String {
        let deadline = Instant::now() + PATIENCE / 2;
        let mut answer = self.teller.answer(side, &self.domain);
        let mut since = Instant::now();
        loop {
            let is_it = match self.patience {
                Patience::UntilExpected => answer == expected,
                Patience::UntilQuiet(quiet) => {
                    since.elapsed() > quiet && !PASSING.contains(&answer.as_str())
                }
            };
            if is_it || Instant::now() > deadline {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(20));
            let now = self.teller.answer(side, &self.domain);
            if now != answer {
                (answer, since) = (now, Instant::now());
            }
        }
    }

    /// A guest that runs at the end executes, and what was to change nothing has changed nothing.
    fn confirm(&mut self, last: &mut Told) {
        if !last.answer.starts_with("running") {
            return;
        }
        self.guest().answers();
        let now = self.teller.answer(self.side, &self.domain);
        if now != last.answer {
            last.answer = format!("{}, then {now}", last.answer);
        }
    }
}

fn is_refusal(printed: &str) -> bool {
    printed.starts_with("error: ")
}
