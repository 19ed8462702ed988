//! What kv does for a person at a terminal, and that a script is never told it.

use std::fs;

use kv::cli::MEANT;
use kv::exit::Exit;

use crate::harness::Sandbox;
use crate::terminal::at_a_terminal;

#[test]
fn kv_alone_says_how_to_begin() {
    let kv = Sandbox::new();
    let none: [&str; 0] = [];
    let ran = kv.run(none).ends(Exit::Usage).prints("");
    let said = ran.stderr_text();
    for line in [
        "The key-value store for the Unix shell\n",
        "  kv put color green\n",
        "  kv get color\n",
        "  kv ls\n",
        "kv help",
        "kv-put(1)",
    ] {
        assert!(said.contains(line), "{said}");
    }
    kv.run(["-n", "app"])
        .ends(Exit::Usage)
        .complains(&["no command given"]);
}

#[test]
fn words_of_other_stores_are_taken_and_not_shown() {
    let kv = Sandbox::new();
    kv.run(["set", "k", "v"]).ends(Exit::Success).is_silent();
    kv.run(["exists", "k"]).ends(Exit::Success).is_silent();
    kv.run(["keys"]).ends(Exit::Success).prints("k\n");
    let help = kv.run(["help"]).ends(Exit::Success).stdout_text();
    for word in [" set", "exists", " keys "] {
        assert!(!help.contains(&format!("  {word}")), "{word}: {help}");
    }
}

#[test]
fn what_is_called_otherwise_elsewhere_is_named() {
    let mut all = kv::cli::command();
    all.build();
    for (foreign, meant) in MEANT {
        assert!(all.find_subcommand(foreign).is_none(), "{foreign} is there");
        for meant in meant.split("` or, for the newest, `") {
            let mut words = meant
                .split(' ')
                .skip_while(|word| *word == "-n" || word.ends_with("AME") || word.ends_with("IST"));
            let name = words.next().unwrap();
            let command = all
                .find_subcommand(name)
                .unwrap_or_else(|| panic!("{meant}"));
            for option in words.filter_map(|word| word.strip_prefix("--")) {
                let mut options = command.get_arguments();
                assert!(options.any(|arg| arg.get_long() == Some(option)), "{meant}");
            }
        }
    }
    let kv = Sandbox::new();
    for (typed, meant) in [
        ("LPUSH", "push"),
        ("hget", "-n NAME get"),
        ("namespace", "namespaces"),
        ("gett", "get"),
    ] {
        kv.run([typed, "a", "b"])
            .ends(Exit::Usage)
            .complains(&[&format!(
                "unknown command `{typed}`; did you mean `{meant}`?"
            )]);
    }
    kv.run(["brpop", "jobs"])
        .ends(Exit::Usage)
        .complains(&["did you mean `pop --wait` or, for the newest, `pop --last --wait`?"]);
}

#[test]
fn who_mistypes_a_key_is_told_and_a_script_is_not() {
    let kv = Sandbox::new();
    for key in ["color", "colour/of the\x1bsky", "x"] {
        kv.put(key, "green");
    }
    let near = "kv: no `colr`; there is `color`\n";
    for (command, want) in [
        ("exec kv get colr", near),
        ("exec kv stat colr", near),
        ("exec kv ttl colr", near),
        ("exec kv expire colr 1h", near),
        ("exec kv rm colr", near),
        ("exec kv rename colr x", near),
        ("exec kv copy colr x", near),
        ("exec kv copy colr x --if-absent", ""),
        (
            "exec kv get --remove cloor",
            "kv: no `cloor`; there is `color`\n",
        ),
        ("exec kv get colour/of", "kv: no `colour/of`\n"),
        (
            "exec kv get \"colour/of the sky\"",
            "kv: no `colour/of the sky`; there is `colour/of the\\u{1b}sky`\n",
        ),
        ("exec kv get y", "kv: no `y`\n"),
        // What asks a question is answered, and what a script does is the script's.
        ("exec kv has colr", ""),
        ("exec kv rm -f colr", ""),
        ("exec kv rm colr cool", ""),
        ("exec kv get colr 2>/dev/null", ""),
        ("kv get colr; kv stat colr; true", ""),
        ("exec sh -c \"kv get colr || true\"", ""),
        ("echo get colr | kv batch | tail -n 1", "\n"),
    ] {
        if let Some(shown) = at_a_terminal(&kv, command, "") {
            assert_eq!(shown, want, "{command}");
        }
    }
    // A store is looked through for a while, and not made.
    if let Some(shown) = at_a_terminal(&kv, "exec kv -s none get colr", "") {
        assert_eq!(shown, "kv: no `colr`\n");
        assert!(!fs::exists(kv.path("none")).unwrap());
    }
    kv.lacks("colr");
}
