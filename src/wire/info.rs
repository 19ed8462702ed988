//! What is known of a namespace: the names that it has in every form, and the form of JSON.
//!
//! ```json
//! {"engine":"tree","location":"…","setting":"HOME","namespace":"default","format":1,"entries":3,…}
//! ```

use std::io::{self, Write};

use serde_json::Value;

use crate::store::{Info, Time};
use crate::wire::json;
use crate::wire::time::{read_rfc3339, rfc3339};

/// What one name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// So many of something.
    Count(u64),
    /// So many bytes.
    Bytes(u64),
    /// A moment.
    Time(Time),
    /// Yes or no.
    Flag(bool),
    /// There is nothing to tell: a word for people, and null in JSON.
    Nothing(&'static str),
}

/// Names what is known of a namespace, in the order in which it is told.
pub fn facts(info: &Info) -> Vec<(&'static str, Fact)> {
    let known = |fact: Option<Fact>| fact.unwrap_or(Fact::Nothing("unknown"));
    let format = match info.format {
        0 => Fact::Nothing("none"),
        format => Fact::Count(format.into()),
    };
    let last_gc = info.collected.map_or(Fact::Nothing("never"), Fact::Time);
    let mut facts = vec![
        ("format", format),
        ("entries", Fact::Count(info.entries)),
        ("bytes", Fact::Bytes(info.bytes)),
        ("disk_bytes", known(info.disk_bytes.map(Fact::Bytes))),
        ("inodes", known(info.inodes.map(Fact::Count))),
        ("loose", Fact::Count(info.loose)),
        ("packed", Fact::Count(info.packed)),
        ("packs", Fact::Count(info.packs)),
        ("temporary", Fact::Count(info.temporary)),
        ("tombstones", Fact::Count(info.tombstones)),
        ("expired", Fact::Count(info.expired)),
        ("last_gc", last_gc),
        ("gc_pays", Fact::Flag(info.collection_pays)),
        ("damaged", Fact::Count(info.damaged)),
    ];
    facts.extend(info.evicts.map(|evicts| ("evicts", Fact::Flag(evicts))));
    facts
}

/// A row of a histogram: how many numbers there are from one on, and below another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The least number that is counted here.
    pub from: u128,
    /// The least number that is not counted here any more.
    pub below: u128,
    /// How many there are.
    pub count: u64,
}

/// Returns the rows of counts of 0, 1, 2 to 3, 4 to 7 and so on, from the first to the last that
/// counts anything.
pub fn rows(counts: &[u64]) -> Vec<Row> {
    let bound = |row: usize| 1_u128.checked_shl(row as u32).unwrap_or(u128::MAX);
    let rows = counts.iter().enumerate().map(|(row, &count)| Row {
        from: row.checked_sub(1).map_or(0, bound),
        below: bound(row),
        count,
    });
    let mut rows: Vec<Row> = rows.skip_while(|row| row.count == 0).collect();
    while rows.last().is_some_and(|row| row.count == 0) {
        rows.pop();
    }
    rows
}

/// Writes an object on a line: what is known of the store, and of one namespace unless there is
/// none.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(
    out: &mut dyn Write,
    store: &[(&'static str, String)],
    namespace: Option<(&str, &Info)>,
) -> io::Result<()> {
    out.write_all(b"{")?;
    for (name, text) in store {
        json::first(out, name, text)?;
        out.write_all(b",")?;
    }
    let Some((name, info)) = namespace else {
        return out.write_all(b"\"namespace\":null}\n");
    };
    json::first(out, "namespace", name)?;
    for (name, fact) in facts(info) {
        write!(out, ",\"{name}\":")?;
        match fact {
            Fact::Count(number) | Fact::Bytes(number) => write!(out, "{number}")?,
            Fact::Time(time) => write!(out, "\"{}\"", rfc3339(time))?,
            Fact::Flag(flag) => write!(out, "{flag}")?,
            Fact::Nothing(_) => out.write_all(b"null")?,
        }
    }
    for (name, counts) in [("sizes", &info.sizes), ("ages", &info.ages)] {
        write!(out, ",\"{name}\":[")?;
        for (number, row) in rows(counts).iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let Row { from, below, count } = row;
            write!(
                out,
                "{comma}{{\"from\":{from},\"below\":{below},\"count\":{count}}}"
            )?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"}\n")
}

/// Reads what is known of a namespace.
///
/// # Errors
///
/// A text for people.
pub fn read_json(line: &[u8]) -> Result<Info, String> {
    let told: Value = serde_json::from_slice(line).map_err(|err| err.to_string())?;
    let number = |name: &str| {
        let number = told[name].as_u64();
        number.ok_or_else(|| format!("`{name}` is no number"))
    };
    // Null is what is not known.
    let known = |name: &str| match told[name].is_null() {
        true => Ok(None),
        false => number(name).map(Some),
    };
    let counts = |name: &str| {
        let malformed = || format!("`{name}` is no histogram");
        let mut counts = Vec::new();
        for row in told[name].as_array().ok_or_else(malformed)? {
            let (from, count) = (row["from"].as_u64(), row["count"].as_u64());
            let (from, count) = from.zip(count).ok_or_else(malformed)?;
            let row = (u64::BITS - from.leading_zeros()) as usize;
            counts.resize(counts.len().max(row + 1), 0);
            counts[row] = count;
        }
        Ok::<_, String>(counts)
    };
    let collected = match &told["last_gc"] {
        Value::Null => None,
        text => Some(
            text.as_str()
                .and_then(read_rfc3339)
                .ok_or("`last_gc` is no time")?,
        ),
    };
    Ok(Info {
        format: u32::try_from(known("format")?.unwrap_or_default())
            .map_err(|_| "`format` is too large".to_owned())?,
        entries: number("entries")?,
        bytes: number("bytes")?,
        disk_bytes: known("disk_bytes")?,
        inodes: known("inodes")?,
        loose: number("loose")?,
        packed: number("packed")?,
        packs: number("packs")?,
        tombstones: number("tombstones")?,
        expired: number("expired")?,
        temporary: number("temporary")?,
        collected,
        collection_pays: told["gc_pays"].as_bool().ok_or("`gc_pays` is no flag")?,
        damaged: number("damaged")?,
        evicts: told["evicts"].as_bool(),
        sizes: counts("sizes")?,
        ages: counts("ages")?,
    })
}
