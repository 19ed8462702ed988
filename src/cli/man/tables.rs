//! The part of kv-format(5) about stores in SQLite.

use super::Block::{Code, Table, Text};
use super::Section;

const ENTRY: &[&[&str]] = &[
    &["Column", "Meaning"],
    &["namespace", "`id` of a row of `namespace`"],
    &["key", "The key's bytes"],
    &["etag", "64 random bits, new with every write"],
    &["modified", "Nanoseconds since 1970-01-01 UTC"],
    &["expires", "Milliseconds since then; null if it never does"],
    &["size", "Bytes of the value"],
    &["sum", "XXH3 of the value, xored with that of the rest"],
    &["large", "`large` in `part`; null if the value is here"],
    &[
        "value",
        "The value, up to 262,144 bytes; null if it is larger",
    ],
];

/// Reads the values of a namespace with SQLite's own program. The tests run it as it stands here.
pub const READER: &str = r#"sqlite3 -readonly FILE "
    SELECT CAST(key AS TEXT), CAST(value AS TEXT) FROM entry
    JOIN namespace ON id = namespace WHERE name = 'default'
    AND ifnull(expires > strftime('%s') * 1000, 1)""#;

pub(super) const TABLES: Section = Section {
    title: "SQLITE",
    blocks: &[
        Text(
            "A store at `sqlite:FILE` is an SQLite 3 database in WAL mode with the application_id \
             1803973480 (`kvsh` in ASCII) and the user_version 1; any other version is refused with \
             status 4, any other database with status 5. Programs that only read can use it with \
             SQLite's own tools:",
        ),
        Code(READER),
        Text("An entry is a row of `entry`, by namespace and key:"),
        Table(ENTRY),
        Text(
            "A larger value is in rows of `part`, 262,144 bytes each but for the last, under one random \
             number `large` and the numbers from 0 on. What `sum` covers beside the value is etag, \
             modified, expires (0 for never) and size, 8 bytes each, the lowest first, and then the \
             key. All numbers of 64 bits are stored as signed ones.",
        ),
        Text(
            "`namespace` has a row for each namespace: its `id`, its `name`, `next`, the number of \
             the next element if it is a list, and `collected`, when `kv gc` last ran. `lost` has what \
             `kv fsck --repair` moved away, and why. The locks of `kv lock` and `kv memo` are files in \
             the directory `FILE-locks`, named by the SHA-1 of the namespace, a NUL and the name.",
        ),
    ],
};
