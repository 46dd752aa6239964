//! The header of a save image, with the definition in it.

use std::fs::File;
use std::io::Seek;
use std::os::unix::fs::FileExt;

use domstate::store::{OpenImage, SaveImage};
use serde_json::Value;

use super::memory::Memory;

const MAGIC: &[u8] = b"domstate save image\n";

/// What stands before the digest, the last field of the line.
const DIGEST_KEY: &[u8] = b",\"digest\":";

/// A file of holes may claim to be as long.
const LENGTH_MAX: u64 = 1 << 40;

thread_local! {
    static FILE: Memory = Memory::new();
}

/// Reads `bytes` as an image; and the first line of them as a header whose digest and lengths agree, which no fuzzer
/// would come upon.
pub fn image(bytes: &[u8]) {
    FILE.with(|memory| {
        memory.hold(bytes);
        open(memory);
        let file = memory.hold(&sealed(bytes));
        file.set_len(length_claimed(bytes)).unwrap();
        open(memory);
    });
}

fn open(memory: &Memory) {
    let open = match OpenImage::open(&memory.path()) {
        Ok(open) => open,
        Err(error) => {
            assert!(!format!("{error:#}").is_empty());
            return;
        }
    };
    let at = open.file().stream_position().unwrap();
    let length = open.file().metadata().unwrap().len();
    assert_eq!(at + open.stream_bytes, length);
    assert_written_again(memory, &open.image, open.stream_bytes);
}

fn assert_written_again(memory: &Memory, image: &SaveImage, stream_bytes: u64) {
    let header_bytes = image.header_bytes().unwrap();
    let header = image.header(header_bytes, Some(stream_bytes)).unwrap();
    let file: &File = memory.hold(&header);
    file.set_len(header_bytes + stream_bytes).unwrap();
    let back = OpenImage::open(&memory.path()).unwrap();
    assert_eq!(&back.image, image);
    assert_eq!(back.stream_bytes, stream_bytes);
    // Without its stream's length it is not whole, and is not taken for it.
    let header = image.header(header_bytes, None).unwrap();
    file.write_all_at(&header, 0).unwrap();
    assert!(OpenImage::open(&memory.path()).is_err());
}

/// The first line as a header with the digest that it ought to have.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let line = line_of(bytes);
    let key = line
        .windows(DIGEST_KEY.len())
        .rposition(|w| w == DIGEST_KEY);
    let line = match key {
        Some(key) => &line[..key],
        None => line.strip_suffix(b"}").unwrap_or(line),
    };
    let digest = digest(line).to_string();
    [MAGIC, line, DIGEST_KEY, digest.as_bytes(), b"}\n"].concat()
}

fn line_of(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_prefix(MAGIC).unwrap_or(bytes);
    line.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// As long as the line says that the file is, within reason.
fn length_claimed(bytes: &[u8]) -> u64 {
    let line: Value = serde_json::from_slice(line_of(bytes)).unwrap_or_default();
    let number = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or(1 << 16);
    number("header_bytes")
        .saturating_add(number("stream_bytes"))
        .min(LENGTH_MAX)
}

/// FNV-1a, as the image's header has it.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
