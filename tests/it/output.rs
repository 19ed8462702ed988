//! Where output goes: pipes that close, disks that are full, and terminals.

use kv::exit::Exit;

use crate::harness::{Sandbox, cannot_run};
use crate::kills::can_inject;
use crate::terminal::at_a_terminal;

#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    let kv = Sandbox::new();
    for n in 0..50 {
        kv.put(&format!("{n:02}{}", "k".repeat(4000)), "v");
    }
    let script = "{ kv ls; echo $? >status; } | head -c 2 && cat status";
    kv.shell("sh", script)
        .ends(Exit::Success)
        .prints("000\n")
        .warns("");
}

#[test]
fn a_taken_value_that_nobody_reads_is_a_failure() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    // The reader is gone before kv begins to write.
    let script = "{ sleep 0.5; kv get --remove k; echo $? >status; } | true; cat status";
    kv.shell("sh", script)
        .ends(Exit::Success)
        .prints("5\n")
        .complains(&["standard output", "its value is lost"]);
    kv.lacks("k");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for command in [
        "kv get k",
        "kv get absent --default x",
        "kv ls",
        "kv ls --json --values",
        "kv ls --count",
        "kv stat k",
        "kv ttl k",
        "kv namespaces",
        "kv info",
        "kv info --json",
        "kv put k v --print-etag",
        "kv help",
        "kv --version",
        "kv get --remove k",
    ] {
        kv.put("k", "v");
        for redirect in [">/dev/full", ">&-"] {
            kv.put("k", "v");
            kv.shell("sh", &format!("{command} {redirect}"))
                .ends(Exit::Failure)
                .complains(&["cannot write to standard output"]);
        }
    }
}

/// As a full quota, NFS or a mounted store does.
#[test]
fn an_output_that_fails_as_it_is_closed_is_a_failure() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    for command in ["get k", "ls", "--version"] {
        let fault = "-P \"$PWD/out\" -e trace=close -e inject=close:error=EDQUOT";
        kv.shell("sh", &format!("strace -o trace {fault} kv {command} >out"))
            .ends(Exit::Failure)
            .complains(&["cannot write to standard output", "quota"]);
    }
    // So is that of a program, whose element is not done then; but how it has failed says more.
    kv.run(["push", "q", "e"]).ends(Exit::Success);
    let fault = "strace -o trace -P \"$PWD/out\" -e trace=close -e inject=close:error=EDQUOT";
    for (command, status) in [("lock n", 125), ("pop q", 125)] {
        kv.shell("sh", &format!("{fault} kv {command} -- cat >out"))
            .ends(Exit::Program(status))
            .complains(&["cannot write to standard output", "quota"]);
    }
    kv.shell("sh", &format!("{fault} kv lock n -- sh -c 'exit 7' >out"))
        .ends(Exit::Program(7))
        .is_silent();
    kv.run(["pop", "q"]).ends(Exit::Success).prints("e");
    // Who writes nothing asks nothing.
    kv.shell(
        "sh",
        "strace -o trace -P \"$PWD/out\" -e trace=close kv put k v >out; grep -c close trace",
    )
    .prints("0\n");
}

#[test]
fn a_value_on_a_terminal_gets_the_newline_it_lacks() {
    let kv = Sandbox::new();
    kv.put("bare", "green");
    kv.put("whole", "green\n");
    kv.put("empty", "");
    for (command, want) in [
        ("kv get bare", "green\n"),
        ("kv get whole", "green\n"),
        ("kv get empty", "\n"),
        ("kv get absent --default blue", "blue\n"),
    ] {
        if let Some(shown) = at_a_terminal(&kv, command, "") {
            assert_eq!(shown, want, "{command}");
        }
    }
}

#[test]
fn a_key_on_a_terminal_is_escaped_and_a_value_is_not() {
    let kv = Sandbox::new();
    kv.put("a\x1b[31m\nb", "\x1b[1m");
    if let Some(shown) = at_a_terminal(&kv, "kv ls", "") {
        assert_eq!(shown, "a\\u{1b}[31m\\nb\n");
    }
    if let Some(shown) = at_a_terminal(&kv, "kv ls --values", "") {
        assert_eq!(shown, "a\\u{1b}[31m\\nb\t\x1b[1m\n");
    }
}

#[test]
fn a_terminal_is_told_what_kv_waits_for() {
    let kv = Sandbox::new();
    let shown = at_a_terminal(&kv, "kv put k 2>note", "typed\\n");
    if shown.is_some() {
        let note = std::fs::read_to_string(kv.path("note")).unwrap();
        assert_eq!(note, "kv: reading from the terminal; end with Ctrl-D\n");
        kv.holds("k", "typed\n");
    }
}
