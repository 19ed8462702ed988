//! What is wrong with a command line, in one line.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::foreign;

/// Says in one line, without the program's name, what is wrong and what may have been meant.
pub fn explain(err: &clap::Error) -> String {
    let text = |kind| match err.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let arg = text(ContextKind::InvalidArg);
    let value = text(ContextKind::InvalidValue);
    let hint = match err.kind() {
        ErrorKind::UnknownArgument if is_misplaced(arg.as_deref()) => {
            "; -s and -n stand before the command, --store and --namespace anywhere".to_owned()
        }
        ErrorKind::UnknownArgument | ErrorKind::MissingRequiredArgument
            if wants_program(err)
                && arg
                    .as_deref()
                    .is_some_and(|arg| may_be_program(err.kind(), arg)) =>
        {
            "; CMD stands behind `--`".to_owned()
        }
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand | ErrorKind::InvalidValue => {
            let name = text(ContextKind::InvalidSubcommand);
            let meant = name.and_then(|name| foreign::meant(&name).map(str::to_owned));
            let suggested = meant
                .or_else(|| text(ContextKind::SuggestedArg))
                .or_else(|| closest(err))
                .or_else(|| text(ContextKind::SuggestedValue));
            match suggested {
                Some(suggested) => format!("; did you mean `{suggested}`?"),
                None => dash_hint(err.kind(), arg.as_deref()),
            }
        }
        _ => String::new(),
    };
    let what = match (err.kind(), arg, value) {
        (ErrorKind::UnknownArgument, Some(arg), _) => format!("unknown argument `{arg}`"),
        (ErrorKind::InvalidSubcommand, ..) => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("unknown command `{name}`")
        }
        (
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
            ..,
        ) => "no command given".to_owned(),
        (ErrorKind::MissingRequiredArgument, Some(arg), _) => format!("{arg} is missing"),
        (ErrorKind::ArgumentConflict, Some(arg), _) => match text(ContextKind::PriorArg) {
            Some(prior) if prior != arg => format!("{arg} cannot be used with {prior}"),
            _ => format!("{arg} cannot be used more than once"),
        },
        (ErrorKind::InvalidValue, Some(arg), Some(value)) if value.is_empty() => {
            format!("{arg} needs a value")
        }
        (ErrorKind::InvalidValue, Some(arg), Some(value)) => {
            let known = text(ContextKind::ValidValue).unwrap_or_default();
            let known = match known.rsplit_once(", ") {
                Some((others, last)) => format!("{others} or {last}"),
                None => known,
            };
            let (arg, _) = arg.split_once(' ').unwrap_or((&arg, ""));
            format!("invalid value `{value}` for {arg}: use {known}")
        }
        (ErrorKind::ValueValidation, Some(arg), Some(value)) => {
            let why = std::error::Error::source(err)
                .map(ToString::to_string)
                .unwrap_or_default();
            // A location may hold a password.
            let value = match arg.starts_with("--store") {
                true => String::new(),
                false => format!(" `{}`", shorten(&value)),
            };
            format!("invalid {arg}{value}: {why}")
        }
        // The rest is rare; clap's own first paragraph says it.
        _ => {
            let text = err.to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    };
    format!("{what}{hint} (see kv --help)")
}

/// Returns the command whose name is closest to what was typed: the last one, as clap sorts them.
fn closest(err: &clap::Error) -> Option<String> {
    match err.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(names)) => names.last().cloned(),
        _ => None,
    }
}

fn is_misplaced(arg: Option<&str>) -> bool {
    arg.is_some_and(|arg| arg.starts_with("-s") || arg.starts_with("-n"))
}

/// Tells whether the command that was typed runs a program.
fn wants_program(err: &clap::Error) -> bool {
    match err.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string().contains("-- <CMD>"),
        _ => false,
    }
}

/// Tells whether what is wrong may be a program that stands where none can, or is missing there.
fn may_be_program(kind: ErrorKind, arg: &str) -> bool {
    match kind {
        ErrorKind::MissingRequiredArgument => arg.contains("<CMD>"),
        _ => !arg.starts_with('-'),
    }
}

/// Explains how a text that begins with a dash is given.
fn dash_hint(kind: ErrorKind, arg: Option<&str>) -> String {
    if kind == ErrorKind::UnknownArgument && arg.is_some_and(|arg| arg.starts_with('-')) {
        "; behind `--` everything is text".to_owned()
    } else {
        String::new()
    }
}

/// A key may be 64 KiB of text; a line for people need not.
fn shorten(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
