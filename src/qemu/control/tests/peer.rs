//! Peers that are no QEMU, and none at all.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};

use super::*;
use crate::qemu::wire::dial;

#[test]
fn a_missing_socket_is_unreachable() {
    let error = Folder::new().connect(LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to QEMU's monitor: No such file or directory"
    );
}

#[test]
fn a_full_queue_is_waited_for_until_the_deadline_and_no_longer() {
    let folder = Folder::new();
    let server = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    let server = server.unwrap();
    let address = UnixAddr::new(&folder.short()).unwrap();
    bind(server.as_raw_fd(), &address).unwrap();
    listen(&server, Backlog::new(0).unwrap()).unwrap();
    let queued = dial(folder.file.as_fd(), soon()).unwrap();
    let began = Instant::now();
    let error = folder.connect(SHORT).unwrap_err();
    assert!(matches!(error, ControlError::Busy), "{error}");
    assert!(began.elapsed() >= SHORT && began.elapsed() < LIMIT);
    drop(queued);
}

/// What the client makes of a peer that greets, answers the negotiation, and then does `then`.
fn facing(
    greeting: &'static str,
    limit: Duration,
    then: impl FnOnce(UnixStream) + Send + 'static,
) -> Result<Value, ControlError> {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.short()).unwrap();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.write_all(greeting.as_bytes()).unwrap();
        then(stream);
    });
    let answer = folder.connect(LIMIT).and_then(|mut control| {
        control.set_deadline(Instant::now() + limit);
        let answer = control.execute("query-status", None);
        let kept: usize = control.events.iter().map(|(cost, _)| cost).sum();
        assert!(kept == control.event_bytes && kept <= EVENT_BYTES_MAX);
        answer
    });
    peer.join().unwrap();
    answer
}

/// Answers the two requests, the second one with `text`, then hangs up.
fn answering(text: impl AsRef<[u8]> + Send + 'static) -> Result<Value, ControlError> {
    facing(HELLO, LIMIT, move |mut stream| {
        let mut requests = BufReader::new(stream.try_clone().unwrap()).lines();
        requests.next().unwrap().unwrap();
        requests.next().unwrap().unwrap();
        // The client may hang up first.
        drop(stream.write_all(text.as_ref()));
    })
}

#[test]
fn junk_is_an_error() {
    let deep = format!("{{\"a\":{}\n", "[".repeat(1_000_000));
    let junk: [Vec<u8>; 7] = [
        b"hello\n".to_vec(),
        b"[]\n".to_vec(),
        b"{\"return\":\"\xff\",\"id\":2}\n".to_vec(),
        b"{\"return\":{}}\n".to_vec(),
        b"{\"return\":{},\"id\":3}\n".to_vec(),
        b"{\"id\":2}\n".to_vec(),
        deep.into_bytes(),
    ];
    for text in junk {
        let start = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
        let answer = answering(text);
        assert!(
            matches!(answer, Err(ControlError::Garbage(_))),
            "{start}: {answer:?}"
        );
    }
    let greeting = facing("{\"event\":\"STOP\"}\n", LIMIT, drop);
    assert!(
        matches!(greeting, Err(ControlError::Garbage(_))),
        "{greeting:?}"
    );
}

#[test]
fn what_the_client_before_was_still_to_hear_may_stand_before_the_greeting() {
    for left in ["{\"event\":\"STOP\"}\r\n", "{\"event\":\"ST"] {
        let text = format!("{left}{HELLO}{{\"return\":8,\"id\":2}}\n");
        // Until the client hangs up: it has two requests to send.
        let answer = facing(text.leak(), LIMIT, |stream| {
            assert_eq!(BufReader::new(stream).lines().count(), 2);
        });
        assert_eq!(answer.unwrap(), 8);
    }
}

#[test]
fn events_blank_lines_and_late_answers_may_stand_before_the_answer() {
    let text = "\r\n{\"event\":\"NEW\"}\n{\"return\":7,\"id\":1}\n{\"return\":8,\"id\":2}\n";
    assert_eq!(answering(text).unwrap(), 8);
}

#[test]
fn an_end_in_the_middle_of_a_line_is_a_closed_monitor() {
    for greeting in ["", "{\"QMP\":"] {
        let answer = facing(greeting, LIMIT, drop);
        assert!(matches!(answer, Err(ControlError::Closed)), "{answer:?}");
    }
    let answer = answering("{\"return\":{},\"id\":2}");
    assert!(matches!(answer, Err(ControlError::Closed)), "{answer:?}");
}

#[test]
fn an_endless_line_is_given_up_with_bounded_memory() {
    let answer = facing("", LIMIT, |mut stream| {
        while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
    });
    assert!(
        matches!(answer, Err(ControlError::Garbage(_))),
        "{answer:?}"
    );
}

#[test]
fn a_flood_of_events_ends_at_the_deadline_with_bounded_memory() {
    let answer = facing(HELLO, SHORT, |mut stream| {
        let event = format!("{{\"event\":\"{}\"}}\n", "E".repeat(60_000));
        while stream.write_all(event.as_bytes()).is_ok() {}
    });
    assert!(matches!(answer, Err(ControlError::Timeout)), "{answer:?}");
}

#[test]
fn a_silent_peer_is_a_time_out_after_the_greeting() {
    let answer = facing(HELLO, SHORT, |stream| {
        let mut requests = BufReader::new(stream).lines();
        while requests.next().is_some_and(|line| line.is_ok()) {}
    });
    assert!(matches!(answer, Err(ControlError::Timeout)), "{answer:?}");
}
