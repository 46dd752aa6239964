//! What QEMU, or whoever listens in its place, sends over the control socket.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use domstate::qemu::{Control, ControlError};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use serde_json::Value;

/// Everything has been sent and the sender is gone: whoever waits for more waits for nothing.
const DEADLINE: Duration = Duration::from_secs(20);

/// As many commands as are asked at most; the first negotiates.
const COMMANDS: usize = 8;

/// What a buffer of the kernel's surely takes.
const BYTES_MAX: usize = 64 << 10;

/// Lets the reader have `bytes` at once, and in pieces: it makes the same of them, and what it takes for an answer to a
/// command was sent as one.
pub fn qmp(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let whole = hear(SockType::Stream, &[bytes]);
    for outcome in &whole {
        assert_was_sent(outcome, bytes);
    }
    // Each packet is one read.
    let piece = 1 + bytes.len() / 3;
    let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
    assert_eq!(hear(SockType::SeqPacket, &pieces), whole);
}

/// What came of one command, as text where it is no value.
#[derive(Debug, PartialEq)]
enum Outcome {
    Returned(Value),
    Refused(String),
    Failed(String),
    Event(Value),
}

fn hear(kind: SockType, pieces: &[&[u8]]) -> Vec<Outcome> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    let mut peer = UnixStream::from(theirs);
    for piece in pieces {
        peer.write_all(piece).unwrap();
    }
    peer.shutdown(Shutdown::Write).unwrap();
    let outcomes = ask(UnixStream::from(ours));
    // What was asked is one line a command.
    peer.set_nonblocking(true).unwrap();
    let mut asked = [0; 4096];
    while let Ok(1..) = peer.read(&mut asked) {}
    outcomes
}

fn ask(stream: UnixStream) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut control = match Control::over(stream, Instant::now() + DEADLINE) {
        Ok(control) => control,
        Err(error) => return vec![outcome_of(Err(error))],
    };
    for _ in 1..COMMANDS {
        let result = control.execute("query-status", None);
        let goes_on = matches!(result, Ok(_) | Err(ControlError::Refused { .. }));
        outcomes.push(outcome_of(result));
        if !goes_on {
            break;
        }
    }
    outcomes.extend(control.events().into_iter().map(Outcome::Event));
    outcomes
}

fn outcome_of(result: Result<Value, ControlError>) -> Outcome {
    match result {
        Ok(value) => Outcome::Returned(value),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains('\n'), "{text:?}");
            assert!(!matches!(error, ControlError::Timeout | ControlError::Busy));
            match error {
                ControlError::Refused { .. } => Outcome::Refused(text),
                _ => Outcome::Failed(text),
            }
        }
    }
}

fn assert_was_sent(outcome: &Outcome, bytes: &[u8]) {
    let sent = |holds: &dyn Fn(&Value) -> bool| {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        lines.any(|line| serde_json::from_slice(line).is_ok_and(|value: Value| holds(&value)))
    };
    let has_id = |value: &Value| value.get("id").is_some_and(Value::is_u64);
    assert!(match outcome {
        Outcome::Returned(told) =>
            sent(&|value| value.get("return") == Some(told) && has_id(value)),
        Outcome::Refused(_) => sent(&|value| value.get("error").is_some() && has_id(value)),
        Outcome::Event(event) => sent(&|value| value == event),
        Outcome::Failed(_) => true,
    });
}
