//! A search by a pattern, and an expiry that is set without the value.

use kv::exit::Exit;

use super::{Tab, row};
use crate::harness::{Sandbox, cannot_run, has_program};
use crate::serve::client::Server;

#[test]
fn a_search_is_by_prefix_or_by_pattern_and_an_expiry_is_set_alone() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    for key in ["log/a.txt", "log/b.png", "log/c.txt", "other.txt", "[x"] {
        kv.put(key, "v");
    }
    let server = Server::of(&kv, &[]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));
    tab.until("document.querySelectorAll('#rows tr').length === 5");
    let choose = |tab: &mut Tab, how: &str| {
        tab.value(&format!(
            "document.getElementById('how').value = '{how}'; \
             document.getElementById('how').dispatchEvent(new Event('change'))"
        ));
    };
    choose(&mut tab, "glob");
    tab.fill("wanted", "log/*.txt");
    tab.until("document.querySelectorAll('#rows tr').length === 2");
    assert_eq!(tab.keys(), ["log/a.txt", "log/c.txt"]);
    // What does not match is not told either.
    tab.until_live();
    kv.put("log/d.png", "v");
    kv.put("log/e.txt", "v");
    tab.until("document.querySelectorAll('#rows tr').length === 3");
    assert_eq!(tab.keys(), ["log/a.txt", "log/c.txt", "log/e.txt"]);
    // A pattern that is none is told, and the page goes on.
    tab.fill("wanted", "[x");
    tab.until("document.getElementById('message').textContent.includes('glob')");
    tab.until("document.getElementById('live').textContent === 'not live'");
    tab.until("document.querySelectorAll('#rows tr').length === 0");
    choose(&mut tab, "prefix");
    tab.until("document.querySelectorAll('#rows tr').length === 1");
    assert_eq!(tab.text("#message"), "");
    tab.until_live();

    tab.fill("wanted", "log/a");
    tab.until("document.querySelector('#rows button')?.textContent === 'log/a.txt'");
    tab.click(&row("log%2fa%2etxt"));
    tab.until("document.getElementById('name').textContent === 'log/a.txt'");
    let modified = kv.field("modified", "log/a.txt");
    for (ttl, shown) in [("1d", "in 23 h"), ("never", "-"), ("15m", "in 14 min")] {
        tab.fill("ttl", ttl);
        tab.click("#expiry button");
        tab.until(&format!(
            "document.querySelector('#rows td:last-child').textContent === '{shown}'"
        ));
        tab.until(&format!(
            "document.getElementById('facts').textContent.includes('expires') === {}",
            ttl != "never"
        ));
    }
    kv.holds("log/a.txt", "v");
    assert_eq!(kv.field("modified", "log/a.txt"), modified);
    tab.fill("ttl", "soon");
    tab.click("#expiry button");
    tab.until("document.getElementById('message').textContent.includes('ttl')");
    kv.run(["ttl", "log/a.txt"]).ends(Exit::Success);
}
