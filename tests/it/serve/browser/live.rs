//! The page is told what changes, and says when it is not.

use std::fs;

use kv::exit::Exit;

use super::{Tab, row};
use crate::harness::{Sandbox, cannot_run, has_program};
use crate::serve::client::Server;

/// Counts the listings that the page has asked for.
fn listings(tab: &mut Tab) -> u64 {
    let count = tab.value(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('end=1&limit')).length",
    );
    count.as_u64().unwrap()
}

/// Waits until these keys are listed.
#[track_caller]
fn until_keys(tab: &mut Tab, keys: &[&str]) {
    let wanted = serde_json::to_string(keys).unwrap();
    tab.until(&format!(
        "JSON.stringify([...document.querySelectorAll('#rows button')].map(b => b.textContent)) === `{wanted}`"
    ));
}

#[test]
fn what_changes_is_shown_at_once_and_what_was_missed_after_a_restart() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    kv.put("b", "one");
    kv.put("d", "one");
    let server = Server::of(&kv, &[]);
    let address = server.address().to_string();
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{address}/"));
    tab.until("document.querySelectorAll('#rows tr').length === 2");
    tab.until_live();
    tab.until("document.getElementById('about-facts').textContent.startsWith('2 entries')");
    let before = listings(&mut tab);

    // Each in its place, by the events alone.
    kv.put("c", "new");
    until_keys(&mut tab, &["b", "c", "d"]);
    kv.put("a", "new");
    kv.put("e\u{1b}", "new");
    until_keys(&mut tab, &["a", "b", "c", "d", "e\\\\x1b"]);
    kv.put("b", &"x".repeat(3300));
    tab.until("document.querySelector('[data-key=b] td:nth-child(2)').textContent === '3.2 KiB'");
    kv.run(["remove", "a", "e\u{1b}"]).ends(Exit::Success);
    kv.run(["expire", "c", "300ms"]).ends(Exit::Success);
    until_keys(&mut tab, &["b", "d"]);
    assert_eq!(listings(&mut tab), before);
    // How many there are of which size is looked up again.
    tab.until(
        "document.getElementById('about-facts').textContent.startsWith('2 entries · 3.2 KiB')",
    );
    tab.until("document.querySelector('#sizes tr:last-child th').textContent === '2 KiB – 4 KiB'");

    // The entry that is open, too; what is typed stays, and is not stored over another's.
    tab.click(&row("d"));
    tab.until("document.getElementById('value').textContent === 'one'");
    kv.put("d", "two");
    tab.until("document.getElementById('value').textContent === 'two'");
    tab.click("#edit");
    tab.fill("edit-value", "mine");
    kv.put("d", "three");
    tab.until("document.getElementById('message').textContent.startsWith('Somebody has changed')");
    assert_eq!(
        tab.value("document.getElementById('edit-value').value"),
        "mine"
    );
    tab.click("#theirs");
    tab.until("document.getElementById('value').textContent === 'three'");
    kv.run(["remove", "d"]).ends(Exit::Success);
    tab.until("document.getElementById('facts').textContent.endsWith('gone')");
    assert_eq!(tab.text("#value"), "three");
    for id in ["edit", "remove", "ttl"] {
        assert_eq!(
            tab.value(&format!("document.getElementById('{id}').disabled")),
            true
        );
    }
    kv.put("d", "four");
    tab.until("document.getElementById('value').textContent === 'four'");
    assert_eq!(tab.value("document.getElementById('edit').disabled"), false);

    // A service that ends is told, and what happens until it is back is seen then.
    server.stop();
    tab.until("document.getElementById('live').textContent.startsWith('not live: next try in ')");
    kv.put("d", "five");
    kv.put("z", "new");
    let server = Server::start(&mut kv.kv(["serve", "--listen", &address]));
    tab.until_live();
    until_keys(&mut tab, &["b", "d", "z"]);
    tab.until("document.getElementById('value').textContent === 'five'");
    assert_eq!(tab.text("#message"), "");

    // What cannot be read is told.
    kv.put("y", "v");
    until_keys(&mut tab, &["b", "d", "y", "z"]);
    fs::write(kv.file_of(b"y"), "kv1 nonsense").unwrap();
    tab.until("document.getElementById('message').textContent.includes('damaged')");
    kv.run(["remove", "-f", "y"]).ends(Exit::Success);

    // More than are shown: what comes among them moves the last one away.
    for n in 0..200 {
        kv.put(&format!("c{n:03}"), "x");
    }
    tab.until("!document.getElementById('more').hidden");
    let keys = tab.keys();
    assert_eq!((keys.len(), &*keys[0], &*keys[199]), (200, "b", "c198"));
    server.stop();
}

#[test]
fn a_list_is_shown_with_its_elements_in_their_order() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    let push = |element: &str| kv.run(["push", "jobs", element]).ends(Exit::Success);
    push("<img src=x onerror=document.title='run'>");
    push("two\nlines");
    push("");
    kv.feed(["push", "jobs"], b"\0\xff").ends(Exit::Success);
    push(&"x".repeat(5000));
    let server = Server::of(&kv, &[]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));
    tab.until_live();
    tab.until("document.getElementById('nothing').hidden === false");
    tab.until("document.querySelectorAll('#namespaces button').length === 2");
    tab.click("#namespaces li:last-child button");
    until_keys(
        &mut tab,
        &[
            "<img src=x onerror=document.title='run'>",
            "two\\\\x0alines",
            "(empty)",
            "\\\\x00\u{fffd}",
            "(4.9 KiB)",
        ],
    );
    assert_eq!(tab.text("#key-head"), "Element");
    assert_eq!(tab.value("document.images.length"), 0);
    tab.until_live();
    // Another key is none of its elements.
    kv.run(["-n", "jobs", "put", "00000000000000000001.other", "v"])
        .ends(Exit::Success);
    for _ in 0..4 {
        kv.run(["pop", "jobs"]).ends(Exit::Success);
    }
    push(&"y".repeat(300));
    let long = format!("{}…", "y".repeat(160));
    until_keys(&mut tab, &["(4.9 KiB)", &long]);
    // The focus of an element that somebody takes goes to the next one.
    tab.value("document.querySelector('#rows button').focus()");
    kv.run(["pop", "jobs"]).ends(Exit::Success);
    until_keys(&mut tab, &[&long]);
    assert_eq!(tab.text(":focus"), long);
    // An element is an entry like others.
    tab.click("#rows tr:last-child button");
    tab.until(&format!(
        "document.getElementById('value').textContent === '{}'",
        "y".repeat(300)
    ));
    assert_eq!(tab.value("document.title"), "kv");
    assert_eq!(tab.text("#message"), "");
}
