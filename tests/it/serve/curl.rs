//! The lines of curl that the README shows.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use kv::exit::Exit;

use crate::harness::{Sandbox, cannot_run, has_program};
use crate::readme;

/// Ends the server with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn the_lines_of_the_readme_do_what_they_say() {
    if !has_program("curl") {
        return cannot_run("curl, which the lines begin with, is not here");
    }
    let kv = Sandbox::new();
    let mut server = kv.kv(["serve"]);
    let mut server = Killed(server.stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let stderr = server.0.stderr.take().unwrap();
    BufReader::new(stderr).read_line(&mut line).unwrap();
    if line.contains("in use") {
        return cannot_run("port 8080 is in use, at which the lines are directed");
    }
    assert_eq!(
        line,
        "kv: listening on http://127.0.0.1:8080; every user and program of this machine can read \
         and write\n"
    );
    let photo = super::bytes(3_000_000);
    fs::write(kv.path("photo.jpg"), &photo).unwrap();
    let script = readme::script("A store over HTTP");
    // It tells on standard error how it gets on.
    let script =
        format!("set -e; curl() {{ command curl --silent --show-error \"$@\"; }}\n{script}");
    let ran = kv.shell("sh", &script).ends(Exit::Success).warns("");
    let shown = ran.stdout_text();
    let lines: Vec<&str> = shown.lines().collect();
    let [sum, listed, stored, found, popped] = lines[..] else {
        panic!("{}", ran.report());
    };
    assert_eq!((sum, stored), ("1", "{\"result\":true}"));
    assert!(
        listed.starts_with("{\"key\":\"photo\",\"size\":3000000,"),
        "{listed}"
    );
    assert_eq!(found, "{\"result\":[1,2]}");
    assert!(fs::read(kv.path("copy.jpg")).unwrap() == photo);
    kv.holds("test1", "[1,2]");
    kv.holds("greeting", "hello world");
    assert_eq!(popped, "resize photo");
}
