//! What those call it who come from another store.

/// Commands of redis-cli, etcdctl, nats, skate and the shell, and what does the same here. Of what is only
/// similar there is none.
#[rustfmt::skip]
pub const MEANT: &[(&str, &str)] = &[
    ("setnx", "put --if-absent"), ("create", "put --if-absent"), ("setex", "put --ttl"),
    ("psetex", "put --ttl"), ("getdel", "get --remove"), ("cat", "get"), ("mv", "rename"), ("cp", "copy"),
    ("unlink", "remove"),
    ("purge", "remove"), ("scan", "ls"), ("dbsize", "ls --count"), ("strlen", "stat --field size"),
    ("incrby", "incr --by"), ("decr", "incr --by -1"), ("decrby", "incr --by"), ("pttl", "ttl"),
    ("pexpire", "expire"), ("persist", "expire KEY never"),
    // Elements are added at one end: the last is the newest.
    ("rpush", "push"), ("lpush", "push"), ("lpop", "pop"), ("blpop", "pop --wait"),
    ("rpop", "pop` or, for the newest, `pop --last"), ("brpop", "pop --wait` or, for the newest, `pop --last --wait"),
    ("lrange", "items"), ("llen", "-n LIST ls --count"),
    // A namespace is to its keys what a hash is to its fields.
    ("hget", "-n NAME get"), ("hset", "-n NAME put"), ("hdel", "-n NAME remove"), ("hexists", "-n NAME has"),
    ("hkeys", "-n NAME ls"), ("hgetall", "-n NAME ls --values"), ("hincrby", "-n NAME incr --by"),
    ("flushdb", "namespaces --remove"), ("delete-db", "namespaces --remove"),
    ("list-dbs", "namespaces"), ("snapshot", "export"), ("dump", "export"), ("restore", "import"),
];

/// Returns what somebody means by the name of a command that there is not.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let known = |(foreign, _): &&(&str, &str)| foreign.eq_ignore_ascii_case(name);
    MEANT.iter().find(known).map(|(_, meant)| *meant)
}
