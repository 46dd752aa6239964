//! A run's log: what QEMU wrote on its standard output and error. Its first and last parts are kept.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use crate::domain::{LogWords, SignalSender};
use crate::journal::{open_to_read, punch_hole};

/// The log's name in its run's folder.
pub const LOG_FILE: &str = "log";

/// What is kept of the beginning: how QEMU was started and what it said first.
const HEAD_BYTES: u64 = 64 * 1024;

/// What is kept of the end, and at most a block more: why it ended.
const TAIL_BYTES: u64 = 60 * 1024;

/// Only whole blocks are given up: the zeros in the rest of one would be taken for text.
const BLOCK_BYTES: u64 = 4096;

/// The disk space at which the middle is given up.
const DISK_BYTES_MAX: u64 = 384 * 1024;

/// As much of the end as QEMU's own words about its end can stand in.
const WORDS_BYTES: u64 = 8 * 1024;

/// No word of a command line is longer than 128 KiB (MAX_ARG_STRLEN in Linux), nor is what QEMU calls by it.
const NAME_BYTES: u64 = 160 * 1024;

/// The longest last line that is quoted.
const LAST_LINE_BYTES_MAX: usize = 500;

/// An open log.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// Makes the log of a new run, mode 0600.
    pub fn create(folder: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        options.open(folder.join(LOG_FILE)).map(|_| ())
    }

    /// Opens the log of a run.
    pub fn open(folder: &Path) -> io::Result<Self> {
        // QEMU may get this very descriptor: nothing that it could notice is asked for.
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(folder.join(LOG_FILE))?;
        Ok(Self { file })
    }

    /// Opens it to read only.
    pub fn open_read_only(folder: &Path) -> io::Result<Self> {
        let file = open_to_read(&folder.join(LOG_FILE))?;
        Ok(Self { file })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives up the middle once the log takes too much disk.
    pub fn bound(&self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        if metadata.blocks() * 512 > DISK_BYTES_MAX {
            self.give_up_middle(metadata.len())?;
        }
        Ok(())
    }

    /// Keeps only the first and last parts: the run is history.
    pub fn shrink(&self) -> io::Result<()> {
        self.give_up_middle(self.file.metadata()?.len())
    }

    fn give_up_middle(&self, length: u64) -> io::Result<()> {
        let middle = length.saturating_sub(HEAD_BYTES + TAIL_BYTES);
        punch_hole(&self.file, HEAD_BYTES, middle - middle % BLOCK_BYTES)
    }

    /// Hands everything from `offset` on to `each`, in parts of at most 4 KiB, until that breaks off; what it broke off
    /// at counts as not read. Returns where it came to.
    pub fn read(
        &self,
        offset: u64,
        each: &mut dyn FnMut(LogPart<'_>) -> ControlFlow<()>,
    ) -> io::Result<u64> {
        let mut at = offset;
        let mut chunk = [0_u8; CHUNK_BYTES];
        // What is written from now on is the next reading's: a QEMU may write faster than it is read.
        let end = self.file.metadata()?.len();
        loop {
            if at >= end {
                return Ok(at);
            }
            let data = next_data(&self.file, at);
            if data > at {
                if each(LogPart::GivenUp(data - at)).is_break() {
                    return Ok(at);
                }
                at = data;
            }
            let room = usize::try_from(next_hole(&self.file, at).saturating_sub(at))
                .unwrap_or(CHUNK_BYTES);
            let part = chunk
                .get_mut(..room.clamp(1, CHUNK_BYTES))
                .unwrap_or_default();
            let read = self.file.read_at(part, at)?;
            if read == 0 {
                return Ok(at);
            }
            let text = part.get(..read).unwrap_or_default();
            if text.contains(&0) && next_data(&self.file, at) > at {
                // Given up between the looking and the reading.
                continue;
            }
            if each(LogPart::Text(text)).is_break() {
                return Ok(at);
            }
            at += read as u64;
        }
    }

    /// Reads what QEMU said about its own end.
    pub fn words(&self) -> io::Result<LogWords> {
        let end = self.end(WORDS_BYTES)?;
        let found = words(&end);
        if found.terminated.is_none() {
            return Ok(found);
        }
        // What the sender calls himself may be longer than that.
        let terminated = terminated(&self.end(NAME_BYTES)?);
        Ok(LogWords {
            terminated,
            ..found
        })
    }

    /// Reads the last `lines_max` lines.
    pub fn last_lines(&self, lines_max: usize) -> io::Result<Vec<String>> {
        let text = self.end(WORDS_BYTES)?;
        let mut lines: Vec<String> = text
            .lines()
            .rev()
            .take(lines_max)
            .map(str::to_owned)
            .collect();
        lines.reverse();
        Ok(lines)
    }

    fn end(&self, bytes: u64) -> io::Result<String> {
        let length = self.file.metadata()?.len();
        let start = length.saturating_sub(bytes);
        let mut bytes = vec![0; usize::try_from(length - start).unwrap_or_default()];
        let read = self.file.read_at(&mut bytes, start)?;
        bytes.truncate(read);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A piece of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPart<'a> {
    Text(&'a [u8]),
    /// So many bytes are not kept.
    GivenUp(u64),
}

impl LogPart<'_> {
    /// The part as people are shown it: what is not kept is named.
    pub fn shown(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(bytes) => Cow::Borrowed(bytes),
            Self::GivenUp(bytes) => {
                let line = format!("\n[{bytes} bytes of the log were given up here]\n");
                Cow::Owned(line.into_bytes())
            }
        }
    }
}

/// What is read at once.
const CHUNK_BYTES: usize = 4 * 1024;

fn next_data(file: &File, from: u64) -> u64 {
    let next = match seek(file, from, Whence::SeekData) {
        // Of a hole at the end, which may be larger than any disk, the end.
        Err(Errno::ENXIO) => file.metadata().ok().map(|found| found.len()),
        found => found.ok(),
    };
    next.unwrap_or(from).max(from)
}

fn next_hole(file: &File, from: u64) -> u64 {
    seek(file, from, Whence::SeekHole).unwrap_or(u64::MAX)
}

fn seek(file: &File, from: u64, whence: Whence) -> nix::Result<u64> {
    let from = i64::try_from(from).map_err(|_| Errno::EOVERFLOW)?;
    u64::try_from(lseek(file, from, whence)?).map_err(|_| Errno::EOVERFLOW)
}

/// What `text`, the end of a log, says about QEMU's end.
fn words(text: &str) -> LogWords {
    let lines = text.lines().map(|l| l.trim_matches(['\0', '\r', ' ']));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let last = lines.last().map(|line| {
        let end = line.floor_char_boundary(LAST_LINE_BYTES_MAX);
        line.get(..end).unwrap_or_default().to_owned()
    });
    LogWords {
        terminated: terminated(text),
        gdb_killed: lines.iter().any(|l| l.ends_with("Terminated via GDBstub")),
        last_line: last,
    }
}

/// What stands between QEMU's name and the signal (QEMU `softmmu/runstate.c`, `qemu_kill_report`).
const TERMINATING: &str = ": terminating on signal ";

/// Who ended QEMU by its own words. A guest may have written the like before, and who sent the signal has named himself: where
/// they do not agree, it was somebody.
fn terminated(text: &str) -> Option<SignalSender> {
    let all = text.match_indices(TERMINATING).filter_map(|(at, _)| {
        let rest = &text[at + TERMINATING.len()..];
        rest.lines().next().and_then(sender)
    });
    all.reduce(|first, next| match first == next {
        true => next,
        false => SignalSender::of_several(),
    })
}

/// `15 from pid 811 (/usr/lib/systemd/systemd)`; without a pid for Ctrl-C.
fn sender(words: &str) -> Option<SignalSender> {
    let words = words.trim_matches(['\0', '\r', ' ']);
    let (number, sender) = match words.split_once(" from pid ") {
        Some((number, sender)) => (number, Some(sender)),
        None => (words, None),
    };
    let (pid, command) = match sender.map(|s| s.split_once(" (")) {
        Some(Some((pid, command))) => (pid.parse().ok(), command.strip_suffix(')')),
        Some(None) => (sender.and_then(|s| s.parse().ok()), None),
        None => (None, None),
    };
    Some(SignalSender {
        signal: Some(number.trim().parse().ok()?),
        pid,
        command: command
            .filter(|c| !matches!(*c, "" | "<unknown process>"))
            .map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_stretched_is_read_to_its_end_at_once() {
        let folder = std::env::temp_dir().join(format!("domstate-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(LOG_FILE);
        std::fs::write(&path, "a\n").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(1 << 43).unwrap();
        let log = Log::open_read_only(&folder).unwrap();
        let mut parts = 0;
        let end = log.read(0, &mut |_| {
            parts += 1;
            ControlFlow::Continue(())
        });
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(end.unwrap(), 1 << 43);
        // The block with the line, and the hole.
        assert!(parts <= 4, "{parts}");
    }

    #[test]
    fn qemus_words_about_its_end_are_understood() {
        let text = "x\nqemu-system-x86_64: terminating on signal 15 from pid 811 (/usr/bin/sh)\n";
        let sender = words(text).terminated.unwrap();
        assert_eq!(sender.signal, Some(15));
        assert_eq!(sender.pid, Some(811));
        assert_eq!(sender.command.as_deref(), Some("/usr/bin/sh"));
        let ctrl_c = words("q: terminating on signal 2\n").terminated.unwrap();
        assert_eq!((ctrl_c.signal, ctrl_c.pid), (Some(2), None));
        assert!(words("QEMU: Terminated via GDBstub\n").gdb_killed);
        assert_eq!(words("a\nb\n\n").last_line.as_deref(), Some("b"));
        assert_eq!(words(""), LogWords::default());
    }

    #[test]
    fn who_sent_the_signal_is_nobody_known_where_the_log_names_two() {
        let qemu = |sender: &str| format!("qemu: terminating on signal 15 from pid {sender}");
        // In what it calls itself, with a line of its own or without, and behind a closing bracket; or a guest has written it.
        for forged in ["811 (x\n", "811 (x", "811 (x)\n", "811 (x)"] {
            let text = qemu(forged) + &qemu("1 (/sbin/init)\n");
            let sender = words(&text).terminated.unwrap();
            assert!(sender.is_of_several(), "{text}");
        }
        // The same twice.
        let text = qemu("811 (x)\n") + &qemu("811 (x)\n");
        assert_eq!(words(&text).terminated.unwrap().pid, Some(811));
    }
}
