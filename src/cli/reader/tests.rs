//! Every option of every command, wherever it stands.

use std::os::unix::ffi::OsStringExt as _;

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

/// Words for a command line of this command: all its options, and what they take or refuse.
fn words_for(command: &clap::Command) -> Vec<OsString> {
    let mut words = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        words.extend(short.into_iter().chain(long.clone()));
        let values = arg.get_possible_values();
        let values = values.iter().map(|value| value.get_name());
        let values = values.chain(["1s", "0123456789abcdef"]);
        words.extend(values.flat_map(|value| long.as_ref().map(|long| format!("{long}={value}"))));
    }
    let texts = "x x x x 1s 1s -- -0 -7 - -x --bogus bash".split(' ');
    let mut words: Vec<_> = words.into_iter().map(OsString::from).collect();
    words.extend(texts.map(OsString::from));
    words.extend([OsString::new(), OsString::from_vec(b"\xff".to_vec())]);
    words
}

/// Reads command lines in both ways, and demands that they agree. Returns how many are right.
fn agree(reader: &mut Reader, lines: impl Iterator<Item = Vec<OsString>>) -> usize {
    let mut right = 0;
    for line in lines {
        match (reader.read(&line), Cli::alone(&line)) {
            (Ok(whole), Some(alone)) => {
                assert_eq!(format!("{whole:?}"), format!("{alone:?}"), "{line:?}");
                right += 1;
            }
            // What is wrong is told by the whole definition.
            (Err(_), None) => {}
            (whole, alone) => panic!("{line:?}: {whole:?}, but {alone:?}"),
        }
    }
    right
}

#[test]
fn a_command_that_is_read_alone_means_what_it_means_among_all() {
    let mut all = command();
    all.build();
    let options = every_option_before().concat();
    let options = options.into_iter().map(OsString::from);
    let options: Vec<_> = options.chain(words_for(&all)).collect();
    let mut reader = Reader::default();
    let mut seed = 0_u64;
    let mut below = |end: usize| {
        seed += 1;
        xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes()) as usize % end
    };
    for one in all.get_subcommands().filter(|one| one.get_name() != "help") {
        let words = words_for(one);
        let shouted = one.get_name().to_uppercase();
        let names: Vec<_> = [one.get_name(), &shouted]
            .into_iter()
            .chain(one.get_all_aliases())
            .collect();
        let needed = one.get_opts().filter(|opt| opt.is_required_set());
        let needed = needed.map(|opt| format!("--{}=1s", opt.get_long().unwrap()));
        let needed: Vec<_> = needed.map(OsString::from).collect();
        let mut line = || {
            let mut line = vec![OsString::from("kv")];
            // Most have nothing before the command.
            let before = below(6).saturating_sub(3);
            line.extend((0..before).map(|_| options[below(options.len())].clone()));
            line.push(names[below(names.len())].into());
            if below(2) == 0 {
                line.extend(needed.clone());
            }
            let behind = below(5);
            line.extend((0..behind).map(|_| words[below(words.len())].clone()));
            if below(3) == 0 {
                line.extend(["--", "x"].map(OsString::from));
            }
            line
        };
        let right = agree(&mut reader, (0..1_500).map(|_| line()));
        assert!(right > 8, "{one}: {right}");
    }
}
