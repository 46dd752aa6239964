//! The control socket: QMP commands to a living QEMU, each under a deadline.
//!
//! QEMU may be hung, dead, or not QEMU at all: every call ends by its deadline, memory is bounded, and junk
//! is an error, never a panic. The socket serves one client: who holds a [`Control`] keeps everybody else
//! out, so it is held for one verb only. Nothing here knows what a command or an event means. It sends no
//! signal and reads no file.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::control_error::ControlError;
use super::wire::Wire;

/// What is kept of the events that nobody has fetched, the newest ones: a flood must not eat the memory.
const EVENT_BYTES_MAX: usize = 2 << 20;

/// What a small event takes in memory beyond its text, roughly.
const EVENT_OVERHEAD_BYTES: usize = 1 << 10;

/// How QEMU's first line to a client begins.
const GREETING: &[u8] = b"{\"QMP\"";

/// Whether anything came before the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

/// A connection to QEMU's monitor, past its greeting.
#[derive(Debug)]
pub struct Control {
    wire: Wire,
    id: u64,
    /// With what they take in memory, roughly.
    events: VecDeque<(usize, Value)>,
    event_bytes: usize,
}

impl Control {
    /// Connects to the socket in the run's folder and negotiates. `deadline` also holds for the commands
    /// that follow, until [`Control::set_deadline`] gives another.
    pub fn connect(run_dir: BorrowedFd<'_>, deadline: Instant) -> Result<Self, ControlError> {
        Self::negotiate(Wire::connect(run_dir, deadline)?)
    }

    /// The same over a connection that is there already, to whomever it leads.
    pub fn over(stream: UnixStream, deadline: Instant) -> Result<Self, ControlError> {
        Self::negotiate(Wire::over(stream, deadline))
    }

    fn negotiate(wire: Wire) -> Result<Self, ControlError> {
        let mut control = Self {
            wire,
            id: 0,
            events: VecDeque::new(),
            event_bytes: 0,
        };
        control.hear_greeting()?;
        control.execute("qmp_capabilities", None)?;
        Ok(control)
    }

    /// Reads up to the greeting. Under a flood of events QEMU first says what it still had to say to the client before
    /// us, its last line cut off where that one left.
    fn hear_greeting(&mut self) -> Result<(), ControlError> {
        let mut heard = Heard::Nothing;
        loop {
            let Some(line) = self.wire.take_line()? else {
                match (self.wire.fill(), heard) {
                    (Err(ControlError::Timeout), Heard::Nothing) if self.wire.is_drained() => {
                        return Err(ControlError::Busy);
                    }
                    (Err(ControlError::Closed), Heard::Something) => {
                        return Err(ControlError::Garbage("no greeting"));
                    }
                    (filled, _) => filled?,
                }
                continue;
            };
            let start = line.windows(GREETING.len()).position(|w| w == GREETING);
            let greeting = start.and_then(|start| line.get(start..));
            let is_greeting = greeting.is_some_and(|g| serde_json::from_slice::<Value>(g).is_ok());
            if is_greeting {
                return Ok(());
            }
            heard = Heard::Something;
        }
    }

    /// Sets when the calls that follow give up.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.wire.deadline = deadline;
    }

    /// QEMU's pid (SO_PEERCRED).
    pub fn peer_pid(&self) -> io::Result<u32> {
        self.wire.peer_pid()
    }

    /// Runs one command and gives what it returns. Events that arrive before the answer are kept.
    pub fn execute(
        &mut self,
        command: &str,
        arguments: Option<Value>,
    ) -> Result<Value, ControlError> {
        self.ask(command, arguments, None)
    }

    /// Runs one command as [`Control::execute`] does, and gives QEMU a copy of a descriptor along with it (SCM_RIGHTS).
    pub fn execute_with(
        &mut self,
        command: &str,
        arguments: Option<Value>,
        descriptor: BorrowedFd<'_>,
    ) -> Result<Value, ControlError> {
        self.ask(command, arguments, Some(descriptor))
    }

    /// Gives QEMU a copy of the descriptor (`getfd`): what commands then know as `fd:NAME`. A name does not begin with a
    /// digit. QEMU keeps the copy, past the end of this connection too, until a command uses it up, `closefd`, or
    /// another of the same name (7.2).
    pub fn pass(&mut self, name: &str, descriptor: BorrowedFd<'_>) -> Result<(), ControlError> {
        let arguments = json!({"fdname": name});
        self.execute_with("getfd", Some(arguments), descriptor)?;
        Ok(())
    }

    fn ask(
        &mut self,
        command: &str,
        arguments: Option<Value>,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Value, ControlError> {
        self.id += 1;
        let mut request = json!({"execute": command, "id": self.id});
        if let (Some(arguments), Some(request)) = (arguments, request.as_object_mut()) {
            request.insert("arguments".to_owned(), arguments);
        }
        self.wire
            .send(format!("{request}\n").as_bytes(), descriptor)?;
        loop {
            let (length, message) = self.receive()?;
            if message.contains_key("event") {
                self.keep_event(length, message);
                continue;
            }
            match message.get("id").map(Value::as_u64) {
                Some(Some(id)) if id == self.id => return returned(message),
                // The late answer to a command that timed out.
                Some(Some(id)) if id < self.id => {}
                _ => return Err(ControlError::Garbage("an answer to nothing that was asked")),
            }
        }
    }

    /// Takes the events that arrived so far, oldest first, as QEMU sent them.
    pub fn events(&mut self) -> Vec<Value> {
        self.event_bytes = 0;
        self.events.drain(..).map(|(_, event)| event).collect()
    }

    /// Tells QEMU to end. Success means that it obeys or has closed its monitor already, not that it is
    /// gone: that is told by its process, never by this socket.
    pub fn quit(mut self) -> Result<(), ControlError> {
        match self.execute("quit", None) {
            Ok(_) | Err(ControlError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn keep_event(&mut self, length: usize, event: Map<String, Value>) {
        let cost = length + EVENT_OVERHEAD_BYTES;
        self.event_bytes += cost;
        self.events.push_back((cost, Value::Object(event)));
        while self.event_bytes > EVENT_BYTES_MAX {
            let Some((cost, _)) = self.events.pop_front() else {
                break;
            };
            self.event_bytes -= cost;
        }
    }

    /// The next message, and the length of its line in bytes.
    fn receive(&mut self) -> Result<(usize, Map<String, Value>), ControlError> {
        loop {
            let Some(line) = self.wire.take_line()? else {
                self.wire.fill()?;
                continue;
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_slice(&line) {
                Ok(Value::Object(message)) => Ok((line.len(), message)),
                _ => Err(ControlError::Garbage("a line that is no JSON object")),
            };
        }
    }
}

fn returned(mut message: Map<String, Value>) -> Result<Value, ControlError> {
    if let Some(value) = message.remove("return") {
        return Ok(value);
    }
    let error = message
        .get("error")
        .ok_or(ControlError::Garbage("an answer without a result"))?;
    let word = |key: &str| error.get(key).and_then(Value::as_str);
    Err(ControlError::Refused {
        class: word("class").unwrap_or("GenericError").to_owned(),
        desc: word("desc").unwrap_or("no reason given").to_owned(),
    })
}

#[cfg(test)]
mod tests;
