//! A cause in a line for people: its kind, and what is known beyond that.

use std::fmt::Write;

use crate::domain::{Actor, Cause, Exit, IoError, OomScope, SignalSender};
use crate::store::encode::{cause_kind, signal_name};

/// `host-signal: SIGTERM from pid 811 (systemd)`. Not escaped.
pub(super) fn cause_text(cause: &Cause) -> String {
    format!("{}: {}", cause_kind(cause), detail(cause))
}

fn detail(cause: &Cause) -> String {
    match cause {
        Cause::GuestShutdown => "the guest powered itself off".to_owned(),
        Cause::GuestReset => "the guest was reset, by itself or by a fault of its processor, which ends this domain".to_owned(),
        Cause::GuestPanic { info, kept } => {
            let info = info.as_deref().unwrap_or("QEMU knows no more of it");
            let kept = kept
                .as_deref()
                .map(|why| format!(" (kept as it is: {why})"));
            let kept = kept.unwrap_or_default();
            format!("the guest's kernel panicked: {info}{kept}")
        }
        Cause::GuestExit { status } | Cause::ExitStatus { status } => format!("status {status}"),
        Cause::Signal {
            signal,
            core_dumped,
        } => ended_by(*signal, *core_dumped),
        Cause::OomKill(oom) => {
            let whose = match oom.scope() {
                Some(OomScope::Cgroup) => "from the kernel, the memory of its control group was used up",
                Some(OomScope::Host) => "from the kernel, the memory of the host was used up",
                None => "just as the kernel killed somebody for want of memory",
            };
            format!("SIGKILL {whose}: {}", oom.evidence())
        }
        Cause::Watchdog { action } => format!("it fired, and QEMU's action was {action}"),
        Cause::IoError(error) => io_error(error),
        Cause::HostSignal(sender) => sent(sender),
        Cause::QmpQuit => {
            "QEMU was told to quit: over its monitor, by Ctrl-A x, or by its GTK window".to_owned()
        }
        Cause::QmpReset => {
            "it was reset over QEMU's monitor, and its QEMU does not reboot".to_owned()
        }
        Cause::HostUi => "QEMU's window was closed, or its debugger killed the guest".to_owned(),
        Cause::Asked {
            verb,
            actor: Actor { uid, pid, command },
        } => format!("{} by uid {uid}, pid {pid} ({command})", verb.word()),
        Cause::StartFailure { exit, message } => {
            let exit = exit.map(|exit| match exit {
                Exit::Status(status) => format!("exit status {status}"),
                Exit::Signal {
                    signal,
                    core_dumped,
                } => ended_by(signal, core_dumped),
            });
            match (exit, message) {
                (Some(exit), Some(message)) => format!("{exit}: {message}"),
                (Some(exit), None) => exit,
                (None, Some(message)) => message.clone(),
                (None, None) => "QEMU ended before it was ready, and nobody saw how".to_owned(),
            }
        }
        Cause::HostRestart => "the host went down, and the guest with it".to_owned(),
        Cause::NeverRun => "defined, and never started".to_owned(),
        Cause::JournalDamaged { file, why } => format!("{file}: {why}"),
        Cause::StatusLost => "QEMU is gone, and nobody saw how it ended".to_owned(),
        Cause::Unattributed { why } => format!("QEMU said that the guest shut down, but {why}"),
        Cause::MaybeMigrated => {
            "QEMU ended while the last of the guest went to another QEMU, or after somebody else sent it away: it may run there"
                .to_owned()
        }
    }
}

fn ended_by(signal: i32, core_dumped: bool) -> String {
    let name = signal_name(signal);
    match core_dumped {
        true => format!("{name} (core dumped)"),
        false => name.into_owned(),
    }
}

/// `SIGTERM from pid 811 (systemd)`, as far as QEMU tells.
fn sent(sender: &SignalSender) -> String {
    let signal = sender.signal.map(signal_name);
    let mut text = signal.map_or_else(|| "a signal".to_owned(), |name| name.into_owned());
    if let Some(pid) = sender.pid {
        let _ = write!(text, " from pid {pid}");
    }
    if let Some(command) = &sender.command {
        let _ = write!(text, " ({})", program(command));
    }
    text
}

/// A program's name without its folder. A text with spaces is no path alone and stays as it is.
fn program(command: &str) -> &str {
    match command.rsplit_once('/') {
        Some((_, name)) if !command.contains(' ') && !name.is_empty() => name,
        Some(_) | None => command,
    }
}

/// `write on virtio0 (node disk0): No space left on device`.
fn io_error(error: &IoError) -> String {
    let mut text = error.operation.as_deref().unwrap_or("request").to_owned();
    match (&error.device, &error.node) {
        (Some(device), Some(node)) if !device.is_empty() => {
            let _ = write!(text, " on {device} (node {node})");
        }
        (Some(device), None) => {
            let _ = write!(text, " on {device}");
        }
        // QEMU names a disk of -blockdev by its node, and leaves its device empty.
        (_, Some(node)) => {
            let _ = write!(text, " on node {node}");
        }
        (None, None) => {}
    }
    match (&error.error, error.nospace) {
        (Some(words), _) => text.push_str(&format!(": {words}")),
        (None, true) => text.push_str(": no space left"),
        (None, false) => text.push_str(" failed"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verb;

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_cause_names_its_kind_and_what_is_known() {
        let signal = |signal, core_dumped| Cause::Signal {
            signal,
            core_dumped,
        };
        let start = |exit, message| Cause::StartFailure { exit, message };
        let actor = Actor {
            uid: 0,
            pid: 811,
            command: "domstate destroy v".to_owned(),
        };
        for (cause, line) in [
            (
                Cause::GuestShutdown,
                "guest-shutdown: the guest powered itself off",
            ),
            (
                Cause::GuestPanic {
                    info: text("{}"),
                    kept: text("5 restarts in 60 s"),
                },
                "guest-panic: the guest's kernel panicked: {} (kept as it is: 5 restarts in 60 s)",
            ),
            (Cause::GuestExit { status: 33 }, "guest-exit: status 33"),
            (Cause::ExitStatus { status: 1 }, "exit-status: status 1"),
            (signal(9, false), "signal: SIGKILL"),
            (signal(11, true), "signal: SIGSEGV (core dumped)"),
            (signal(64, false), "signal: signal 64"),
            (
                Cause::Asked {
                    verb: Verb::Destroy,
                    actor,
                },
                "asked: destroy by uid 0, pid 811 (domstate destroy v)",
            ),
            (
                start(Some(Exit::Status(1)), text("qemu: no disk")),
                "start-failure: exit status 1: qemu: no disk",
            ),
            (
                start(
                    Some(Exit::Signal {
                        signal: 6,
                        core_dumped: true,
                    }),
                    None,
                ),
                "start-failure: SIGABRT (core dumped)",
            ),
            (start(None, text("no disk")), "start-failure: no disk"),
            (
                Cause::JournalDamaged {
                    file: "journal".to_owned(),
                    why: "cut".to_owned(),
                },
                "journal-damaged: journal: cut",
            ),
        ] {
            assert_eq!(cause_text(&cause), line);
        }
    }

    #[test]
    fn a_sender_is_told_as_far_as_qemu_names_it() {
        let sender = |signal, pid, command: Option<&str>| SignalSender {
            signal,
            pid,
            command: command.map(str::to_owned),
        };
        for (sender, line) in [
            (
                sender(Some(15), Some(811), Some("/usr/lib/systemd/systemd")),
                "SIGTERM from pid 811 (systemd)",
            ),
            (
                sender(Some(15), Some(811), Some("<unknown process>")),
                "SIGTERM from pid 811 (<unknown process>)",
            ),
            (
                sender(Some(1), Some(8), Some("/bin/sh a/b")),
                "SIGHUP from pid 8 (/bin/sh a/b)",
            ),
            (sender(Some(2), None, None), "SIGINT"),
            (sender(None, None, None), "a signal"),
        ] {
            assert_eq!(sent(&sender), line);
        }
    }

    #[test]
    fn a_disk_is_named_by_its_device_or_its_node() {
        let error = |device, node, nospace, error| IoError {
            device,
            node,
            operation: text("write"),
            nospace,
            error,
        };
        for (error, line) in [
            (
                error(
                    text("virtio0"),
                    text("disk0"),
                    true,
                    text("No space left on device"),
                ),
                "write on virtio0 (node disk0): No space left on device",
            ),
            (
                error(text(""), text("disk0"), true, None),
                "write on node disk0: no space left",
            ),
            (
                error(text("ide0"), None, false, None),
                "write on ide0 failed",
            ),
            (IoError::default(), "request failed"),
        ] {
            assert_eq!(io_error(&error), line);
        }
    }
}
