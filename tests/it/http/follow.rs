//! `kv watch` through a service: its events, and what it does where there are none.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;

use kv::exit::Exit;

use super::between::pipe_to;
use super::run;
use crate::harness::Sandbox;
use crate::process::serve;
use crate::serve::client::Server;
use crate::watch::Watching;

fn watch(kv: &Sandbox, place: &str, args: &[&str]) -> Watching {
    kv.put("ready", "");
    let mut command = kv.kv(["watch", "--now"].iter().chain(args));
    command.env("KV_STORE", place);
    let watching = Watching::of(command);
    watching.next_of("put", "ready");
    watching
}

#[test]
fn changes_are_told_by_one_request() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let (place, count) = pipe_to(&server);
    let watching = watch(&kv, &place, &[]);
    assert_eq!(server.waiting(), 1);
    for n in 0..10 {
        let key = format!("k{n}");
        kv.put(&key, "v");
        assert_eq!(watching.next_of("put", &key), kv.field("etag", &key));
        kv.run(["remove", &key]).ends(Exit::Success);
        watching.next_of("gone", &key);
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn damage_is_told_once_and_is_no_change() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.put("bad", "v");
    let listed = kv.run(["ls", "-l"]).ends(Exit::Success);
    fs::write(kv.path("seen"), listed.stdout()).unwrap();
    fs::write(kv.file_of(b"bad"), "kv1 nonsense").unwrap();
    let server = Server::of(&kv, &[]);
    let args = ["watch", "--since", "seen", "--timeout", "50ms"];
    run(&kv, &server, &args)
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["damaged"]);
}

#[test]
fn a_service_that_is_started_anew_is_followed_on() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let address = server.address().to_string();
    let watching = watch(
        &kv,
        &format!("http://{address}"),
        &["--busy-timeout", "30s"],
    );
    for key in ["same", "gone", "changed"] {
        kv.put(key, "v");
        watching.next_of("put", key);
    }
    server.stop();
    kv.put("changed", "w");
    kv.put("new", "v");
    kv.run(["remove", "gone"]).ends(Exit::Success);
    let server = Server::start(&mut kv.kv(["serve", "--listen", &address]));
    // What there is comes first, in the order of the keys.
    assert_eq!(
        watching.next_of("put", "changed"),
        kv.field("etag", "changed")
    );
    assert_eq!(watching.next_of("put", "new"), kv.field("etag", "new"));
    watching.next_of("gone", "gone");
    kv.put("same", "w");
    assert_eq!(watching.next_of("put", "same"), kv.field("etag", "same"));
    server.stop();
}

#[test]
fn a_service_that_is_gone_for_good_ends_it() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let place = format!("http://{}", server.address());
    let watching = watch(&kv, &place, &["--busy-timeout", "500ms"]);
    server.stop();
    assert_eq!(
        watching.ends().code(),
        Some(i32::from(Exit::Failure.row().0))
    );
}

/// Stands before a server. What is asked of changes is answered with this, and held back where it is empty.
fn without_events(server: &Server, answer: &'static str) -> String {
    let to = server.address();
    let place = serve(move |mut client: TcpStream| {
        let mut head = vec![0; 64 * 1024];
        let mut filled = 0;
        while !head[..filled].ends_with(b"\r\n\r\n") {
            match client.read(&mut head[filled..]) {
                Ok(n) if n > 0 => filled += n,
                _ => return,
            }
        }
        if head[..filled].windows(8).any(|part| part == b"op=watch") {
            _ = client.write_all(answer.as_bytes());
            // Until the client goes.
            _ = client.read(&mut [0]);
            return;
        }
        let mut server = TcpStream::connect(to).unwrap();
        server.write_all(&head[..filled]).unwrap();
        let mut back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            _ = std::io::copy(&mut back.0, &mut back.1);
            _ = back.1.shutdown(Shutdown::Both);
        });
        _ = std::io::copy(&mut client, &mut server);
    });
    format!("http://{place}")
}

#[test]
fn where_no_events_come_all_is_listed_again_and_again() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    for answer in [
        "",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nKV-Protocol: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nKV-Protocol: 1\r\n\r\n: watching\n\ndata: {\"key\":\"k\",\"event\":\"odd\"}\n\n",
    ] {
        let watching = watch(&kv, &without_events(&server, answer), &["--prefix", "r"]);
        kv.put("r", "v");
        assert_eq!(watching.next_of("put", "r"), kv.field("etag", "r"));
        kv.run(["remove", "r"]).ends(Exit::Success);
        watching.next_of("gone", "r");
    }
}
