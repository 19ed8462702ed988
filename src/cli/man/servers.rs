//! The part of kv-format(5) about stores on servers of Redis and Valkey.

use super::Block::{Code, Head, Table, Text};
use super::Section;

const NAMES: &[&[&str]] = &[
    &["Key of Redis", "Type", "What it is"],
    &[
        "`{PREFIX}n`",
        "hash",
        "A field for each namespace, its name",
    ],
    &["`{PREFIX}g`", "hash", "When `kv gc` last ran on each"],
    &["`TAGe:KEY`", "string", "The entry of a key, as below"],
    &[
        "`TAGi`",
        "sorted set",
        "The keys of the bucket, all of score 0",
    ],
    &["`TAGc`", "string", "Of a list: the last number given"],
    &["`TAGl:NAME`", "hash", "A lock: a field for each holder"],
    &["`TAGt`", "string", "The last token of a lock"],
    &[
        "`TAGo:ETAG`",
        "string",
        "That a call was carried out; goes soon",
    ],
    &["`TAGx:KEY`", "any", "What `kv fsck --repair` moved away"],
    &["`TAGy`", "any", "The same, from the place of `TAGi`"],
];

/// The fields of an entry's first line: name, offset in the line, characters, form, meaning.
pub const SERVER_FIELDS: &[&[&str]] = &[
    &["Field", "At", "Width", "Form", "Meaning"],
    &["magic", "0", "3", "text", "`kv1`"],
    &[
        "etag",
        "4",
        "16",
        "hex",
        "64 random bits, new with every write",
    ],
    &[
        "modified",
        "21",
        "20",
        "decimal",
        "Nanoseconds since 1970-01-01 UTC",
    ],
    &[
        "expires",
        "42",
        "15",
        "decimal",
        "Milliseconds since then; 0 is never",
    ],
    &["value length", "58", "10", "decimal", "Bytes of the value"],
    &["value sum", "69", "16", "hex", "A sum of the value"],
    &[
        "kind of sum",
        "86",
        "1",
        "text",
        "`x`: XXH3-64; `s`: SHA-1, cut off",
    ],
    &[
        "header sum",
        "88",
        "16",
        "hex",
        "SHA-1, cut off, of bytes 0 to 86 and KEY",
    ],
];

/// Prints the entries of a namespace with Redis' own program. The tests run it as it stands here.
pub const SERVER_READER: &str = r#"redis-cli --scan --pattern '{kv:default:*}e:*' |
while read -r name; do
    printf '%s\t' "${name#*\}e:}"
    redis-cli GETRANGE "$name" 105 -1
done"#;

/// Makes the user that kv needs. A test uses exactly this one.
pub const SERVER_USER: &str = r"redis-cli ACL SETUSER kv on '>PASSWORD' \
    '~{kv*' resetchannels '&{kv*' \
    +@read +@write +@connection +@pubsub -@dangerous \
    +evalsha '+script|load' +info +time \
    '+cluster|slots' '+cluster|nodes'";

/// What an acknowledgement promises: of what servers, and what, with what kv finds out before.
const PROMISES: &[&[&str]] = &[
    &[
        "Servers",
        "What status 0 of a write promises, and what kv finds out first",
    ],
    &[
        "one, no log",
        "The server holds it in memory: it is lost with the process. INFO must say that the server is a \
         master and that no replica is connected, nor was for as long as its backlog is kept \
         (`repl-backlog-ttl`, an hour)",
    ],
    &[
        "`appendonly yes`",
        "From Redis 7.2 and Valkey on the write is on the disk of the server: WAITAOF says so. \
         Redis 7.0 has no such command: what it wrote in the last second, or \
         since it wrote last, may be lost",
    ],
    &[
        "with replicas",
        "One replica has it, or as many as `?replicas=N` says: WAIT says so, on the connection that \
         carried the write. It survives the master if one of those takes its place. A replica that \
         died is waited for and missed, status 5, until `?replicas=0` says that there is none",
    ],
    &[
        "a cluster",
        "The same. An election takes the replica that is farthest, so that what N of N replicas have \
         survives; `CLUSTER FAILOVER` waits for the replica. `FAILOVER FORCE` does not ask the master, \
         and `TAKEOVER` asks nobody: what a replica lacks that is put in its place so is lost, \
         though it was acknowledged with the help of another, and so is what the old master \
         acknowledges until it hears of it. CLUSTER NODES must say whether there are replicas",
    ],
    &[
        "`maxmemory`",
        "Only `noeviction` is written to, as any other policy drops entries, lists and the notes of \
         calls: else the status is 5, unless `?eviction=allowed` says that this may be. `kv info` has \
         `evicts`, and `kv fsck` warns. What frees memory works when it is full",
    ],
    &[
        "`--sync off`",
        "One server holds it in memory; neither log nor replicas are waited for",
    ],
    &[
        "any",
        "It was done once. A call is carried out until the busy timeout is over (an hour at most), by \
         the clock of the server, and its note stays 10 seconds longer: a server that takes over must \
         not have a clock that is farther behind. A call that fails with \"may have been made all the \
         same\" was sent, and its answer did not come",
    ],
    &[
        "reading",
        "A master answers, never a replica in its place (`?read=replica` allows it where there is no \
         master). The old master of a cluster that is cut off from the others answers until \
         `cluster-node-timeout` is over, and may not know what was written since",
    ],
    &[
        "locks",
        "A token is larger than all before, also where the server has lost them, as it is not below \
         the microseconds since 1970 by the server's clock",
    ],
];

pub(super) const SERVERS: Section = Section {
    title: "REDIS",
    blocks: &[
        Text(
            "A store at `redis://HOST` is a number of keys of the server, of one database, or of all \
             the masters of a cluster. PREFIX is `kv` unless the location says `?prefix=`. A namespace \
             has 65 buckets, and all keys of a bucket begin with its TAG, `{PREFIX:NAMESPACE:BUCKET}`: \
             what stands in braces decides the hash slot, so that a bucket is on one server, where a \
             script changes all of it in one step. In NAMESPACE each byte but letters, digits, `.`, \
             `_` and `-` is written as `%` and two upper-case hexadecimal digits. BUCKET is the lowest \
             six bits of the XXH3-64 of KEY, as two hexadecimal digits from 00 to 3f; for the elements \
             of lists, whose keys are numbers of 20 digits, it is `list`.",
        ),
        Table(NAMES),
        Text(
            "An entry is a line of 105 bytes, its newline included, and then the value, up to 8 MiB, \
             byte for byte. The fields of the line are separated by single blanks, and each has all its \
             digits, with zeros in front.",
        ),
        Table(SERVER_FIELDS),
        Text(
            "A sum by SHA-1 is its first 16 hexadecimal digits; scripts of the server can compute no \
             other. An entry that expires is dropped by the server a minute later: until then, and \
             wherever clocks differ, the reader decides by `expires`. Its key may stay in the sorted \
             set, which means nothing; `kv gc` removes it. This prints the keys and values of a single \
             server, where they are text:",
        ),
        Code(SERVER_READER),
        Text(
            "Each change is one call of a script, under a random number of its own, which is noted in \
             `TAGo:` for a while: a call that is sent again, as its answer was lost, changes nothing twice. It \
             is told to those who wait on the channel `TAGw` (of a shard, in a cluster). A field of a \
             lock is a random number of the holder, and its value when the lease ends, in milliseconds \
             of the server's clock, the token, `x` or `s` (exclusive or shared), and who that is.",
        ),
        Head("What an acknowledgement promises"),
        Text(
            "kv finds out what it can, and assumes nothing of the rest: what a server does not tell, or \
             a user may not ask, is status 5 and a line, and nothing is written.",
        ),
        Table(PROMISES),
        Head("The user that kv needs"),
        Text(
            "Redis 7.0 or later, or Valkey. With `?prefix=WORD` the keys and channels begin with \
             `{WORD` in place of `{kv`. A user without channels, as Redis makes one by `~* +@all`, can do \
             all as well, but whoever waits for its changes looks again only every few seconds.",
        ),
        Code(SERVER_USER),
    ],
};
