//! virsh's own answers, recorded, beside domstate's: the stories of tests/virsh/9.0.0.txt are played again on the real
//! QEMU, step by step. Each difference is in a list, with both answers and the reason; another one fails.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;

use super::harness::{Guest, Host, send};

const RECORDED: &str = include_str!("../virsh/9.0.0.txt");

/// Where domstate answers otherwise, on purpose: story, step, virsh's answer, domstate's, and why.
const DIFFERENCES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "sigterm",
        "signal 15 to QEMU",
        "shut off (shutdown)",
        "shut off (destroyed)",
        ENDED_FROM_OUTSIDE,
    ),
    (
        "sigint",
        "signal 2 to QEMU",
        "in shutdown (unknown)",
        "shut off (destroyed)",
        ENDED_FROM_OUTSIDE,
    ),
    (
        "qmp stop/cont outside",
        r#"qemu-monitor-command v '{"execute":"quit"}'"#,
        "shut off (shutdown)",
        "shut off (destroyed)",
        ENDED_FROM_OUTSIDE,
    ),
    (
        "save/restore",
        "restore v.save --paused",
        "paused (migrating)",
        "paused (user)",
        NOTHING_MIGRATES,
    ),
    (
        "suspend,save,restore",
        "restore v.save",
        "paused (migrating)",
        "paused (user)",
        NOTHING_MIGRATES,
    ),
];

const ENDED_FROM_OUTSIDE: &str = "the guest lost its power, and did not shut itself down";
const NOTHING_MIGRATES: &str = "a guest that was restored and left paused does not migrate";

/// What domstate has not got of libvirt: its policy for a watchdog that dumps, and its daemon.
const NOT_PLAYED: &[&str] = &["watchdog dump", "daemon restarts"];

/// One step of a story.
#[derive(Debug)]
struct Step {
    action: String,
    answer: String,
    /// What the command printed, where it was one.
    printed: Option<String>,
}

/// The recorded stories by name. Of a name that was recorded twice the second counts: the first did not press the key.
fn stories() -> BTreeMap<&'static str, Vec<Step>> {
    let mut stories = BTreeMap::new();
    for story in RECORDED.split("\n## ").skip(1) {
        let (name, steps) = story.split_once('\n').unwrap();
        // A message of two lines goes on without an indent.
        let steps = steps.replace("\nerror: ", "\u{1}error: ");
        let steps = steps.lines().filter(|line| line.starts_with("   "));
        stories.insert(name, steps.map(step).collect::<Vec<Step>>());
    }
    stories
}

fn step(line: &str) -> Step {
    let line = line.trim().replace('\u{1}', "\n");
    let (action, rest) = line.split_once(" -> ").unwrap();
    let (answer, printed) = match rest.split_once("   [") {
        Some((answer, printed)) => (answer, printed.strip_suffix(']')),
        None => (rest, None),
    };
    Step {
        action: action.trim().to_owned(),
        answer: answer.trim().to_owned(),
        printed: printed.map(str::to_owned),
    }
}

/// What virsh's domain was defined with in this story.
fn options(story: &str) -> (Vec<&str>, Vec<&str>) {
    let mut qemu = vec!["-device", "pvpanic"];
    let mut policies = Vec::new();
    if let Some(policy) = story.strip_prefix("panic on_crash=") {
        policies = vec!["--on-crash", policy];
    } else if story == "poweroff restart" {
        policies = vec!["--on-poweroff", "restart"];
    } else if story == "reboot destroy" {
        policies = vec!["--on-reboot", "destroy"];
    } else if let Some(action) = story.strip_prefix("watchdog ") {
        qemu.extend(["-device", "ib700", "-action"]);
        qemu.push(match action {
            "pause" => "watchdog=pause",
            "poweroff" => "watchdog=poweroff",
            "reset" => "watchdog=reset",
            "shutdown" => "watchdog=shutdown",
            "none" => "watchdog=none",
            "inject-nmi" => "watchdog=inject-nmi",
            other => panic!("watchdog {other}"),
        });
    }
    (policies, qemu)
}

/// A guest that goes through a story.
struct Play {
    host: Host,
    line: std::os::unix::net::UnixListener,
    guest: Option<Guest>,
    story: &'static str,
    is_defined: bool,
    /// It was reset and is to boot as soon as it runs.
    boots_next: bool,
}

impl Play {
    fn new(story: &'static str) -> Self {
        let host = Host::new();
        let line = host.line("v");
        Self {
            host,
            line,
            guest: None,
            story,
            is_defined: false,
            boots_next: false,
        }
    }

    /// Whether the guest is started afresh by a step, if it does not end by it.
    fn is_fresh_start(&self, action: &str) -> bool {
        let by_watchdog = action == "key g" && self.story == "watchdog reset";
        by_watchdog
            || ["reset v", "key r", "key o", "key p"].contains(&action)
            || action.ends_with("--reset")
    }

    /// Does what the step says; what a command printed, without its last newline.
    fn act(&mut self, action: &str) -> Option<String> {
        let words: Vec<&str> = action.split(' ').collect();
        match words.as_slice() {
            ["key", key] => {
                let key = key.chars().next().unwrap();
                self.guest.as_mut().unwrap().press(key);
                None
            }
            ["signal", number, "to", "QEMU"] => {
                let signal = number.parse::<i32>().unwrap();
                let signal = Signal::try_from(signal).unwrap();
                send(self.host.qemu_pid("v"), signal);
                None
            }
            ["sleep", _] => None,
            ["qemu-monitor-command", "v", ..] => {
                let command = action.split('\'').nth(1).unwrap();
                self.command(&["qemu-monitor-command", "v", command]);
                None
            }
            ["start", ..] => Some(self.start(&words)),
            ["restore", ..] => {
                let said = self.command(&words);
                self.guest = Some(Guest::taken(&self.line));
                Some(said)
            }
            _ => Some(self.command(&words)),
        }
    }

    fn start(&mut self, words: &[&str]) -> String {
        let argv = self.host.argv("v", &options(self.story).1);
        let mut args = words.to_vec();
        let is_new = !std::mem::replace(&mut self.is_defined, true);
        if is_new {
            args.extend(options(self.story).0);
            args.push("--");
            args.extend(argv.iter().map(String::as_str));
        }
        let said = self.command(&args);
        let mut guest = Guest::taken(&self.line);
        if is_new && !words.contains(&"--paused") {
            guest.hears("READY");
        }
        self.guest = Some(guest);
        said
    }

    fn command(&self, words: &[&str]) -> String {
        let mut command = self.host.command(words);
        command.current_dir(self.host.folder());
        let said = super::harness::finish(command);
        format!("{}{}", said.stdout, said.stderr)
            .trim_end()
            .to_owned()
    }

    fn play(&mut self, step: &Step) {
        let printed = self.act(&step.action);
        let difference = DIFFERENCES
            .iter()
            .find(|(story, action, ..)| *story == self.story && *action == step.action);
        let wanted = match difference {
            Some((_, _, virsh, ours, _)) => {
                assert_eq!(step.answer, *virsh, "{}: {}", self.story, step.action);
                *ours
            }
            None => step.answer.as_str(),
        };
        self.boots_next |= self.is_fresh_start(&step.action);
        if self.boots_next && wanted.starts_with("running") {
            self.guest.as_mut().unwrap().hears("READY");
            self.boots_next = false;
        }
        self.host.wait_for("v", wanted);
        if let (Some(printed), Some(recorded)) = (printed, &step.printed) {
            // The one success message that names libvirt.
            let recorded = recorded.replace("saved by libvirt", "saved by domstate");
            assert_eq!(printed, recorded, "{}: {step:?}", self.story);
        }
    }
}

fn play(story: &'static str) {
    let stories = stories();
    let mut play = Play::new(story);
    for step in &stories[story] {
        play.play(step);
    }
    if play.host.answer("v").starts_with("running") {
        // What was to change nothing has changed nothing.
        play.guest.as_mut().unwrap().answers();
        let last = stories[story].last().unwrap();
        play.host.wait_for("v", &last.answer);
    }
}

macro_rules! stories {
    ($($test:ident = $story:literal),+ $(,)?) => {
        $(#[test] fn $test() { play($story); })+

        const PLAYED: &[&str] = &[$($story),+];
    };
}

stories!(
    guest_poweroff = "guest poweroff",
    sigterm = "sigterm",
    sigkill = "sigkill",
    sigsegv = "sigsegv",
    sigint = "sigint",
    panic_destroy = "panic on_crash=destroy",
    panic_restart = "panic on_crash=restart",
    panic_preserve = "panic on_crash=preserve",
    panic_coredump_destroy = "panic on_crash=coredump-destroy",
    panic_coredump_restart = "panic on_crash=coredump-restart",
    crashload = "crashload",
    s3 = "s3",
    s4 = "s4",
    poweroff_restart = "poweroff restart",
    reboot_destroy = "reboot destroy",
    reboot_restart = "reboot restart",
    reset = "reset",
    suspend_resume = "suspend/resume",
    save_restore = "save/restore",
    suspend_save_restore = "suspend,save,restore",
    managedsave = "managedsave",
    dump = "dump",
    dump_reset = "dump reset",
    start_paused = "start paused",
    destroy_graceful = "destroy graceful",
    shutdown_ignored = "shutdown acpi ignored",
    nmi = "nmi",
    watchdog_pause = "watchdog pause",
    watchdog_poweroff = "watchdog poweroff",
    watchdog_reset = "watchdog reset",
    watchdog_shutdown = "watchdog shutdown",
    watchdog_none = "watchdog none",
    watchdog_inject_nmi = "watchdog inject-nmi",
    qmp_outside = "qmp stop/cont outside",
);

#[test]
fn every_recorded_story_is_played_or_named_as_one_that_cannot_be() {
    let mut known: Vec<&str> = [PLAYED, NOT_PLAYED].concat();
    known.sort_unstable();
    let recorded: Vec<&str> = stories().into_keys().collect();
    assert_eq!(recorded, known);
}

#[test]
fn every_difference_is_one_from_a_recorded_step_and_has_a_reason() {
    let stories = stories();
    for (story, action, virsh, ours, why) in DIFFERENCES {
        let recorded = stories[story].iter().find(|step| step.action == *action);
        let recorded = &recorded.expect(action).answer;
        assert_eq!(recorded, virsh, "{story}: {action}");
        assert_ne!(virsh, ours, "{story}: {action}");
        assert!(!why.is_empty());
    }
}
