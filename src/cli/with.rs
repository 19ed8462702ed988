//! The arguments of one command joined with the options that any command takes.
//!
//! Written by hand where `derive(Args)` would do but for one thing: it makes the doc comment of a
//! struct the description of the command, and the arguments of a deferred command are built last,
//! so that the comment would hide what the command says of itself.

use clap::builder::Resettable;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use super::Global;

/// The arguments of a command, and the options that any command takes.
#[derive(Debug)]
pub struct With<A> {
    /// The command's own.
    pub args: A,
    pub(super) after: Global,
}

impl<A: Args> Args for With<A> {
    fn augment_args(command: Command) -> Command {
        let about = Resettable::from(command.get_about().cloned());
        let long_about = Resettable::from(command.get_long_about().cloned());
        let command = Global::augment_args(A::augment_args(command));
        let command = command.mut_args(behind_command);
        command.about(about).long_about(long_about)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Leaves the short names of the global options to the commands.
fn behind_command(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "store" | "namespace" => arg.short(None).hide_short_help(true),
        _ => arg,
    }
}

impl<A: Args> FromArgMatches for With<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        Ok(Self {
            args: A::from_arg_matches_mut(matches)?,
            after: Global::from_arg_matches_mut(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.args.update_from_arg_matches(matches)?;
        self.after.update_from_arg_matches(matches)
    }
}
