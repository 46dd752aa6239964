//! Arguments and paths as JSON: Linux allows bytes in them that are no UTF-8.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde_json::{Value, json};

/// Text as a JSON string; bytes that are no UTF-8 as a list of them.
pub fn os_to_json(text: &OsStr) -> Value {
    match text.to_str() {
        Some(text) => json!(text),
        None => json!(text.as_bytes()),
    }
}

/// What [`os_to_json`] wrote; `None` for anything else.
pub fn os_from_json(value: &Value) -> Option<OsString> {
    if let Some(text) = value.as_str() {
        return Some(OsString::from(text));
    }
    let byte = |v: &Value| v.as_u64().and_then(|n| u8::try_from(n).ok());
    let bytes: Option<Vec<u8>> = value.as_array()?.iter().map(byte).collect();
    bytes.map(OsString::from_vec)
}
