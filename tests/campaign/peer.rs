//! Verbs on something that is no QEMU, and says at its control socket whatever is worst (peer.py).

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::harness::{Host, Said, finish, spawn};
use crate::judge::judge_manners;
use crate::objection::Objection;
use crate::play::{ACT_BOUND, Played};
use crate::process::finish_child;
use crate::told::Told;

/// What it says.
pub(crate) const KINDS: &[&str] = &[
    "junk", "endless", "lines", "nested", "invalid", "closes", "greets", "agrees", "silent",
];

/// Memory that a command may address, in bytes: a peer that floods it takes no more.
const ADDRESS_SPACE: u64 = 512 << 20;

/// Verbs that need QEMU's answer, or do without.
pub(crate) const VERBS: &[&[&str]] = &[
    &["suspend", "v"],
    &["resume", "v"],
    &["reset", "v"],
    &["reboot", "v"],
    &["shutdown", "v"],
    &["inject-nmi", "v"],
    &["dompmwakeup", "v"],
    &["managedsave", "v"],
    &["domjobabort", "v"],
    &[
        "qemu-monitor-command",
        "v",
        "{\"execute\":\"query-status\"}",
    ],
    &["snapshot-create-as", "v", "s"],
    &["domblkerror", "v"],
    &["explain", "v"],
    &["destroy", "v", "--graceful"],
];

/// Plays `verbs`, one after the other; `say` hears what was done.
pub(crate) fn play(
    host: &Host,
    kind: &str,
    verbs: &[&[&str]],
    say: &dyn Fn(&str),
) -> Result<Played, Objection> {
    let mut played = Played::default();
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaign/peer.py");
    let peer = peer.to_str().unwrap();
    let start = ["start", "v", "--", "python3", peer, kind];
    let run = |args: &[&str]| -> Result<Said, Objection> {
        let mut command = Command::new("prlimit");
        command.arg(format!("--as={ADDRESS_SPACE}"));
        command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
        command.env("DOMSTATE_DIR", host.state_dir());
        let begun = Instant::now();
        let said = finish_child(spawn(command));
        say(&format!("{:.0?} {args:?}: {said:?}", begun.elapsed()));
        if begun.elapsed() > ACT_BOUND {
            return Err(Objection::Late(format!(
                "{args:?} took {:?}",
                begun.elapsed()
            )));
        }
        judge_manners(args, &said)?;
        Ok(said)
    };
    let started = finish(host.command(&start));
    say(&format!("{started:?}"));
    let ask =
        || -> Result<Told, Objection> { Ok(Told::read(&run(&["--format", "json", "v"])?.stdout)?) };
    let mut has_ended = false;
    for verb in verbs {
        run(verb)?;
        let told = ask()?;
        played.commands += 2;
        played.checks += 1;
        // Who agrees to everything and does nothing is believed that it has stopped; nobody is that it has shut down.
        let was_destroyed = has_ended || verb[0] == "destroy";
        has_ended = told.has_ended();
        if has_ended && !was_destroyed {
            return Err(format!("it lives, and domstate tells {told:?}").into());
        }
    }
    if !has_ended {
        run(&["destroy", "v"])?;
    }
    let told = ask()?;
    if told.state.to_string() != "shut off (destroyed)" {
        return Err(format!("it was destroyed, and domstate tells {told:?}").into());
    }
    played
        .ends
        .push(format!("{}, {}", told.state, told.certainty));
    Ok(played)
}
