//! `kv put`: stores a value under a key.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;

use crate::cli::PutArgs;
use crate::commands::Session;
use crate::commands::output::OrCannotWrite as _;
use crate::commands::value::Given;
use crate::exit::Exit;
use crate::store::{Condition, Expiry, Put};

/// Stores the value; says no, and stays silent, when the condition does not hold.
pub(super) fn run(args: &PutArgs, session: &mut Session<'_>) -> Result<Exit> {
    let mut value = Given::open(args.value.as_ref(), args.file.as_deref())?;
    let expiry = match args.ttl {
        Some(ttl) => Expiry::After(ttl),
        None if args.keep_ttl => Expiry::Keep,
        None => Expiry::Never,
    };
    let condition = match (&args.if_value, args.if_etag) {
        (Some(value), _) => Condition::Value(value.as_bytes().to_vec()),
        (None, Some(etag)) => Condition::Etag(etag),
        (None, None) if args.if_absent => Condition::Absent,
        (None, None) if args.if_exists => Condition::Exists,
        (None, None) => Condition::Always,
    };
    let put = Put {
        expiry,
        ..Put::new(&mut value, condition)
    };
    let Some(etag) = session
        .store
        .put(&session.namespace, &args.key, put, &session.clock)?
    else {
        return Ok(Exit::No);
    };
    if args.print_etag {
        writeln!(session.out, "{etag}").or_cannot_write()?;
    }
    Ok(Exit::Success)
}
