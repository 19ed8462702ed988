//! kv(1), and what all pages share.

use super::Block::{self, Item, Text};
use super::Page;

/// What kv(1) itself tells.
pub const KV: Page = Page {
    command: "",
    notes: &[
        Item(
            "Bytes in, bytes out",
            "A value is any bytes, stored and printed as they are. A key is any bytes but NUL, 1 to \
             65,535 of them. Neither needs to be UTF-8, and no output depends on the locale.",
        ),
        Item(
            "Silence is success",
            "Standard output is data and standard error is for people: one line for an error. A \
             missing key is an answer, not an error: status 1, and no message.",
        ),
        Item(
            "Durability",
            "With `--sync full`, the default, status 0 means that the write survives a power cut. \
             With `--sync off` it survives the death of any process; after a power cut an entry may \
             be gone or damaged, which is detected, and a removed key may be back. Whatever the \
             setting, a key holds the old value or the new one at every moment, and no reader sees \
             a part of one.",
        ),
        Item(
            "Stores that must exist",
            "With `--existing`, or KV_EXISTING=1, every command ends with status 5 where there is no \
             store, and none makes one: where a disk is not mounted, nothing is written to another and \
             no export is empty. A place without any namespace is no store, such as an empty directory \
             on which nothing is mounted, or a server of Redis in which nothing has been stored.",
        ),
        Item(
            "Concurrency",
            "Any number of processes may read and write one store at once. `get` takes no lock and \
             never waits. A write waits for the lock of its key's shard, for as long as \
             `--busy-timeout` allows; then it ends with status 3. The kernel frees the locks of a \
             process that dies.",
        ),
        Item(
            "Dashes",
            "An argument that begins with a dash is an option or an error, but for `-` itself and \
             negative numbers: a mistyped option is never stored as a value. Behind `--` everything \
             is text, so scripts write `kv put -- \"$key\" \"$value\"`.",
        ),
        Item(
            "Locations",
            "A store is a directory, of the tree engine, unless its location begins with the name of \
             another engine. `sqlite:FILE` is a store in an SQLite database: one file to copy and to \
             query. `redis://HOST` is one on a server or a cluster, and `http://HOST:PORT`, \
             `https://HOST` or `http+unix:PATH` one behind `kv serve`. Every command does the same \
             on each engine. A directory whose name holds a colon is named `./a:b`.",
        ),
        Item(
            "Durations",
            "Numbers with the units ms, s, m, h, d and w, such as `90s`, `1h30m` or `0.5s`; or one \
             number of seconds.",
        ),
        Item(
            "Global options",
            "They stand before the command or behind it; `-s` and `-n`, which a command may use for \
             something else, only before it. An option wins over its variable.",
        ),
        Item(
            "Closed pipes",
            "A reader that has enough, as in `kv ls | head`, is no failure: status 0, silent. Only \
             `kv get --remove` and `kv pop` end with status 5 then, as the value is gone.",
        ),
        Item(
            "Stores on Redis or Valkey",
            "LOCATION is `redis://[USER@]HOST[:PORT][,HOST...][/DB]` where one machine is not enough, \
             and `rediss://` with TLS: the server's certificate must be vouched for by an authority \
             that the system knows, or one in the file that `SSL_CERT_FILE` names. kv finds out whether it is one server or a cluster, and every \
             command does the same there. Behind it, `?replicas=N` says how many replicas must have \
             a write before it is acknowledged (1 where there are replicas, else 0), and \
             `prefix=WORD`, behind `?` or `&`, what the names of its keys begin with (`kv`); \
             `read=replica` lets a replica answer where no master is to be reached, and \
             `eviction=allowed` takes a server that drops entries when its memory is full. \
             `valkey://` and `valkeys://` are the same; `redis+unix:PATH` is a server's socket \
             (`?user=NAME`, `db=N`), and `redis+sentinel://HOST[:PORT][,HOST...]/NAME[/DB]` asks \
             sentinels for the master. kv-format(5) has what an acknowledgement promises on which \
             servers, and the line that makes the user that kv needs. A server \
             that keeps a log and knows WAITAOF has it on its disk by then too. A write that too few \
             replicas have in time ends with status 5 and a line that says that it is stored but \
             not replicated; `--sync off` waits for neither. `--busy-timeout` is how long a dead or \
             busy server is asked again, or another in its place; then the status is 5. A value has \
             at most 8 MiB there, `kv-lock`(1) tells what a lock can promise, and what an entry \
             looks like is told by `redis-cli`: its first line, and behind it the value.",
        ),
        Item(
            "Passwords",
            "All users of a machine can read the arguments of a process, so a password in `--store` \
             is refused. `KV_PASSWORD` has it, or `KV_STORE`, as `redis://USER:PASSWORD@HOST`, \
             with `%40` for an `@` in it. It is shown as `***`, in messages too.",
        ),
        Item(
            "Group stores",
            "kv makes a store for its user alone. A store has the permissions of its directory: \
             make it with `mkdir -m 2770 DIR` and all of its group can use it, whatever their umask.",
        ),
    ],
    examples: &[
        Text("Store, look up, remove:"),
        Block::Code("kv put color green\nkv get color             # green\nkv remove color"),
        Text("Tell a missing key from an empty value:"),
        Block::Code(
            "if name=$(kv get name); then\n\
                 \x20   echo \"Hello, $name\"\n\
                 else\n\
                 \x20   echo 'Who are you?'\n\
                 fi",
        ),
        Text("Keep the state of a script in a namespace of its own:"),
        Block::Code(
            "export KV_NAMESPACE=backup\n\
             kv put last-run \"$(date -u +%FT%TZ)\"\n\
             kv ls --values",
        ),
    ],
    see_also: &["kv-format(5)", "flock(1)", "sha1sum(1)"],
};

/// The variables that kv reads.
pub const ENVIRONMENT: &[Block] = &[
    Text("A variable that is empty counts as unset."),
    Item("`KV_STORE`", "The store to use, as `--store` names it."),
    Item(
        "`KV_NAMESPACE`",
        "The namespace to use, as `--namespace` names it.",
    ),
    Item(
        "`KV_SYNC`",
        "What a write survives, `full` or `off`, as `--sync` says it.",
    ),
    Item("`KV_PASSWORD`", "The password of a store that takes one."),
    Item(
        "`KV_BUSY_TIMEOUT`",
        "How long to wait for locks, as `--busy-timeout` says it.",
    ),
    Item(
        "`KV_EXISTING`",
        "With 1, a store that does not exist is status 5, as `--existing` says it.",
    ),
    Item(
        "`XDG_DATA_HOME`",
        "Without a store named, it is the directory `kv` in here. A relative path is ignored.",
    ),
    Item(
        "`HOME`",
        "Without `XDG_DATA_HOME` the store is `$HOME/.local/share/kv`. With neither, a command that \
         needs a store ends with status 5.",
    ),
    Item(
        "`TMPDIR`",
        "`kv import` of several namespaces puts some of its input into a temporary file there; \
         without it, in /tmp.",
    ),
];

/// The files that kv uses.
pub const FILES: &[Block] = &[Item(
    "`$XDG_DATA_HOME/kv`, `~/.local/share/kv`",
    "The user's own store. It is made by the first write; reading a store that does not exist \
         finds nothing and makes nothing. `kv-format`(5) tells what is in it.",
)];
