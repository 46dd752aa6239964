//! A third party at QEMU's monitor.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::harness::{PATIENCE, until};

/// Somebody who speaks QMP, by hand.
pub(crate) struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    pub(super) fn connect(path: &Path) -> Self {
        let mut stream = None;
        until("a monitor", || {
            stream = UnixStream::connect(path).ok();
            stream.is_some()
        });
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        monitor.execute("qmp_capabilities", &json!({}));
        monitor
    }

    /// Executes a command; what it returned.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> Value {
        let reply = self.reply(command, arguments);
        assert_eq!(reply["error"], Value::Null, "{command}");
        reply["return"].clone()
    }

    /// Whether QEMU does not execute it.
    pub(crate) fn is_refused(&mut self, command: &str, arguments: &Value) -> bool {
        self.reply(command, arguments).get("error").is_some()
    }

    fn reply(&mut self, command: &str, arguments: &Value) -> Value {
        self.tell(command, arguments);
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).unwrap();
            assert!(read > 0, "QEMU ended before it answered {command}");
            let reply: Value = serde_json::from_str(&line).unwrap();
            if ["error", "return"]
                .iter()
                .any(|key| reply.get(key).is_some())
            {
                return reply;
            }
        }
    }

    /// Sends a command that QEMU may not live to answer.
    pub(crate) fn tell(&mut self, command: &str, arguments: &Value) {
        let line = json!({"execute": command, "arguments": arguments}).to_string();
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    /// Waits until QEMU announces this.
    pub(crate) fn hears(&mut self, event: &str) {
        let mut line = String::new();
        while !line.contains(&format!("\"event\": \"{event}\"")) {
            line.clear();
            let read = self.stream.read_line(&mut line).unwrap();
            assert!(read > 0, "QEMU ended before it announced {event}");
        }
    }
}
