//! What is seen of one QEMU.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;

use serde_json::Value;

/// A QEMU that connected.
#[derive(Default)]
pub(crate) struct Qemu {
    pub(crate) pid: i32,
    /// What its guest has said, a line each.
    pub(crate) heard: Vec<String>,
    /// What it has announced: names and data.
    pub(crate) events: Vec<(String, Value)>,
    pub(super) serial: Option<UnixStream>,
    pub(super) monitor: Option<UnixStream>,
    /// Both lines are closed, and all that came over them is here.
    pub(super) serial_over: bool,
    pub(super) monitor_over: bool,
    pub(super) replies: HashMap<u64, Value>,
}

impl Qemu {
    /// Whether a line of its is open: as long as one is, its pid is nobody else's.
    pub(super) fn is_open(&self) -> bool {
        let serial = self.serial.is_some() && !self.serial_over;
        serial || (self.monitor.is_some() && !self.monitor_over)
    }

    /// Whether it has announced this.
    fn announced(&self, name: &str, is: impl Fn(&Value) -> bool) -> bool {
        self.events
            .iter()
            .any(|(event, data)| event == name && is(data))
    }

    /// Whether all of a guest that was sent to it has arrived, or it runs here.
    pub(crate) fn has_guest(&self) -> bool {
        let is_complete = |data: &Value| data["status"] == "completed";
        self.announced("RESUME", |_| true) || self.announced("MIGRATION", is_complete)
    }

    /// Whether not all of a guest came that was on its way here.
    pub(crate) fn has_failed_to_load(&self) -> bool {
        self.announced("MIGRATION", |data| data["status"] == "failed")
    }

    /// Whether the last way that its guest was to take came to nothing, by its word: then that is here, wherever another copy
    /// of it stands.
    pub(crate) fn keeps_guest(&self) -> bool {
        let last = self.events.iter().rfind(|(name, _)| name == "MIGRATION");
        let is_nothing = |data: &Value| data["status"] == "failed" || data["status"] == "cancelled";
        last.is_some_and(|(_, data)| is_nothing(data))
    }

    /// Whether its guest was stopped last.
    pub(crate) fn stands(&self) -> bool {
        let moves = self.events.iter().rev();
        let last = moves
            .map(|(name, _)| name.as_str())
            .find(|name| ["STOP", "RESUME"].contains(name));
        last == Some("STOP")
    }

    /// Whether its guest runs behind the end of a way that took it elsewhere.
    pub(crate) fn runs_behind_its_departure(&self) -> bool {
        let is_end =
            |(name, data): &(String, Value)| name == "MIGRATION" && data["status"] == "completed";
        let departure = self.events.iter().position(is_end);
        let behind = departure.and_then(|at| self.events.get(at..));
        let mut behind = behind.unwrap_or_default().iter();
        behind.any(|(name, _)| name == "RESUME")
    }

    /// Whether its guest has begun to do this: it answers a letter before it acts on it.
    pub(crate) fn did(&self, letter: char) -> bool {
        self.did_since(0, letter)
    }

    /// The same, but for the first lines that it has said.
    pub(crate) fn did_since(&self, lines: usize, letter: char) -> bool {
        let mut bytes = [0; 4];
        let letter: &str = letter.encode_utf8(&mut bytes);
        let since = self.heard.iter().skip(lines);
        since.into_iter().any(|line| line == letter)
    }

    /// Whether it has announced that its guest shut down, and not that it went on behind that.
    pub(crate) fn has_shut_down(&self) -> bool {
        let is_own = |(name, data): &(String, Value)| name == "SHUTDOWN" && data["guest"] == true;
        let Some(at) = self.events.iter().rposition(is_own) else {
            return false;
        };
        let mut behind = self.events[at..].iter();
        !behind.any(|(name, _)| ["RESUME", "RESET", "WAKEUP"].contains(&name.as_str()))
    }
}
