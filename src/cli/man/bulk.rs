//! The pages of `import` and `export`.

use super::Block::{Code, Head, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "import",
        notes: &[
            Item(
                "All is read first",
                "Everything is read and checked before the first entry is stored. A line that is \
                 wrong is told with its number, nothing is imported, and the status is 2. Each \
                 entry is then stored whole or not at all; all of them are not one step. If storing \
                 fails half-way, a line tells so, and the import may be run again.",
            ),
            Head("Lines"),
            Item(
                "JSON",
                "An object a line. `key` and `value` are needed, or `key_base64` and `value_base64` \
                 for bytes that are not UTF-8 (RFC 4648, section 4). `modified` and `expires` are \
                 times as in RFC 3339, with any offset; without them an entry is written now and \
                 never expires. What cannot be kept is refused: `modified` is from 1970 to \
                 2286-11-20T17:46:39.999999999Z, `expires` from 1970 to 9999 in milliseconds. `namespace` is where the entry belongs. Other members are passed over, \
                 and so are empty lines.",
            ),
            Item(
                "`--tsv`",
                "A key, a tab and a value. In either, `\\t` is a tab, `\\n` a newline and `\\\\` a \
                 backslash; another escape, a second tab or none is an error. A byte order mark in front of \
                 the first line is passed over. Where every line ends in a carriage return, nothing \
                 is imported unless `--crlf` says that they are to be taken off.",
            ),
            Head("What becomes of what is there"),
            Item(
                "Keys",
                "An imported entry takes the place of what its key holds. With `--if-absent` what is \
                 there stays; with `--merge` what was modified later stays, and of the same time what \
                 is there; a line without `modified` is of now. With `--replace` the namespace holds \
                 exactly what was imported. Of lines with the same key the last one counts.",
            ),
            Item(
                "Expired entries",
                "A line whose `expires` is over is passed over, as if it were not there.",
            ),
            Item(
                "Namespaces",
                "A line with `namespace` goes there, and the others go where `-n` or `KV_NAMESPACE` \
                 points. If one of these is given and a line names another namespace, the line is \
                 wrong. `--replace` is about the namespaces that the input names, and leaves the \
                 others alone. Entries of further namespaces than the first wait in a file without \
                 a name in `$TMPDIR` or /tmp until all has been read.",
            ),
            Item(
                "`--replace` behind a pipe",
                "A pipe hides that what writes to it has failed. An input without any line is \
                 therefore refused with status 2, but an input that was cut between two lines looks \
                 whole: a script writes to a file first, or uses `set -o pipefail` and looks.",
            ),
            Item(
                "`--dry-run`",
                "Reads and checks all, changes nothing, and prints the keys whose present entry \
                 would be replaced or removed, as `kv ls` prints them, namespace after namespace.",
            ),
        ],
        examples: &[
            Text("Load a table:"),
            Code("printf 'apple\\tred\\nsky\\tblue\\n' | kv import --tsv"),
            Text("Make one of what is there already, with awk:"),
            Code(
                "awk -F: '{ print \"user/\" $1 \"\\t\" $7 }' /etc/passwd | kv import --tsv\n\
                 kv get user/root",
            ),
            Text("See what an import would overwrite, and keep that:"),
            Code(
                "kv export > saved.jsonl\n\
                 kv put color red\n\
                 kv import --dry-run < saved.jsonl\n\
                 kv import --if-absent < saved.jsonl\n\
                 kv get color             # red",
            ),
            Text("An entry that expires:"),
            Code(
                "echo '{\"key\":\"a\",\"value\":\"1\",\"expires\":\"2999-01-01T00:00:00Z\"}' |\n\
                 \x20   kv import",
            ),
        ],
        see_also: &["kv-export(1)", "kv-batch(1)", "kv-put(1)"],
    },
    Page {
        command: "export",
        notes: &[
            Item(
                "Form",
                "An object a line: `key`, `value`, `size`, `modified`, `expires` (null for never) and \
                 `etag`, and with `--all` `namespace`. A key or value that is not UTF-8 is called \
                 `key_base64` or `value_base64` instead. It is what `kv ls --json --values` prints.",
            ),
            Item(
                "What it promises",
                "An entry that nobody writes or removes meanwhile is printed once and whole. It is \
                 no snapshot: what is written meanwhile may be printed as it was or as it is. \
                 Expired entries are absent. A value of any length takes little memory.",
            ),
            Item(
                "Damaged entries",
                "A line on standard error tells of each, and all others are printed. The status is \
                 then 4.",
            ),
            Item(
                "`--all`",
                "All namespaces in the order of their names. A list is a namespace, and it comes \
                 back in its order. KV_NAMESPACE plays no part, and `-n` beside it is refused.",
            ),
            Item(
                "Another machine",
                "`kv export | ssh HOST kv import` takes a namespace there, and \
                 `kv export --all | ssh HOST kv import` the whole store.",
            ),
        ],
        examples: &[
            Text("A backup of everything, and back:"),
            Code("kv export --all | gzip > kv.jsonl.gz\ngzip -d < kv.jsonl.gz | kv import"),
            Text("Copy a namespace, then make the copy the same again:"),
            Code("kv export | kv -n copy import\nkv export | kv -n copy import --replace"),
            Text("A part of the keys:"),
            Code("kv export 'co*' > colors.jsonl"),
        ],
        see_also: &["kv-import(1)", "kv-ls(1)", "kv-namespaces(1)"],
    },
];
