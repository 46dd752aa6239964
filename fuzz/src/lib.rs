//! What no content of a file or a socket may bring about: one function a reader, fed with any bytes. It fails by
//! panicking. `make fuzz` feeds them what a fuzzer finds; `cargo test --test readers` feeds them what is kept in
//! `corpus`, without a fuzzer.
//!
//! Each asks more than that nothing breaks: what was read is the same when it is written and read again, and in pieces;
//! success is never told without the line that says it. The readers are the program's own, over real files (in memory)
//! and real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "it fails by panicking"
)]
#![allow(
    unreachable_pub,
    clippy::wildcard_enum_match_arm,
    reason = "a crate of its own beside the fuzzer, and a part of a test"
)]

mod answers;
mod checkpoint;
mod definition;
mod image;
mod journal;
mod memory;
mod qmp;

pub use checkpoint::checkpoint;
pub use definition::definition;
pub use image::image;
pub use journal::journal;
pub use qmp::qmp;
