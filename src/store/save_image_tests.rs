//! What is refused, and that format 1 is read for ever.

use std::fs;
use std::path::PathBuf;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;
use crate::store::new_image::{NewImage, Placed, part_of, put_in_place};
use crate::store::save_image::samples::{Folder, image, write_image};

/// The header's line of an image of format 1. It is never changed: a later domstate must read it too.
const GOLDEN_LINE: &str = r#"{"definition":{"argv":["qemu-system-x86_64","-m","64",[97,255]],"format":1,"uuid":"c7a5fdbd-cdaf-4455-926a-d65c16db1809","workdir":"/srv/vm"},"format":1,"header_bytes":65536,"name":"web","run":7,"running":true,"saved_at":"2026-11-23T03:00:00.000001Z","stream_bytes":12,"digest":9618887919350536804}"#;

/// The stream of the golden image.
const GOLDEN_STREAM: &[u8] = b"QEVM\0\0\0\x03\n\xff\0\x01";

/// An image of a header's line and what follows it.
fn bytes_of(line: &str, stream: &[u8]) -> Vec<u8> {
    let mut bytes = [MAGIC, line.as_bytes(), b"\n"].concat();
    bytes.resize(65536, 0);
    bytes.extend(stream);
    bytes
}

/// The line with one text replaced by another, under a digest that agrees.
fn forged(from: &str, to: &str) -> String {
    let (start, _) = GOLDEN_LINE.rsplit_once(DIGEST_KEY).unwrap();
    let start = start.replacen(from, to, 1);
    let digest = digest(start.as_bytes());
    format!("{start}{DIGEST_KEY}{digest}}}")
}

fn open_bytes(folder: &Folder, bytes: &[u8]) -> Result<OpenImage> {
    let path = folder.path("image");
    fs::write(&path, bytes).unwrap();
    OpenImage::open(&path)
}

fn refusal(folder: &Folder, bytes: &[u8]) -> String {
    format!("{:#}", open_bytes(folder, bytes).unwrap_err())
}

fn stream_of(open: OpenImage) -> Vec<u8> {
    let mut stream = Vec::new();
    open.into_file().read_to_end(&mut stream).unwrap();
    stream
}

#[test]
fn an_image_comes_back_byte_for_byte() {
    let folder = Folder::new();
    for (begin, stream) in [
        (Begin::Running, vec![7; 100_000]),
        (Begin::Paused, vec![0; 1]),
    ] {
        let path = folder.path("round trip");
        let image = SaveImage {
            begin,
            may_have_panicked: begin == Begin::Paused,
            ..image()
        };
        write_image(&path, &image, &stream);
        let owner = Owner {
            name: &image.name,
            run: image.run,
            began: image.saved_at,
        };
        assert!(matches!(put_in_place(&path, &owner), Ok(Placed::Durably)));
        let open = OpenImage::open(&path).unwrap();
        assert_eq!(open.image, image);
        assert_eq!(open.stream_bytes, u64::try_from(stream.len()).unwrap());
        assert_eq!(stream_of(open), stream);
    }
}

#[test]
fn a_command_line_as_long_as_linux_allows_has_room() {
    let folder = Folder::new();
    let path = folder.path("long");
    let mut image = image();
    // Six bytes of JSON each.
    image.definition.argv.push("\u{1}".repeat(2 << 20).into());
    write_image(&path, &image, b"stream");
    let open = OpenImage::open(&part_of(&path)).unwrap();
    assert!(open.image == image);
    assert_eq!(stream_of(open), b"stream");
    image.definition.argv.push("\u{1}".repeat(1 << 20).into());
    let error = NewImage::create(&folder.path("longer"), &image).unwrap_err();
    assert_eq!(error.to_string(), "its header is above 16777216 bytes");
    assert!(!part_of(&folder.path("longer")).exists());
}

#[test]
fn format_1_is_read() {
    let folder = Folder::new();
    let open = open_bytes(&folder, &bytes_of(GOLDEN_LINE, GOLDEN_STREAM)).unwrap();
    let image = &open.image;
    assert_eq!(image.name.as_str(), "web");
    assert_eq!(image.run, 7);
    assert_eq!(image.saved_at, Timestamp(1_795_402_800_000_001));
    assert_eq!(image.begin, Begin::Running);
    let definition = &image.definition;
    assert_eq!(
        definition.uuid.to_string(),
        "c7a5fdbd-cdaf-4455-926a-d65c16db1809"
    );
    let argv: Vec<&[u8]> = definition
        .argv
        .iter()
        .map(|argument| argument.as_encoded_bytes())
        .collect();
    assert_eq!(argv, [&b"qemu-system-x86_64"[..], b"-m", b"64", b"a\xff"]);
    assert_eq!(definition.workdir, PathBuf::from("/srv/vm"));
    assert_eq!(stream_of(open), GOLDEN_STREAM);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let folder = Folder::new();
    let newer = forged(r#"},"format":1"#, r#"},"format":3"#);
    let words = "format 3 is newer than this domstate, which knows 2";
    assert_eq!(refusal(&folder, &bytes_of(&newer, b"")), words);
    let other_digest = newer.replace("digest", "sha256");
    assert_eq!(refusal(&folder, &bytes_of(&other_digest, b"")), words);
    let known = durable::FORMAT;
    let format = format!(r#"],"format":{}"#, known + 1);
    let newer = forged(r#"],"format":1"#, &format);
    let words = format!(
        "its definition: format {} is newer than this domstate, which knows {known}",
        known + 1
    );
    assert_eq!(refusal(&folder, &bytes_of(&newer, GOLDEN_STREAM)), words);
}

#[test]
fn a_cut_image_is_refused_wherever_it_is_cut() {
    let folder = Folder::new();
    let whole = bytes_of(GOLDEN_LINE, GOLDEN_STREAM);
    let end = whole.len();
    let sampled = (400..end - 100).step_by(4999);
    for length in (0..400).chain(sampled).chain(end - 100..end) {
        let error = refusal(&folder, &whole[..length]);
        let words = if length < MAGIC.len() {
            "it is not a save image".to_owned()
        } else if length <= MAGIC.len() + GOLDEN_LINE.len() {
            "it is cut short or damaged: its header has no end".to_owned()
        } else {
            format!("it is cut short: {length} bytes are left of {end}")
        };
        assert_eq!(error, words, "{length}");
    }
    assert!(open_bytes(&folder, &whole).is_ok());
}

#[test]
fn a_longer_image_is_refused() {
    let folder = Folder::new();
    let mut bytes = bytes_of(GOLDEN_LINE, GOLDEN_STREAM);
    bytes.push(0);
    assert_eq!(
        refusal(&folder, &bytes),
        "it is too long: 65549 bytes, of which 65548 were written by save"
    );
}

#[test]
fn a_header_with_any_byte_changed_is_refused_or_says_the_same() {
    let folder = Folder::new();
    let whole = bytes_of(GOLDEN_LINE, GOLDEN_STREAM);
    let image = open_bytes(&folder, &whole).unwrap().image;
    for at in 0..MAGIC.len() + GOLDEN_LINE.len() + 10 {
        for change in [0x01, 0x02, 0x04, 0x10, 0x20, 0x80, 0xff, whole[at] ^ b'\n'] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            if let Ok(open) = open_bytes(&folder, &bytes) {
                assert_eq!(open.image, image, "byte {at} ^ {change}");
                assert_eq!(stream_of(open), GOLDEN_STREAM, "byte {at} ^ {change}");
            }
        }
    }
}

#[test]
fn a_header_that_cannot_be_is_refused() {
    let folder = Folder::new();
    for (from, to, words) in [
        (
            "65536",
            "65535",
            "field 'header_bytes' is not what it should be",
        ),
        (
            "65536",
            "0",
            "field 'header_bytes' is not what it should be",
        ),
        (
            "65536",
            "18446744073709486080",
            "field 'header_bytes' is not what it should be",
        ),
        (
            "65536",
            "-65536",
            "field 'header_bytes' is not what it should be",
        ),
        (
            ":12",
            ":18446744073709551615",
            "field 'stream_bytes' is not what it should be",
        ),
        (
            ":12",
            ":\"12\"",
            "field 'stream_bytes' is not what it should be",
        ),
        ("stream_bytes", "stream", "field 'stream_bytes' is missing"),
        (
            "\"web\"",
            "\"../web\"",
            "field 'name' is not what it should be",
        ),
        (
            "\"run\":7",
            "\"run\":4294967296",
            "field 'run' is not what it should be",
        ),
        (
            "\"running\":true",
            "\"running\":1",
            "field 'running' is not what it should be",
        ),
        (
            "2026-11-23",
            "2026-13-23",
            "field 'saved_at' is not what it should be",
        ),
        (
            "\"workdir\"",
            "\"dir\"",
            "its definition: field 'workdir' is missing",
        ),
        ("},\"format\"", "},\"kind\"", "field 'format' is missing"),
    ] {
        let bytes = bytes_of(&forged(from, to), GOLDEN_STREAM);
        assert_eq!(refusal(&folder, &bytes), words, "{to}");
    }
}

#[test]
fn an_image_that_was_not_sealed_is_refused() {
    let folder = Folder::new();
    let path = folder.path("image");
    let new = NewImage::create(&path, &image()).unwrap();
    let refused = || OpenImage::open(&part_of(&path)).unwrap_err().to_string();
    assert_eq!(refused(), "it was not written to its end");
    io::Write::write_all(&mut new.file(), b"half a stream").unwrap();
    assert_eq!(refused(), "it was not written to its end");
}

#[test]
fn what_is_no_image_is_refused_without_waiting() {
    let folder = Folder::new();
    let words = "it is not a save image";
    assert_eq!(refusal(&folder, b""), words);
    assert_eq!(refusal(&folder, b"LibvirtQemudSave\x02\0\0\0"), words);
    assert_eq!(refusal(&folder, &[0; 70_000]), words);
    // 18 MiB of header, of which 16 are read.
    let endless = [MAGIC, &vec![b' '; 18 << 20]].concat();
    let words = "it is cut short or damaged: its header has no end";
    assert_eq!(refusal(&folder, &endless), words);
    let open = |name: &str| {
        let error = OpenImage::open(&folder.path(name)).unwrap_err();
        error.to_string()
    };
    mkfifo(&folder.path("fifo"), Mode::S_IRWXU).unwrap();
    assert_eq!(open("fifo"), "it is no regular file");
    assert_eq!(open("."), "Is a directory (os error 21)");
    assert_eq!(open("none"), "No such file or directory (os error 2)");
    let device = OpenImage::open(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(device.to_string(), "it is no regular file");
}
