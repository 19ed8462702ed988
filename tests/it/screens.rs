//! What a person sees on a terminal, and that a pipe gets the bytes that it always got.

use std::time::{Duration, SystemTime};

use kv::exit::Exit;
use kv::store::Time;
use kv::wire::time::rfc3339;

use crate::harness::Sandbox;
use crate::terminal::at_a_terminal;

/// What would move a cursor, colour the screen or break a line, and letters of two columns.
const HOSTILE: &str = "\x1b[31m\x1b]0;title\x07\n日本語";

/// Makes a store with a large key of 3.5 hours ago, one that expires and one that is hostile.
fn store() -> Sandbox {
    let kv = Sandbox::new();
    let then = Time::from_system(SystemTime::now() - Duration::from_secs(12_600));
    let line = format!(
        r#"{{"key":"big","value":"{}","modified":"{}"}}"#,
        "x".repeat(3_300),
        rfc3339(then)
    );
    kv.feed(["import"], line.as_bytes()).ends(Exit::Success);
    let long = format!("log/{}", "0123456789".repeat(9));
    for key in [&long, HOSTILE] {
        kv.run(["put", key, "v", "--ttl", "90m"])
            .ends(Exit::Success)
            .is_silent();
    }
    kv
}

/// Returns what a command shows on a terminal of so many columns and 24 rows.
fn shown(kv: &Sandbox, term: &str, columns: usize, command: &str) -> Option<String> {
    at_a_terminal(
        kv,
        &format!("export TERM={term}; stty cols {columns} rows 24; {command}"),
        "",
    )
}

#[test]
fn a_long_listing_has_columns_that_fit_the_line() {
    let kv = store();
    let etags: Vec<_> = kv
        .run(["ls", "-l"])
        .stdout_text()
        .lines()
        .filter_map(|line| Some(line.get(..16)?.to_owned()))
        .collect();
    let (hostile, big, long) = (
        kv.field("etag", HOSTILE),
        &etags[etags.len() - 2],
        &etags[etags.len() - 1],
    );
    let heading = "ETAG                 SIZE  MODIFIED  EXPIRES  KEY\n";
    let row = |etag: &str, size: &str, age: &str, left: &str, key: &str| {
        format!("{etag}  {size:>7}  {age:>8}  {left:>7}  {key}\n")
    };
    let name = |columns: usize| {
        let digits = "0123456789".repeat(9);
        let room = columns - 46;
        if room >= 94 {
            format!("log/{digits}")
        } else {
            format!("log/{}…", &digits[..room - 5])
        }
    };
    for (term, columns) in [("xterm", 80), ("xterm", 200), ("dumb", 80)] {
        let Some(shown) = shown(&kv, term, columns, "kv ls -l") else {
            return;
        };
        let heading = if term == "dumb" {
            heading.to_owned()
        } else {
            format!("\x1b[1m{}\x1b[0m\n", heading.trim_end())
        };
        let escaped = "\\u{1b}[31m\\u{1b}]0;title\\u{7}\\n日本語";
        let hostile_name = if columns == 80 {
            "\\u{1b}[31m\\u{1b}]0;title\\u{7}\\n日…"
        } else {
            escaped
        };
        let lines: Vec<_> = shown.split_inclusive('\n').collect();
        assert_eq!(lines[0], heading, "{shown}");
        // A slow machine takes seconds.
        let age = lines[1]
            .split("  ")
            .map(str::trim)
            .find(|cell| cell.ends_with("s ago"))
            .unwrap();
        let want = [
            row(&hostile, "1 B", age, "in 1 h", hostile_name),
            row(big, "3.2 KiB", "3 h ago", "-", "big"),
            row(long, "1 B", age, "in 1 h", &name(columns)),
        ];
        assert_eq!(lines[1..], want, "{shown}");
    }
    let whole = shown(&kv, "xterm", 80, "kv ls -l --wide log*").unwrap();
    assert!(
        whole.ends_with(&format!("log/{}\n", "0123456789".repeat(9))),
        "{whole}"
    );
}

#[test]
fn namespaces_and_info_have_columns_too() {
    let kv = store();
    for (term, columns) in [("xterm", 80), ("xterm", 200), ("dumb", 80)] {
        let Some(listed) = shown(&kv, term, columns, "kv namespaces -l") else {
            return;
        };
        let (bold, plain) = if term == "dumb" {
            ("", "")
        } else {
            ("\x1b[1m", "\x1b[0m")
        };
        assert_eq!(
            listed,
            format!("{bold}ENTRIES     SIZE  NAMESPACE{plain}\n      3  3.3 KiB  default\n")
        );
        let told = shown(&kv, term, columns, "kv info").unwrap();
        for line in [
            "engine:       tree\n",
            "\nnamespace:    default\n",
            "entries:      3\n",
            "bytes:        3.3 KiB\n",
        ] {
            assert!(told.contains(line), "{told}");
        }
    }
    kv.run(["namespaces", "-l"])
        .ends(Exit::Success)
        .prints("3\t3424\tdefault\n");
    kv.run(["namespaces", "-l", "--json"])
        .ends(Exit::Success)
        .prints("{\"namespace\":\"default\",\"entries\":3,\"bytes\":3424}\n");
}

#[test]
fn elements_have_columns_too() {
    let kv = Sandbox::new();
    kv.run(["push", "jobs", "one"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["pop", "jobs", "--", "false"])
        .ends(Exit::Program(1));
    for columns in [80, 200] {
        let Some(listed) = shown(&kv, "dumb", columns, "kv items jobs --long") else {
            return;
        };
        let (heading, row) = listed.split_once('\n').unwrap();
        assert_eq!(heading, "SIZE   PUSHED  ATTEMPTS  SINCE  WORKER  KEY");
        assert!(
            row.starts_with(" 3 B  ") && row.contains(" s ago         1      -  -       0"),
            "{row}"
        );
    }
}

#[test]
fn colours_are_as_the_person_wants_them() {
    let kv = store();
    for (term, command, is_bold) in [
        ("xterm", "kv ls -l", true),
        ("xterm", "NO_COLOR=1 kv ls -l", false),
        ("xterm", "NO_COLOR= kv ls -l", true),
        ("xterm", "NO_COLOR=1 kv ls -l --color always", true),
        ("xterm", "kv ls -l --color never", false),
        ("dumb", "CLICOLOR_FORCE=1 kv ls -l", true),
        ("dumb", "CLICOLOR_FORCE=0 kv ls -l", false),
        ("dumb", "kv ls -l --color always", true),
    ] {
        if let Some(shown) = shown(&kv, term, 80, command) {
            assert_eq!(
                shown.contains("\x1b[1m"),
                is_bold,
                "{term} {command}: {shown}"
            );
            assert!(
                !shown
                    .replace("\x1b[1m", "")
                    .replace("\x1b[0m", "")
                    .contains('\x1b'),
                "{shown}"
            );
        }
    }
}

#[test]
fn a_pipe_gets_the_same_bytes_whatever_a_person_wants() {
    let kv = store();
    for args in [
        &["ls"][..],
        &["ls", "-l"],
        &["ls", "--json"],
        &["ls", "-0"],
        &["namespaces", "-l"],
    ] {
        let plain = kv.run(args).ends(Exit::Success);
        let mut more = args.to_vec();
        more.extend(["--color=always", "--wide"]);
        let mut asked = kv.kv(more);
        asked
            .env("CLICOLOR_FORCE", "1")
            .env("PAGER", "false")
            .env("TERM", "xterm");
        let asked = crate::harness::Ran::of(&mut asked).ends(Exit::Success);
        assert_eq!(asked.stdout(), plain.stdout(), "{args:?}");
        assert!(
            !plain.stdout().contains(&0x1b)
                || args != ["ls", "-l"]
                || plain.stdout_text().contains(HOSTILE)
        );
    }
    let times = kv.run(["ls", "-l", "big"]).stdout_text();
    let fields: Vec<_> = times.trim_end().split('\t').collect();
    assert_eq!(
        (fields.len(), fields[1], fields[3], fields[4]),
        (5, "3300", "-", "big")
    );
}

#[test]
fn more_than_a_screenful_goes_through_the_pager() {
    let kv = Sandbox::new();
    let puts: String = (0..23).map(|n| format!("put key{n:02} v\n")).collect();
    kv.feed(["batch"], puts.as_bytes()).ends(Exit::Success);
    let pager = "export PAGER=\"sed s/^/P:/\";";
    let see = |term: &str, command: &str| shown(&kv, term, 80, &format!("{pager} {command}"));
    let Some(few) = see("xterm", "kv ls") else {
        return;
    };
    assert!(
        few.starts_with("key00\n") && few.lines().count() == 23,
        "{few}"
    );
    let unknown = see("xterm", "stty cols 0 rows 0; kv ls").unwrap();
    assert_eq!(unknown, few, "a terminal that does not know its size");
    kv.put("key23", "v");
    for (term, command, is_paged) in [
        ("xterm", "kv ls", true),
        ("xterm", "kv ls --json", true),
        ("xterm", "kv ls --values", true),
        ("xterm", "kv ls -l", true),
        ("xterm", "kv ls --no-pager", false),
        ("xterm", "PAGER=cat kv ls", false),
        ("xterm", "PAGER= kv ls", false),
        ("xterm", "kv ls -0", false),
        ("xterm", "kv ls | cat", false),
        ("xterm", "kv ls --count", false),
        ("dumb", "kv ls", false),
    ] {
        let shown = see(term, command).unwrap();
        assert_eq!(shown.starts_with("P:"), is_paged, "{command}: {shown}");
        assert!(
            shown.contains("key23") || command.contains("--count"),
            "{command}: {shown}"
        );
    }
    // A pager that ends early has been read enough of, and one that cannot be run is told.
    let early = see("xterm", "PAGER=\"head -n 1\" kv ls; echo $?").unwrap();
    assert_eq!(early, "key00\n0\n");
    let none = see("xterm", "PAGER=no-such-pager kv ls; echo $?").unwrap();
    assert!(
        none.contains("PAGER cannot be run") && none.ends_with("\n5\n"),
        "{none}"
    );
    // A signal ends both, also where kv waits for it to read on.
    kv.feed(["put", "large"], &[b'x'; 300_000])
        .ends(Exit::Success);
    let both = see(
        "xterm",
        "PAGER=\"kill \\$PPID; exec sleep 60\" kv ls --values; echo $?",
    );
    assert!(both.unwrap().ends_with("143\n"));
    kv.run(["remove", "large"]).ends(Exit::Success);
    let less = shown(&kv, "xterm", 80, "PATH=${PATH%%:*} kv ls").unwrap();
    assert_eq!(less.lines().count(), 24, "{less}");
}

#[test]
fn less_is_left_at_once_by_ctrl_c_and_q() {
    use crate::harness::{cannot_run, has_program, path_with_kv, until};
    use crate::terminal::Terminal;

    if !has_program("tmux") || !has_program("less") {
        return cannot_run("tmux or less is missing: apt-get install tmux less");
    }
    let kv = Sandbox::new();
    let puts: String = (0..3_000)
        .map(|n| format!("put {n:04}{} v\n", "k".repeat(60)))
        .collect();
    kv.feed(["batch", "--sync", "off"], puts.as_bytes())
        .ends(Exit::Success);
    let mut command = kv.kv(["ls"]);
    command.env("PATH", path_with_kv());
    let script = format!(
        "trap : INT; {} ls; echo $? >status; sleep 60",
        crate::harness::KV
    );
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", &script]).current_dir(kv.root());
    shell.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let terminal = Terminal::run(&shell);
    terminal.wait("less", || terminal.screen().contains("0040k"));
    terminal.key("C-c");
    terminal.key("G");
    terminal.wait("the end", || terminal.screen().contains("2999k"));
    terminal.key("q");
    until("kv has ended", || {
        std::fs::read_to_string(kv.path("status")).is_ok_and(|status| status == "0\n")
    });
}
