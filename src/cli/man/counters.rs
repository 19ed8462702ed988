//! The pages of the commands that add to what a key holds.

use super::Block::{Code, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "incr",
        notes: &[
            Item(
                "Many at once",
                "The step is atomic: of N processes that add 1, each prints another sum, and none \
                 is lost.",
            ),
            Item(
                "Numbers",
                "Decimal, from -9223372036854775808 to 9223372036854775807, with nothing around \
                 them but one newline at the end, which `echo` adds; it is not stored again. A \
                 value that is no such number, and a sum that would not be one, ends with status 5 \
                 and changes nothing.",
            ),
            Item(
                "Expiry",
                "`--ttl` counts only when there was no such key, or it had expired. Otherwise the \
                 key keeps the expiry that it has, also if that is none. So the first of a period \
                 begins it, and the others count in it.",
            ),
            Item(
                "Durability",
                "With `--sync full` each sum is on the disk before it is printed. Counters that may \
                 be lost in a power cut are faster with `--sync off`.",
            ),
        ],
        examples: &[
            Text("Count:"),
            Code(
                "kv incr visits           # 1\n\
                 kv incr visits --by 10   # 11\n\
                 kv incr visits --by -1   # 10",
            ),
            Text("Allow five mails an hour:"),
            Code(
                "if [ \"$(kv incr --ttl 1h mails/alice)\" -le 5 ]; then\n\
                 \x20   echo sending\n\
                 fi",
            ),
            Text("Give each job a number of its own:"),
            Code("id=$(kv incr last-job)\nkv put \"job/$id\" 'convert a.png'"),
        ],
        see_also: &["kv-append(1)", "kv-put(1)", "kv-ttl(1)"],
    },
    Page {
        command: "append",
        notes: &[
            Item(
                "Many at once",
                "What one process adds stays together, and nothing is lost. Nothing is put between \
                 two additions: a line ends with its own newline.",
            ),
            Item(
                "Large values",
                "Each addition writes the whole value anew, so that it is never seen half done. \
                 What grows for long is better kept as a list, see `kv push`.",
            ),
            Item(
                "Standard input",
                "It is read to its end before anything is written, and held in memory. When it is \
                 closed or /dev/null the command is refused with status 2.",
            ),
            Item(
                "Dashes",
                "Only `-` and negative numbers are taken as text though they begin with a dash. \
                 Behind `--` everything is text.",
            ),
        ],
        examples: &[
            Text("Keep a log, from an argument and from a pipe:"),
            Code(
                "kv append log 'started\n\
                 '\n\
                 date | kv append log\n\
                 kv get log",
            ),
            Text("Add to a value that expires; it still does:"),
            Code("kv put --ttl 1h session/4711 alice\nkv append session/4711 ,bob"),
        ],
        see_also: &["kv-put(1)", "kv-push(1)", "kv-incr(1)"],
    },
];
