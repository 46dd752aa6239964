//! A journal's bytes -> records, from a position on.
//!
//! What the reader makes of damage: a line that cannot be read is an [`Event::Gap`], and reading goes on at
//! the last `{"timestamp"` in it (QEMU's stump of a line on a full disk, with a whole line behind it). Zeros
//! are a gap too: a hole that the supervisor punched, always followed by a checkpoint that mends it, or what a
//! power cut left. A last line without an end is not consumed: its writer may still be at it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::parse::parse_line;
use crate::domain::{Event, Record};

/// What is read at once. Small: the supervisor keeps the pages that it once touched.
const CHUNK_BYTES: usize = 2 * 1024;

/// The longest line that is believed; QEMU's longest are a few hundred bytes, our checkpoints a few thousand.
const LINE_BYTES_MAX: usize = 256 * 1024;

/// What a whole line of either kind begins with.
const LINE_START: &[u8] = b"{\"timestamp\"";

/// How far reading came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first byte that no record was made of.
    pub offset: u64,
    /// Bytes behind `offset` that are no whole line.
    pub unfinished: bool,
}

/// Reads every whole line from `offset` on and hands its record to `each`, in order.
pub fn read_records(
    file: &File,
    offset: u64,
    each: &mut dyn FnMut(Record),
) -> io::Result<Position> {
    let mut offset = offset;
    let unfinished = read_on(file, &mut offset, each)?;
    Ok(Position { offset, unfinished })
}

/// The same; `offset` is moved behind what was handed out, also where an error ends that: whoever goes on from there gets nothing
/// twice. Whether bytes stand behind it that are no whole line.
pub(super) fn read_on(
    file: &File,
    offset: &mut u64,
    each: &mut dyn FnMut(Record),
) -> io::Result<bool> {
    read_lines(file, offset, &mut |line, start| match line {
        Line::Lost => each(gap()),
        Line::Whole(line) => line_to_records(line, start, each),
    })
}

/// The last line, which begins at `offset` and has no end, if all of it is there but that: the next line brings one along.
pub(super) fn read_unended(file: &File, offset: u64) -> io::Result<Option<Record>> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; CHUNK_BYTES];
    while bytes.len() <= LINE_BYTES_MAX {
        let read = file.read_at(&mut chunk, offset + bytes.len() as u64)?;
        if read == 0 {
            return Ok(parse_line(bytes.trim_ascii()));
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    Ok(None)
}

/// A piece of a journal between two line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// A hole, or more than any line has.
    Lost,
}

/// Reads every line that has its end, from `at` on, with the offset at which it starts; see [`read_on`].
pub(super) fn read_lines(
    file: &File,
    at: &mut u64,
    each: &mut dyn FnMut(Line<'_>, u64),
) -> io::Result<bool> {
    let from = skip_hole(file, *at);
    if from > *at {
        each(Line::Lost, *at);
        *at = from;
    }
    // Bytes that were read but not consumed: the beginning of a line, starting at `at`.
    let mut pending: Vec<u8> = Vec::new();
    let mut overlong = false;
    // What is written from now on is the next reading's: a QEMU that a guest broke out of may write faster than it is read.
    let end = file.metadata()?.len();
    loop {
        let mut chunk = [0_u8; CHUNK_BYTES];
        let from = *at + pending.len() as u64;
        let read = match file.read_at(&mut chunk, from) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if read == 0 || from >= end {
            if overlong {
                // Whoever goes on from here does not know that it is within a line.
                each(Line::Lost, *at);
            }
            return Ok(!pending.is_empty());
        }
        // What was pending holds no end: looking through it again would take for ever with lines that are endless.
        let chunk = chunk.get(..read).unwrap_or_default();
        if chunk.iter().all(|byte| *byte == 0) {
            // A hole may be larger than any disk. Its last byte stands for it: damage in front of what follows.
            let from = *at + pending.len() as u64;
            let last = next_data(file, from)?.saturating_sub(1);
            if last >= from + read as u64 {
                pending.clear();
                *at = last;
                continue;
            }
        }
        let mut searched = pending.len();
        pending.extend_from_slice(chunk);
        let mut consumed = 0;
        while let Some(found) = pending
            .get(searched..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let length = searched + found - consumed;
            let line = pending.get(consumed..consumed + length).unwrap_or_default();
            if std::mem::take(&mut overlong) {
                each(Line::Lost, *at + consumed as u64);
            } else {
                each(Line::Whole(line), *at + consumed as u64);
            }
            consumed += length + 1;
            searched = consumed;
        }
        pending.drain(..consumed);
        *at += consumed as u64;
        if pending.len() > LINE_BYTES_MAX {
            *at += pending.len() as u64;
            pending.clear();
            overlong = true;
        }
    }
}

/// The first byte at or behind `offset` that is no hole. Of a hole at the end, its beginning.
pub(super) fn skip_hole(file: &File, offset: u64) -> u64 {
    seek_data(file, offset).unwrap_or(offset)
}

/// The same; of a hole at the end, the end.
fn next_data(file: &File, offset: u64) -> io::Result<u64> {
    match seek_data(file, offset) {
        Err(Errno::ENXIO) => Ok(file.metadata()?.len().max(offset)),
        found => Ok(found.unwrap_or(offset)),
    }
}

fn seek_data(file: &File, offset: u64) -> nix::Result<u64> {
    let from = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
    let data = lseek(file, from, Whence::SeekData)?;
    Ok(u64::try_from(data).unwrap_or(offset).max(offset))
}

fn gap() -> Record {
    Record {
        at: None,
        event: Event::Gap,
    }
}

fn line_to_records(line: &[u8], start: u64, each: &mut dyn FnMut(Record)) {
    let line = line.trim_ascii();
    if line.is_empty() {
        return;
    }
    if let Some(record) = parse_line(line) {
        if !is_void(&record.event, start) {
            each(record);
        }
        return;
    }
    each(gap());
    let tail = last_start(line).and_then(|start| line.get(start..));
    if let Some(record) = tail.and_then(parse_line) {
        each(record);
    }
}

/// Whether a checkpoint does not stand where it was meant to: something was written between the reading that
/// it sums up and itself. One byte is the newline that our lines begin with.
fn is_void(event: &Event, start: u64) -> bool {
    matches!(event, Event::Checkpoint(checkpoint) if checkpoint.offset.checked_add(1) != Some(start))
}

/// Where in a damaged line a whole one may begin. Not at its front: that was tried.
pub(super) fn last_start(line: &[u8]) -> Option<usize> {
    let starts = line.windows(LINE_START.len());
    starts
        .rev()
        .position(|w| w == LINE_START)
        .map(|from_end| line.len() - LINE_START.len() - from_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    const STOP: &str = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}"#;

    fn read(bytes: &[u8]) -> (Vec<Event>, Position) {
        let mut file = tempfile();
        file.write_all(bytes).unwrap();
        let mut events = Vec::new();
        let end = read_records(&file, 0, &mut |record| events.push(record.event)).unwrap();
        (events, end)
    }

    fn tempfile() -> File {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("domstate-reader-{}-{number}", std::process::id()));
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }

    #[test]
    fn a_stump_before_a_whole_line_is_a_gap_and_the_line_is_read() {
        let stump = &STOP[..20];
        let ours = format!("{stump}{STOP}\r\n");
        assert_eq!(read(ours.as_bytes()).0, [Event::Gap, Event::Stopped]);
        let newline_first = format!("{stump}\n{STOP}\r\n");
        assert_eq!(
            read(newline_first.as_bytes()).0,
            [Event::Gap, Event::Stopped]
        );
    }

    #[test]
    fn a_line_without_its_end_is_left_for_later() {
        let (events, end) = read(format!("{STOP}\r\n{STOP}").as_bytes());
        assert_eq!(events, [Event::Stopped]);
        assert_eq!(end.offset, STOP.len() as u64 + 2);
        assert!(end.unfinished);
        assert!(!read(format!("{STOP}\n").as_bytes()).1.unfinished);
    }

    #[test]
    fn zeros_junk_and_endless_lines_are_gaps_and_what_follows_is_read() {
        for junk in [
            vec![0_u8; 100],
            vec![0xff; 100],
            vec![b'x'; LINE_BYTES_MAX * 2 + 10],
        ] {
            let mut bytes = junk;
            bytes.extend_from_slice(format!("\n{STOP}\n").as_bytes());
            let (events, _) = read(&bytes);
            assert_eq!(events, [Event::Gap, Event::Stopped]);
        }
    }

    #[test]
    fn a_journal_cut_at_any_byte_gives_no_line_that_was_not_there() {
        let whole = format!("{STOP}\r\n\n{STOP}\n");
        for end in 0..whole.len() {
            let (events, _) = read(&whole.as_bytes()[..end]);
            assert!(events.len() <= 2, "{end}");
            assert!(
                events.iter().all(|e| *e == Event::Stopped),
                "{end}: {events:?}"
            );
        }
    }

    #[test]
    fn a_checkpoint_counts_only_where_it_was_meant_to_stand() {
        let checkpoint = |offset| {
            let fold = crate::domain::Fold::default();
            let event = Event::Checkpoint(Box::new(crate::domain::Checkpoint {
                fold,
                rules: crate::domain::Rules::Ours,
                offset,
            }));
            super::super::encode(crate::domain::Timestamp(1), &event).unwrap()
        };
        let stop = format!("{STOP}\r\n").into_bytes();
        let at = stop.len() as u64;
        let there = [stop.clone(), checkpoint(at)].concat();
        assert!(matches!(
            read(&there).0[..],
            [Event::Stopped, Event::Checkpoint(_)]
        ));
        let overtaken = [stop.clone(), stop, checkpoint(at)].concat();
        assert_eq!(read(&overtaken).0, [Event::Stopped, Event::Stopped]);
    }

    #[test]
    fn a_hole_of_a_gigabyte_is_not_read_byte_by_byte() {
        let mut file = tempfile();
        file.seek(io::SeekFrom::Start(1 << 40)).unwrap();
        file.write_all(format!("\n{STOP}\n").as_bytes()).unwrap();
        let mut events = Vec::new();
        read_records(&file, 0, &mut |record| events.push(record.event)).unwrap();
        assert_eq!(events.last(), Some(&Event::Stopped));
        assert_eq!(events.first(), Some(&Event::Gap));
    }

    #[test]
    fn holes_of_a_terabyte_anywhere_are_gaps_and_what_is_round_them_is_read() {
        let mut file = tempfile();
        let stop = format!("{STOP}\r\n");
        let mut end = 0;
        for _ in 0..3 {
            file.write_all_at(stop.as_bytes(), end).unwrap();
            end += stop.len() as u64 + (1 << 40);
            file.set_len(end).unwrap();
        }
        let mut events = Vec::new();
        let position = read_records(&file, 0, &mut |r| events.push(r.event)).unwrap();
        let (stop, gap) = (Event::Stopped, Event::Gap);
        assert_eq!(events, [&stop, &gap, &stop, &gap, &stop].map(Clone::clone));
        assert!(position.unfinished);
        // Somebody goes on behind the last hole.
        file.seek(io::SeekFrom::Start(end)).unwrap();
        file.write_all(format!("\n{STOP}\n").as_bytes()).unwrap();
        let mut events = Vec::new();
        read_records(&file, position.offset, &mut |r| events.push(r.event)).unwrap();
        assert_eq!(events, [gap, stop]);
    }

    #[test]
    fn what_goes_on_with_an_endless_line_is_damage_too() {
        let mut file = tempfile();
        file.write_all(&vec![b'x'; LINE_BYTES_MAX + 1]).unwrap();
        let mut events = Vec::new();
        let position = read_records(&file, 0, &mut |r| events.push(r.event)).unwrap();
        assert_eq!(events, [Event::Gap]);
        assert_eq!(position.offset, LINE_BYTES_MAX as u64 + 1);
    }
}
