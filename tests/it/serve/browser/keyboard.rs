//! The page without a mouse, for who sees it read aloud, in the dark, and on a narrow screen.

use kv::exit::Exit;
use kv::wire::units;
use serde_json::{Value, json};

use super::Tab;
use crate::harness::{Sandbox, cannot_run, has_program};
use crate::serve::client::Server;

/// Returns the text of what has the focus.
fn focused(tab: &mut Tab) -> String {
    tab.text(":focus")
}

#[track_caller]
fn is_focused(tab: &mut Tab, id: &str) {
    assert_eq!(tab.value("document.activeElement.id"), id);
}

#[test]
fn the_page_is_used_with_keys_and_read_aloud_and_fits_small_screens() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    for key in ["a", "b", "c"] {
        kv.put(key, key);
    }
    kv.run(["-n", "other", "put", &"long".repeat(40), "v"])
        .ends(Exit::Success);
    let server = Server::of(&kv, &[]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));
    tab.until("document.querySelectorAll('#rows tr').length === 3");
    tab.until_live();

    for (key, row) in [
        ("j", "a"),
        ("ArrowDown", "b"),
        ("j", "c"),
        ("j", "c"),
        ("k", "b"),
        ("ArrowUp", "a"),
        ("ArrowUp", "a"),
        ("ArrowLeft", "default"),
        ("j", "other"),
        ("k", "default"),
        ("ArrowRight", "a"),
        ("j", "b"),
    ] {
        tab.press(key);
        assert_eq!(focused(&mut tab), row, "{key}");
    }
    // What has the focus can be seen.
    let outline = tab.value("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid");
    tab.press("Enter");
    tab.until("document.getElementById('value').textContent === 'b'");
    assert_eq!(focused(&mut tab), "b");
    assert_eq!(tab.text("#rows [aria-current=true]"), "b");
    // A row that is told anew, and one that is gone, leave the focus where it was.
    kv.put("b", "changed");
    tab.until("document.getElementById('value').textContent === 'changed'");
    assert_eq!(focused(&mut tab), "b");
    kv.run(["remove", "b"]).ends(Exit::Success);
    tab.until("document.querySelectorAll('#rows tr').length === 2");
    assert_eq!(focused(&mut tab), "c");
    tab.press("Escape");
    tab.until("document.getElementById('entry').hidden");
    assert_eq!(focused(&mut tab), "c");

    // A search, and out of it.
    tab.press("/");
    is_focused(&mut tab, "wanted");
    for key in ["c", "j"] {
        tab.press(key);
    }
    tab.until("!document.getElementById('nothing').hidden");
    assert_eq!(tab.value("document.getElementById('wanted').value"), "cj");
    tab.fill("wanted", "c");
    tab.until("document.querySelectorAll('#rows tr').length === 1");
    tab.press("ArrowDown");
    assert_eq!(focused(&mut tab), "c");
    tab.press("/");
    tab.press("Escape");
    assert_eq!(focused(&mut tab), "c");

    // What was typed is not lost by a key.
    tab.press("Enter");
    tab.until("document.getElementById('value').textContent === 'c'");
    tab.click("#edit");
    is_focused(&mut tab, "edit-value");
    tab.press("x");
    tab.press("Escape");
    tab.until("document.getElementById('message').textContent.includes('not stored')");
    assert_eq!(tab.value("document.getElementById('editor').hidden"), false);
    tab.fill("edit-value", "c");
    tab.press("Escape");
    tab.until("!document.getElementById('entry').hidden");
    tab.press("Escape");
    tab.until("!document.getElementById('about').hidden");

    // So it is where no row is left.
    assert_eq!(focused(&mut tab), "c");
    kv.run(["remove", "c"]).ends(Exit::Success);
    tab.until("document.querySelectorAll('#rows tr').length === 0");
    is_focused(&mut tab, "wanted");
    tab.value("document.activeElement.blur()");

    // The keys are told there.
    tab.press("?");
    tab.until("document.getElementById('help').open");
    let told = tab.text("#help");
    for key in ["↓", "j", "↑", "k", "←", "→", "Enter", "/", "Esc", "?"] {
        assert!(told.contains(key), "{told}");
    }
    tab.press("j");
    tab.press("Escape");
    tab.until("!document.getElementById('help').open");
    // A key of the browser's own stays one.
    tab.value("window.dispatchEvent(new KeyboardEvent('keydown', { key: '/', ctrlKey: true }))");
    assert_ne!(tab.value("document.activeElement.id"), "wanted");

    // Whatever can be used has a name for who hears it.
    let tree = tab.ask("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let roles = [
        "button",
        "textbox",
        "searchbox",
        "combobox",
        "link",
        "table",
    ];
    let used = nodes.iter().filter(|node| {
        node["ignored"] == false && roles.contains(&node["role"]["value"].as_str().unwrap_or(""))
    });
    let mut count = 0;
    for node in used {
        count += 1;
        let name = node["name"]["value"].as_str().unwrap_or("");
        assert!(!name.is_empty(), "{node}");
    }
    assert!(count >= 8, "{count}");

    the_words_are_those_of_a_terminal(&mut tab);
    it_is_dark_where_that_is_wanted(&mut tab);

    // Nothing is beside a narrow screen.
    tab.fill("wanted", "");
    tab.value("[...document.querySelectorAll('#namespaces button')].at(-1).click()");
    tab.until("document.querySelector('#rows button')?.textContent.startsWith('longlong')");
    for width in [1180, 400] {
        tab.resize(width);
        assert_eq!(
            tab.value(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            ),
            true,
            "{width}"
        );
    }
    assert_eq!(tab.text("#message"), "");
}

/// Sizes and times are told as `kv ls -l` tells them at a terminal.
fn the_words_are_those_of_a_terminal(tab: &mut Tab) {
    let sizes = [
        0,
        1,
        1023,
        1024,
        1075,
        3300,
        1_048_524,
        1_048_525,
        1_048_576,
        123_456_789,
        1 << 40,
        1 << 52,
    ];
    let told = tab.value(&format!(
        "import('/page/words.js').then(words => {sizes:?}.map(words.bytes))"
    ));
    let wanted: Vec<_> = sizes.iter().map(|size| units::bytes(*size)).collect();
    assert_eq!(told, json!(wanted));
    let told = tab.value(
        "import('/page/words.js').then(words => { const now = Date.UTC(2030, 0), \
         at = (s) => new Date(now + s * 1000).toISOString(); \
         return [[0, 59, 60, 3599, 3600, 172799, 172800, -5].map(s => words.ago(at(-s), now)), \
         [1, 0.2, 840, 172800].map(s => words.until(at(s), now)), words.until(null)].flat(); })",
    );
    let wanted = [
        "0 s ago",
        "59 s ago",
        "1 min ago",
        "59 min ago",
        "1 h ago",
        "47 h ago",
        "2 d ago",
        "0 s ago",
        "in 1 s",
        "in 1 s",
        "in 14 min",
        "in 2 d",
        "-",
    ];
    assert_eq!(told, json!(wanted));
}

/// The colours follow the system, unless somebody has chosen.
fn it_is_dark_where_that_is_wanted(tab: &mut Tab) {
    fn is_dark(tab: &mut Tab) -> bool {
        let color = tab.value("getComputedStyle(document.body).backgroundColor");
        let digits = color.as_str().unwrap().trim_start_matches("rgb(");
        digits.split(',').next().unwrap().parse::<u8>().unwrap() < 128
    }
    let system = |tab: &mut Tab, scheme: &str| {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        tab.ask("Emulation.setEmulatedMedia", &features);
    };
    system(tab, "light");
    assert!(!is_dark(tab));
    system(tab, "dark");
    assert!(is_dark(tab));
    tab.click("#theme");
    assert_eq!(tab.text("#theme"), "Theme: light");
    assert!(!is_dark(tab));
    tab.click("#theme");
    system(tab, "light");
    assert!(is_dark(tab));
    // It is remembered.
    tab.value("window.old = true");
    tab.ask("Page.reload", &Value::Object(serde_json::Map::new()));
    tab.until("!window.old && document.querySelectorAll('#rows tr').length > 0");
    assert!(is_dark(tab));
    tab.click("#theme");
    assert_eq!(tab.text("#theme"), "Theme: system");
    assert!(!is_dark(tab));
}
