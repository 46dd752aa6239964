//! Fields of a checkpoint that may be missing.

use serde_json::{Map, Value, json};

use crate::domain::Timestamp;

pub(super) fn time(at: Option<Timestamp>) -> Value {
    json!(at.map(|at| at.0))
}

pub(super) fn time_from(data: &Map<String, Value>, key: &str) -> Option<Option<Timestamp>> {
    optional(data, key, |value| value.as_u64().map(Timestamp))
}

/// A field that may be missing; `None` for one that cannot be read.
pub(super) fn optional<T>(
    data: &Map<String, Value>,
    key: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<Option<T>> {
    match data.get(key).filter(|value| !value.is_null()) {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}
