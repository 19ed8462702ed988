//! What a person at a terminal sees of a long import.

use std::fs::OpenOptions;
use std::io::Write as _;

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, cannot_run, has_program};
use crate::terminal::Terminal;

#[test]
fn a_long_import_tells_how_far_it_is_and_then_nothing() {
    if !has_program("tmux") {
        return cannot_run("tmux is missing: apt-get install tmux");
    }
    let kv = Sandbox::new();
    kv.shell("sh", "mkfifo lines").ends(Exit::Success);
    let script = format!("{KV} import --tsv --sync off < lines; echo status $?; cat");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(kv.root())
        .env("KV_STORE", kv.store());
    let terminal = Terminal::run(&command);
    let mut lines = OpenOptions::new()
        .write(true)
        .open(kv.path("lines"))
        .unwrap();
    let mut written = 0;
    terminal.wait("a number of bytes", || {
        written += 1;
        writeln!(lines, "{written}\tvalue").unwrap();
        terminal.screen().contains(" bytes")
    });
    drop(lines);
    terminal.wait_for_end("status 0");
    assert_eq!(terminal.screen().trim_end(), "status 0");
    kv.run(["ls", "--count"]).prints(format!("{written}\n"));
}

#[test]
pub fn where_nobody_looks_a_long_import_says_nothing() {
    let kv = Sandbox::new();
    // A second and more, in which the lines come one by one.
    let script =
        "{ for n in 1 2 3; do printf '%s\\tvalue\\n' $n; sleep 0.5; done; } | kv import --tsv";
    let ran: Ran = kv.shell("sh", script);
    ran.ends(Exit::Success).is_silent();
}
