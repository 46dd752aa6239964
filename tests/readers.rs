//! The readers of files and of QMP on everything that `fuzz/corpus` keeps, and on each of it cut, without a fuzzer: what
//! `make fuzz` once found stays found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod readers;

/// Feeds `read` with every file of `corpus/NAME`, and with what is left of it when it is cut at some places.
fn feed(name: &str, read: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut inputs = 0;
    for entry in fs::read_dir(folder.join(name)).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        read(&bytes);
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 16) {
            read(&bytes[..end]);
        }
        inputs += 1;
    }
    assert!(inputs > 1, "{name}: {inputs} inputs");
}

#[test]
fn a_journal_of_any_bytes_is_read_and_in_pieces_is_the_same() {
    feed("journal", readers::journal);
}

#[test]
fn a_checkpoint_of_any_bytes_is_believed_whole_or_not_at_all() {
    feed("checkpoint", readers::checkpoint);
}

#[test]
fn a_definition_of_any_bytes_is_read_back_as_it_is_written() {
    feed("definition", readers::definition);
}

#[test]
fn a_save_image_of_any_bytes_is_read_back_as_it_is_written() {
    feed("image", readers::image);
}

#[test]
fn whatever_a_peer_sends_ends_a_command_and_answers_none_that_was_not_asked() {
    feed("qmp", readers::qmp);
}
