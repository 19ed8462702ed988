//! The page of the service, in a browser that nobody sees.

mod foreign;
mod keyboard;
mod live;
mod others;
mod search;
mod values;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kv::exit::Exit;
use serde_json::{Value, json};

use super::client::Server;
use crate::harness::{Sandbox, cannot_run, has_program, until};

/// A tab of Chromium, driven over two pipes (the Chrome DevTools Protocol, a NUL behind each message).
struct Tab {
    browser: Child,
    input: File,
    output: BufReader<File>,
    session: Option<String>,
    asked: u64,
}

impl Tab {
    fn new(kv: &Sandbox) -> Self {
        let [input, output] = ["in", "out"].map(|name| kv.path(name));
        for path in [&input, &output] {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let script = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
                      --host-resolver-rules='MAP *.example 127.0.0.1' --user-data-dir=profile --window-size=1180,640 --remote-debugging-pipe \
                      3<in 4>out >log 2>&1";
        let browser = Command::new("bash")
            .args(["-c", script])
            .current_dir(kv.root())
            .env("HOME", kv.root())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let input = OpenOptions::new().write(true).open(input).unwrap();
        let output = BufReader::new(File::open(output).unwrap());
        let mut tab = Self {
            browser,
            input,
            output,
            session: None,
            asked: 0,
        };
        let target = tab.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let wanted = json!({ "targetId": target["targetId"], "flatten": true });
        let session = tab.ask("Target.attachToTarget", &wanted);
        tab.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        tab
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input
            .write_all(format!("{message}\0").as_bytes())
            .unwrap();
        loop {
            let mut answer = Vec::new();
            self.output.read_until(0, &mut answer).unwrap();
            assert!(!answer.is_empty(), "the browser is gone");
            let answer = answer.strip_suffix(b"\0").unwrap_or(&answer);
            let answer: Value = serde_json::from_slice(answer).unwrap();
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Opens a page.
    fn open(&mut self, url: &str) {
        self.ask("Page.navigate", &json!({ "url": url }));
    }

    /// Returns what an expression comes to.
    #[track_caller]
    fn value(&mut self, expression: &str) -> Value {
        let wanted = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true });
        let answer = self.ask("Runtime.evaluate", &wanted);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true. What the page says meanwhile is in the test's log.
    #[track_caller]
    fn until(&mut self, expression: &str) {
        let mut last = String::new();
        until(expression, || {
            std::thread::sleep(Duration::from_millis(20));
            let message = self.text("#message");
            if message != last {
                eprintln!("the page says: {message:?}");
                last = message;
            }
            self.value(&format!("Boolean({expression})")) == true
        });
    }

    /// Types a text into a field.
    fn fill(&mut self, id: &str, text: &str) {
        let text = Value::from(text);
        self.value(&format!(
            "(() => {{ const field = document.getElementById('{id}'); field.value = {text}; \
             field.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        ));
    }

    fn click(&mut self, selector: &str) {
        self.value(&format!("document.querySelector(`{selector}`).click()"));
    }

    /// Presses a key.
    fn press(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = match key {
            "Enter" => "\r",
            key if key.len() == 1 => key,
            _ => "",
        };
        for (kind, text) in [("keyDown", text), ("keyUp", "")] {
            let event =
                json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text });
            self.ask("Input.dispatchKeyEvent", &event);
        }
    }

    /// Looks at the service's page from a window of this width.
    fn resize(&mut self, width: u32) {
        let size =
            json!({ "width": width, "height": 640, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Waits until the page follows what changes.
    #[track_caller]
    fn until_live(&mut self) {
        self.until("document.getElementById('live')?.textContent === 'live'");
    }

    /// Returns the text of the first element that a selector finds.
    fn text(&mut self, selector: &str) -> String {
        let text = self.value(&format!(
            "document.querySelector(`{selector}`)?.textContent"
        ));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Returns the keys that are listed.
    fn keys(&mut self) -> Vec<String> {
        let keys =
            self.value("[...document.querySelectorAll('#rows button')].map(b => b.textContent)");
        serde_json::from_value(keys).unwrap()
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        _ = self.browser.kill();
        _ = self.browser.wait();
    }
}

fn row(key: &str) -> String {
    format!("#rows tr[data-key='{key}'] button")
}

/// One visit, as the browser takes longer to start than all that is done in it.
#[test]
fn a_visitor_looks_around_puts_and_removes() {
    if !has_program("chromium") {
        return cannot_run("chromium, in which the page is looked at, is not installed");
    }
    let kv = Sandbox::new();
    kv.put("user:1", r#"{"name":"Ada","tags":["a","b"]}"#);
    kv.put("user:2", "plain\ntext");
    kv.run(["put", "user:3", &"x".repeat(3300), "--ttl", "15m"])
        .ends(Exit::Success);
    kv.put(
        "<img src=x onerror=document.title='run'>",
        "<script>document.title='run'</script>",
    );
    kv.run(["put", "a//b\u{1b}", "odd", "--ttl", "1h"])
        .ends(Exit::Success);
    kv.feed(["put", "bytes"], b"\0\xff\x10abc")
        .ends(Exit::Success);
    for n in 0..205 {
        kv.put(&format!("many/{n:03}"), "x");
    }
    kv.run(["-n", "other", "put", "there", "v"])
        .ends(Exit::Success);
    kv.secret("token", "s3cret0123456789");
    let server = Server::of(&kv, &["--token-file", "token"]);
    let mut tab = Tab::new(&kv);
    tab.open(&format!("http://{}/", server.address()));

    // Without the token nothing is to be seen.
    tab.until("document.getElementById('login')?.hidden === false");
    let dot = tab.value("getComputedStyle(document.getElementById('live'), '::before').content");
    assert_eq!(dot, "none");
    let [left, right] = [("#login button", "left"), ("#token", "right")].map(|(what, side)| {
        let place = format!("document.querySelector('{what}').getBoundingClientRect().{side}");
        tab.value(&place).as_f64().unwrap()
    });
    assert!(left - right >= 5.0, "{left} {right}");
    assert_eq!(tab.text("#login-error"), "");
    for (token, error) in [("wr0ng", "not that of this service"), ("wröng€", "ASCII")] {
        tab.fill("token", token);
        tab.click("#login button");
        tab.until(&format!(
            "document.getElementById('login-error').textContent.includes('{error}') \
             && sessionStorage.getItem('token') === null && !document.getElementById('login').hidden"
        ));
    }
    assert_eq!(tab.keys(), [""; 0]);
    tab.fill("token", "s3cret0123456789");
    tab.click("#login button");
    tab.until("document.querySelectorAll('#rows tr').length === 200");
    tab.until("document.getElementById('totals').textContent.startsWith('212 entries')");

    // More than one answer has.
    tab.click("#more");
    tab.until("document.querySelectorAll('#rows tr').length === 211");
    assert_eq!(tab.value("document.getElementById('more').hidden"), true);
    let keys = tab.keys();
    assert!(keys.contains(&"a//b\\x1b".to_owned()), "{keys:?}");
    assert!(keys.contains(&"many/204".to_owned()));

    // A search, and values of each kind.
    tab.fill("wanted", "user:");
    tab.until("document.querySelectorAll('#rows tr').length === 3");
    tab.click(&row("user%3a1"));
    tab.until("!document.getElementById('entry').hidden");
    let json = "{\n  \"name\": \"Ada\",\n  \"tags\": [\n    \"a\",\n    \"b\"\n  ]\n}";
    assert_eq!(tab.text("#value"), json);
    tab.click("[data-view=text]");
    assert_eq!(tab.text("#value"), r#"{"name":"Ada","tags":["a","b"]}"#);
    if std::env::var_os("KV_BLESS").is_some() {
        tab.click("[data-view=json]");
        tab.until_live();
        let shot = tab.ask("Page.captureScreenshot", &json!({ "format": "png" }));
        let png = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/server/page/screenshot.png"
        );
        fs::write(path, png).unwrap();
    }
    tab.fill("wanted", "bytes");
    tab.until("document.querySelectorAll('#rows tr').length === 1");
    tab.click(&row("bytes"));
    tab.until("document.getElementById('name').textContent === 'bytes'");
    let hex = tab.text("#value");
    assert!(hex.starts_with("00000000  00 ff 10 61 62 63 "), "{hex}");
    assert_eq!(tab.value("document.getElementById('edit').disabled"), true);
    tab.fill("wanted", "a");
    tab.until("document.querySelector('#rows button')?.textContent.startsWith('a//b')");
    let expires = tab.text("#rows td:last-child");
    assert!(["in 59 min", "in 1 h"].contains(&&*expires), "{expires}");
    tab.click("#rows button");
    tab.until("document.getElementById('value').textContent === 'odd'");

    // What is stored is text, and never runs.
    tab.fill("wanted", "<img");
    tab.until("document.querySelector('#rows button')?.textContent.startsWith('<img')");
    tab.click("#rows button");
    tab.until("document.getElementById('value').textContent.startsWith('<script>')");
    assert_eq!(tab.value("document.title"), "kv");
    assert_eq!(tab.value("document.images.length"), 0);

    // A key is made, changed and removed; the second thought counts.
    tab.fill("wanted", "");
    tab.until("document.querySelectorAll('#rows tr').length === 200");
    tab.click("#new");
    tab.fill("edit-key", "new/key");
    tab.fill("edit-value", "one");
    tab.fill("edit-ttl", "1h");
    tab.click("#editor button");
    tab.until("document.getElementById('value').textContent === 'one'");
    kv.holds("new/key", "one");
    tab.click("#edit");
    tab.fill("edit-value", "two\nlines");
    tab.click("#editor button");
    tab.until("document.getElementById('value').textContent === 'two\\nlines'");
    kv.holds("new/key", "two\nlines");
    assert_ne!(kv.field("expires", "new/key"), "never");
    tab.click("#new");
    tab.fill("edit-key", "new/key");
    tab.click("#editor button");
    tab.until("document.getElementById('message').textContent.includes('already')");
    tab.click("#cancel");
    tab.until("!document.getElementById('entry').hidden");
    for (answer, is_gone) in [("no", false), ("yes", true)] {
        tab.click("#remove");
        tab.until("document.getElementById('confirm').open");
        assert_eq!(tab.text("#doomed"), "new/key");
        tab.click(&format!("#confirm button[value={answer}]"));
        tab.until(&format!(
            "document.getElementById('entry').hidden === {is_gone}"
        ));
        let status = if is_gone { Exit::No } else { Exit::Success };
        kv.run(["has", "new/key"]).ends(status);
    }

    // Another namespace.
    tab.click("#namespaces li:last-child button");
    tab.until("document.querySelector('#rows button')?.textContent === 'there'");
    assert_eq!(tab.text("#message"), "");
    // Nothing of the token is in what the service says.
    drop(tab);
    assert!(!server.stop().contains("s3cret0123456789"));
}
