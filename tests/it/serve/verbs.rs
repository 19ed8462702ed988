//! Listings, POST, and the calls of /get and /set.

use std::thread;

use kv::exit::Exit;
use serde_json::{Value, json};

use super::client::{Answer, Server};
use crate::harness::{Sandbox, until};

fn lines(answer: Answer) -> Vec<Value> {
    let answer = answer.is(200);
    assert!(answer.is_whole);
    let lines = answer.body.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn keys(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line["key"].as_str())
        .collect()
}

#[test]
fn a_listing_is_that_of_ls() {
    let kv = Sandbox::new();
    for n in 0..25 {
        kv.put(&format!("k{n:02}"), &"v".repeat(n));
    }
    let server = Server::of(&kv, &[]);
    let list = |query: &str| server.ask(&format!("GET /v1/default{query}"), &[], b"");
    let printed = kv.run(["ls", "--json", "--values"]).stdout().to_vec();
    list("?values=1").is(200).holds(&printed);
    let plain = kv.run(["ls", "--json"]).stdout().to_vec();
    list("/").is(200).holds(&plain);
    assert_eq!(
        keys(&lines(list("?prefix=k0&from=k03&to=k06"))),
        ["k03", "k04", "k05"]
    );
    assert_eq!(
        keys(&lines(list("?glob=*4&reverse=1"))),
        ["k24", "k14", "k04"]
    );
    assert_eq!(lines(list("?glob=nothing")).len(), 0);
    for reverse in ["", "&reverse=1"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = lines(list(&format!("?prefix=k&limit=10{reverse}{cursor}")));
            assert!(keys(&page).len() <= 10);
            seen.extend(keys(&page).iter().map(|key| (*key).to_owned()));
            match page.last().unwrap()["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut want: Vec<_> = (0..25).map(|n| format!("k{n:02}")).collect();
        if !reverse.is_empty() {
            want.reverse();
        }
        assert_eq!(seen, want);
    }
    for bad in [
        "?limit=x",
        "?nonsense=1",
        "?glob=[",
        "?cursor=!",
        "?limit=1&limit=2",
    ] {
        list(bad).refuses(400, Exit::Usage);
    }
    kv.run(["-n", "other", "put", "k", "v"]).ends(Exit::Success);
    let all = lines(server.ask("GET /v1", &[], b""));
    assert_eq!(
        all,
        [
            json!({"namespace": "default"}),
            json!({"namespace": "other"})
        ]
    );
}

#[test]
fn a_listing_with_damage_has_no_end() {
    let kv = Sandbox::new();
    for key in ["a", "b", "c"] {
        kv.put(key, "value");
    }
    std::fs::write(kv.file_of(b"b"), "nonsense").unwrap();
    let server = Server::of(&kv, &[]);
    let listed = server.ask("GET /v1/default?values=1", &[], b"").is(200);
    assert!(
        !listed.is_whole && listed.text().contains("\"c\""),
        "{listed:?}"
    );
}

#[test]
fn each_verb_is_one_step() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let post = |key: &str, query: &str, body: &[u8]| {
        server.ask(&format!("POST /v1/default{key}?{query}"), &[], body)
    };
    post("/n", "op=incr", b"").is(200).holds("1\n");
    post("/n", "op=incr&by=-5&ttl=1h", b"")
        .is(200)
        .holds("-4\n");
    assert_eq!(kv.field("expires", "n"), "never");
    post("/n", "op=incr&by=x", b"").refuses(400, Exit::Usage);
    let made = post("/t", "op=append", b"ab").is(204);
    assert_eq!(made.header("kv-was"), None);
    let added = post("/t", "op=append", b"c").is(204);
    assert_eq!(added.header("kv-was"), made.header("etag"));
    let etag = format!("\"{}\"", kv.field("etag", "t"));
    assert_eq!(added.header("etag"), Some(&*etag));
    post("/t", "op=incr", b"").refuses(409, Exit::Failure);
    post("/t", "op=put&if_value=ab", b"x").refuses(412, Exit::No);
    post("/t", "op=put&if_value=a%62c", b"x+y").is(204);
    post("/t", "op=remove&if_value=x%20y", b"").refuses(412, Exit::No);
    post("/t", "op=expire&ttl=1h", b"").is(204);
    assert_ne!(kv.field("expires", "t"), "never");
    post("/t", "op=take", b"").is(200).holds("x+y");
    post("/t", "op=take", b"").refuses(404, Exit::No);
    post("/t", "op=expire&ttl=1h", b"").refuses(404, Exit::No);
    post("/u", "op=put&if_value=", b"x").refuses(412, Exit::No);
    post("/u", "op=put", b"x").is(201);
    post("/u", "op=remove&if_value=x", b"").is(204);
    post("/u", "op=nonsense", b"").refuses(400, Exit::Usage);
    post("/u", "op=incr&if_value=1", b"").refuses(400, Exit::Usage);
    post("", "op=push", b"x").refuses(400, Exit::Usage);

    let large = super::bytes(300_000);
    for element in [&b""[..], b"b", &large] {
        server.ask("POST /v1/jobs?op=push", &[], element).is(204);
    }
    let pop = |query: &str| server.ask(&format!("POST /v1/jobs?op=pop{query}"), &[], b"");
    pop("").is(200).holds("");
    pop("&last=1").is(200).holds(&large);
    kv.run(["pop", "jobs"]).prints("b");
    pop("").refuses(404, Exit::No);
    pop("&wait=50ms").refuses(404, Exit::No);
}

#[test]
fn a_waiter_is_woken() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    thread::scope(|scope| {
        let pop = scope.spawn(|| server.ask("POST /v1/jobs?op=pop&wait=60s", &[], b""));
        let come = scope.spawn(|| server.ask("POST /v1/default/k?op=wait&wait=60s", &[], b""));
        until("both of them wait", || server.waiting() == 2);
        kv.put("other", "v");
        kv.run(["push", "jobs", "job"]).ends(Exit::Success);
        pop.join().unwrap().is(200).holds("job");
        kv.put("k", "v");
        come.join().unwrap().is(204);
    });
    server
        .ask("POST /v1/default/k?op=wait&gone=1", &[], b"")
        .refuses(404, Exit::No);
    let etag = kv.field("etag", "k");
    let request = format!("POST /v1/default/k?op=wait&changed={etag}&wait=20ms");
    server.ask(&request, &[], b"").refuses(404, Exit::No);
}

#[test]
fn whoever_is_gone_takes_nothing() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let mut gone = server.connect();
    gone.begin("POST /v1/jobs?op=pop&wait=60s", &[], 0).unwrap();
    let inotify = || {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links
            .filter(|link| link.to_string_lossy().contains("inotify"))
            .count()
    };
    until("it waits", || inotify() > 0);
    drop(gone);
    // It is noticed by the connection, and then by the waiter.
    until("it waits no more", || {
        kv.run(["-n", "jobs", "put", "unrelated", "x"])
            .ends(Exit::Success);
        inotify() == 0
    });
    kv.run(["push", "jobs", "job"]).ends(Exit::Success);
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("job");
}

#[test]
fn objects_go_in_and_out_as_json() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let kind = "Content-Type: application/json; charset=utf-8";
    let call =
        |path: &str, body: &str| server.ask(&format!("POST {path}"), &[kind], body.as_bytes());
    let absent = call("/get", r#"{"id":"test1"}"#).is(404);
    assert_eq!(absent.text(), "{\"result\":null}\n");
    for value in [
        "1",
        "\"a\\u0000\"",
        "{\"b\": [1, 2.50]}",
        "12345678901234567890123",
        "null",
    ] {
        let body = format!("{{\"id\":\"test1\",\"value\":{value}}}");
        call("/set", &body).is(200).holds("{\"result\":true}\n");
        kv.holds("test1", value);
        let want = format!("{{\"result\":{value}}}\n");
        call("/get", r#"{"id":"test1"}"#).is(200).holds(want);
    }
    for (stored, shown) in [("no json", "\"no json\""), ("", "\"\"")] {
        kv.put("k", stored);
        call("/get", r#"{"id":"k"}"#).holds(format!("{{\"result\":{shown}}}\n"));
    }
    kv.feed(["put", "k"], b"\xff").ends(Exit::Success);
    call("/get", r#"{"id":"k"}"#).holds("{\"result\":{\"base64\":\"/w==\"}}\n");

    call("/get", r#"{"list":"l"}"#)
        .is(200)
        .holds("{\"result\":[]}\n");
    for value in ["1", "{\"a\":1}"] {
        call("/set", &format!("{{\"list\":\"l\",\"value\":{value}}}")).is(200);
    }
    kv.run(["push", "l", "plain"]).ends(Exit::Success);
    call("/get", r#"{"list":"l"}"#).holds("{\"result\":[1,{\"a\":1},\"plain\"]}\n");

    for bad in [
        "",
        "[]",
        "{}",
        r#"{"id":1}"#,
        r#"{"id":""}"#,
        r#"{"id":"a","list":"l"}"#,
    ] {
        call("/get", bad).refuses(400, Exit::Usage);
    }
    call("/set", r#"{"id":"a"}"#).refuses(400, Exit::Usage);
    call("/set", r#"{"list":"default","value":1}"#).refuses(400, Exit::Usage);
    for kind in [
        "X: y",
        "Content-Type: text/plain",
        "Content-Type: application/jsonx",
    ] {
        let plain = server.ask("POST /set", &[kind], br#"{"id":"a","value":1}"#);
        plain.refuses(415, Exit::Usage);
    }
    kv.lacks("a");
}
