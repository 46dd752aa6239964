//! The only room that prints: values in, text, tables or JSON out.
//!
//! What a verb has found comes in as a value ([`Report`], [`Explanation`], ...); format, volume and colors are
//! decided once ([`Style`]). Text from QEMU, files and users is escaped before it is printed; colors are for
//! the state in an answer and the words `error:` and `hint:`, never in a table or in JSON.
//!
//! With `--format json` stdout has JSON objects alone, so success messages are left out there. What is text by
//! nature stays text: help, a log, the command line of `show`.

mod cause;
mod escape;
mod labels;
mod printer;
mod report;
mod style;
mod table;
mod time;
mod words;

pub use escape::escaped;
pub use labels::Labels;
pub use printer::{Detail, Field, Naming, Printer, Unprinted};
pub use report::{Complaint, Evidence, Explanation, Report, RunReport};
pub use style::{Asked, Color, Format, Stream, Style, Volume};

#[cfg(test)]
mod tests;
