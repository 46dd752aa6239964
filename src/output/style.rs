//! How to print: format, volume and colors, decided once from what the user asked for and what the two
//! streams are. The facts come in as values; nothing here looks at the environment.

use std::ffi::OsStr;

use crate::domain::{ShutOff, State};

/// For whom the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// When to color (`--color`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// Whether success messages and headers are printed (`-q` leaves them out).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Volume {
    #[default]
    Normal,
    Quiet,
}

/// Where a stream leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    Terminal,
    #[default]
    Other,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub format: Format,
    pub volume: Volume,
    pub color: Color,
}

/// The decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub(super) format: Format,
    pub(super) volume: Volume,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
    pub(super) stdout_paint: Paint,
    pub(super) stderr_paint: Paint,
}

/// Whether a stream gets colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Paint {
    Colored,
    #[default]
    Plain,
}

impl Style {
    /// Decides. `no_color` is the value of `$NO_COLOR`; an empty one counts for nothing (no-color.org).
    pub fn new(asked: Asked, no_color: Option<&OsStr>, stdout: Stream, stderr: Stream) -> Self {
        let unwanted = no_color.is_some_and(|value| !value.is_empty());
        let paint = |stream| match (asked.format, asked.color, stream) {
            (Format::Json, _, _) | (Format::Text, Color::Never, _) => Paint::Plain,
            (Format::Text, Color::Always, _) => Paint::Colored,
            (Format::Text, Color::Auto, Stream::Terminal) if !unwanted => Paint::Colored,
            (Format::Text, Color::Auto, Stream::Terminal | Stream::Other) => Paint::Plain,
        };
        Self {
            format: asked.format,
            volume: asked.volume,
            stdout,
            stderr,
            stdout_paint: paint(stdout),
            stderr_paint: paint(stderr),
        }
    }
}

/// An SGR code (ECMA-48).
type Code = &'static str;

const RED: Code = "31";
const GREEN: Code = "32";
const YELLOW: Code = "33";
pub(super) const ERROR: Code = "1;31";
pub(super) const HINT: Code = "1";

/// The color of a state: green while it runs, yellow while it stands, red after a failure.
pub(super) fn color_of(state: State) -> Option<Code> {
    match state {
        State::Running(_) => Some(GREEN),
        State::Paused(_) | State::InShutdown | State::PmSuspended => Some(YELLOW),
        State::Crashed | State::ShutOff(ShutOff::Crashed | ShutOff::Failed) => Some(RED),
        State::ShutOff(
            ShutOff::Unknown
            | ShutOff::Shutdown
            | ShutOff::Destroyed
            | ShutOff::Migrated
            | ShutOff::Saved
            | ShutOff::FromSnapshot,
        ) => None,
    }
}

impl Paint {
    /// `text` in a color, where there are colors.
    pub(super) fn paint(self, code: Option<Code>, text: &str) -> String {
        match (self, code) {
            (Self::Colored, Some(code)) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            (Self::Colored, None) | (Self::Plain, _) => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Other, Terminal};

    #[test]
    fn the_flag_outweighs_no_color_and_no_color_outweighs_the_terminal() {
        let decide = |format, color, no_color: Option<&str>, stdout| {
            let asked = Asked {
                format,
                color,
                volume: Volume::Normal,
            };
            Style::new(asked, no_color.map(OsStr::new), stdout, Other).stdout_paint
        };
        for (color, no_color, stdout, paint) in [
            (Color::Auto, None, Terminal, Paint::Colored),
            (Color::Auto, Some(""), Terminal, Paint::Colored),
            (Color::Auto, Some("1"), Terminal, Paint::Plain),
            (Color::Auto, None, Other, Paint::Plain),
            (Color::Always, Some("1"), Other, Paint::Colored),
            (Color::Never, None, Terminal, Paint::Plain),
        ] {
            assert_eq!(decide(Format::Text, color, no_color, stdout), paint);
            assert_eq!(decide(Format::Json, color, no_color, stdout), Paint::Plain);
        }
    }
}
