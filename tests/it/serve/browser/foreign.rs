//! A page of another site, in a browser of this machine: whatever it tries, it reads nothing, learns
//! nothing and changes nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kv::exit::Exit;

use super::Tab;
use crate::harness::{Sandbox, cannot_run, has_program, tell_count};
use crate::process::serve;
use crate::serve::client::Server;

const PAGE: &str = include_str!("foreign.html");
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Values that a page can make something of, and as what.
fn values() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut audio =
        b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0"
            .to_vec();
    audio.extend(b"data\x08\0\0\0\x80\x80\x80\x80\x80\x80\x80\x80");
    vec![
        ("text", "text/plain", b"s3cret".to_vec()),
        ("image", "image/png", STANDARD.decode(PIXEL).unwrap()),
        (
            "script",
            "text/javascript",
            b"window.leaked = 's3cret'".to_vec(),
        ),
        ("style", "text/css", b":root { --leaked: s3cret }".to_vec()),
        ("audio", "audio/wav", audio),
        ("events", "text/event-stream", b"data: s3cret\n\n".to_vec()),
        (
            "module",
            "text/javascript",
            b"export const leaked = 's3cret'".to_vec(),
        ),
        ("number", "text/plain", b"1".to_vec()),
    ]
}

/// Answers a request, and counts those that would change something.
fn reply(stream: TcpStream, changes: &AtomicUsize) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (stream.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        stream.read_exact(&mut vec![0; length]).ok()?;
        if !head.starts_with("GET ") {
            changes.fetch_add(1, Ordering::Relaxed);
        }
        let path = head.split(' ').nth(1)?;
        let found = values();
        let found = found
            .iter()
            .find(|(key, ..)| path == format!("/v1/default/{key}"));
        let (kind, body) = found.map_or(("text/html", PAGE.as_bytes()), |(_, kind, body)| {
            (*kind, body)
        });
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
        stream.get_mut().write_all(head.as_bytes()).ok()?;
        stream.get_mut().write_all(body).ok()?;
    }
}

/// Starts the other site, which has the same values.
fn site() -> (SocketAddr, Arc<AtomicUsize>) {
    let changes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&changes);
    let address = serve(move |stream| _ = reply(stream, &counted));
    (address, changes)
}

/// Returns how many requests the service has refused as those of others.
fn refused(server: &Server) -> u64 {
    let text = server.ask("GET /metrics", &[], b"").is(200).text();
    let lines = text.lines().filter(|line| {
        line.starts_with("kv_http_requests_total{") && line.contains("code=\"403\"")
    });
    let counts = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    counts.sum()
}

#[test]
fn a_page_of_another_site_reads_nothing_and_changes_nothing() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which another site is looked at, is not installed");
    }
    let kv = Sandbox::new();
    for (key, _, value) in values() {
        kv.feed(["put", key], &value).ends(Exit::Success);
    }
    kv.run(["push", "jobs", "one"]).ends(Exit::Success);
    let all = || {
        kv.run(["export", "--all"])
            .ends(Exit::Success)
            .stdout_text()
    };
    let before = all();
    let server = Server::of(&kv, &[]);
    let (site, changes) = site();
    let mut tab = Tab::new(&kv);
    let place = format!("http://{}", server.address());
    // What is tried can be done: from itself the site reads and changes all.
    let evil = format!("http://evil.example:{}", site.port());
    tab.open(&evil);
    tab.until("document.title === 'another site' && typeof look === 'function'");
    let come = tab.value(&format!("read('{evil}')"));
    let come = come.as_object().unwrap();
    assert!(
        come.len() == 12 && come.values().all(|read| !read.is_null()),
        "{come:?}"
    );
    let tries = tab.value(&format!("write('{evil}')")).as_u64().unwrap();
    let made = changes.load(Ordering::Relaxed) as u64;
    assert!(tries > 12 && made >= tries, "{made} of {tries}");
    // The same name for two ports is the same site, and another origin; the address is another site.
    let ports = [
        (
            format!("http://evil.example:{}", site.port()),
            "another site",
        ),
        (format!("http://127.0.0.1:{}", site.port()), "another port"),
    ];
    for (from, kind) in ports {
        tab.open(&from);
        tab.until("document.title === 'another site' && typeof look === 'function'");
        let begun = refused(&server);
        let come = tab.value(&format!("read('{place}')"));
        let come = come.as_object().unwrap();
        assert!(
            come.len() == 12 && come.values().all(|read| read.is_null()),
            "{kind}: {come:?}"
        );
        let reads = refused(&server) - begun;
        // What it was refused before a browser may not ask for again.
        assert!(reads >= 10, "{kind}: {reads} were refused: {come:?}");
        assert_eq!(tab.value(&format!("write('{place}')")), tries);
        let writes = refused(&server) - begun - reads;
        assert!(writes >= 10, "{kind}: {writes} were refused");
        let looks = ["missing", "text", "image", "script"]
            .map(|key| tab.value(&format!("look('{place}', '{key}')")));
        assert!(
            looks.iter().all(|look| *look == looks[0]),
            "{kind}: {looks:?}"
        );
        assert_eq!(all(), before, "{kind}");
        tell_count(&format!(
            "{kind}: {reads} reads and {writes} writes refused"
        ));
    }
    // A name that leads here once the page is there makes no difference: the service knows its own.
    let rebound = format!("http://rebound.example:{}", server.address().port());
    tab.open(&format!("{rebound}/v1/default/text"));
    tab.until("document.body?.textContent.includes('rebound.example')");
    assert!(!tab.text("body").contains("s3cret"));
    assert_eq!(all(), before);
}
