//! The file that `save` writes and `restore` reads: a domain's definition, and then QEMU's migration stream as it is.
//!
//! ```text
//! domstate save image\n
//! {"definition":{..},"format":1,"header_bytes":65536,..,"digest":N}\n
//! zeros up to header_bytes, a multiple of 64 KiB
//! the stream, stream_bytes long, to the end of the file
//! ```
//! `stream_bytes` is null until the stream is on the disk, so a file that has the number is whole, after a power cut too.
//! At most [`HEADER_BYTES_MAX`] are read here, whatever the file says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::definition::Definition;
use super::digest::digest;
use super::durable::{self, check_format};
use super::encode::time_text;
use super::owner::Owner;
use crate::domain::{Begin, Name, Timestamp};
use crate::journal::open_users_to_read;

/// The format version of the whole file. Older ones are read, newer ones refused.
const FORMAT: u64 = 2;

/// That of an image whose guest is in no doubt. One that knows no more would restore one that is as if it were not.
const UNDOUBTED_FORMAT: u64 = 1;

pub(super) const MAGIC: &[u8] = b"domstate save image\n";

/// The last key of the header's line; its value is the digest of the line before it. Within a JSON string its quotes
/// would be escaped, so it cannot stand there.
const DIGEST_KEY: &str = ",\"digest\":";

/// A key that is there only where it is true.
const MAY_HAVE_PANICKED: &str = "may_have_panicked";

/// What the stream's start is a multiple of: more than any disk's block or processor's page.
const ALIGNMENT_BYTES: u64 = 64 * 1024;

/// Far above what a command line of 2 MiB, the most on Linux, takes as JSON.
const HEADER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Digits of the greatest u64.
const DIGITS_MAX: usize = 20;

/// What an image says of the guest in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveImage {
    pub name: Name,
    /// Number of the run that was saved.
    pub run: u32,
    /// When the save began.
    pub saved_at: Timestamp,
    /// What the guest is to do when it is restored.
    pub begin: Begin,
    /// Lines of its run were lost: its kernel may have panicked, and its crash kernel be what was saved.
    pub may_have_panicked: bool,
    pub definition: Definition,
}

impl SaveImage {
    pub(super) fn is_of(&self, owner: &Owner<'_>) -> bool {
        self.name == *owner.name && self.run == owner.run && self.saved_at == owner.began
    }

    /// The whole header, `header_bytes` long: magic, line and zeros.
    ///
    /// # Errors
    /// A length that no memory holds.
    pub fn header(&self, header_bytes: u64, stream_bytes: Option<u64>) -> io::Result<Vec<u8>> {
        let mut header = MAGIC.to_vec();
        header.extend(self.line(header_bytes, stream_bytes).bytes());
        header.push(b'\n');
        header.resize(usize::try_from(header_bytes).map_err(io::Error::other)?, 0);
        Ok(header)
    }

    /// The header's line without its end.
    fn line(&self, header_bytes: u64, stream_bytes: Option<u64>) -> String {
        let mut header = json!({
            "format": match self.may_have_panicked {
                true => FORMAT,
                false => UNDOUBTED_FORMAT,
            },
            "header_bytes": header_bytes,
            "stream_bytes": stream_bytes,
            "name": self.name.as_str(),
            "run": self.run,
            "saved_at": time_text(self.saved_at),
            "running": self.begin == Begin::Running,
            "definition": self.definition.to_json(),
        });
        if let Some(header) = header.as_object_mut().filter(|_| self.may_have_panicked) {
            header.insert(MAY_HAVE_PANICKED.to_owned(), json!(true));
        }
        let mut line = header.to_string();
        line.pop();
        let digest = digest(line.as_bytes());
        format!("{line}{DIGEST_KEY}{digest}}}")
    }

    /// Bytes of a header that has room for any numbers, and for a doubt that comes later.
    ///
    /// # Errors
    /// A definition too long for any header.
    pub fn header_bytes(&self) -> io::Result<u64> {
        let longest = Self {
            may_have_panicked: true,
            ..self.clone()
        };
        let line = longest.line(u64::MAX, Some(u64::MAX));
        let bytes = u64::try_from(MAGIC.len() + line.len() + DIGITS_MAX).unwrap_or(u64::MAX);
        let header_bytes = bytes.checked_next_multiple_of(ALIGNMENT_BYTES);
        header_bytes
            .filter(|bytes| *bytes <= HEADER_BYTES_MAX)
            .ok_or_else(|| {
                io::Error::other(format!("its header is above {HEADER_BYTES_MAX} bytes"))
            })
    }
}

/// An image to restore from: whole, as far as can be seen without QEMU.
#[derive(Debug)]
pub struct OpenImage {
    pub image: SaveImage,
    /// Length of the stream.
    pub stream_bytes: u64,
    file: File,
}

impl OpenImage {
    /// Opens and checks the image at `path`.
    ///
    /// # Errors
    /// The chain says what is wrong, without the path.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = open_users_to_read(path)?;
        let header = Header::read(&file)?;
        let Some(stream_bytes) = header.stream_bytes else {
            bail!("it was not written to its end");
        };
        let whole = header.header_bytes.checked_add(stream_bytes);
        let whole = whole.ok_or_else(|| wrong("stream_bytes"))?;
        let length = file.metadata()?.len();
        if length < whole {
            bail!("it is cut short: {length} bytes are left of {whole}");
        }
        if length > whole {
            bail!("it is too long: {length} bytes, of which {whole} were written by save");
        }
        file.seek(SeekFrom::Start(header.header_bytes))?;
        Ok(Self {
            image: header.image,
            stream_bytes,
            file,
        })
    }

    /// The file, positioned where the stream starts.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The same, to be passed on.
    pub fn into_file(self) -> File {
        self.file
    }
}

/// What stands before the stream.
pub(super) struct Header {
    pub(super) image: SaveImage,
    header_bytes: u64,
    /// `None` until the stream is whole.
    stream_bytes: Option<u64>,
}

impl Header {
    /// Whether the stream behind it was written to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.stream_bytes.is_some()
    }

    /// Reads it from the start of `file`, which stands there.
    pub(super) fn read(file: &File) -> Result<Self> {
        let mut reader = BufReader::new(file.take(HEADER_BYTES_MAX));
        let mut magic = Vec::new();
        let magic_bytes = u64::try_from(MAGIC.len())?;
        Read::take(&mut reader, magic_bytes).read_to_end(&mut magic)?;
        if magic != MAGIC {
            bail!("it is not a save image");
        }
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            bail!("it is cut short or damaged: its header has no end");
        }
        let line = std::str::from_utf8(&line).context("its header is damaged")?;
        let value: Value = serde_json::from_str(line).context("its header is damaged")?;
        // First, because a newer one may have another digest, or none.
        check_format(&value, FORMAT)?;
        if !agrees_with_its_digest(line) {
            bail!("its header is damaged");
        }
        let header = Self::from_json(&value)?;
        let least = magic_bytes + u64::try_from(line.len() + 1)?;
        let is_sound = header.header_bytes.is_multiple_of(ALIGNMENT_BYTES)
            && (least..=HEADER_BYTES_MAX).contains(&header.header_bytes);
        is_sound
            .then_some(header)
            .ok_or_else(|| wrong("header_bytes"))
    }

    fn from_json(value: &Value) -> Result<Self> {
        let field = |name: &'static str| {
            let missing = move || anyhow!("field '{name}' is missing");
            value.get(name).ok_or_else(missing)
        };
        let number = |name| field(name)?.as_u64().ok_or_else(|| wrong(name));
        let text = |name| field(name)?.as_str().ok_or_else(|| wrong(name));
        let running = field("running")?.as_bool();
        let definition = field("definition")?;
        check_format(definition, durable::FORMAT).context("its definition")?;
        let is_whole = !field("stream_bytes")?.is_null();
        let stream_bytes = is_whole.then(|| number("stream_bytes")).transpose()?;
        Ok(Self {
            image: SaveImage {
                name: text("name")?.parse().map_err(|_| wrong("name"))?,
                run: u32::try_from(number("run")?).map_err(|_| wrong("run"))?,
                saved_at: time_of(text("saved_at")?).ok_or_else(|| wrong("saved_at"))?,
                begin: match running.ok_or_else(|| wrong("running"))? {
                    true => Begin::Running,
                    false => Begin::Paused,
                },
                // Older ones do not say.
                may_have_panicked: value.get(MAY_HAVE_PANICKED).and_then(Value::as_bool)
                    == Some(true),
                definition: Definition::from_json(definition).context("its definition")?,
            },
            header_bytes: number("header_bytes")?,
            stream_bytes,
        })
    }
}

fn wrong(field: &str) -> anyhow::Error {
    anyhow!("field '{field}' is not what it should be")
}

fn agrees_with_its_digest(line: &str) -> bool {
    let parts = line.rsplit_once(DIGEST_KEY);
    let told = parts.and_then(|(_, end)| end.strip_suffix('}')?.parse().ok());
    parts.is_some_and(|(start, _)| told == Some(digest(start.as_bytes())))
}

/// The moment that an RFC 3339 time names; `None` if it is none, or before 1970.
pub fn time_of(text: &str) -> Option<Timestamp> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok().map(Timestamp)
}

#[cfg(test)]
#[path = "save_image_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "image_samples_tests.rs"]
pub(super) mod samples;
