//! The page of `serve`.

use super::Block::{Code, Head, Item, Table, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[Page {
    command: "serve",
    notes: &[
        Head("Entries"),
        Item(
            "`/v1/NAMESPACE/KEY`",
            "One entry, its value as raw bytes both ways. In KEY any byte may be written as `%` and \
             two hexadecimal digits; `/` and `%2F` mean the same, and `a//b` and `a/../b` are keys \
             like any other: nothing is made equal, so that a client must not do it either (curl \
             wants `--path-as-is`).",
        ),
        Item(
            "`GET`, `HEAD`",
            "200 with the value, or 404. `ETag`, `Last-Modified`, `KV-Modified` (the same to the \
             nanosecond) and `KV-Expires` tell what is known of it. With a matching `If-None-Match` \
             304, and without a matching `If-Match` 412; `If-Modified-Since` and \
             `If-Unmodified-Since` are the same for a time. \
             `Range: bytes=FIRST-LAST` gets a part, with 206, or 416 if there is none; its last bytes \
             are sent when the whole value has been verified. Where damage is found after the \
             headers, the connection is closed short of the length that was announced.",
        ),
        Item(
            "`PUT`",
            "201 if the entry is new, 204 if it took another's place, with the new `ETag`. \
             `KV-TTL: 15m` lets it expire, as does `KV-Expires` with a time, and `KV-Keep-TTL: 1` \
             keeps the expiry that there is. With `KV-Modified` it shows that time of modification. \
             `If-None-Match: *` is --if-absent, `If-Match: *` --if-exists, `If-Match: ETAG` \
             --if-etag; 412 if the condition does not hold. A body that is cut off changes nothing; \
             one with a `Content-Encoding` is 415.",
        ),
        Item(
            "`DELETE`",
            "204, or 404 if there is no such key, or 412 as with `PUT`. What cannot be heeded is 400: \
             a condition of another verb than `put` and `remove`, and a header `KV-...` that is not \
             known there.",
        ),
        Head("Lists of keys"),
        Item(
            "`GET /v1/NAMESPACE`",
            "One JSON object a line, as `kv ls --json` prints it. The query may hold `glob`, \
             `prefix`, `from`, `to`, `limit`, `reverse=1` and `values=1`; `inline=BYTES` leaves out \
             larger values. If there are more than `limit`, the last line is `{\"cursor\":...}`, and \
             the same query with `cursor=` goes on from there. What is damaged is a line \
             `{\"status\":4,\"error\":...}`, and then the body is cut off behind all that is sound. \
             A listing that ends without the end of its body is not all there is; where somebody in \
             between speaks HTTP/1.0, as nginx does to what is behind it, such a body has no end to \
             miss. With `end=1` the last line of a listing that is whole is `{\"end\":N}`, where N \
             entries are above, and damage does not cut it off.",
        ),
        Item(
            "`GET /v1/NAMESPACE?op=info`",
            "What `kv info --json` tells of it, or 404.",
        ),
        Item(
            "`GET /v1`",
            "The namespaces, one JSON object a line, and with `end=1` the same line at the end.",
        ),
        Head("Other verbs"),
        Text(
            "`POST /v1/NAMESPACE/KEY?op=VERB`, each one atomic step. Values in a query are \
             percent-encoded, and a `+` is a `+`:",
        ),
        Table(&[
            &["op", "parameters", "what it does"],
            &[
                "put",
                "if_value",
                "As PUT; stores if the key holds just this value.",
            ],
            &["remove", "if_value", "As DELETE, with the same condition."],
            &["take", "", "As DELETE, and answers with the value."],
            &[
                "incr",
                "by, ttl",
                "Answers with the sum, and 409 if there is no number.",
            ],
            &["append", "", "Adds the body, at most 16 MiB, to the value."],
            &[
                "expire",
                "ttl, at",
                "Sets the expiry: a duration, `never`, or a time.",
            ],
            &[
                "wait",
                "wait, gone, changed",
                "204 when it holds, as kv-wait(1) has it.",
            ],
        ]),
        Text(
            "`POST /v1/LIST?op=push` adds the body to a list. `op=pop` answers with its oldest \
             element, with `last=1` the newest, or 404. `pop` and `wait` wait for as long as \
             `wait=` says, at most 60 s; a client that wants to wait longer asks again.",
        ),
        Text("`POST /v1/NAMESPACE?op=VERB` is about many entries, or about none:"),
        Item(
            "`batch`",
            "The body has commands as kv-batch(1) reads them, at most 16 MiB, with `json=1` as \
             arrays. The answer has the same frames; the text of an error, which has no standard \
             error to go to, stands in its frame behind what was printed. `stop=1` ends with the \
             first failure, and `end=1` has `{\"end\":N}` behind N replies. `--file` and `pop --wait` are refused.",
        ),
        Item(
            "`import`",
            "The body has lines as `kv export` writes them: all are stored, or none if one is wrong \
             or the body is cut off. `merge` is `overwrite`, `absent`, `newer` or `replace`. The \
             answer is `{\"stored\":N,\"left\":N,\"removed\":N}`.",
        ),
        Item(
            "`drop`",
            "Removes the namespace with all that is in it: 204, or 404.",
        ),
        Item(
            "`wait`, `get`, `take`",
            "As above and as GET, with a key in the body that cannot stand in a path.",
        ),
        Item(
            "`lock`, `keep`, `free`, `holder`",
            "A named lock as a lease of 10 s. `lock` takes `{\"id\":ID,\"name\":...}`, where ID is 16 \
             random hexadecimal digits, and `shared`, `wait`, `pid` and `host`; it answers \
             `{\"token\":N}`, or 404 if others hold it. `keep` with `{\"id\":ID}` grants it for \
             another 10 s, or answers 404 if it is lost; `free` gives it back. `holder` with \
             `{\"name\":...}` tells who holds it. A client that dies loses it after 10 s, and one that \
             was stopped for longer believes to hold what it has lost: that is what the token is for, \
             which grows with each grant as long as the clock does. The lock is the same that `kv lock` \
             takes where the service runs.",
        ),
        Head("Objects as JSON"),
        Item(
            "`POST /set`",
            "`{\"id\":\"a\",\"value\":...}` stores the JSON text of any value under the key `a`, in the \
             namespace that -n names; `{\"list\":\"l\",\"value\":...}` adds it to a list.",
        ),
        Item(
            "`POST /get`",
            "`{\"id\":\"a\"}` answers with `{\"result\":...}`: what is JSON as it is, other text as a \
             string, other bytes as `{\"base64\":...}`; 404 and null if there is none. \
             `{\"list\":\"l\"}` answers with an array. Both want `Content-Type: application/json`.",
        ),
        Head("Answers that say no"),
        Text(
            "They have a body `{\"status\":N,\"error\":...}`, where N is the exit status that the command \
             would have had; `KV-Status: N` says the same. 400 is a request that makes no sense; 401 lacks the token; 403 is a \
             `Host` or `Origin` that is not this service, or a change of a service that is \
             read-only; 408 and 413 are bodies too slow and too large; 500 is damage, 502 a store that \
             cannot be read or written, 507 a full disk, and 503 busy, with `Retry-After`.",
        ),
        Head("Answers that are late"),
        Text(
            "Every answer has `KV-Protocol: 1`. A client that sends it too, as kv does, is never kept \
             waiting in silence: where the answer to its request, once that has come whole, takes longer \
             than half a second, it gets 200 with `KV-Late: 1`, an empty line every half second, then a \
             line `{\"code\":N,\"headers\":[[NAME,VALUE],...]}` with what the answer is, and its body.",
        ),
        Head("kv as a client"),
        Text(
            "With `--store http://HOST:PORT`, `https://HOST` or `http+unix:PATH` every command works \
             through a service, but `gc` and `fsck`, which are run where it runs. The token comes from \
             `KV_TOKEN` or `--token-file`. What a write survives is decided by the service, and so is \
             what time it is. The trusted certificates are the system's, or those in the file that \
             `SSL_CERT_FILE` names. For `https`, `HTTPS_PROXY` names a proxy, and `NO_PROXY` hosts that \
             are reached without.",
        ),
        Text(
            "A service that is not to be reached is 5 at once. What only looks is asked again if the \
             answer is lost on the way; a change is not, and then it is 5 and nobody knows whether it \
             was made. What the service refuses as busy is asked again within `--busy-timeout`, and one \
             that is silent for so long, or a second, is given up. An answer that does not say that it \
             is kv's, is not whole, or is none to what was asked, is 5; damage is 4 where the service \
             says so. A value that is put under a key with empty, `.` or `..` parts between its slashes, \
             or of more than 4 KiB, is limited to 16 MiB, as such a key travels in the body of a `batch`.",
        ),
        Text(
            "A proxy in between has limits of its own: nginx takes bodies of 1 MiB unless \
             `client_max_body_size` says otherwise.",
        ),
        Head("Who may come in"),
        Item(
            "Token",
            "With `--token-file FILE` each request needs `Authorization: Bearer TOKEN`, but for \
             `/healthz`. The token is the first line of the file, of 16 characters at least, and no \
             other user can read it. An address that is not of this machine alone is refused without one. The \
             connection is not encrypted: across a network put a reverse proxy with TLS before it.",
        ),
        Item(
            "Web pages",
            "`Host` has to be the address that was connected to, `localhost`, or a name that \
             `--host` gives, and `Origin` the same, so that no page in a browser of this machine \
             reaches the store. What a browser tells of other sites in `Sec-Fetch-Site` is refused \
             too, but for a link to the page. No other site is ever allowed to read an answer.",
        ),
        Item(
            "Unix sockets",
            "`--listen unix:PATH` makes a socket for its user alone, mode 0600. One that a killed \
             service left is replaced.",
        ),
        Head("Under systemd"),
        Text(
            "With `Type=notify` the unit is up when requests are taken in. With a socket unit the \
             service is started by the first connection, on the socket that it is given instead of \
             that of `--listen`; an address that is not of this machine alone wants a token then too.",
        ),
        Code(
            "# kv.socket\n\
             [Socket]\n\
             ListenStream=%t/kv.socket\n\
             SocketMode=0600\n\
             [Install]\n\
             WantedBy=sockets.target\n\
             # kv.service\n\
             [Service]\n\
             Type=notify\n\
             ExecStart=%h/.cargo/bin/kv serve",
        ),
        Head("Limits"),
        Text(
            "64 KiB and 64 fields of header, and 30 s to send it. A client that sends or takes a body \
             may pause for 30 s, and each further second is to be earned by 1,000 bytes. 16,384 \
             connections, or as many as the system has descriptors for; 128 large bodies, 64 \
             listings, 128 waiting requests and 1,024 locks at a time; 128 MiB of memory for bodies \
             that cannot be streamed, of which a line of an import that needs more has all. Beyond \
             that it is 503. A client that sends no more while it waits may be gone: its wait ends. \
             After SIGTERM requests have 30 s to end, and those that wait end at once.",
        ),
        Head("Watching over it"),
        Text(
            "`/healthz` answers 200 if the store can be read; a store that was taken away is 503 until it \
             is back. `/metrics` has requests, latencies, \
             bytes and entries for Prometheus, of 100 namespaces at most; entries are counted anew once a second at most, and in no \
             more than a fiftieth of the time. `/openapi.json` describes every path (OpenAPI 3.1).",
        ),
        Head("A page to look around"),
        Text(
            "A browser gets a page at `/`: namespaces, keys by their prefix, values as text, JSON or \
             bytes; it puts and removes too. It asks for the token, where there is one, and keeps it \
             for as long as the tab is open.",
        ),
    ],
    examples: &[
        Text("Serve on a socket that only you can use, and stop again:"),
        Code(
            "kv serve --listen unix:kv.socket 2> log &\n\
             until grep -s listening log; do sleep 0.1; done\n\
             # curl --unix-socket kv.socket http://localhost/v1/default/color\n\
             kill $! && wait $!",
        ),
        Text("Serve a network, with a token:"),
        Code(
            "(umask 077; head -c 32 /dev/urandom | base64 > token)\n\
             kv serve --listen 0.0.0.0:0 --token-file token \\\n\
             \x20   --host kv.example.org 2> net.log &\n\
             until grep -s listening net.log; do sleep 0.1; done\n\
             kill $! && wait $!",
        ),
    ],
    see_also: &["kv-put(1)", "kv-get(1)", "kv-ls(1)", "kv-wait(1)"],
}];
