//! Blocks of lines for people: `Label: value`, and the evidence below them.
//!
//! Pure text; the printer decides where it goes. Proved in `output::tests`, as part of what is printed.

use super::escape::escaped;
use super::report::Evidence;
use super::time::clock_time;

/// Where the values of a block of labels begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// In virsh's column, the seventeenth (`dominfo`).
    Virsh,
    /// One space behind the longest label.
    Fitted,
}

/// `Label: value` lines. The values have to be escaped already.
pub(super) fn label_lines(lines: &[(&str, String)], labels: Labels) -> String {
    let longest = lines.iter().map(|(label, _)| label.len() + 1).max();
    let width = match labels {
        Labels::Virsh => 15,
        Labels::Fitted => longest.unwrap_or(0),
    };
    let line = |(label, value): &(&str, String)| {
        let label = format!("{label}:");
        format!("{label:<width$} {value}\n")
    };
    lines.iter().map(line).collect()
}

/// The lines below `Evidence:`, the sources in a column.
pub(super) fn evidence_lines(evidence: &[Evidence]) -> String {
    let width = evidence.iter().map(|e| e.source.len()).max().unwrap_or(0);
    let line = |evidence: &Evidence| {
        let at = evidence.at.map_or_else(|| "-".to_owned(), clock_time);
        let Evidence { source, text, .. } = evidence;
        format!("  {at:<16}  {source:<width$}   {}\n", escaped(text))
    };
    evidence.iter().map(line).collect()
}
