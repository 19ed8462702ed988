//! What others do while somebody types, and what is not to be done at all.

use kv::exit::Exit;

use super::{Tab, row};
use crate::harness::{Sandbox, cannot_run, has_program};
use crate::serve::client::Server;

/// Opens an entry in the editor, and types.
fn begin(tab: &mut Tab, key: &str, text: &str) {
    tab.click(&row(key));
    tab.until(&format!(
        "!document.getElementById('entry').hidden \
         && document.getElementById('name').textContent === '{key}'"
    ));
    tab.click("#edit");
    tab.fill("edit-value", text);
}

/// Waits until a choice is offered, and why.
#[track_caller]
fn until_told(tab: &mut Tab, what: &str) {
    tab.until(&format!(
        "!document.getElementById('conflict').hidden \
         && document.getElementById('message').textContent === 'Somebody has {what} it meanwhile.'"
    ));
    assert_eq!(tab.value("document.getElementById('usual').hidden"), true);
    // The choice is on the screen, above what is told.
    tab.until(
        "document.getElementById('mine').getBoundingClientRect().bottom \
         <= document.getElementById('message').getBoundingClientRect().top",
    );
}

/// Tells whether something is to be seen.
fn is_seen(tab: &mut Tab, id: &str) -> bool {
    tab.value(&format!(
        "document.getElementById('{id}').getClientRects().length"
    )) != 0
}

#[test]
fn who_types_chooses_between_what_others_have_put_and_the_own() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    kv.put("a", "one");
    kv.put("b", "one");
    kv.run(["-n", "other", "put", "k", "v"]).ends(Exit::Success);
    let server = Server::of(&kv, &[]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));
    tab.until_live();
    tab.until("document.querySelectorAll('#rows tr').length === 2");

    begin(&mut tab, "a", "mine");
    kv.put("a", "theirs");
    until_told(&mut tab, "changed");
    assert_eq!(tab.text("#their-value"), "theirs");
    // Only that which was seen is overwritten, and only on purpose.
    tab.value("document.getElementById('editor').requestSubmit()");
    until_told(&mut tab, "changed");
    kv.holds("a", "theirs");
    tab.click("#mine");
    tab.until("document.getElementById('value').textContent === 'mine'");
    kv.holds("a", "mine");

    // What is gone is made again, or left.
    begin(&mut tab, "a", "again");
    kv.run(["remove", "a"]).ends(Exit::Success);
    until_told(&mut tab, "removed");
    assert!(!is_seen(&mut tab, "their-value"));
    tab.click("#mine");
    tab.until("document.getElementById('value').textContent === 'again'");
    kv.holds("a", "again");
    begin(&mut tab, "a", "not this");
    kv.run(["remove", "a"]).ends(Exit::Success);
    until_told(&mut tab, "removed");
    assert_eq!(tab.text("#theirs"), "Leave it removed");
    tab.click("#theirs");
    tab.until("document.getElementById('facts').textContent.endsWith('gone')");
    kv.lacks("a");

    // What was typed goes with nothing but a yes.
    kv.put("c", "one");
    tab.until("document.querySelector('[data-key=c]')");
    begin(&mut tab, "b", "typed");
    for other in [&*row("c"), "#namespaces li:last-child button", "#new"] {
        tab.click(other);
        tab.until("document.getElementById('discard').open");
        tab.click("#discard button[value=no]");
        tab.until("!document.getElementById('discard').open");
        let typed = tab.value("document.getElementById('edit-value').value");
        assert_eq!((typed, is_seen(&mut tab, "editor")), ("typed".into(), true));
    }
    tab.click(&row("c"));
    tab.until("document.getElementById('discard').open");
    tab.click("#discard button[value=yes]");
    tab.until("document.getElementById('name').textContent === 'c'");
    assert!(!is_seen(&mut tab, "editor"));
    kv.holds("b", "one");

    // A service that is away is told in words.
    begin(&mut tab, "b", "typed");
    server.stop();
    tab.click("#editor button");
    tab.until("document.getElementById('message').textContent === 'The service does not answer.'");
    assert_eq!(
        tab.value("document.getElementById('edit-value').value"),
        "typed"
    );
}

#[test]
fn what_is_gone_is_not_listed_and_what_cannot_be_changed_is_not_offered() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["-n", "passing", "put", "k", "v"])
        .ends(Exit::Success);
    let server = Server::of(&kv, &[]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));
    tab.until("document.querySelectorAll('#namespaces button').length === 2");
    assert!(is_seen(&mut tab, "new") && !is_seen(&mut tab, "read-only"));
    tab.click("#namespaces li:last-child button");
    tab.until("document.getElementById('about-facts').textContent.startsWith('1 entry ')");
    tab.until_live();
    kv.run(["namespaces", "--remove", "passing"])
        .ends(Exit::Success);
    tab.until("document.querySelectorAll('#namespaces button').length === 1");
    assert_eq!(tab.text("#namespaces"), "default");
    tab.until("document.getElementById('about-facts').textContent.startsWith('0 entries ')");
    server.stop();

    let server = Server::of(&kv, &["--read-only"]);
    tab.open(&format!("http://{}/", server.address()));
    tab.until("document.getElementById('read-only')?.getClientRects().length");
    tab.until("document.querySelectorAll('#rows tr').length === 1");
    tab.click(&row("k"));
    tab.until("document.getElementById('value').textContent === 'v'");
    for id in ["new", "edit", "remove", "ttl"] {
        assert!(!is_seen(&mut tab, id), "{id}");
    }
}
