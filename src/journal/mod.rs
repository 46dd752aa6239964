//! The journal: the one file of a run that holds, in order, what QEMU announced, what users asked for and how
//! the process ended. QEMU writes it itself (the chardev's logfile, O_APPEND, one `write(2)` a line, CR LF at
//! the end); domstate appends lines of the same shape.
//!
//! This is the only room that spells QEMU's event names. It promises that no content of the file, however
//! damaged, makes a reader fail or grow without bound: what cannot be read becomes [`Event::Gap`].
//!
//! [`Event::Gap`]: crate::domain::Event::Gap

mod encode;
mod evidence;
mod fields;
mod file;
mod fold_json;
mod launch_json;
mod os_text;
mod parse;
mod reader;
mod request_json;
mod trace_json;

pub use encode::{asked_data, encode};
pub use evidence::{EvidenceLine, read_evidence};
pub use file::{
    JOURNAL_FILE, Journal, LINE_ROOM_BYTES, open_own, open_to_read, open_users_to_read, punch_hole,
};
pub use fold_json::{FOLD_FORMAT, fold_from_json, fold_to_json, rules_from_json, rules_to_json};
pub use os_text::{os_from_json, os_to_json};
pub use parse::parse_line;
pub use reader::{Position, read_records};
