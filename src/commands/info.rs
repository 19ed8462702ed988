//! `kv info`: prints what is known of a store.

use std::io::{self, Write as _};

use anyhow::{Result, anyhow};

use crate::cli::InfoArgs;
use crate::commands::Session;
use crate::commands::histogram::draw;
use crate::commands::listing::write_key;
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::commands::session::NamedBy;
use crate::commands::table::ago;
use crate::exit::Exit;
use crate::store::{Info, Namespace, Time};
use crate::wire::info::{Fact, facts, rows, write_json};
use crate::wire::time::rfc3339;
use crate::wire::units;

/// Prints what is known of one namespace or of all. What cannot be told of one keeps nothing from
/// being told of the others.
pub(super) fn run(args: &InfoArgs, session: &mut Session<'_>) -> Result<Exit> {
    let store = [
        ("engine", session.choice.location.engine().to_owned()),
        ("location", session.choice.location.to_string()),
        ("setting", session.choice.setting.to_owned()),
    ];
    let namespaces = session.namespaces()?;
    let mut printer = Printer {
        store: &store,
        json: args.json,
        now: session.now(),
        is_begun: false,
    };
    let mut exit = Exit::Success;
    for namespace in &namespaces {
        match session.store.info(namespace, session.now()) {
            Ok(Some(info)) => {
                printer
                    .print(session.out, Some((namespace, &info)))
                    .or_cannot_write()?;
                if info.damaged > 0 {
                    exit = exit.max(Exit::Damaged);
                    session.complain(anyhow!(
                        "cannot read all of namespace `{namespace}`: {} damaged",
                        info.damaged
                    ));
                }
            }
            Ok(None) if session.named_by != NamedBy::Nobody => return Ok(Exit::No),
            // It was removed since it was listed.
            Ok(None) => {}
            Err(err) => {
                printer.begin(session.out).or_cannot_write()?;
                exit = exit.max(session.fails(err));
            }
        }
    }
    // Where a store is, or will be, is worth telling when nothing is in it.
    if !printer.is_begun {
        printer.print(session.out, None).or_cannot_write()?;
    }
    Ok(exit)
}

/// What has been printed so far.
struct Printer<'a> {
    store: &'a [(&'static str, String)],
    json: bool,
    now: Time,
    is_begun: bool,
}

impl Printer<'_> {
    fn print(&mut self, out: &mut Output, of: Option<(&Namespace, &Info)>) -> io::Result<()> {
        self.begin(out)?;
        if self.json {
            let of = of.map(|(namespace, info)| (namespace.as_str(), info));
            return write_json(out, self.store, of);
        }
        match of {
            Some((namespace, info)) => print_namespace(out, namespace, info, self.now),
            None => out.write_all(b"\nnamespace: none yet\n"),
        }
    }

    /// Prints what concerns all namespaces, once. As JSON it is a part of each object.
    fn begin(&mut self, out: &mut Output) -> io::Result<()> {
        let is_begun = std::mem::replace(&mut self.is_begun, true);
        if self.json || is_begun {
            return Ok(());
        }
        for (name, text) in self.store {
            write_name(out, name)?;
            write_key(out, text.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Writes what a fact is called. A person gets the facts in a column.
fn write_name(out: &mut Output, name: &str) -> io::Result<()> {
    let width = if out.is_terminal() { 13 } else { 0 };
    write!(out, "{:<width$} ", format!("{name}:"))
}

fn print_namespace(
    out: &mut Output,
    namespace: &Namespace,
    info: &Info,
    now: Time,
) -> io::Result<()> {
    out.write_all(b"\n")?;
    write_name(out, "namespace")?;
    writeln!(out, "{namespace}")?;
    for (name, fact) in facts(info) {
        let text = match fact {
            Fact::Count(number) => number.to_string(),
            Fact::Bytes(number) if out.is_terminal() => units::bytes(number.into()),
            Fact::Bytes(number) if number < 1024 => number.to_string(),
            Fact::Bytes(number) => format!("{number} ({})", units::bytes(number.into())),
            Fact::Time(time) if out.is_terminal() => ago(time, now),
            Fact::Time(time) => rfc3339(time),
            Fact::Flag(true) => "yes".to_owned(),
            Fact::Flag(false) => "no".to_owned(),
            Fact::Nothing(word) => word.to_owned(),
        };
        write_name(out, name)?;
        writeln!(out, "{text}")?;
    }
    let columns = out.columns();
    // The bounds are powers of two: they have no fraction.
    let size = |bound| units::bytes(bound).replace(".0 ", " ");
    let sizes = draw(&rows(&info.sizes), columns, size);
    let ages = draw(&rows(&info.ages), columns, units::seconds);
    for (name, drawn) in [("sizes", sizes), ("ages", ages)] {
        if !drawn.is_empty() {
            write!(out, "{name}:\n{drawn}")?;
        }
    }
    Ok(())
}
