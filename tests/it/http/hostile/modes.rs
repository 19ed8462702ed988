//! What such a server does.

/// What a server does once it has read a request.
pub enum Does {
    Send(Vec<u8>),
    /// Sends the same for as long as it is taken.
    Flood(Vec<u8>),
    /// Sends a byte every now and then.
    Drip(Vec<u8>),
    /// Sends the same every now and then.
    Beat(Vec<u8>),
    /// Sends nothing, and waits until the other side has gone.
    Stall,
    /// Ends the connection; otherwise it waits for the next request.
    Close,
}

use Does::{Beat, Close, Drip, Flood, Send, Stall};

const ENTRY: &str = "ETag: \"0123456789abcdef\"\r\nKV-Modified: 2026-01-01T00:00:00Z\r\n";
const LINE: &str = "{\"key\":\"x\",\"size\":5,\"modified\":\"2026-11-28T23:49:33Z\",\
                    \"expires\":null,\"etag\":\"90f3170f7f54c29c\"}\n";
const LATE: &str = "KV-Late: 1\r\nTransfer-Encoding: chunked\r\n";

/// The kinds of server, and with which other status than 5 commands may end.
pub const MODES: &[(&str, &[i32])] = &[
    ("endless_headers", &[]),
    ("one_endless_header", &[]),
    ("endless_status", &[]),
    ("endless_body_cl5_chunked", &[]),
    ("chunked_short_cl5", &[]),
    ("chunked_long_cl5", &[]),
    ("endless_404", &[1]),
    ("endless_refusal", &[]),
    ("endless_200", &[]),
    // That is how a service says no to HEAD, and to nothing else.
    ("no_everything", &[1]),
    ("status0", &[]),
    ("status_1_body0", &[]),
    ("esc", &[]),
    ("trunc", &[]),
    ("trunc_big", &[]),
    ("huge_cl", &[]),
    // That is how a service says that it was done.
    ("204", &[0]),
    ("206", &[]),
    ("200empty", &[]),
    ("200text", &[]),
    ("204plain", &[0]),
    ("201etag", &[]),
    ("gzip", &[]),
    ("gzip_chunks", &[]),
    ("trailers", &[0]),
    ("endless_trailers", &[]),
    ("redirect", &[]),
    ("redirect_file", &[]),
    ("1xx", &[]),
    ("102", &[]),
    ("drip", &[]),
    ("drip_body", &[]),
    ("silent", &[]),
    ("hugeetag", &[]),
    ("endless_line", &[]),
    ("endless_lines", &[]),
    ("endless_order", &[]),
    ("endless_names", &[]),
    ("list_cut", &[]),
    ("list_cursor", &[]),
    ("list_close", &[]),
    ("list_refusals", &[4]),
    ("list_endless_refusals", &[4]),
    ("list_order", &[]),
    ("list_doubled", &[]),
    ("list_empty_key", &[]),
    ("list_nul", &[]),
    ("list_badjson", &[]),
    ("list_half", &[]),
    ("list_wrong_end", &[]),
    ("list_beyond_end", &[]),
    ("ns_evil", &[]),
    ("frame_huge", &[]),
    ("frame_big", &[]),
    ("frame_many", &[]),
    ("frame_status", &[]),
    ("busy_forever", &[3, 124]),
    ("token", &[]),
    ("nul", &[0]),
    ("late_and_silent", &[]),
    ("late_flood", &[]),
    ("late_beats", &[]),
    ("late_rubbish", &[]),
    ("late_late", &[]),
];

fn sized(code: &str, headers: &str, body: &str) -> Vec<Does> {
    let length = body.len();
    let text = format!("HTTP/1.1 {code}\r\n@{headers}Content-Length: {length}\r\n\r\n{body}");
    vec![Send(text.into())]
}

fn chunk(bytes: &str) -> Vec<u8> {
    format!("{:x}\r\n{bytes}\r\n", bytes.len()).into_bytes()
}

/// The beginning of an answer in chunks, what is in the first of them, and what follows for ever.
fn flood(code: &str, headers: &str, first: &str, flood: &str) -> Vec<Does> {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let mut head = format!("HTTP/1.1 {code}\r\n@{headers}{chunked}\r\n").into_bytes();
    if !first.is_empty() {
        head.extend(chunk(first));
    }
    vec![Send(head), Flood(chunk(flood))]
}

fn send(text: &str) -> Does {
    Send(text.as_bytes().to_vec())
}

fn listing_of(keys: &[&str]) -> String {
    let line = |key: &&str| LINE.replace("\"x\"", &format!("\"{key}\""));
    keys.iter().map(line).collect()
}

pub fn does(mode: &str) -> Vec<Does> {
    let a = "a".repeat(65_536);
    let with_value = |length: &str| format!("HTTP/1.1 200 OK\r\n@{ENTRY}{length}\r\n");
    match mode {
        "endless_headers" => {
            let header = format!("X-A: {}\r\n", "a".repeat(1000));
            vec![send("HTTP/1.1 200 OK\r\n@"), Flood(header.into())]
        }
        "one_endless_header" => vec![send("HTTP/1.1 200 OK\r\n@X: "), Flood(a.into())],
        "endless_status" => vec![Flood("H".repeat(65_536).into())],
        "endless_body_cl5_chunked" => {
            flood("200 OK", &format!("{ENTRY}Content-Length: 5\r\n"), "", &a)
        }
        "chunked_short_cl5" => vec![send(&format!(
            "{}3\r\nabc\r\n0\r\n\r\n",
            with_value("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
        ))],
        "chunked_long_cl5" => vec![send(&format!(
            "{}8\r\nabcdefgh\r\n0\r\n\r\n",
            with_value("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
        ))],
        "endless_404" => flood("404 Not Found", "KV-Status: 1\r\n", "", &a),
        "endless_refusal" => flood("502 Bad", "KV-Status: 5\r\n", "", &a),
        "endless_200" => flood("200 OK", "", "", &"1".repeat(65_536)),
        "no_everything" => sized("404 Not Found", "KV-Status: 1\r\n", ""),
        "status0" => sized(
            "502 Bad",
            "KV-Status: 0\r\n",
            "{\"status\":0,\"error\":\"hm\"}",
        ),
        "status_1_body0" => sized(
            "502 Bad",
            "KV-Status: 5\r\n",
            "{\"status\":1,\"error\":\"hm\"}",
        ),
        "esc" => sized(
            "502 Bad",
            "KV-Status: 5\r\n",
            r#"{"status":5,"error":"\u001b[2J\u001b]0;pwn\u0007line1\nline2\r\u0000"}"#,
        ),
        "trunc" => vec![send(&(with_value("Content-Length: 10\r\n") + "abc")), Close],
        "trunc_big" => vec![
            send(&with_value("Content-Length: 1000000\r\n")),
            send(&a),
            Close,
        ],
        "huge_cl" => vec![
            send(&with_value("Content-Length: 18446744073709551615\r\n")),
            send(&a),
            Close,
        ],
        "204" => vec![send(&format!(
            "HTTP/1.1 204 No Content\r\n@{ENTRY}Content-Length: 5\r\n\r\n"
        ))],
        "206" => sized(
            "206 Partial",
            &format!("{ENTRY}Content-Range: bytes 0-2/10\r\n"),
            "abc",
        ),
        "200empty" => sized("200 OK", "", ""),
        "200text" => sized("200 OK", "", "ok"),
        "204plain" => vec![send("HTTP/1.1 204 No Content\r\n@\r\n")],
        "201etag" => sized("201 Created", "ETag: \"0123456789abcdef\"\r\n", ""),
        "gzip_chunks" => flood(
            "200 OK",
            &format!("{ENTRY}Transfer-Encoding: gzip\r\n"),
            "rubbish",
            "rubbish",
        ),
        "trailers" | "endless_trailers" => {
            let value = with_value("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
            let trailer = "KV-Status: 4\r\n";
            let value = send(&format!("{value}5\r\nabcde\r\n0\r\n{trailer}"));
            match mode {
                "trailers" => vec![value, send("\r\n")],
                _ => vec![value, Flood(trailer.repeat(1000).into())],
            }
        }
        "gzip" => sized(
            "200 OK",
            &format!("{ENTRY}Content-Encoding: gzip\r\n"),
            "\u{1f}rubbish",
        ),
        "redirect" => sized("302 Found", "Location: http://127.0.0.1:1/v1\r\n", ""),
        "redirect_file" => sized("307 X", "Location: file:///etc/passwd\r\n", ""),
        "1xx" => vec![Flood("HTTP/1.1 100 Continue\r\n\r\n".repeat(1000).into())],
        "102" => vec![Drip("HTTP/1.1 102 Processing\r\n\r\n".repeat(1000).into())],
        "drip" => vec![Drip(
            format!("HTTP/1.1 200 OK\r\n@{ENTRY}{}", "X".repeat(1000)).into(),
        )],
        "drip_body" => vec![
            send(&with_value("Content-Length: 1000\r\n")),
            Drip(vec![b'a'; 1000]),
        ],
        "silent" => vec![Stall],
        "hugeetag" => vec![send(&format!(
            "HTTP/1.1 200 OK\r\n@ETag: \"{}\"\r\nContent-Length: 1\r\n\r\na",
            "0".repeat(60_000)
        ))],
        "endless_line" => flood("200 OK", "", "{\"key\":\"", &a),
        "endless_lines" => flood("200 OK", "", "", &LINE.repeat(600)),
        "endless_names" => flood("200 OK", "", "", &"{\"namespace\":\"n\"}\n".repeat(3000)),
        "endless_order" => flood("200 OK", "", &listing_of(&["a", "b"]), "\n"),
        "list_cut" => vec![
            send("HTTP/1.1 200 OK\r\n@Transfer-Encoding: chunked\r\n\r\n"),
            Send(chunk(LINE)),
            Close,
        ],
        "list_cursor" => sized("200 OK", "", &format!("{LINE}{{\"cursor\":\"eA\"}}\n")),
        "list_close" => vec![
            send(&format!(
                "HTTP/1.1 200 OK\r\n@Connection: close\r\n\r\n{LINE}"
            )),
            Close,
        ],
        "list_refusals" => sized(
            "200 OK",
            "",
            &"{\"status\":4,\"error\":\"\\u001b[31mbad\"}\n".repeat(1000),
        ),
        "list_endless_refusals" => flood(
            "200 OK",
            "",
            "",
            &"{\"status\":4,\"error\":\"bad\"}\n".repeat(1000),
        ),
        "list_order" => sized("200 OK", "", &(listing_of(&["b", "a"]) + "{\"end\":2}\n")),
        "list_doubled" => sized("200 OK", "", &(listing_of(&["a", "a"]) + "{\"end\":2}\n")),
        "list_empty_key" => sized("200 OK", "", &(listing_of(&[""]) + "{\"end\":1}\n")),
        "list_nul" => sized("200 OK", "", &(listing_of(&["a\\u0000"]) + "{\"end\":1}\n")),
        "list_badjson" => sized("200 OK", "", "{\"key\":\"x\",\"size\":\n"),
        "list_half" => sized("200 OK", "", &format!("{LINE}{{\"key\":\"y\",\"size\":5,")),
        "list_wrong_end" => sized("200 OK", "", &format!("{LINE}{{\"end\":2}}\n")),
        "list_beyond_end" => sized("200 OK", "", &format!("{{\"end\":0}}\n{LINE}")),
        "ns_evil" => sized(
            "200 OK",
            "",
            "{\"namespace\":\"../../etc\"}\n{\"namespace\":\"\"}\n{\"end\":2}\n",
        ),
        "frame_huge" => sized("200 OK", "", "0 99999999999999999999\nabc\n"),
        "frame_big" => flood("200 OK", "", "0 9999999999\n", &a),
        "frame_many" => sized("200 OK", "", &"0 0\n\n".repeat(1000)),
        "frame_status" => sized("200 OK", "", "777 0\n\n"),
        "busy_forever" => sized(
            "503 Busy",
            "KV-Status: 3\r\nRetry-After: 100000\r\n",
            "{\"status\":3,\"error\":\"busy\"}",
        ),
        "token" => sized("200 OK", "", "{\"token\":-1}"),
        "nul" => vec![send(
            &(with_value("Content-Length: 5\r\n") + &"abcde".repeat(3)),
        )],
        "late_and_silent" => vec![
            send(&format!("HTTP/1.1 200 OK\r\n@{LATE}\r\n")),
            Send(chunk("\n\n\n")),
            Stall,
        ],
        "late_flood" => flood("200 OK", "KV-Late: 1\r\n", "", &"\n".repeat(65_536)),
        "late_beats" => vec![
            send(&format!("HTTP/1.1 200 OK\r\n@{LATE}\r\n")),
            Beat(chunk("\n")),
        ],
        "late_rubbish" => sized("200 OK", "KV-Late: 1\r\n", "\n\nrubbish\n"),
        "late_late" => sized(
            "200 OK",
            "KV-Late: 1\r\n",
            "\n{\"code\":200,\"headers\":[[\"kv-late\",\"1\"]]}\n",
        ),
        mode => panic!("{mode}"),
    }
}
