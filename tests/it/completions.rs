//! The completions, typed at the real shells: what counts is the command that then runs.

pub mod scripts;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use kv::exit::Exit;

use crate::harness::{self, KV, Sandbox, cannot_run, has_program};
use crate::terminal::Terminal;

/// What is typed, then Tab, then what is typed behind that, then Enter; and the arguments that kv
/// must get.
#[rustfmt::skip]
const CASES: &[(&str, &str, &[&str])] = &[
    // Commands, options, and the words that an argument may be.
    ("kv sta", "plain", &["stat", "plain"]),
    ("kv ls --rev", "", &["ls", "--reverse"]),
    ("kv -n apps ls --coun", "", &["-n", "apps", "ls", "--count"]),
    ("kv put plain v --pri", "", &["put", "plain", "v", "--print-etag"]),
    ("kv stat plain --field mod", "", &["stat", "plain", "--field", "modified"]),
    ("kv expire plain n", "", &["expire", "plain", "never"]),
    ("kv completions zs", ">/dev/null", &["completions", "zsh"]),
    ("kv help namesp", ">/dev/null", &["help", "namespaces"]),
    ("kv help recip", ">/dev/null", &["help", "recipes"]),
    // Keys, with all that means something to a shell.
    ("kv get pla", "", &["get", "plain"]),
    ("kv get with", "", &["get", "with space"]),
    ("kv get user:1", "", &["get", "user:17"]),
    ("kv get use", "17", &["get", "user:17"]),
    ("kv get 'user:2", "", &["get", "user:2 (old)"]),
    ("kv get \"par", "", &["get", "par(en)"]),
    ("kv get par", "", &["get", "par(en)"]),
    ("kv get it", "", &["get", "it's \"$HOME\""]),
    ("kv get 'it", "", &["get", "it's \"$HOME\""]),
    ("kv get \"it", "", &["get", "it's \"$HOME\""]),
    ("kv get glob", "", &["get", "glob*?[a]{b,c}\\"]),
    ("kv get bang", "", &["get", "bang!x;y|z&<a>^#~`"]),
    ("kv get \"bang", "", &["get", "bang!x;y|z&<a>^#~`"]),
    ("kv get '~ti", "", &["get", "~tilde"]),
    ("kv get \\#ha", "", &["get", "#hash=a=b"]),
    ("kv get ü", "", &["get", "über:straße"]),
    ("kv get -- -da", "", &["get", "--", "-dash"]),
    ("kv get only\\ on", "", &["get", "only one"]),
    ("kv get user:3:a\\ ", "", &["get", "user:3:a b:c"]),
    ("kv get user:3:a\\ b:", "", &["get", "user:3:a b:c"]),
    ("kv get 'user:3':", "", &["get", "user:3:a b:c"]),
    ("kv get 'q", "", &["get", "quote'"]),
    ("kv get \"'qu", "", &["get", "'quoted'"]),
    ("kv -n quote get '", "", &["-n", "quote", "get", "'first'"]),
    ("kv -n bang get \"", "", &["-n", "bang", "get", "!first"]),
    ("kv get amb", "2", &["get", "ambi guous2"]),
    ("true; kv get pla", "", &["get", "plain"]),
    ("kv get \\'", "", &["get", "'quoted'"]),
    // In each argument that is a key, and in no other.
    ("kv remove plain with", "", &["remove", "plain", "with space"]),
    ("kv rm -f plain user:1", "", &["rm", "-f", "plain", "user:17"]),
    ("kv del 'with space' pla", "", &["del", "with space", "plain"]),
    ("kv put wit", "v", &["put", "with space", "v"]),
    ("kv append par", "", &["append", "par(en)"]),
    ("kv ls --from wi", "", &["ls", "--from", "with space"]),
    ("kv ls --from=user:1", "", &["ls", "--from=user:17"]),
    ("kv get --remove gl", "", &["get", "--remove", "glob*?[a]{b,c}\\"]),
    // Namespaces and stores.
    ("kv -n ap", "ls", &["-n", "apps", "ls"]),
    ("kv -nap", "ls", &["-napps", "ls"]),
    ("kv --namespace=two", "ls", &["--namespace=two words", "ls"]),
    ("kv namespaces --remove two", "", &["namespaces", "--remove", "two words"]),
    ("kv -n apps get pl", "", &["-n", "apps", "get", "planet"]),
    ("kv get --namespace 'two words' '", "", &["get", "--namespace", "two words", "there"]),
    ("kv -s ~/other get ", "", &["-s", "HOME/other", "get", "elsewhere"]),
    ("kv --store=other -n x get ", "", &["--store=other", "-n", "x", "get", "x-ray"]),
    ("./bin/kv get pla", "", &["get", "plain"]),
    // Files where a file is wanted, and nowhere else.
    ("kv put k --file pic", "", &["put", "k", "--file", "pic.png"]),
    ("kv put k --file=pic", "", &["put", "k", "--file=pic.png"]),
    ("kv get pic", "", &["get", "pic"]),
    ("kv -n pic", " ls", &["-n", "pic", "ls"]),
    // More keys than are asked for.
    ("kv -n many get ", "1", &["-n", "many", "get", "k-1"]),
];

#[test]
fn bash_completes_what_can_be_typed() {
    let rc = "source completions/kv.bash\nPS1='ready> '\n";
    try_cases("bash", "rc", rc, &["--noprofile", "--rcfile", "rc", "-i"]);
}

#[test]
fn bash_completes_beside_the_package_of_completions() {
    let package = "/usr/share/bash-completion/bash_completion";
    if !fs::exists(package).unwrap() {
        return cannot_run("there is no bash-completion");
    }
    let rc = format!("source {package}\nsource completions/kv.bash\nPS1='ready> '\n");
    try_cases("bash", "rc", &rc, &["--noprofile", "--rcfile", "rc", "-i"]);
}

#[test]
fn zsh_completes_what_can_be_typed() {
    let rc = "fpath=($PWD/completions $fpath)\nautoload -U compinit\ncompinit -u\nPS1='ready> '\n";
    try_cases("zsh", ".zshrc", rc, &["-d", "-i"]);
}

#[test]
fn fish_completes_what_can_be_typed() {
    let rc = "function fish_prompt; echo -n 'ready> '; end\nset -g fish_greeting\n\
              set -g fish_autosuggestion_enabled 0\n";
    try_cases("fish", ".config/fish/config.fish", rc, &["-i"]);
}

/// Types all cases at one shell, which finds the scripts as `kv completions` prints them.
fn try_cases(shell: &str, rc_name: &str, rc: &str, args: &[&str]) {
    for program in [shell, "tmux"] {
        if !has_program(program) {
            return cannot_run(&format!("there is no {program}"));
        }
    }
    let kv = sandbox();
    let script = kv.run(["completions", shell]).ends(Exit::Success);
    for name in ["kv.bash", "_kv", "../.config/fish/completions/kv.fish"] {
        fs::write(kv.path("completions").join(name), script.stdout()).unwrap();
    }
    fs::write(kv.path(rc_name), rc).unwrap();

    let mut command = Command::new(shell);
    let bin = kv.path("bin");
    command
        .args(args)
        .current_dir(kv.root())
        .env("HOME", kv.root())
        .env("LC_ALL", "C.UTF-8")
        .env("SHELL", "/bin/sh")
        .env("KV_STORE", kv.store())
        .env(
            "PATH",
            format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
        );
    let terminal = Terminal::run(&command);
    let ran = kv.path("ran");
    let mut failed = Vec::new();
    terminal.wait_for_end("ready>");
    for (number, (typed, behind, want)) in CASES.iter().enumerate() {
        let said = format!("that was {number}\n");
        fs::write(kv.path("said"), &said).unwrap();
        terminal.text(typed);
        terminal.key("Tab");
        terminal.text(behind);
        terminal.key("Enter");
        terminal.wait(&format!("what runs after {typed:?}"), || ran.exists());
        let got = fs::read_to_string(&ran).unwrap();
        let home = kv.root().to_str().unwrap();
        let want: String = want
            .iter()
            .map(|arg| arg.replace("HOME/", &format!("{home}/")) + "\0")
            .collect();
        if got != want {
            failed.push(format!("{typed:?} and Tab ran {got:?}, not {want:?}"));
        }
        fs::remove_file(&ran).unwrap();
        terminal.wait_for_end(&(said + "ready>"));
    }
    assert!(
        failed.is_empty(),
        "{}\nthe screen:\n{}",
        failed.join("\n"),
        terminal.screen()
    );
}

/// Makes a store to complete from, and a `kv` that writes down what a terminal had it do.
fn sandbox() -> Sandbox {
    let kv = Sandbox::new();
    let put = |options: &[&str], key: &str| {
        let args = options
            .iter()
            .copied()
            .chain(["--sync", "off", "put", "--", key, "v"]);
        _ = kv.run(args).ends(Exit::Success);
    };
    for key in [
        "plain",
        "with space",
        "user:17",
        "user:2 (old)",
        "user:3:a b:c",
        "par(en)",
        "it's \"$HOME\"",
        "glob*?[a]{b,c}\\",
        "bang!x;y|z&<a>^#~`",
        "~tilde",
        "#hash=a=b",
        "über:straße",
        "-dash",
        "only one",
        "ambi guous1",
        "ambi guous2",
        "quote'",
        "'quoted'",
        "only\ntwo",
    ] {
        put(&[], key);
    }
    put(&["-n", "apps"], "planet");
    put(&["-n", "quote"], "'first'");
    put(&["-n", "bang"], "!first");
    put(&["-n", "two words"], "there");
    put(&["-s", "other"], "elsewhere");
    put(&["-s", "other", "-n", "x"], "x-ray");
    for n in 0..201 {
        put(&["-n", "many"], &format!("k-0{n:03}"));
    }
    put(&["-n", "many"], "k-1");

    for dir in ["bin", "completions", ".config/fish/completions"] {
        fs::create_dir_all(kv.path(dir)).unwrap();
    }
    fs::write(kv.path("pic.png"), "").unwrap();
    // Where a completion asks kv, its standard error is no terminal.
    let wrapper = format!(
        "#!/bin/sh\n\
         if [ -t 0 ] && [ -t 2 ]; then\n\
         printf '%s\\0' \"$@\" > '{0}.new' && mv '{0}.new' '{0}'\n\
         exec cat said >&2\n\
         fi\n\
         exec '{KV}' \"$@\"\n",
        kv.path("ran").display()
    );
    let path = kv.path("bin/kv");
    fs::write(&path, wrapper).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    kv
}

#[test]
fn shellcheck_finds_nothing_in_the_bash_script() {
    if !has_program("shellcheck") {
        return cannot_run("there is no shellcheck");
    }
    let root = env!("CARGO_MANIFEST_DIR");
    for (file, excluded) in [
        // It answers through variables of its caller's.
        ("tests/it/completions/stored.bash", "SC2034,SC2154"),
        // And clap's part splits what compgen prints.
        ("completions/kv.bash", "SC2034,SC2154,SC2207"),
    ] {
        let mut shellcheck = Command::new("shellcheck");
        shellcheck.args(["--norc", "--shell=bash", "-e", excluded, file]);
        _ = harness::Ran::of(shellcheck.current_dir(root))
            .ends(Exit::Success)
            .is_silent();
    }
}
