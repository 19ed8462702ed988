//! `kv push`: adds elements to the end of a list.

use std::io::{BufRead as _, BufReader};

use anyhow::Result;

use crate::cli::PushArgs;
use crate::commands::Session;
use crate::commands::listing::line_end;
use crate::commands::value::{Given, expect_stdin};
use crate::exit::Exit;
use crate::os::RawStdin;
use crate::store::OrCannot as _;

/// Adds the argument, all of standard input, or each of its records; each is there for good when
/// the next one is read.
pub(super) fn run(args: &PushArgs, session: &mut Session<'_>) -> Result<Exit> {
    if !args.lines && !args.null {
        let mut value = Given::open(args.value.as_ref(), None)?;
        session.store.push(&args.list, &mut value, &session.clock)?;
        return Ok(Exit::Success);
    }
    expect_stdin("there are no elements to add")?;
    let end = line_end(args.null);
    let mut stdin = BufReader::new(RawStdin);
    let mut record = Vec::new();
    loop {
        record.clear();
        stdin
            .read_until(end, &mut record)
            .or_cannot("read", "standard input".as_ref())?;
        if record.is_empty() {
            return Ok(Exit::Success);
        }
        let element = record.strip_suffix(&[end]).unwrap_or(&record);
        session
            .store
            .push(&args.list, &mut &*element, &session.clock)?;
    }
}
