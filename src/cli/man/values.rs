//! The pages of the commands that read and write single keys.

use super::Block::{Code, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "put",
        notes: &[
            Item(
                "Standard input",
                "Without VALUE, standard input is read to its end: in a `while read` loop that is \
                 the input of the loop, so give VALUE there, or redirect. When it is a terminal, a \
                 line on standard error says what kv waits for. When it is closed or /dev/null the \
                 command is refused with status 2, as an unset variable under cron(8) must not \
                 store nothing; `--file -` reads standard input whatever it is. The empty value is \
                 stored by `kv put KEY ''`.",
            ),
            Item(
                "Dashes",
                "Only `-` and negative numbers are taken as text though they begin with a dash. \
                 Behind `--` everything is text; scripts write `kv put -- \"$key\" \"$value\"`.",
            ),
            Item(
                "Expiry",
                "A put without `--ttl` clears the expiry that the key had; `--keep-ttl` keeps it. \
                 The time to live counts from when the value has been read to its end. `--ttl 0` is \
                 refused.",
            ),
            Item(
                "Conditions",
                "They are decided in one step with the write: of several processes that put with \
                 `--if-absent` at once, one is told 0 and the others 1. An expired key is absent. \
                 `--if-etag` compares the entry, `--if-value` the bytes alone: a value that was \
                 changed and changed back is the same value, but not the same entry.",
            ),
            Item(
                "Several writers",
                "Without a condition the last one wins. An etag names a write: it is new with every \
                 put and every expire, and never comes back.",
            ),
            Item(
                "Failures",
                "A put that fails, or is killed, leaves the old value as it was.",
            ),
        ],
        examples: &[
            Text("A value from an argument, from a pipe, from a file:"),
            Code(
                "kv put color green\n\
                 date | kv put started\n\
                 kv put --file /etc/passwd users",
            ),
            Text("Keep a value for an hour:"),
            Code("kv put --ttl 1h session/4711 alice"),
            Text("Do something once, whoever is first:"),
            Code("if kv put --if-absent migrated yes; then echo migrating; fi"),
            Text(
                "Change a value that others change too: read the etag first, then the value, and \
                 begin again if anybody was faster:",
            ),
            Code(
                "kv put --if-absent total 0 || :\n\
                 while etag=$(kv stat --field etag total); do\n\
                 \x20   new=$(( $(kv get total) + 5 ))\n\
                 \x20   kv put --if-etag \"$etag\" total \"$new\" && break\n\
                 done",
            ),
            Text("Keys and values that may be anything:"),
            Code("key=-k value=--if-absent\nkv put -- \"$key\" \"$value\""),
        ],
        see_also: &["kv-get(1)", "kv-expire(1)", "kv-stat(1)"],
    },
    Page {
        command: "get",
        notes: &[
            Item(
                "Command substitution",
                "`value=$(kv get KEY)` loses newlines at the end of the value, and a shell cannot \
                 hold NUL: that is the shell's doing. A pipe or a file gets every byte.",
            ),
            Item(
                "At most once",
                "`--remove` prints the value and removes the key in one atomic step: of several \
                 takers, one gets the value and the others status 1. The whole value is verified, \
                 then the key is removed, then the value is printed. A taker that is killed in \
                 between, or whose output fails, has lost the value; if the output fails, also \
                 because the reader closed the pipe, the status is 5.",
            ),
            Item(
                "Defaults",
                "`--default` answers for a key that is missing or has expired, not for one that is \
                 damaged or cannot be read.",
            ),
        ],
        examples: &[
            Text("Look up a key that may not be there:"),
            Code(
                "if color=$(kv get color); then echo \"it is $color\"; fi\n\
                 color=$(kv get --default blue color)",
            ),
            Text("Take a job that one worker only may have:"),
            Code(
                "kv put job/1 'convert a.png'\n\
                 if job=$(kv get --remove job/1); then echo \"doing: $job\"; fi",
            ),
            Text("Unpack an archive that was stored:"),
            Code("tar -C /etc -cf - passwd | kv put archive\nkv get archive | tar -tf -"),
        ],
        see_also: &["kv-put(1)", "kv-has(1)", "kv-stat(1)"],
    },
    Page {
        command: "remove",
        notes: &[
            Item(
                "Several keys",
                "All that can be removed are, each in a step of its own. The status is 1 if any was \
                 absent, unless `--force` is given; damage and failure keep their status with it. \
                 A condition needs a single key.",
            ),
            Item(
                "Looking first",
                "`--dry-run` prints the keys that would go, as `kv ls` prints them.",
            ),
            Item(
                "Keys from standard input",
                "All of them are read, and found to be keys, before the first is removed. Without \
                 `-0` a key cannot hold a newline.",
            ),
            Item(
                "Damaged entries",
                "A key whose entry is damaged can be removed, but not by `--glob`.",
            ),
        ],
        examples: &[
            Text("Remove what may be there:"),
            Code("kv remove --force color size"),
            Text("Look first, then remove all keys that begin alike:"),
            Code(
                "kv put cache/a 1\n\
                 kv put cache/b 2\n\
                 kv remove --glob 'cache/*' --dry-run\n\
                 kv remove --glob 'cache/*'",
            ),
            Text("Remove chosen keys, whatever bytes they hold:"),
            Code(
                "kv put log/old 1\n\
                 kv ls -0 'log/*' | kv remove -0 --stdin",
            ),
            Text("Release a mark only if it is still ours:"),
            Code("kv put owner \"$$\"\nkv remove --if-value \"$$\" owner"),
        ],
        see_also: &["kv-get(1)", "kv-ls(1)", "kv-namespaces(1)"],
    },
];
