//! What an editor in a browser would change by showing it, and who else changes it meanwhile.

use kv::exit::Exit;

use super::{Tab, row};
use crate::harness::{Sandbox, cannot_run, has_program};
use crate::serve::client::Server;

/// Opens an entry, by its key as the page encodes it.
fn open(tab: &mut Tab, key: &str, shown: &str) {
    tab.click(&row(key));
    tab.until(&format!(
        "!document.getElementById('entry').hidden \
         && document.getElementById('name').textContent === `{shown}`"
    ));
}

/// Puts another value in place of that which is shown, and waits until it is shown.
fn change(tab: &mut Tab, value: &str) {
    tab.click("#edit");
    tab.fill("edit-value", value);
    tab.click("#editor button");
    tab.until(&format!(
        "!document.getElementById('entry').hidden \
         && document.getElementById('value').textContent === `{value}`"
    ));
}

fn can_change(tab: &mut Tab) -> bool {
    tab.value("document.getElementById('edit').disabled") == false
}

#[test]
fn what_the_editor_does_not_keep_is_not_edited_and_what_it_keeps_is() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    let numbers = r#"{"large":9007199254740993,"exact":1.10,"tiny":1e400}"#;
    for (key, value) in [
        ("a\nb", "under a newline"),
        ("ab", "not this"),
        ("\u{feff}mark", "under a mark"),
        ("mark", "not this"),
        ("lines", "one\r\ntwo\r\n"),
        ("marked", "\u{feff}text"),
        ("numbers", numbers),
        (".", "one point"),
        ("..", "two points"),
        ("theirs", "old"),
    ] {
        kv.put(key, value);
    }
    let server = Server::of(&kv, &[]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));
    tab.until("document.querySelectorAll('#rows tr').length === 10");

    // A field of one line would make another key of it. It can be removed, and no other is.
    open(&mut tab, "a%0ab", "a\\\\x0ab");
    assert_eq!(tab.text("#value"), "under a newline");
    assert!(!can_change(&mut tab));
    tab.click("#remove");
    tab.until("document.getElementById('confirm').open");
    tab.click("#confirm button[value=yes]");
    tab.until("document.getElementById('entry').hidden");
    kv.lacks("a\nb");
    kv.holds("ab", "not this");

    // A byte order mark stays, in a key as in a value.
    open(&mut tab, "%ef%bb%bfmark", "\\\\ufeffmark");
    assert!(can_change(&mut tab));
    change(&mut tab, "new");
    kv.holds("\u{feff}mark", "new");
    kv.holds("mark", "not this");
    open(&mut tab, "marked", "marked");
    assert_eq!(tab.text("#value"), "\u{feff}text");
    tab.click("#edit");
    tab.value("document.getElementById('edit-value').value += '!'");
    tab.click("#editor button");
    tab.until("document.getElementById('value').textContent.endsWith('text!')");
    kv.holds("marked", "\u{feff}text!");

    // A browser has one kind of line end in a field: such a value is only shown.
    open(&mut tab, "lines", "lines");
    assert_eq!(tab.text("#value"), "one\r\ntwo\r\n");
    assert!(!can_change(&mut tab));
    tab.click("[data-view=hex]");
    assert!(tab.text("#value").contains("6f 6e 65 0d 0a 74 77 6f 0d 0a"));

    // Numbers are shown as they are written, and stored as they are.
    open(&mut tab, "numbers", "numbers");
    let shown = tab.text("#value");
    for number in ["9007199254740993", "1.10", "1e400"] {
        assert!(shown.contains(number), "{shown}");
    }
    assert!(can_change(&mut tab));
    tab.click("#edit");
    assert_eq!(
        tab.value("document.getElementById('edit-value').value"),
        numbers
    );
    tab.click("#editor button");
    tab.until("!document.getElementById('entry').hidden");
    kv.holds("numbers", numbers);

    // Keys that a browser takes for steps in a directory.
    for (key, encoded, value) in [(".", "%2e", "one point"), ("..", "%2e%2e", "two points")] {
        open(&mut tab, encoded, key);
        assert_eq!(tab.text("#value"), value);
        change(&mut tab, "changed");
        kv.holds(key, "changed");
    }
    tab.click("#remove");
    tab.until("document.getElementById('confirm').open");
    tab.click("#confirm button[value=yes]");
    tab.until("document.getElementById('entry').hidden");
    kv.lacks("..");
    kv.holds(".", "changed");

    // What somebody else has changed meanwhile is neither overwritten nor removed.
    open(&mut tab, "theirs", "theirs");
    tab.click("#edit");
    kv.put("theirs", "new");
    tab.fill("edit-value", "mine");
    tab.click("#editor button");
    tab.until("document.getElementById('message').textContent.startsWith('Somebody has changed')");
    kv.holds("theirs", "new");
    tab.click("#cancel");
    tab.until("document.getElementById('value').textContent === 'new'");
    tab.click("#remove");
    tab.until("document.getElementById('confirm').open");
    kv.put("theirs", "newer");
    tab.click("#confirm button[value=yes]");
    tab.until("document.getElementById('message').textContent.startsWith('Somebody has changed')");
    kv.holds("theirs", "newer");
    // Nor is what somebody has removed made again.
    open(&mut tab, "theirs", "theirs");
    tab.click("#edit");
    kv.run(["remove", "theirs"]).ends(Exit::Success);
    tab.fill("edit-value", "mine");
    tab.click("#editor button");
    tab.until("document.getElementById('message').textContent.startsWith('Somebody has removed')");
    kv.lacks("theirs");
}

#[test]
fn keys_of_any_length_and_values_without_a_byte_are_entries_like_others() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    let long = "k".repeat(65_535);
    kv.put(&long, "one");
    kv.put("empty", "");
    let server = Server::of(&kv, &[]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));
    tab.until_live();
    tab.until("document.querySelectorAll('#rows tr').length === 2");

    // Its row has a part of it, and the entry all.
    let keys = tab.keys();
    assert!(keys == ["empty".to_owned(), "k".repeat(160) + "…"]);
    open(&mut tab, &long, &long);
    assert_eq!(tab.text("#value"), "one");
    let is_low = tab.value("document.getElementById('name').clientHeight < 200");
    assert_eq!(is_low, true);
    change(&mut tab, "two");
    kv.holds(&long, "two");
    tab.fill("ttl", "1h");
    tab.click("#expiry button");
    tab.until("document.getElementById('facts').textContent.includes('expires')");
    tab.click("#remove");
    tab.until("document.getElementById('confirm').open");
    assert_eq!(tab.text("#doomed"), "k".repeat(160) + "…");
    tab.click("#confirm button[value=yes]");
    tab.until("document.querySelectorAll('#rows tr').length === 1");
    kv.lacks(&long);

    // No part is asked of what has none: the browser would tell of an error.
    open(&mut tab, "empty", "empty");
    assert_eq!(tab.text("#value"), "");
    let codes = "JSON.stringify(performance.getEntriesByType('resource') \
                 .filter(e => e.name.endsWith('/empty')).map(e => e.responseStatus))";
    assert_eq!(tab.value(codes), "[200]");
}
