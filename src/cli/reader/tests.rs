//! Every option of every command, wherever it stands.

use super::*;

fn at(words: &[String]) -> Option<usize> {
    let words = ["kv"]
        .map(str::to_owned)
        .iter()
        .chain(words)
        .map(OsString::from)
        .collect::<Vec<_>>();
    command_at(&command(), &words)
}

/// Options that are given before the command, each in all the ways in which it can be typed, and
/// how many words that takes.
fn every_option_before() -> Vec<Vec<String>> {
    let mut command = command();
    command.build();
    let mut typed = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let is_flag = !arg.get_action().takes_values();
        for name in arg.get_long_and_visible_aliases().unwrap_or_default() {
            typed.push(vec![format!("--{name}")]);
            if !is_flag {
                typed.last_mut().unwrap().push("push".to_owned());
                typed.push(vec![format!("--{name}=push")]);
            }
        }
        for name in arg.get_short_and_visible_aliases().unwrap_or_default() {
            typed.push(vec![format!("-{name}")]);
            if !is_flag {
                typed.last_mut().unwrap().push("push".to_owned());
                typed.push(vec![format!("-{name}push")]);
                typed.push(vec![format!("-h{name}"), "push".to_owned()]);
            }
        }
    }
    typed
}

#[test]
fn the_command_is_found_behind_every_option() {
    let options = every_option_before();
    assert!(options.len() > 12, "{options:?}");
    for option in &options {
        for other in &options {
            let words = [&option[..], other, &["get".to_owned()]].concat();
            assert_eq!(at(&words), Some(words.len()), "{words:?}");
        }
        assert_eq!(at(option), None, "{option:?}");
    }
}

#[test]
fn who_runs_a_program_is_known_from_the_definition() {
    let mut all = command();
    all.build();
    let names = all.get_subcommands().map(clap::Command::get_name);
    let runners: Vec<_> = names.filter(|name| runs_a_program(name)).collect();
    assert_eq!(runners, ["update", "lock", "memo"]);
    for name in runners {
        let words = ["kv", name, "name", "--", "true"];
        let words = if name == "memo" {
            vec!["kv", "memo", "--ttl", "1", "--", "true"]
        } else {
            words.to_vec()
        };
        let words: Vec<_> = words.into_iter().map(OsString::from).collect();
        assert!(parse(&words).unwrap().command.runs_a_program());
    }
}
