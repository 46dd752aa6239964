//! The control socket: QMP commands to a living QEMU, each under a deadline.
//!
//! QEMU may be hung, dead, or not QEMU at all: every call ends by its deadline, memory is bounded, and junk
//! is an error, never a panic. The socket serves one client: who holds a [`Control`] keeps everybody else
//! out, so it is held for one verb only. Nothing here knows what a command or an event means. It sends no
//! signal and reads no file.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, send, socket,
    sockopt,
};
use serde_json::{Map, Value, json};

/// The control socket's name in the run's folder.
pub const SOCKET_NAME: &str = "qmp.sock";

/// The longest line that is read. QEMU 7.2 answers `query-qmp-schema` with 202 KiB.
const LINE_BYTES_MAX: usize = 2 << 20;

/// What is kept of the events that nobody has fetched, the newest ones: a flood must not eat the memory.
const EVENT_BYTES_MAX: usize = 2 << 20;

/// What a small event takes in memory beyond its text, roughly.
const EVENT_OVERHEAD_BYTES: usize = 1 << 10;

/// How long [`listener_pid`] waits for room in the queue of QEMU's socket.
const LISTENER_WAIT: Duration = Duration::from_secs(1);

/// Why QEMU did not do what it was told.
#[derive(Debug)]
pub enum ControlError {
    /// There is no socket, or nobody listens on it.
    Unreachable(io::Error),
    /// Connected, and no greeting came: QEMU speaks to one client at a time. A hung QEMU looks the same.
    Busy,
    /// QEMU refused the command, in its own words.
    Refused { desc: String },
    /// QEMU closed the connection: it is gone, or going.
    Closed,
    /// The deadline passed. Whether the command took effect is not known.
    Timeout,
    /// What came is no QMP. The connection is of no more use.
    Garbage(&'static str),
    /// The connection failed otherwise.
    Io(io::Error),
}

/// How QEMU's first line to a client begins.
const GREETING: &[u8] = b"{\"QMP\"";

/// Whether anything came before the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => {
                write!(f, "cannot connect to QEMU's monitor: {}", words(error))
            }
            Self::Busy => {
                f.write_str("another command is busy with QEMU's monitor, or QEMU does not respond")
            }
            Self::Refused { desc } => {
                write!(f, "QEMU refused the command: ")?;
                let line = |c: char| if c.is_control() { ' ' } else { c };
                desc.chars().try_for_each(|c| write!(f, "{}", line(c)))
            }
            Self::Closed => f.write_str("QEMU closed its monitor"),
            Self::Timeout => f.write_str("QEMU's monitor did not answer in time"),
            Self::Garbage(what) => write!(f, "QEMU's monitor sent {what}"),
            Self::Io(error) => write!(f, "cannot speak to QEMU's monitor: {}", words(error)),
        }
    }
}

// Without a source: what Display says holds the system's words already.
impl std::error::Error for ControlError {}

/// The system's words alone, without the number that std adds.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

/// QEMU's pid, as the one that listens on the run's control socket (SO_PEERCRED).
///
/// Connects and hangs up. On 7.2 that disturbs neither QEMU nor a client that it serves, and leaves nothing
/// in the journal. But QEMU's queue holds two, and what is left in it stays there until the client that it
/// serves has gone: the third call in that time fails with `WouldBlock` after a second.
pub fn listener_pid(run_dir: BorrowedFd<'_>) -> io::Result<u32> {
    peer_pid_of(&dial(run_dir, Instant::now() + LISTENER_WAIT)?)
}

/// A connection to QEMU's monitor, past its greeting.
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    deadline: Instant,
    /// What was received and not yet read; no newline stands before `searched`.
    buffer: Vec<u8>,
    searched: usize,
    id: u64,
    /// With what they take in memory, roughly.
    events: VecDeque<(usize, Value)>,
    event_bytes: usize,
}

impl Control {
    /// Connects to the socket in the run's folder and negotiates. `deadline` also holds for the commands
    /// that follow, until [`Control::set_deadline`] gives another.
    pub fn connect(run_dir: BorrowedFd<'_>, deadline: Instant) -> Result<Self, ControlError> {
        let stream = dial(run_dir, deadline).map_err(|error| {
            if error.kind() == ErrorKind::WouldBlock {
                ControlError::Busy
            } else if error.kind() == ErrorKind::TimedOut {
                ControlError::Timeout
            } else {
                ControlError::Unreachable(error)
            }
        })?;
        let mut control = Self {
            stream,
            deadline,
            buffer: Vec::new(),
            searched: 0,
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
            let Some(line) = self.take_line()? else {
                match (self.fill(), heard) {
                    (Err(ControlError::Timeout), Heard::Nothing) if self.buffer.is_empty() => {
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
        self.deadline = deadline;
    }

    /// QEMU's pid (SO_PEERCRED).
    pub fn peer_pid(&self) -> io::Result<u32> {
        peer_pid_of(&self.stream)
    }

    /// Runs one command and gives what it returns. Events that arrive before the answer are kept.
    pub fn execute(
        &mut self,
        command: &str,
        arguments: Option<Value>,
    ) -> Result<Value, ControlError> {
        self.id += 1;
        let mut request = json!({"execute": command, "id": self.id});
        if let (Some(arguments), Some(request)) = (arguments, request.as_object_mut()) {
            request.insert("arguments".to_owned(), arguments);
        }
        self.send(format!("{request}\n").as_bytes())?;
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

    fn send(&self, mut bytes: &[u8]) -> Result<(), ControlError> {
        while !bytes.is_empty() {
            self.stream
                .set_write_timeout(Some(remaining(self.deadline)?))
                .map_err(ControlError::Io)?;
            // Not write(2): whether SIGPIPE is ignored is up to the rest of the program.
            match send(self.stream.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }

    /// The next message, and the length of its line in bytes.
    fn receive(&mut self) -> Result<(usize, Map<String, Value>), ControlError> {
        loop {
            let Some(line) = self.take_line()? else {
                self.fill()?;
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

    fn take_line(&mut self) -> Result<Option<Vec<u8>>, ControlError> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let end = fresh.iter().position(|&byte| byte == b'\n');
        let length = end.map_or(self.buffer.len(), |end| self.searched + end);
        if length > LINE_BYTES_MAX {
            return Err(ControlError::Garbage("a line without an end"));
        }
        if end.is_none() {
            self.searched = length;
            return Ok(None);
        }
        self.searched = 0;
        Ok(Some(self.buffer.drain(..=length).collect()))
    }

    fn fill(&mut self) -> Result<(), ControlError> {
        self.stream
            .set_read_timeout(Some(remaining(self.deadline)?))
            .map_err(ControlError::Io)?;
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(ControlError::Closed),
            Ok(count) => {
                self.buffer
                    .extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(failed(error)),
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
    let desc = error.get("desc").and_then(Value::as_str);
    Err(ControlError::Refused {
        desc: desc.unwrap_or("no reason given").to_owned(),
    })
}

/// Connects by the folder's descriptor: the path of a socket has 108 bytes at most, the folder's may be longer.
fn dial(run_dir: BorrowedFd<'_>, deadline: Instant) -> io::Result<UnixStream> {
    let path = format!("/proc/self/fd/{}/{SOCKET_NAME}", run_dir.as_raw_fd());
    let address = UnixAddr::new(path.as_str())?;
    let stream = UnixStream::from(socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?);
    loop {
        // The kernel's connect waits this long for room in the listener's queue, then gives EAGAIN.
        let wait = remaining(deadline).map_err(|_| ErrorKind::TimedOut)?;
        stream.set_write_timeout(Some(wait))?;
        match connect(stream.as_raw_fd(), &address) {
            Ok(()) => return Ok(stream),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn peer_pid_of(stream: &UnixStream) -> io::Result<u32> {
    let pid = getsockopt(&stream.as_fd(), sockopt::PeerCredentials)?.pid();
    // 0: a process of another pid namespace, which has no number here.
    u32::try_from(pid)
        .ok()
        .filter(|&pid| pid != 0)
        .ok_or_else(|| io::Error::other("the process that listens is not visible from here"))
}

/// The time left; never zero, which would mean no limit to the kernel.
fn remaining(deadline: Instant) -> Result<Duration, ControlError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ControlError::Timeout);
    }
    Ok(left)
}

fn failed(error: io::Error) -> ControlError {
    let kind = error.kind();
    if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
        ControlError::Timeout
    } else if matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) {
        ControlError::Closed
    } else {
        ControlError::Io(error)
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
