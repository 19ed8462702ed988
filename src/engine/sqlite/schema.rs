//! The tables, and how a file comes to have them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

/// What tells a store from other databases: `kvsh`, in the file's header
/// (<https://sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"kvsh");
/// The version of the tables, in the file's header as its `user_version`.
pub(super) const FORMAT: u32 = 2;
/// The version before it, which had no `head`, no `entry_key`, and no count in `namespace`.
const OLD: u32 = 1;

/// A value is in its row up to so many bytes, and in parts of so many beyond: neither a reader nor a
/// writer then has to hold all of it.
pub(super) const PART_LEN: usize = 256 * 1024;

/// Times are nanoseconds since 1970, deadlines milliseconds, etags 64 random bits, all of them as
/// signed numbers. The triggers keep parts from outliving their entry.
const TABLES: &str = "
CREATE TABLE namespace (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    next INTEGER NOT NULL DEFAULT 1,
    collected INTEGER,
    changes INTEGER,
    entries INTEGER,
    total INTEGER,
    sum INTEGER
) STRICT;
CREATE TABLE entry (
    namespace INTEGER NOT NULL,
    key BLOB NOT NULL,
    etag INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    expires INTEGER,
    size INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    head INTEGER,
    large INTEGER,
    value BLOB,
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_key ON entry (namespace, key);
CREATE INDEX entry_expires ON entry (namespace, expires) WHERE expires IS NOT NULL;
CREATE TABLE part (
    large INTEGER NOT NULL,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (large, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE lost (
    namespace TEXT NOT NULL,
    key BLOB NOT NULL,
    etag INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    expires INTEGER,
    size INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    large INTEGER,
    value BLOB,
    why TEXT NOT NULL
) STRICT;
CREATE TRIGGER entry_deleted AFTER DELETE ON entry
    WHEN OLD.large IS NOT NULL AND NOT EXISTS (SELECT 1 FROM lost WHERE large = OLD.large)
    BEGIN DELETE FROM part WHERE large = OLD.large; END;
CREATE TRIGGER entry_replaced AFTER UPDATE OF large ON entry
    WHEN OLD.large IS NOT NULL AND OLD.large IS NOT NEW.large
    BEGIN DELETE FROM part WHERE large = OLD.large; END;
";

/// What version 2 added. Rows that are there stay as they are until they are written.
const ADDED: &str = "
ALTER TABLE namespace ADD COLUMN changes INTEGER;
ALTER TABLE namespace ADD COLUMN entries INTEGER;
ALTER TABLE namespace ADD COLUMN total INTEGER;
ALTER TABLE namespace ADD COLUMN sum INTEGER;
ALTER TABLE entry ADD COLUMN head INTEGER;
CREATE INDEX entry_key ON entry (namespace, key);
";

/// What stands before the tables of the version before, for those who only read.
const STAND_INS: &str = "
PRAGMA temp_store = MEMORY;
CREATE TEMP VIEW namespace AS SELECT id, name, next, collected, NULL AS changes, NULL AS entries,
    NULL AS total, NULL AS sum FROM main.namespace;
CREATE TEMP VIEW entry AS SELECT namespace, key, etag, modified, expires, size, sum, NULL AS head,
    large, value FROM main.entry;
";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A store of this version.
    Store,
    /// A store of the version before.
    Old,
    /// There is nothing in it.
    Empty,
    /// A store of a version that is not known.
    Newer(u32),
    /// A store that has no version.
    Unnumbered,
    /// Another program's.
    Foreign,
}

/// Finds out what a file is.
pub(super) fn kind_of(connection: &Connection) -> rusqlite::Result<Kind> {
    kind_by(&mut |pragma| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)))
}

/// Returns a number that SQLite keeps of a file.
type Number<'a> = &'a mut dyn FnMut(&str) -> rusqlite::Result<i32>;

fn kind_by(number: Number<'_>) -> rusqlite::Result<Kind> {
    match look(number)? {
        // It may have become a store between two of the numbers, which come all at once: then all of
        // them are there now.
        Kind::Foreign => look(number),
        kind => Ok(kind),
    }
}

fn look(number: Number<'_>) -> rusqlite::Result<Kind> {
    let tables = number("schema_version")?;
    let (id, version) = (number("application_id")?, number("user_version")?);
    if id == APPLICATION_ID {
        let version = version.cast_unsigned();
        return Ok(match version {
            FORMAT => Kind::Store,
            OLD => Kind::Old,
            0 => Kind::Unnumbered,
            _ => Kind::Newer(version),
        });
    }
    // A file of no bytes is as good as none.
    Ok(match tables {
        0 if id == 0 && version == 0 => Kind::Empty,
        _ => Kind::Foreign,
    })
}

/// Makes the tables in an empty file. Of several processes one is first, and its tables are
/// everybody's.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    // It has to be chosen before there is any page: gc gives back what is free.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    if kind_of(&transaction)? == Kind::Empty {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    transaction.commit()
}

/// Returns the bytes of a file with nothing but the tables, in WAL mode.
pub(super) fn image() -> rusqlite::Result<Vec<u8>> {
    let mut connection = Connection::open_in_memory()?;
    create(&mut connection)?;
    let mut image = connection.serialize("main")?.to_vec();
    // What is in memory has no log (<https://sqlite.org/fileformat2.html>, 1.3.3).
    image[18..20].fill(2);
    Ok(image)
}

/// Lets the tables of the version before be read as if they were of this one.
pub(super) fn stand_in(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(STAND_INS)
}

/// Brings the tables of the version before to this one; what is to be counted is not yet.
pub(super) fn upgrade(transaction: &Connection) -> rusqlite::Result<()> {
    // Only the number is the old one where somebody has set it back.
    if !columns_of(transaction, "entry")?.contains("head") {
        transaction.execute_batch(ADDED)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT)
}

/// Finds a trigger on the tables that is not kv's, unless the schema is of a version that has none, which
/// is noted.
pub(super) fn other_trigger(
    connection: &Connection,
    untriggered: &AtomicI64,
) -> rusqlite::Result<Option<String>> {
    let mut version = connection.prepare_cached("PRAGMA main.schema_version")?;
    let version = version.query_row([], |row| row.get(0))?;
    if untriggered.load(Relaxed) == version {
        return Ok(None);
    }
    let other = connection
        .prepare_cached(
            "SELECT name FROM main.sqlite_schema WHERE type = 'trigger'
             AND lower(tbl_name) IN ('namespace', 'entry', 'part', 'lost')
             AND name NOT IN ('entry_deleted', 'entry_replaced')",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    if other.is_none() {
        untriggered.store(version, Relaxed);
    }
    Ok(other)
}

/// Something in a database that is not as kv makes it.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) what: String,
    /// The statements that mend it; `None` where it is somebody's own, or cannot be mended.
    pub(super) mend: Option<String>,
    /// Commands end with an error because of it.
    pub(super) is_damage: bool,
}

/// A table, an index or a trigger: its kind, its table, and the statement that makes it.
type Object = (String, String, String);

/// Compares what is in a database with what kv makes.
pub(super) fn differences(connection: &Connection) -> rusqlite::Result<Vec<Difference>> {
    let of_kv = Connection::open_in_memory()?;
    of_kv.execute_batch(TABLES)?;
    let (wanted, mut found) = (objects(&of_kv)?, objects(connection)?);
    let mut differences = Vec::new();
    for (name, (kind, table, sql)) in &wanted {
        let (what, drop) = match found.remove(name) {
            None => ("is not there", String::new()),
            // A table of the version before has its columns in another order.
            Some((is, _, _)) if is == *kind && kind == "table" => {
                let found = columns_of(connection, name)?;
                for column in columns_of(&of_kv, name)?.difference(&found) {
                    differences.push(Difference {
                        what: format!(
                            "the table `{name}` has no column `{column}`, and kv cannot know which \
                             other one was it: put a backup in the place of the file"
                        ),
                        mend: None,
                        is_damage: true,
                    });
                }
                continue;
            }
            Some((is, of, other)) if is == *kind && of == *table && other == *sql => continue,
            Some((is, _, _)) => ("is another", format!("DROP {is} {name};")),
        };
        differences.push(Difference {
            what: format!("the {kind} `{name}` {what}"),
            mend: Some(format!("{drop}{sql};")),
            is_damage: true,
        });
    }
    for (name, (kind, table, _)) in found {
        if kind != "table" && kind != "view" && wanted.contains_key(&table.to_lowercase()) {
            let what = match &*kind {
                "trigger" => "nothing is written while it is there",
                _ => "may keep it from storing what it is given",
            };
            differences.push(Difference {
                what: format!("the {kind} `{name}` on the table `{table}` is not kv's, and {what}"),
                mend: None,
                is_damage: false,
            });
        }
    }
    Ok(differences)
}

fn columns_of(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    connection
        .prepare_cached("SELECT name FROM pragma_table_info(?1, 'main')")?
        .query_map([table], |row| row.get(0))?
        .collect()
}

fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Object>> {
    connection
        .prepare("SELECT name, type, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL")?
        .query_map([], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the kind of a file that becomes a store before the look of this number.
    fn made_before(first: usize) -> Kind {
        let mut looks = 0;
        let kind = kind_by(&mut |pragma| {
            looks += 1;
            Ok(match pragma {
                _ if looks <= first => 0,
                "schema_version" => 7,
                "application_id" => APPLICATION_ID,
                _ => FORMAT.cast_signed(),
            })
        });
        kind.unwrap()
    }

    #[test]
    fn a_store_that_is_just_made_is_nobody_elses() {
        for first in 0..8 {
            let kind = made_before(first);
            assert!(
                [Kind::Empty, Kind::Store].contains(&kind),
                "{first}: {kind:?}"
            );
        }
        assert_eq!((made_before(0), made_before(8)), (Kind::Store, Kind::Empty));
    }

    #[test]
    fn another_programs_database_stays_one() {
        let of = |tables, id, version| {
            let kind = kind_by(&mut |pragma| {
                Ok(match pragma {
                    "schema_version" => tables,
                    "application_id" => id,
                    _ => version,
                })
            });
            kind.unwrap()
        };
        assert_eq!(of(1, 0, 0), Kind::Foreign);
        assert_eq!(of(0, 0, 1), Kind::Foreign);
        assert_eq!(of(1, 42, 1), Kind::Foreign);
        assert_eq!(of(1, APPLICATION_ID, 1), Kind::Old);
        assert_eq!(of(1, APPLICATION_ID, 3), Kind::Newer(3));
        assert_eq!(of(1, APPLICATION_ID, 0), Kind::Unnumbered);
    }
}
