//! Which file of the sources imports from which.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, module_of, outside_tests, sources};

/// Which modules each module may import, as the crate documentation draws it.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("os", &[]),
    ("store", &[]),
    ("exit", &["store"]),
    ("wire", &["store"]),
    ("engine", &["os", "store", "wire"]),
    ("cli", &["engine", "exit", "store", "wire"]),
    (
        "commands",
        &[
            "cli", "engine", "exit", "mount", "os", "server", "store", "wire",
        ],
    ),
    ("server", &["exit", "os", "store", "wire"]),
    ("mount", &["os", "store", "wire"]),
    ("bash", &["cli", "commands", "os"]),
    ("lib", &["engine", "os"]),
    ("main", &[]),
];

/// What engines have in common. All else in their folder is an engine, and imports no other.
const COMMON: &[&str] = &[
    "holder", "lease", "location", "merge", "path", "runs", "tls",
];

/// In so many files at most a type has methods of its own, unless it is one of these.
const MOST_FILES: usize = 3;
const SPREAD: &[(&str, usize)] = &[
    ("engine/tree Tree", 21),
    ("engine/sqlite Sqlite", 14),
    ("engine/redis Redis", 12),
    ("mount App", 10),
    ("engine/tree Work", 8),
    ("engine/sqlite Space", 6),
    ("engine/http Http", 5),
];

/// A module, by the names that lead to it from the root.
type Module = Vec<String>;

#[test]
fn imports_point_downward() {
    for (path, text) in sources("src") {
        let module = module_of(&path);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            panic!("{path}: `{module}` has no line in the table of who may import whom");
        };
        let lines = code(&text).collect::<Vec<_>>().join("\n");
        for target in imports(&path, &lines) {
            let Some(top) = target.first() else {
                continue;
            };
            // What is defined at the root itself.
            let is_module = MAY_IMPORT.iter().any(|(name, _)| name == top);
            let fine = !is_module || top == module || allowed.contains(&&**top);
            assert!(fine, "{path}: `{module}` may not import `{top}`");
        }
    }
}

#[test]
fn no_engine_imports_another() {
    let texts: Vec<_> = sources("src/engine").collect();
    let own = |path: &str| module_at(path).get(1).cloned();
    let all = texts.iter().filter_map(|(path, _)| own(path));
    let engines: BTreeSet<_> = all.filter(|name| !COMMON.contains(&&**name)).collect();
    assert!(engines.len() > 4, "{engines:?}");
    for (path, text) in &texts {
        let Some(own) = own(path).filter(|own| engines.contains(own)) else {
            continue;
        };
        for target in imports(path, &lines_of(text)) {
            let other = target.get(1).filter(|_| target[0] == "engine");
            let is_fine = other.is_none_or(|it| *it == own || !engines.contains(it));
            assert!(is_fine, "{path} imports {}", target.join("::"));
        }
    }
}

/// All of these rules see nothing where this sees nothing.
#[test]
fn every_way_to_name_a_module_is_seen() {
    let code = "use crate::store::{Key, entry::{self, Meta}};
        use super::{b, c::D};
        fn f() -> super::super::os::File { self::g::h::<crate::wire::X>(my_crate::y) }";
    let found = imports("src/engine/tree/a.rs", code);
    let found: BTreeSet<_> = found.iter().map(|path| path.join("::")).collect();
    let want = [
        "engine::os::File",
        "engine::tree::a::g::h",
        "engine::tree::b",
        "engine::tree::c::D",
        "store::Key",
        "store::entry",
        "store::entry::Meta",
        "wire::X",
    ];
    assert_eq!(found, want.map(str::to_owned).into());
}

/// A file may import from the modules it is a part of, which hold what their files have in common.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let texts: Vec<_> = sources("src").collect();
    let files: BTreeSet<Module> = texts.iter().map(|(path, _)| module_at(path)).collect();
    let mut imported: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (path, text) in &texts {
        let module = module_at(path);
        let file_of = |target: Module| {
            let lengths = (0..=target.len()).rev();
            let mut prefixes = lengths.map(|len| target[..len].to_vec());
            prefixes.find(|prefix| files.contains(prefix))
        };
        let targets = imports(path, &lines_of(text)).into_iter();
        let targets = targets.filter_map(file_of);
        let targets = targets.filter(|target| !module.starts_with(target));
        imported.insert(module.clone(), targets.collect());
    }
    let reached = |from: &Module| {
        let (mut all, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            for target in &imported[module] {
                if all.insert(target.clone()) {
                    next.push(target);
                }
            }
        }
        all
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        files.iter().map(|file| (file, reached(file))).collect();
    for (one, others) in &reached {
        for other in others.iter().filter(|other| other != one) {
            let (a, b) = (one.join("/"), other.join("/"));
            assert!(
                !reached[other].contains(*one),
                "{a} and {b} import each other, perhaps by way of others"
            );
        }
    }
}

#[test]
fn no_type_is_spread_over_a_folder() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources("src") {
        let parts = module_at(&path);
        let len = if parts.first().is_some_and(|top| top == "engine") {
            2
        } else {
            1
        };
        let folder = parts[..len.min(parts.len())].join("/");
        for line in outside_tests(&text).filter(|line| line.starts_with("impl")) {
            let is_inherent = !line.contains(" for ") && line.ends_with('{');
            let name = line.trim_end_matches(" {").split(' ').next_back();
            let name = name
                .unwrap_or_default()
                .split('<')
                .next()
                .unwrap_or_default();
            if is_inherent {
                let files = found.entry(format!("{folder} {name}")).or_default();
                files.insert(path.clone());
            }
        }
    }
    assert!(found.len() > 100, "{found:?}");
    for (name, files) in found {
        let bound = SPREAD.iter().find(|(known, _)| *known == name);
        let most = bound.map_or(MOST_FILES, |(_, most)| *most);
        assert!(files.len() <= most, "{name} has methods in {files:#?}");
    }
}

/// What a file does outside its unit tests, without comments.
fn lines_of(text: &str) -> String {
    outside_tests(text).collect::<Vec<_>>().join("\n")
}

/// The module that a file is.
fn module_at(path: &str) -> Module {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Module = path.split('/').map(str::to_owned).collect();
    if parts
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        parts.pop();
    }
    parts
}

/// Everything that a file names by a path which begins with `crate`, `super` or `self`, each by its
/// names from the root.
fn imports(path: &str, code: &str) -> Vec<Module> {
    let module = module_at(path);
    let mut found = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for (at, first) in ["crate::", "super::", "self::"]
        .iter()
        .flat_map(|first| code.match_indices(first))
    {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let mut base = module.clone();
        match first {
            "crate::" => base.clear(),
            "super::" => _ = base.pop(),
            _ => {}
        }
        read(&mut &code[at + first.len()..], &base, &mut found);
    }
    found
}

/// Reads a path, or several in braces.
fn read(rest: &mut &str, base: &Module, found: &mut Vec<Module>) {
    *rest = rest.trim_start();
    if let Some(behind) = rest.strip_prefix('{') {
        *rest = behind;
        loop {
            *rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if rest.is_empty() || rest.starts_with('}') {
                *rest = rest.get(1..).unwrap_or_default();
                return;
            }
            let before = rest.len();
            read(rest, base, found);
            if rest.len() == before {
                *rest = &rest[1..];
            }
        }
    }
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    *rest = behind;
    let mut path = base.clone();
    match name {
        "super" => _ = path.pop(),
        "self" | "" => {}
        _ => path.push(name.to_owned()),
    }
    match rest
        .strip_prefix("::")
        .filter(|rest| !rest.starts_with('<'))
    {
        Some(behind) => {
            *rest = behind;
            read(rest, &path, found);
        }
        None => found.push(path),
    }
}
