//! kv.so, the builtin of bash: `tests/builtin` builds it, and KV_TEST_SO names it.

mod interrupts;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, cannot_run, tell_count};

/// The tests of these files are about commands that the builtin carries out.
const MODULES: &[&str] = &[
    "append", "exit", "expire", "get", "has", "incr", "items", "keys", "ls", "pop", "push", "put",
    "range", "remove", "rename", "stat", "times", "ttl", "values",
];
/// Bash itself warns of a locale that the system has not.
const NOT_FOR_BASH: &str = "values::nothing_that_is_printed_depends_on_the_locale";

fn builtin() -> Option<PathBuf> {
    let found = env::var_os("KV_TEST_SO").map(PathBuf::from);
    let found = found.and_then(|path| path.canonicalize().ok());
    if found.is_none() {
        cannot_run("there is no kv.so: `KV_TEST_SO=$PWD/$(tests/builtin)` builds it");
    }
    found
}

/// Prepares a script of bash that has the builtin.
fn command(kv: &Sandbox, builtin: &Path, script: &str) -> Command {
    let mut bash = Command::new("/bin/bash");
    let script = format!("enable -f \"$0\" kv || exit 99\nKV_BIN='{KV}'\n{script}");
    bash.args(["--norc", "-c", &script])
        .arg(builtin)
        .current_dir(kv.root())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", kv.root())
        .env("KV_STORE", kv.location())
        .stdin(Stdio::null());
    bash
}

/// Runs it, and demands what it prints.
fn expect(script: &str, prints: &str) {
    let Some(builtin) = builtin() else { return };
    let kv = Sandbox::new();
    Ran::of(&mut command(&kv, &builtin, script))
        .ends(Exit::Success)
        .prints(prints);
}

#[test]
fn the_commands_pass_their_tests_in_bash_too() {
    let Some(builtin) = builtin() else { return };
    let suite = env::current_exe().unwrap();
    let listed = Command::new(&suite).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    let is_one = |name: &&str| {
        let module = name.split("::").next().unwrap();
        MODULES.contains(&module) && *name != NOT_FOR_BASH
    };
    let names: Vec<_> = names.filter(is_one).collect();
    assert!(names.len() > 150, "{names:?}");
    let mut suite = Command::new(&suite);
    suite.arg("--exact").args(&names);
    let ran = Ran::of(suite.env("KV_TEST_BUILTIN", builtin)).ends(Exit::Success);
    let passed = format!("test result: ok. {} passed", names.len());
    assert!(ran.stdout_text().contains(&passed), "{}", ran.report());
    tell_count(&format!("{} tests", names.len()));
}

#[test]
fn variables_hold_every_byte_but_nul() {
    let bytes = r#"
        LC_ALL=C
        for ((i = 1; i < 256; i++)); do printf -v one '\\x%02x' $i; printf -v one "$one"; all+=$one; done
        printf '%s\n\n' "$all" | kv put bytes
        kv get -v x bytes && [[ $x = "$all"$'\n\n' ]]; echo $? ${#x}
        printf 'a\0b' | kv put nul; kv get -v y nul 2>&1; echo "$? [$y]"
        kv get --remove -v y nul 2>&1; echo $?; kv has nul; echo $?
        printf 'a\0b' | kv push list; kv pop -v y list 2>&1; echo $?; kv items list | wc -c
    "#;
    let nul = "kv: the value holds NUL, which no variable of bash can: print it instead of -v\n5";
    expect(bytes, &format!("0 257\n{nul} []\n{nul}\n0\n{nul}\n4\n"));
}

#[test]
fn each_command_that_answers_sets_a_variable() {
    let script = r#"
        kv put 'a key' one; kv put other $'two\nlines'; kv put third 3
        kv get 'a key' -v x; echo "$x"
        kv ls -0 -v keys; printf '<%s>' "${keys[@]}"; echo
        kv ls -0 --values -v both; printf '<%s>' "${both[@]:2}"; echo
        kv ls -0 -v keys 'no*'; echo $? ${#keys[@]}
        kv incr -v n count; kv incr --by 4 count -v n; echo $n
        kv stat --field size -v size other; kv ttl -v ttl other; echo $size $ttl
        kv push list first; kv push list last
        kv pop --last -v e list; echo $e; kv pop -v e list; echo $e
        kv get -v 'a[3]' third; echo ${a[3]}
        kv pop -v e list; echo "$? [$e]"
        e=old; kv get -v e none; echo "$? [$e]"
        kv get -v e --default '' none; echo "$? [$e]"
        kv get --remove -v e other; echo "$? [$e]"; kv has other; echo $?
        kv get --remove -v e other; echo "$? [$e]"
        f() { local x=; kv get -v x count; echo $x; }; x=outside; f; echo $x
        declare -i number; kv get -v number count; echo $number
    "#;
    expect(
        script,
        "one\n<a key><other><third>\n<other><two\nlines><third><3>\n1 0\n5\n9 never\nlast\nfirst\n3\n\
         1 []\n1 []\n0 []\n0 [two\nlines]\n1\n1 []\n5\noutside\n5\n",
    );
}

#[test]
fn a_variable_that_cannot_be_set_changes_nothing() {
    let script = r#"
        kv push list one; readonly fixed=1; declare -A map; exec 2>&1
        for name in fixed 'a b' '' 1x; do kv pop -v "$name" list; echo $?; kv incr -v "$name" n; echo $?; done
        kv ls -0 -v map; echo $?; kv ls -v keys; echo $?; kv stat -v x list; echo $?
        kv pop --wait 1s -v x list; echo $?
        declare -i int; declare -n ref=a
        for name in int 'a[0]' ref _ LINENO EPOCHSECONDS PIPESTATUS; do kv pop -v "$name" list; echo $?; done
        kv put text '1 +'; kv get -v 'a[-9]' text 2> /dev/null; echo $?
        kv has n; echo $?; kv items list
        "$KV_BIN" get -v x n; echo $?
        echo 'get -v x n' | kv batch || true
    "#;
    let each = |why: &str| format!("kv: {why}\n2\n").repeat(2);
    let computed = |name: &str| {
        format!(
            "kv: cannot set `{name}` to what is taken out of the store: use a plain variable, which is no \
             element, reference or integer, nor bash's own\n2\n"
        )
    };
    let wanted = [
        each("cannot set `fixed`: it is readonly"),
        each("invalid name of a variable: `a b`"),
        each("invalid name of a variable: ``"),
        each("invalid name of a variable: `1x`"),
        "kv: cannot set `map`: it is an associative array\n2\n".to_owned(),
        "kv: -v VAR needs -0\n2\nkv: -v VAR needs --field\n2\n".to_owned(),
        "kv: --wait <DURATION> cannot be used with -v <VAR> (see kv --help)\n2\n".to_owned(),
        ["int", "a[0]", "ref", "_", "LINENO", "EPOCHSECONDS", "PIPESTATUS"].map(computed).concat(),
        "5\n".to_owned(),
        "1\none\n".to_owned(),
        "kv: -v sets a variable of bash, which only the builtin can: `eval \"$(kv init bash)\"` loads it\n2\n"
            .to_owned(),
        "kv: line 1: -v cannot be a part of a batch\n2 0\n\n".to_owned(),
    ];
    expect(script, &wanted.concat());
}

#[test]
fn what_runs_programs_or_waits_is_the_programs() {
    let script = r#"
        kv lock L -- sh -c 'echo "$0 $#"; exit 7' 'a b' '*' ''; echo $?
        echo text | kv update k -- tr a-z A-Z; kv put k value; kv update k -- tr a-z A-Z; kv get k; echo
        kv get 2> /dev/null; echo $?
        kv --version | wc -l
        set -e; kv lock L -- false || echo handled; ! kv lock L -- false; if kv lock L -- false; then :; fi; set +e
        trap 'echo trapped' ERR; kv lock L -- false; kv has nothing; trap - ERR
        (set -e; kv lock L -- false; echo not reached); echo $?
        printf 'get k\n' | kv batch | head -n 1
        kv lock L -- sleep 100 & sleep .2; jobs -p | wc -l; kill $!; wait $!; echo $?; kv lock --no-wait L -- echo free
        f() { kv lock L -- sleep 100; echo not reached; }
        f & until kv lock --show L > show; do :; done; kill $!; wait $! 2> /dev/null; echo $?; kv lock --no-wait L -- echo free
        kv wait none & sleep .2; kill -INT $!; sleep .2; kill -0 $! && kill $!; wait $!; echo $?
        (PATH=${KV_BIN%/*}:$PATH; KV_BIN=kv; kv --version | wc -l)
        KV_BIN=/none/kv; kv lock L -- true 2> err; echo $?
        unset KV_BIN; PATH=/none; kv lock L -- true 2>&1; echo $?; kv get k
    "#;
    expect(
        script,
        "a b 2\n7\nVALUE\n2\n1\nhandled\ntrapped\ntrapped\n1\n0 5\n1\n143\nfree\n143\nfree\n143\n1\n127\n\
         kv: cannot find the program `kv`: set KV_BIN to where it is\n127\nVALUE",
    );
}

#[test]
fn redirections_pipes_and_subshells_are_as_ever() {
    let script = r#"
        kv put k value; kv get k > out; cat out; echo
        echo piped | kv put p; x=$(kv get p); echo $x; (kv get k; exit 3); echo $?
        kv get k >&-; echo $?
        kv put a one <&- >&- 2>&-; kv get a; echo
        for ((i = 0; i < 300; i++)); do kv put "key-$i" ''; done
        kv ls | head -n 1; echo ${PIPESTATUS[*]}
        KV_NAMESPACE=other kv put mine 1; kv has mine; kv -n other has mine; echo $?
        export KV_NAMESPACE=other; kv ls; f() { local KV_NAMESPACE; kv ls; }; f; unset KV_NAMESPACE
        KV_NAMESPACE=other; kv has mine; echo $?; unset KV_NAMESPACE
        declare -ax KV_NAMESPACE=(other); kv has mine; echo $?; unset KV_NAMESPACE
        while read -r line; do kv get $line; done <<< $'k\na'; echo
        mkdir sub; cd sub; kv --store here put x inside; cd ..; kv --store sub/here get x; echo
        command kv get k; builtin kv get k; echo; kv() { echo function; }; kv get k; unset -f kv
        enable -n kv; type -P kv; enable kv; kv get k; echo
        exec 3< <(printf three) 10> ten; kv put three < /dev/fd/3; kv get three; echo ten >&10; cat ten
        ulimit -f 8; head -c 20000 /dev/zero | kv put large 2> err; echo $?; kv has large; echo $?
    "#;
    let Some(builtin) = builtin() else { return };
    let kv = Sandbox::new();
    let ran = Ran::of(&mut command(&kv, &builtin, script)).ends(Exit::Success);
    assert_eq!(
        ran.stdout_text(),
        "value\npiped\nvalue3\n5\none\na\n0 0\n0\nmine\nmine\n1\n1\nvalueone\ninside\nvaluevalue\nfunction\n\
         value\nthreeten\n5\n1\n",
        "{}",
        ran.report()
    );
    assert_eq!(
        ran.stderr_text(),
        "kv: cannot write to standard output: Bad file descriptor\n"
    );
}

#[test]
fn a_script_on_standard_input_goes_on_behind_what_was_read() {
    let Some(builtin) = builtin() else { return };
    let kv = Sandbox::new();
    let script = format!(
        "enable -f '{}' kv\nread -r line\nnot a command\necho $line\nkv put rest\nof the script\n",
        builtin.display()
    );
    let mut bash = plain(&command(&kv, &builtin, ""), &["--norc"]);
    Ran::fed(&mut bash, script.as_bytes())
        .ends(Exit::Success)
        .prints("not a command\n");
    kv.run(["get", "rest"])
        .ends(Exit::Success)
        .prints("of the script\n");
}

#[test]
fn a_hundred_thousand_gets_leave_nothing_behind() {
    let script = r#"
        rss() { local name value unit; while read -r name value unit; do
            [[ $name != VmRSS: ]] || echo $value; done < /proc/$$/status; }
        files() { local all=(/proc/$$/fd/*); echo ${#all[@]}; }
        gets() { local i; for ((i = 0; i < $1; i++)); do kv get -v x k; done; }
        kv put k value; gets 5000; kv get none; before=$(rss) open=$(files)
        gets 95000; kv get none; after=$(rss)
        (( after - before < 1024 )) || echo "$before KiB became $after"
        [[ $(files) = $open ]] || echo "$open files became $(files)"
        rm -r store; kv get -v x k; echo $?; kv put k anew; kv get k; open=$(files)
        for i in {1..20}; do kv --store sqlite:file-$i put k v; kv --store sqlite:file-$i get -v x k; done
        [[ $(files) = $open ]] || echo "$open files became $(files)"
    "#;
    expect(script, "1\nanew");
}

/// Such an error leaves the builtin by longjmp(3), and ends the line.
#[test]
fn an_expression_that_is_wrong_leaves_nothing_behind() {
    let Some(builtin) = builtin() else { return };
    let kv = Sandbox::new();
    let value = format!("{} y", "x".repeat(100_000));
    kv.feed(["put", "k"], value.as_bytes()).ends(Exit::Success);
    let mut script = format!("enable -f '{}' kv\ndeclare -i int\n", builtin.display());
    script += &"kv get -v int k 2> err\n".repeat(200);
    script += "grep VmRSS /proc/$$/status | tr -dc 0-9\n";
    let mut bash = plain(&command(&kv, &builtin, ""), &["--norc"]);
    let ran = Ran::fed(&mut bash, script.as_bytes()).ends(Exit::Success);
    let rss: u32 = ran.stdout_text().parse().unwrap();
    assert!(
        rss < 30_000,
        "{rss} KiB, of which 20,000 would be 200 values"
    );
}

/// Prepares a bash in the same surroundings, with other arguments.
fn plain(prepared: &Command, args: &[&str]) -> Command {
    let mut bash = Command::new(prepared.get_program());
    let variables = prepared.get_envs();
    bash.args(args)
        .current_dir(prepared.get_current_dir().unwrap())
        .env_clear()
        .envs(variables.filter_map(|(name, value)| Some((name, value?))));
    bash
}

#[test]
fn init_loads_the_builtin_where_it_lies_beside_kv() {
    let Some(builtin) = builtin() else { return };
    let kv = Sandbox::new();
    let script = r#"
        set -eu; mkdir -p bin lib/kvsh; cp "$KV_BIN" bin/kv; unset KV_BIN; enable -d kv
        eval "$(bin/kv init bash)"; type -t kv || echo none
        cp "$0" lib/kvsh/kv.so; eval "$(bin/kv init bash)"; eval "$(bin/kv init bash)"; type -t kv
        kv put k value; kv get k; echo; [[ $KV_BIN = "$PWD/bin/kv" ]]; kv lock L -- echo locked
        complete -p kv 2> /dev/null || echo no completions
        head -c 3000000 "$0" > cut; mv cut lib/kvsh/kv.so; bash -c 'eval "$(bin/kv init bash)"; type -t kv || echo none'
        cmp <(bin/kv init zsh) <(bin/kv completions zsh)
    "#;
    Ran::of(&mut command(&kv, &builtin, script))
        .ends(Exit::Success)
        .prints("none\nbuiltin\nvalue\nlocked\nno completions\nnone\n");
    let interactive =
        r#"bash --norc -ic 'eval "$(bin/kv init bash)"; complete -p kv' 2> /dev/null"#;
    let ran = Ran::of(&mut command(&kv, &builtin, interactive)).ends(Exit::Success);
    assert!(ran.stdout_text().ends_with(" kv\n"), "{}", ran.report());
}
