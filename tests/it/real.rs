//! Real input: the package database and the word list of the machine, from a shell loop.

use std::fs;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, cannot_run, has_program};

/// Stores each stanza of `database` under its package's name and reads all back, in a shell; what
/// came back is compared by checksum with what awk cut out.
const STANZAS: &str = r#"
    set -eu
    mkdir cut back
    awk -v limit="$LIMIT" '
        BEGIN { RS = ""; ORS = "\n\n" }
        /^Package: / {
            split($2, name, "\n")
            if (seen[name[1]]++) next
            if (limit && ++n > limit) exit
            file = "cut/" name[1]
            print > file
            close(file)
        }' database
    for file in cut/*; do
        kv --sync off put "${file#cut/}" < "$file"
    done
    kv ls | while IFS= read -r key; do
        kv get "$key" > "back/$key"
    done
    (cd cut && sha256sum *) > cut.sums
    (cd back && sha256sum *) > back.sums
    cmp cut.sums back.sums
    kv ls --count
"#;

fn store_stanzas(database: &[u8], limit: usize) {
    let kv = Sandbox::new();
    fs::write(kv.path("database"), database).unwrap();
    let script = format!("LIMIT={limit}\n{STANZAS}");
    let ran = kv.shell("dash", &script).ends(Exit::Success).warns("");
    let count: usize = ran.line().parse().unwrap();
    let text = String::from_utf8_lossy(database);
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("Package: "));
    let names: std::collections::BTreeSet<_> = lines.collect();
    let want = match limit {
        0 => names.len(),
        limit => names.len().min(limit),
    };
    assert_eq!(count, want);
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
fn every_stanza_of_the_package_database_comes_back() {
    let Ok(database) = fs::read("/var/lib/dpkg/status") else {
        return cannot_run("this machine has no dpkg database");
    };
    if !has_program("dash") || !has_program("awk") {
        return cannot_run("it takes dash and awk");
    }
    store_stanzas(&database, 0);
}

#[test]
fn stanzas_of_the_package_lists_come_back() {
    let lists = fs::read_dir("/var/lib/apt/lists").into_iter().flatten();
    let mut lists: Vec<_> = lists
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("_Packages"))
        .collect();
    lists.sort();
    let (Some(list), true) = (lists.pop(), has_program("dash") && has_program("awk")) else {
        return cannot_run("it takes a package list, dash and awk");
    };
    // apt reads its lists however they are compressed.
    let helper = "/usr/lib/apt/apt-helper";
    let mut cat = std::process::Command::new(helper);
    match cat.arg("cat-file").arg(&list).output() {
        Ok(output) if output.status.success() => store_stanzas(&output.stdout, 500),
        _ => cannot_run(&format!("{helper} cannot read {}", list.display())),
    }
}

#[test]
fn words_are_listed_as_sort_orders_them() {
    let Ok(words) = fs::read("/usr/share/dict/words") else {
        return cannot_run("there is no word list (wamerican)");
    };
    // A put takes a process, so not every word has its turn unless that is asked for.
    let step = match std::env::var_os("KV_TEST_FULL") {
        Some(_) => 1,
        None => 20,
    };
    let kv = Sandbox::new();
    let chosen: Vec<_> = words
        .split_inclusive(|&b| b == b'\n')
        .step_by(step)
        .collect();
    fs::write(kv.path("words"), chosen.concat()).unwrap();
    let put =
        "while IFS= read -r word; do kv --sync off put -- \"$word\" \"<$word>\"; done < words";
    kv.shell("dash", put).ends(Exit::Success).is_silent();
    let sorted = kv.shell("sh", "LC_ALL=C sort words").ends(Exit::Success);
    kv.run(["ls"]).ends(Exit::Success).prints(sorted.stdout());
    let values = "LC_ALL=C sort words | sed 's/.*/&\t<&>/'";
    let values = Ran::stdout(&kv.shell("sh", values)).to_vec();
    kv.run(["ls", "--values"])
        .ends(Exit::Success)
        .prints(values);
}
