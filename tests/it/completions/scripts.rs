//! Makes the scripts of `completions/`: what clap generates, and what it lacks.
//!
//! clap knows commands, options and files. What is in the store is completed by the `stored.*`
//! beside this file. Each looks up in a table, made here from the command tree, what stands where:
//! a new command has its keys completed by naming its argument KEY.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Command};
use clap_complete::{Generator as _, Shell};
use kv::store::Namespace;

/// Returns the files of `completions/`.
pub fn all() -> BTreeMap<String, Vec<u8>> {
    [Shell::Bash, Shell::Fish, Shell::Zsh]
        .map(|shell| (shell.file_name("kv"), script(shell).into_bytes()))
        .into()
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut kv::cli::command(), "kv", &mut bytes);
    let generated = String::from_utf8(bytes).unwrap();
    let mut root = kv::cli::command();
    root.build();
    let table = Table::of(&root);
    match shell {
        Shell::Bash => hooked(&generated, include_str!("stored.bash"), &table),
        Shell::Zsh => {
            let generated = unhindered(&generated);
            hooked(&generated, include_str!("stored.zsh"), &table)
        }
        Shell::Fish => {
            let stored = include_str!("stored.fish");
            let table = table.fish();
            format!("{generated}{stored}\n{table}\n{}", fish_options(&root))
        }
        _ => unreachable!("has no script"),
    }
}

/// Lets clap's function ask for what is stored before it does anything else.
fn hooked(generated: &str, stored: &str, table: &Table) -> String {
    const MAIN: &str = "_kv() {\n";
    assert_eq!(generated.matches(MAIN).count(), 1, "clap has changed");
    let (before, after) = generated.split_once(MAIN).unwrap();
    let table = table.bash_and_zsh();
    format!("{before}{stored}\n{table}\n{MAIN}    _kv_stored \"$@\" && return 0\n\n{after}")
}

/// Gives arguments that nothing is known about something to do. Without it, zsh announces them where
/// an option is typed too, and then lists the option without completing it.
fn unhindered(generated: &str) -> String {
    let mut text = String::new();
    for line in generated.lines() {
        let is_argument = line.starts_with("':") || line.starts_with("'*:");
        match line.strip_suffix(":' \\") {
            Some(spec) if is_argument => text += &format!("{spec}:_kv_nothing' \\\n"),
            _ => text += &format!("{line}\n"),
        }
    }
    text
}

/// Completes the values of options in fish, where they are declared option by option; those that
/// are fixed words have been.
fn fish_options(root: &Command) -> String {
    let mut names = BTreeSet::new();
    for command in [root].into_iter().chain(root.get_subcommands()) {
        for arg in command.get_opts() {
            if matches!(kind(arg, root).as_str(), "key" | "namespace") {
                let short = arg.get_short().map(|c| format!(" -s {c}"));
                let long = arg.get_long().map(|name| format!(" -l {name}"));
                names.insert(short.unwrap_or_default() + &long.unwrap_or_default());
            }
        }
    }
    names
        .into_iter()
        .map(|name| format!("{name} -r"))
        .chain([String::new()])
        .map(|option| {
            format!("complete -c kv -n __kv_is_stored{option} -k -f -a '(__kv_stored)'\n")
        })
        .collect()
}

/// What stands where: kinds of values, and the places where they stand.
///
/// A place is a command and the number of its argument (`+` is any further one, `--` what follows
/// that), or a command and an option; `*` is every command.
struct Table(BTreeMap<String, BTreeSet<String>>);

const ABOUT: &str = "\
# Tells what stands in a place: a command and the number of its argument (`+` for any further one,
# `--` for what follows that), or a command and one of its options.
";

impl Table {
    fn of(root: &Command) -> Self {
        let mut table = Self(BTreeMap::new());
        // Options that mean the same wherever they are known are one line.
        let mut meanings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for command in [root].into_iter().chain(root.get_subcommands()) {
            for arg in command.get_arguments() {
                for option in options(arg) {
                    meanings.entry(option).or_default().insert(kind(arg, root));
                }
            }
        }
        table.add_command(&[""], root, root, &meanings);
        for command in root.get_subcommands() {
            let names: Vec<_> = [command.get_name()]
                .into_iter()
                .chain(command.get_all_aliases())
                .collect();
            table.add_command(&names, command, root, &meanings);
        }
        table.0.remove("");
        table
    }

    fn add_command(
        &mut self,
        names: &[&str],
        command: &Command,
        root: &Command,
        meanings: &BTreeMap<String, BTreeSet<String>>,
    ) {
        for (number, arg) in (1..).zip(command.get_positionals()) {
            let many = arg.get_num_args().unwrap().max_values() > 1;
            let place = match (arg.is_last_set(), many) {
                (true, _) => "--".to_owned(),
                (false, true) => "+".to_owned(),
                (false, false) => format!("{number}"),
            };
            self.add(names, &place, kind(arg, root));
        }
        for arg in command.get_arguments() {
            for option in options(arg) {
                match meanings[&option].len() {
                    1 => self.add(&["*"], &option, kind(arg, root)),
                    _ => self.add(names, &option, kind(arg, root)),
                }
            }
        }
    }

    fn add(&mut self, names: &[&str], place: &str, kind: String) {
        let places = names.iter().map(|name| format!("{name} {place}"));
        self.0.entry(kind).or_default().extend(places);
    }

    fn bash_and_zsh(&self) -> String {
        let mut text = format!("{ABOUT}_kv_kind() {{\n    case $1 in\n");
        for (kind, places) in &self.0 {
            let places: Vec<_> = places
                .iter()
                .map(|place| match place.strip_prefix('*') {
                    Some(rest) => format!("*'{rest}'"),
                    None => format!("'{place}'"),
                })
                .collect();
            let places = places.join(" | \\\n        ");
            text += &format!("        {places})\n            kind='{kind}' ;;\n");
        }
        text + "        *) kind='' ;;\n    esac\n}\n"
    }

    fn fish(&self) -> String {
        let mut text = format!("{ABOUT}function __kv_kind\n    switch $argv[1]\n");
        for (kind, places) in &self.0 {
            let places: Vec<_> = places.iter().map(|place| format!("'{place}'")).collect();
            let places = places.join(" \\\n            ");
            text += &format!("        case {places}\n            echo '{kind}'\n");
        }
        text + "    end\nend\n"
    }
}

fn options(arg: &Arg) -> Vec<String> {
    let shorts = arg.get_short_and_visible_aliases().unwrap_or_default();
    let longs = arg.get_long_and_visible_aliases().unwrap_or_default();
    let shorts = shorts.into_iter().map(|short| format!("-{short}"));
    let longs = longs.into_iter().map(|long| format!("--{long}"));
    shorts.chain(longs).collect()
}

/// Tells what the value of an argument is; nothing for a flag.
fn kind(arg: &Arg, root: &Command) -> String {
    if !arg.get_action().takes_values() {
        return String::new();
    }
    let values = arg.get_possible_values();
    let values = values.iter().filter(|value| !value.is_hide_set());
    let mut words: Vec<_> = values.map(|value| value.get_name()).collect();
    let names = arg.get_value_names().unwrap_or_default();
    let name = names.first().map_or("", |name| name.as_str());
    if name == "COMMAND" {
        let commands = root.get_subcommands();
        words.extend(commands.flat_map(Command::get_name_and_visible_aliases));
        words.push("recipes");
    }
    if !words.is_empty() {
        return format!("one of {}", words.join(" "));
    }
    let is_namespace = arg.get_value_parser().type_id() == TypeId::of::<Namespace>();
    match name {
        _ if is_namespace => "namespace",
        "KEY" | "PREFIX" => "key",
        // A list is the namespace of its name.
        "LIST" => "namespace",
        "LOCATION" => "store",
        _ if arg.is_last_set() => "command",
        _ if arg.is_positional() => "",
        _ => "text",
    }
    .to_owned()
}
