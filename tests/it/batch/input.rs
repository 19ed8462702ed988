//! What `kv batch` reads: words, quotes, JSON, and what is refused with its line.

use kv::exit::Exit;

use super::{answers, replies, reply};
use crate::harness::Sandbox;

#[test]
pub fn lines_are_quoted_as_in_a_shell() {
    let kv = Sandbox::new();
    let lines = "put a 'one\ntwo' # and a remark\nget a\nput b \"x\\\"$HOME\\\ny\"\nget b\n\
                 put c $'\\xff\\0\\n'\nput d it\\'s\\ #1\nget d\nput \\\ne \\\nv\n get\te\r\n\
                 put f *\nget f\nput g '#'\nget g";
    answers(
        &kv,
        lines,
        &[
            (0, ""),
            (0, "one\ntwo"),
            (0, ""),
            (0, "x\"$HOMEy"),
            (0, ""),
            (0, ""),
            (0, "it's #1"),
            (0, ""),
            (0, "v"),
            (0, ""),
            (0, "*"),
            (0, ""),
            (0, "#"),
        ],
    );
    kv.holds("c", b"\xff\0\n");
}

#[test]
pub fn a_command_is_what_the_same_words_are_to_kv() {
    let kv = Sandbox::new();
    for words in [
        &["put", "k", "v", "--print-etag"][..],
        &["put", "k"],
        &["get"],
        &["get", "k", "--nonsense"],
        &["put", "k", "v", "--ttl", "0"],
        &["incr", "k"],
        &["ls", "["],
        &["get", "k", "--file", "x"],
        &["put", "k", "--file", "missing"],
        &["pop", "default"],
        &["nonsense"],
    ] {
        kv.put("k", "v");
        let alone = kv.run(words);
        let batch = kv.feed(["batch"], (words.join(" ") + "\n").as_bytes());
        assert_eq!(batch.status(), alone.status(), "{}", batch.report());
        let text = batch.stdout_text();
        let status = alone.status().code().unwrap();
        let head = format!("{status} {}\n", alone.stdout().len());
        assert!(text.starts_with(&head), "{}", batch.report());
        if words != ["put", "k"] {
            let said = alone.stderr_text().replacen("kv: ", "kv: line 1: ", 1);
            batch.warns(&said);
        }
    }
}

#[test]
pub fn what_has_no_place_is_refused_with_its_line() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for line in [
        "put k",
        "put k --file -",
        "append k",
        "push l",
        "push l --lines",
        "push l -0",
        "remove --stdin",
        "remove -0 --stdin",
        "lock k -- true",
        "memo --ttl 1h -- true",
        "update k -- cat",
        "wait k",
        "batch",
        "namespaces",
        "namespaces --remove default",
        "completions bash",
        "help",
        "help get",
        "get --help",
        "--version",
        "--store x get k",
        "-s x get k",
        "get k --store x",
        "get k --sync off",
        "--sync off get k",
        "get k --busy-timeout 1s",
        "get k --token-file x",
        "--token-file x put k v",
        "kv get k",
        "get -n x k",
    ] {
        let ran = kv.feed(["batch"], format!("\n# b\n{line}\nget k\n").as_bytes());
        ran.ends(Exit::Usage)
            .prints(replies(&[(2, ""), (0, "v")]))
            .complains(&["kv: line 3: "]);
    }
    kv.run(["namespaces"])
        .ends(Exit::Success)
        .prints("default\n");
}

#[test]
pub fn a_quote_that_is_not_closed_is_told_with_the_line_where_its_command_begins() {
    let kv = Sandbox::new();
    for open in ["put k 'v\nget k\n", "put \\\nk \"v\n", "put k $'v\n\n"] {
        let ran = kv.feed(["batch"], format!("put j 'a\nb'\n{open}").as_bytes());
        ran.ends(Exit::Usage)
            .prints(replies(&[(0, ""), (2, "")]))
            .warns("kv: line 3: a quote is not closed\n");
    }
    kv.feed(["batch"], b"\nput k v\\")
        .ends(Exit::Usage)
        .warns("kv: line 2: nothing is behind the backslash at its end\n");
    kv.lacks("k");
}

#[test]
pub fn lines_are_counted_over_commands_of_several_lines() {
    let kv = Sandbox::new();
    let lines = b"put a 'x\ny\nz'\nnonsense\n\n# c\nput b \\\n  c\nget a b\n\xff\n";
    let ran = kv.feed(["batch"], lines).ends(Exit::Usage);
    let said: Vec<String> = ran.stderr_text().lines().map(str::to_owned).collect();
    assert_eq!(said.len(), 3, "{}", ran.report());
    for (said, line) in said.iter().zip([4, 9, 10]) {
        assert!(said.starts_with(&format!("kv: line {line}: ")), "{said}");
    }
    ran.prints(replies(&[(0, ""), (2, ""), (0, ""), (2, ""), (2, "")]));
}

#[test]
pub fn json_takes_a_command_a_line_and_any_bytes() {
    let kv = Sandbox::new();
    let lines = r#"["put","k","a \"b\"\n€"]
 [ "get" , "k" ]

["put",{"base64":"/wo="},{"base64":"AP8="}]
["get",{"base64":"/wo="}]
["put","d","-1"]
["put","--","d","--x"]
["get","d"]"#;
    let ran = kv.feed(["batch", "--json"], lines.as_bytes());
    let wanted = [
        replies(&[(0, ""), (0, "a \"b\"\n€"), (0, "")]),
        reply(0, b"\0\xff"),
        replies(&[(0, ""), (0, ""), (0, "--x")]),
    ];
    ran.ends(Exit::Success).prints(wanted.concat()).warns("");
}

#[test]
pub fn json_that_is_no_command_is_told_with_its_line() {
    let kv = Sandbox::new();
    for wrong in [
        "get k",
        "{}",
        "\"get\"",
        "[\"get\"",
        "[\"get\",1]",
        "[\"get\",null]",
        "[\"get\",[\"k\"]]",
        "[\"get\",{\"base64\":\"?\"}]",
        "[\"get\",{\"base64\":\"aw==\",\"x\":1}]",
        "[\"get\",{}]",
        "[]",
        "[\"get\",\"k\"] x",
        "[\"lock\",\"k\",\"--\",\"true\"]",
        "[\"get\",\"a\\u0000\"]",
    ] {
        let ran = kv.feed(
            ["batch", "--json"],
            format!("\n{wrong}\n[\"has\",\"k\"]\n").as_bytes(),
        );
        ran.ends(Exit::Usage)
            .prints(replies(&[(2, ""), (1, "")]))
            .complains(&["kv: line 2: "]);
    }
}
