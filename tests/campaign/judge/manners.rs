//! Whether a command spoke as it should.

use crate::harness::Said;

/// Whether a command that met no fault of its own spoke as it should: status, and one clear line a complaint.
pub(crate) fn judge_manners(words: &[&str], said: &Said) -> Result<(), String> {
    let statuses: &[i32] = match words[0] {
        "wait" => &[0, 1, 3, 124],
        "run" => &[0, 3, 4, 5, 6, 124, 125],
        _ => &[0, 1],
    };
    let knows = |line: &str| {
        ["error: ", "hint: ", "warning: ", "  "]
            .iter()
            .any(|begin| line.starts_with(begin))
            || line.is_empty()
            || (words[0] == "--format" && line.starts_with("{\"error\":{"))
    };
    let is_clear = said.stderr.lines().all(knows);
    let fits = said.code.is_some_and(|code| statuses.contains(&code));
    // What `run` says of it is not read here.
    let is_silent = said.code != Some(0) && said.stderr.is_empty();
    if fits && is_clear && (!is_silent || ["wait", "run"].contains(&words[0])) {
        return Ok(());
    }
    Err(format!("{words:?}: {said:?}"))
}
