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
    &[
        "head",
        "XXH3 of all but the value; null in rows of version 1",
    ],
    &["large", "`large` in `part`; null if the value is here"],
    &[
        "value",
        "The value, up to 262,144 bytes; null if it is larger",
    ],
];

const PROMISES: &[&[&str]] = &[
    &["What ended with status 0", "Survives"],
    &["a write, sync full", "kill, power cut"],
    &[
        "a write, sync off",
        "kill; the last may be lost in a power cut",
    ],
    &[
        "an import, any removal",
        "as a write: all or none of each 10,000 keys removed",
    ],
    &["gc, fsck --repair", "as a write"],
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
             1803973480 (`kvsh` in ASCII) and the user_version 2. Version 1 is read as it is, and \
             brought to this one by the first write, which counts what is there; any other version is \
             refused with status 4, as is what is no database, any other database with status 5. \
             Programs that only read can use it with SQLite's own tools:",
        ),
        Code(READER),
        Text("An entry is a row of `entry`, by namespace and key:"),
        Table(ENTRY),
        Text(
            "A larger value is in rows of `part`, 262,144 bytes each but for the last, under one random \
             number `large` and the numbers from 0 on. What `sum` covers beside the value is etag, \
             modified, expires (0 for never) and size, 8 bytes each, the lowest first, and then the \
             key; what `head` covers is the number of the namespace, etag, modified, expires, size, \
             `sum` and large (0 for null), and then the key. All numbers of 64 bits are stored as \
             signed ones. The index `entry_key` has the keys once more.",
        ),
        Text(
            "`namespace` has a row for each namespace: its `id`, its `name`, `next`, the number of \
             the next element if it is a list, and `collected`, when `kv gc` last ran. `entries` is \
             how many there are, expired ones too, and `total` the XXH3 of each key with its expires (0 \
             for never) as the seed, all of them xored; `changes` grows whenever one of these does; \
             `sum` is XXH3 of id, next, changes, entries and total, and then the name. `lost` has what \
             `kv fsck --repair` moved away, and why. The locks of `kv lock` and `kv memo` are files in \
             the directory `FILE-locks`, named by the SHA-1 of the namespace, a NUL and the name.",
        ),
        Text(
            "Before an entry is believed `head` is compared, and `sum` before the end of its value is \
             given away. A key that is not found is looked for in the index too. A listing of a whole \
             namespace is compared with `entries` and `total`, unless it takes several steps of 10,000 \
             keys and keys come or go meanwhile; any other with the count of the index. What does not \
             agree ends with status 4, a listing after the keys that it has. `kv fsck` checks all of it \
             and the file as SQLite does; with `--repair` it moves damaged entries to `lost`, and \
             counts again. It mends no pages: `.recover` of sqlite3(1) saves what can be read.",
        ),
        Text(
            "What the end of a command promises, on a disk that keeps what it says it has synced:",
        ),
        Table(PROMISES),
        Text(
            "A write is refused with status 5 if the file has lost its name by its commit. A new \
             database is for its user alone, with mode 0600; where its directory has the set-group-ID \
             bit it takes the permissions of that for reading and writing, as in `mkdir -m 2770`. The \
             log, its index and the locks have those of the database. Who may not write to the database, \
             or not beside it, reads it all the same if there is no log; and with one, if its index can \
             be read.",
        ),
    ],
};
