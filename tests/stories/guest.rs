//! A guest at the other end of its serial line.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv};

use super::harness::{Host, PATIENCE, send, until};

/// Ways in which a guest may end, and what is told of each.
pub(crate) const ENDS: &[(&str, &str)] = &[
    ("power off", "shut off (shutdown)"),
    ("panic", "shut off (crashed)"),
    ("SIGKILL", "shut off (crashed)"),
    ("SIGTERM", "shut off (destroyed)"),
    ("destroy", "shut off (destroyed)"),
];

/// A guest that obeys letters on its serial line (tests/guest/guest.S).
pub(crate) struct Guest {
    line: BufReader<UnixStream>,
}

impl Guest {
    /// Takes QEMU's connection and waits until the guest is ready.
    pub(crate) fn connected(line: &UnixListener) -> Self {
        let mut guest = Self::taken(line);
        guest.hears("READY");
        guest
    }

    /// Takes QEMU's connection. The guest need not run.
    pub(crate) fn taken(line: &UnixListener) -> Self {
        let mut guest = None;
        until("QEMU's serial line", || {
            guest = Self::waiting(line);
            guest.is_some()
        });
        guest.unwrap()
    }

    /// The next of the connections that wait already.
    pub(crate) fn waiting(line: &UnixListener) -> Option<Self> {
        line.set_nonblocking(true).unwrap();
        let (stream, _) = line.accept().ok()?;
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(Self {
            line: BufReader::new(stream),
        })
    }

    /// Whether QEMU has hung up, and all that the guest said has been read.
    pub(crate) fn is_gone(&self) -> bool {
        let fd = self.line.get_ref().as_raw_fd();
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(fd, &mut [0], flags) == Ok(0)
    }

    /// Forgets what the guest, which stands, has said so far.
    pub(crate) fn forget(&mut self) {
        self.line.get_ref().set_nonblocking(true).unwrap();
        let mut said = Vec::new();
        let _ = self.line.read_to_end(&mut said);
        self.line.get_ref().set_nonblocking(false).unwrap();
    }

    /// Asserts that the guest executes: it answers a letter that means nothing.
    pub(crate) fn answers(&mut self) {
        self.press('n');
        self.hears("n");
    }

    /// Sends a letter. What the guest then says is not waited for: it may have ended.
    pub(crate) fn press(&mut self, letter: char) {
        let mut bytes = [0; 4];
        let bytes = letter.encode_utf8(&mut bytes).as_bytes();
        self.line.get_mut().write_all(bytes).unwrap();
    }

    /// Waits until the guest says this line.
    pub(crate) fn hears(&mut self, wanted: &str) {
        let mut heard = String::new();
        while heard.trim_end() != wanted {
            heard.clear();
            let read = self.line.read_line(&mut heard).unwrap();
            assert!(read > 0, "the guest ended before it said {wanted}");
        }
    }

    /// Brings the guest of `v`, which can panic, to this end.
    pub(crate) fn end(&mut self, host: &Host, how: &str) {
        match how {
            "power off" => self.press('o'),
            "panic" => self.press('p'),
            "SIGKILL" => send(host.qemu_pid("v"), Signal::SIGKILL),
            "SIGTERM" => send(host.qemu_pid("v"), Signal::SIGTERM),
            _ => drop(host.ok(&["destroy", "v"])),
        }
    }
}
