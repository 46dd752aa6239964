//! QEMU's own words on our stderr, as they come: bytes as they are, but for what a terminal would obey if it is one.

use std::io::{self, Write};

use super::escape::escaped_lines;
use super::style::Stream;

/// The longest beginning of a character in UTF-8 that is not a whole one.
const BEGINNING_BYTES_MAX: usize = 3;

/// Where QEMU's words are written to. What is flushed is whole.
#[derive(Debug)]
pub struct Words<'a, E> {
    to: &'a mut E,
    kind: Stream,
    /// The beginning of a character whose rest is still to come.
    begun: Vec<u8>,
}

impl<'a, E: Write> Words<'a, E> {
    pub(super) fn new(to: &'a mut E, kind: Stream) -> Self {
        Self {
            to,
            kind,
            begun: Vec::new(),
        }
    }
}

impl<E: Write> Write for Words<'_, E> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.kind == Stream::Other {
            return self.to.write(bytes);
        }
        let mut text = std::mem::take(&mut self.begun);
        text.extend(bytes);
        self.begun = text.split_off(text.len() - begun_bytes(&text));
        self.to.write_all(escaped_lines(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        self.to.write_all(escaped_lines(&begun).as_bytes())?;
        self.to.flush()
    }
}

/// How many bytes at the end of `text` are the beginning of a character.
fn begun_bytes(text: &[u8]) -> usize {
    let is_begun = |bytes: &usize| {
        let end = text.len().checked_sub(*bytes).and_then(|at| text.get(at..));
        let error = end.and_then(|end| std::str::from_utf8(end).err());
        error.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=BEGINNING_BYTES_MAX).find(is_begun).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Stream, parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut words = Words::new(&mut bytes, kind);
        for part in parts {
            words.write_all(part).unwrap();
        }
        words.flush().unwrap();
        bytes
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out_for_one_however_it_is_cut() {
        let text = "a\tb\u{1b}[2J\r\n漢\u{202e}é\u{1f600}\u{9b}m\n".as_bytes();
        let shown = "a\tb\\x1b[2J\\r\n漢\\u{202e}é\u{1f600}\\u{9b}m\n";
        for at in 0..=text.len() {
            let (head, tail) = text.split_at(at);
            let parts = [head, tail];
            assert_eq!(written(Stream::Terminal, &parts), shown.as_bytes(), "{at}");
            assert_eq!(written(Stream::Other, &parts), text, "{at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(written(Stream::Terminal, &bytes), shown.as_bytes());
    }

    #[test]
    fn what_is_no_text_is_written_all_the_same() {
        for (parts, shown) in [
            (&[&b"a\xff"[..], b"b"][..], "a\u{fffd}b"),
            (&[b"a\xe6\xbc"], "a\u{fffd}"),
            (&[b"\xe6\xbc", b"\x1b"], "\u{fffd}\\x1b"),
            (&[b"\xc2", b"\n", b"\x9b"], "\u{fffd}\n\u{fffd}"),
        ] {
            assert_eq!(written(Stream::Terminal, parts), shown.as_bytes());
        }
    }
}
