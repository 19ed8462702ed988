//! `kv stat`: prints what is known about a key.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::ValueEnum as _;
use clap::builder::PossibleValue;

use crate::cli::{Field, StatArgs};
use crate::commands::Session;
use crate::commands::listing::write_key;
use crate::commands::nearest;
use crate::commands::output::OrCannotWrite as _;
use crate::exit::Exit;
use crate::store::Meta;
use crate::wire::json;
use crate::wire::time::{rfc3339, rfc3339_deadline};

/// Prints all that is known, or one field of it.
pub(super) fn run(args: &StatArgs, session: &mut Session<'_>) -> Result<Exit> {
    let Some(meta) = session
        .store
        .stat(&session.namespace, &args.key, session.now())?
    else {
        return Ok(nearest::missing(session, &args.key));
    };
    print(args, session, &meta).or_cannot_write()?;
    Ok(Exit::Success)
}

fn print(args: &StatArgs, session: &mut Session<'_>, meta: &Meta) -> io::Result<()> {
    if args.json {
        json::begin(session.out, args.key.as_bytes())?;
        json::member(session.out, "namespace", session.namespace.as_str())?;
        return json::end(session.out, meta);
    }
    if let Some(field) = args.field {
        print_field(args, session, meta, field)?;
        return session.out.write_all(b"\n");
    }
    for field in Field::value_variants() {
        let name = field.to_possible_value();
        let name = name.as_ref().map_or("", PossibleValue::get_name);
        write!(session.out, "{name}: ")?;
        print_field(args, session, meta, *field)?;
        session.out.write_all(b"\n")?;
    }
    Ok(())
}

fn print_field(
    args: &StatArgs,
    session: &mut Session<'_>,
    meta: &Meta,
    field: Field,
) -> io::Result<()> {
    let text = match field {
        Field::Key => return write_key(session.out, args.key.as_bytes()),
        Field::Namespace => session.namespace.to_string(),
        Field::Size => meta.size.to_string(),
        Field::Modified => rfc3339(meta.modified),
        Field::Expires => meta
            .expires
            .map_or_else(|| "never".to_owned(), rfc3339_deadline),
        Field::Etag => meta.etag.to_string(),
    };
    session.out.write_all(text.as_bytes())
}
