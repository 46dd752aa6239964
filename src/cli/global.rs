//! The options that every verb takes, before it or after it.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::output::{Asked, Color, Format, Volume};

// Not a `///`, which clap would print. `$DOMSTATE_DIR` and `$NO_COLOR` are read where they are used.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
#[command(next_help_heading = "Options for every verb")]
pub struct Global {
    /// Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Leave out success messages and headers
    #[arg(short, long, global = true, overrides_with = "quiet")]
    quiet: bool,

    // Options without clap's default values: those cost instructions at every start.
    /// Print text (the default), or json, one object a line
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    format: Option<Format>,

    /// Color the state: auto (on a terminal, the default), always or never
    #[arg(long, global = true, value_name = "WHEN", hide_possible_values = true)]
    color: Option<Color>,
}

impl Global {
    /// How the user wants the output.
    pub fn asked(&self) -> Asked {
        Asked {
            format: self.format.unwrap_or_default(),
            volume: match self.quiet {
                true => Volume::Quiet,
                false => Volume::Normal,
            },
            color: self.color.unwrap_or_default(),
        }
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Text => "text",
            Self::Json => "json",
        }))
    }
}

impl ValueEnum for Color {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Always, Self::Never]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }))
    }
}
