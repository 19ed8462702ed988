//! `--help`, `-h` and `kv help`.

use kv::exit::Exit;

use crate::harness::Sandbox;

/// The names of the commands with their one-line descriptions, as the command line is defined.
fn commands() -> Vec<(String, String)> {
    let kv = kv::cli::command();
    let shown = kv
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let describe = |command: &clap::Command| {
        let about = command.get_about().unwrap().to_string();
        (command.get_name().to_owned(), about)
    };
    shown.map(describe).collect()
}

#[test]
fn every_command_says_of_itself_what_the_list_says_of_it() {
    let kv = Sandbox::new();
    let list = kv.run(["-h"]).ends(Exit::Success).warns("").stdout_text();
    for (name, about) in commands() {
        assert!(
            list.lines()
                .any(|line| line.starts_with(&format!("  {name} ")) && line.contains(&about)),
            "{name} is not listed:\n{list}"
        );
        let args: [&[&str]; 3] = [&[&name, "-h"], &[&name, "--help"], &["help", &name]];
        for args in args {
            let help = kv.run(args).ends(Exit::Success).warns("").stdout_text();
            assert_eq!(help.lines().next(), Some(&*about), "{args:?}");
        }
    }
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    let kv = Sandbox::new();
    let mut asked = vec![vec!["-h".to_owned()], vec!["--help".to_owned()]];
    for (name, _) in commands() {
        asked.push(vec![name.clone(), "-h".to_owned()]);
        asked.push(vec![name, "--help".to_owned()]);
    }
    for args in asked {
        let help = kv.run(&args).ends(Exit::Success).stdout_text();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{args:?}: {line}");
        }
    }
}

#[test]
fn help_of_a_command_is_what_the_command_says_itself() {
    let kv = Sandbox::new();
    let own = kv.run(["put", "--help"]).ends(Exit::Success).stdout_text();
    kv.run(["help", "put"]).ends(Exit::Success).prints(&own);
    kv.run(["help", "nosuch"])
        .ends(Exit::Usage)
        .complains(&["no command is called `nosuch`"]);
}

#[test]
fn the_version_tells_what_was_built() {
    let kv = Sandbox::new();
    let version = concat!("kv ", env!("CARGO_PKG_VERSION"), "\n");
    let short = kv.run(["--version"]).ends(Exit::Success).stdout_text();
    assert_eq!(short, version);
    let long = kv.run(["--version", "--verbose"]).ends(Exit::Success);
    let long = long.warns("").stdout_text();
    let facts: Vec<_> = long.strip_prefix(version).unwrap().lines().collect();
    let names: Vec<_> = facts
        .iter()
        .map(|fact| fact.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(names, ["target", "libc", "engines", "features"]);
    let target = format!(
        "target: {}-{}",
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    assert_eq!(facts[0], target);
}

#[test]
fn the_recipes_are_those_of_the_readme_and_run() {
    let kv = Sandbox::new();
    let recipes = kv
        .run(["help", "recipes"])
        .ends(Exit::Success)
        .warns("")
        .stdout_text();
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(&format!("```sh\n{recipes}```\n")));
    assert!(recipes.lines().count() <= 42, "{recipes}");
    kv.put("done:build", "ready");
    let script = format!("set -eu; key=-k value=v task=build owner=me\n{recipes}echo \"$number\"");
    let ran = kv.shell("sh", &script).ends(Exit::Success).warns("");
    let printed = ran.stdout_text();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "v");
    assert!(
        lines[1].starts_with("{\"key\":\"-k\",\"value\":\"v\","),
        "{printed}"
    );
    assert_eq!(
        lines[2..4],
        ["build is mine", "resize photoonly one at a time"]
    );
    assert!(
        lines[4].starts_with("ready") && lines.last() == Some(&"1"),
        "{printed}"
    );
    kv.lacks("task:build");
    kv.holds("total", "5\n");
}
