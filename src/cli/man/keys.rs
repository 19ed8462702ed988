//! The pages of the commands about keys: which there are, what is known of one, when it expires.

use super::Block::{Code, Head, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "ls",
        notes: &[
            Item(
                "Patterns",
                "A pattern matches the whole key. `*` stands for any bytes, none too: a slash, a \
                 newline and a leading dot are bytes like any other. `?` stands for one character, \
                 or one byte where the key is not UTF-8; `[a-z]` for one of these characters and \
                 `[!a-z]` for one of the others; `\\` quotes the character behind it. Neither case \
                 nor locale plays a part. Quote the pattern, or the shell takes it for file names.",
            ),
            Item(
                "Order and bounds",
                "Keys come in the order of their bytes. `--from` is included and `--to` is not, also \
                 with `--reverse`; `--limit` counts what is left after all else.",
            ),
            Item(
                "What a listing promises",
                "A key that nobody writes or removes meanwhile is listed once. One that came, changed \
                 or went meanwhile may be listed or not: a listing is no snapshot. Expired keys are absent.",
            ),
            Item(
                "Nothing found",
                "If a pattern, prefix or bound was given and nothing matched, the status is 1. A \
                 listing of everything that finds nothing ends with 0, and so does `--count`.",
            ),
            Item(
                "Damaged entries",
                "All that is sound is listed; then a line tells of the first damage, and the status \
                 is 4.",
            ),
            Item(
                "Newlines",
                "On a terminal control characters in keys are escaped; a pipe gets them raw, so use \
                 `-0` or `--json` where keys may hold newlines.",
            ),
            Head("Forms"),
            Item(
                "`-l`",
                "Five columns with tabs between them: etag, bytes of the value, when it was \
                 modified, when it expires (`-` for never), key. Times are UTC, as in RFC 3339.",
            ),
            Item(
                "`--values`",
                "Key, tab, value, newline; with `-0` key, NUL, value, NUL.",
            ),
            Item(
                "`--json`",
                "An object a line with `key`, `size`, `modified`, `expires` (null for never) and \
                 `etag`, and with `--values` `value`. A key or value that is not UTF-8 is called \
                 `key_base64` or `value_base64` instead.",
            ),
        ],
        examples: &[
            Text("Loop over keys:"),
            Code(
                "kv put host/a up\n\
                 kv put host/b down\n\
                 kv ls 'host/*' | while IFS= read -r key; do\n\
                 \x20   printf '%s is %s\\n' \"$key\" \"$(kv get -- \"$key\")\"\n\
                 done",
            ),
            Text("Keys and values as a table, and the five newest keys:"),
            Code(
                "kv ls --values --prefix host/\n\
                 kv ls -l | sort -t \"$(printf '\\t')\" -k 3,3r | head -n 5 | cut -f 5",
            ),
            Text("Count:"),
            Code("kv ls --count"),
        ],
        see_also: &["kv-remove(1)", "kv-stat(1)", "glob(7)"],
    },
    Page {
        command: "has",
        notes: &[Text(
            "The value is not read: a key whose value is damaged exists. A status above 1 says that \
             the question could not be answered, which `if kv has KEY` takes for no.",
        )],
        examples: &[
            Text("Ask:"),
            Code("if kv has color; then kv get color; else echo 'no color'; fi"),
        ],
        see_also: &["kv-get(1)", "kv-stat(1)"],
    },
    Page {
        command: "stat",
        notes: &[Text(
            "Times are UTC, as in RFC 3339; a key without an expiry expires `never`. The etag names \
             the write that made the entry, and every write has another: read it before the value, \
             and `--if-etag` finds out whether the value changed since.",
        )],
        examples: &[
            Text("All that is known, and one field of it:"),
            Code("kv put color green\nkv stat color\nkv stat --field size color      # 5"),
            Text("Do something when a value changed:"),
            Code(
                "etag=$(kv stat --field etag color)\n\
                 kv put color red\n\
                 [ \"$(kv stat --field etag color)\" = \"$etag\" ] || echo changed",
            ),
        ],
        see_also: &["kv-ls(1)", "kv-put(1)", "kv-ttl(1)"],
    },
    Page {
        command: "expire",
        notes: &[
            Item(
                "What changes",
                "The entry is written anew in one step: the value and the time of its modification \
                 stay, the etag does not. A later put without `--keep-ttl` clears the expiry.",
            ),
            Item(
                "What expiry means",
                "An expired key is absent in every command at once, whether or not its space has \
                 been freed. The clock is that of the machine where the command runs.",
            ),
        ],
        examples: &[
            Text("Give a key another hour, or keep it for good:"),
            Code("kv put session alice\nkv expire session 1h\nkv expire session never"),
        ],
        see_also: &["kv-put(1)", "kv-ttl(1)"],
    },
    Page {
        command: "ttl",
        notes: &[Text(
            "A living key never shows 0, as a part of a second counts as a whole one.",
        )],
        examples: &[
            Text("Renew what is about to expire:"),
            Code(
                "kv put --ttl 30 lease me\n\
                 [ \"$(kv ttl lease)\" -gt 60 ] || kv expire lease 5m",
            ),
        ],
        see_also: &["kv-expire(1)", "kv-put(1)"],
    },
];
