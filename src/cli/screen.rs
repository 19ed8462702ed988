//! The options of the commands that print for a person where a terminal shows it.

use clap::{Args, ValueEnum};

/// How a terminal shows what is printed; a pipe gets the same whatever they say.
#[derive(Debug, Args)]
#[command(next_help_heading = "At a terminal")]
pub struct Screen {
    /// Whether headings have a colour; auto heeds NO_COLOR and CLICOLOR_FORCE
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,

    /// Cut no line to the width of the terminal
    #[arg(long)]
    pub wide: bool,
}

/// When there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where nothing speaks against it
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
