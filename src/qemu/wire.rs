//! The control socket as a stream of lines: dialled, written to and read from, each under the deadline, with bounded
//! memory. What the lines say is [`super::control`]'s matter.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt,
    sendmsg, socket, sockopt,
};
use nix::sys::stat::{SFlag, fstatat};

use super::control_error::ControlError;

/// The control socket's name in the run's folder.
pub const SOCKET_NAME: &str = "qmp.sock";

/// The longest line that is read. QEMU 7.2 answers `query-qmp-schema` with 202 KiB.
const LINE_BYTES_MAX: usize = 2 << 20;

/// How long [`listener_pid`] waits for room in the queue of QEMU's socket.
const LISTENER_WAIT: Duration = Duration::from_secs(1);

/// QEMU's pid, as the one that listens on the run's control socket (SO_PEERCRED).
///
/// Connects and hangs up. On 7.2 that disturbs neither QEMU nor a client that it serves, and leaves nothing
/// in the journal. But QEMU's queue holds two, and what is left in it stays there until the client that it
/// serves has gone: the third call in that time fails with `WouldBlock` after a second.
pub fn listener_pid(run_dir: BorrowedFd<'_>) -> io::Result<u32> {
    peer_pid_of(&dial(run_dir, Instant::now() + LISTENER_WAIT)?)
}

/// A connection to whoever listens on the control socket.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    /// When the calls that follow give up.
    pub(super) deadline: Instant,
    /// What was received and not yet read; no newline stands before `searched`.
    buffer: Vec<u8>,
    searched: usize,
}

impl Wire {
    /// Connects to the socket in the run's folder.
    pub(super) fn connect(
        run_dir: BorrowedFd<'_>,
        deadline: Instant,
    ) -> Result<Self, ControlError> {
        let stream = dial(run_dir, deadline).map_err(|error| {
            if error.kind() == ErrorKind::WouldBlock {
                ControlError::Busy
            } else if error.kind() == ErrorKind::TimedOut {
                ControlError::Timeout
            } else {
                ControlError::Unreachable(error)
            }
        })?;
        Ok(Self::over(stream, deadline))
    }

    /// The same over a connection that is there already.
    pub(super) fn over(stream: UnixStream, deadline: Instant) -> Self {
        Self {
            stream,
            deadline,
            buffer: Vec::new(),
            searched: 0,
        }
    }

    /// The pid of the process at the other end (SO_PEERCRED).
    pub(super) fn peer_pid(&self) -> io::Result<u32> {
        peer_pid_of(&self.stream)
    }

    /// Whether everything that was received has been taken.
    pub(super) fn is_drained(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Writes all of `bytes`, and gives a descriptor along with the first of them (SCM_RIGHTS).
    pub(super) fn send(
        &self,
        mut bytes: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), ControlError> {
        let number = descriptor.map(|descriptor| [descriptor.as_raw_fd()]);
        let mut rights = number.as_ref().map(|n| ControlMessage::ScmRights(n));
        while !bytes.is_empty() {
            self.stream
                .set_write_timeout(Some(remaining(self.deadline)?))
                .map_err(ControlError::Io)?;
            // Not write(2): whether SIGPIPE is ignored is up to the rest of the program.
            let sent = sendmsg::<UnixAddr>(
                self.stream.as_raw_fd(),
                &[IoSlice::new(bytes)],
                rights.as_slice(),
                MsgFlags::MSG_NOSIGNAL,
                None,
            );
            match sent {
                Ok(sent) => {
                    bytes = bytes.get(sent..).unwrap_or_default();
                    // It went with the first byte: what is left of a partial write must not send it again.
                    rights = None;
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(ControlError::of_io(error.into())),
            }
        }
        Ok(())
    }

    /// The next line with its end, once it was received whole.
    pub(super) fn take_line(&mut self) -> Result<Option<Vec<u8>>, ControlError> {
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

    /// Waits for more, and receives it.
    pub(super) fn fill(&mut self) -> Result<(), ControlError> {
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
            Err(error) => Err(ControlError::of_io(error)),
        }
    }
}

/// Connects by the folder's descriptor: the path of a socket has 108 bytes at most, the folder's may be longer.
pub(super) fn dial(run_dir: BorrowedFd<'_>, deadline: Instant) -> io::Result<UnixStream> {
    // A link would be followed, to a socket of somebody else's.
    let found = fstatat(run_dir, SOCKET_NAME, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFSOCK {
        return Err(io::Error::other("it is no socket"));
    }
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
