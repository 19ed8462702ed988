//! Which name a key has, and what stays out of the store.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use kv::exit::Exit;

use super::{Mount, on_each};
use crate::harness::{Engine, Sandbox, until};
use crate::serve::client::Server;

const ALL: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

/// Returns all files below a directory, by their paths in it, with what they hold.
fn files(dir: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let walk = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    walk.filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(dir).unwrap().to_owned();
            (path, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Stores each key with itself as its value.
fn store(kv: &Sandbox, keys: &[Vec<u8>]) {
    let lines: String = keys
        .iter()
        .map(|key| {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(key);
            format!("{{\"key_base64\":\"{text}\",\"value_base64\":\"{text}\"}}\n")
        })
        .collect();
    kv.feed(["import"], lines.as_bytes()).ends(Exit::Success);
}

fn odd_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        "a",
        "a/b",
        "a/b/c",
        "a/",
        "a//",
        "/",
        "//x",
        ".",
        "..",
        "./..",
        "x/../y",
        "%",
        "%2E",
        "%25",
        "%value",
        "%value/%value",
        "a/%value",
        "100%",
        "%41",
        "a b",
        "tab\t",
        "new\nline",
        "caf\u{e9}",
        "-rf",
        "*",
        "~",
        "default",
    ]
    .iter()
    .map(|key| key.as_bytes().to_vec())
    .collect();
    keys.push(b"\xff\xfe".to_vec());
    keys.push(b"\x01/\x7f".to_vec());
    for len in [254, 255, 256, 300, 600] {
        keys.push(vec![b'n'; len]);
        keys.push([&vec![b'm'; len][..], b"/below"].concat());
    }
    keys
}

#[test]
fn every_key_is_a_file_and_can_be_copied_there_and_back() {
    on_each(ALL, |kv, mount| {
        let keys = odd_keys();
        store(kv, &keys);
        let shown = files(&mount.path(""));
        let values: BTreeSet<_> = shown.iter().map(|(_, value)| value.clone()).collect();
        let wanted: BTreeSet<_> = keys.iter().cloned().collect();
        assert_eq!(values, wanted);
        assert_eq!(shown.len(), keys.len());
        // The same files, written by another program, are the same keys.
        fs::create_dir(mount.point().join("copy")).unwrap();
        mount
            .shell(kv, "cp -r . ../copy/")
            .ends(Exit::Success)
            .is_silent();
        assert_eq!(files(&mount.point().join("copy")), shown);
        let all = |namespace| {
            let listed = kv.run(["-n", namespace, "ls", "-0"]).ends(Exit::Success);
            listed.stdout().to_vec()
        };
        assert_eq!(all("copy"), all("default"));
    });
}

/// Behind a service these are keys that no path of a request can hold.
#[test]
fn a_key_that_no_path_can_hold_is_written_as_any_other() {
    on_each(ALL, |kv, mount| {
        let deep = format!("{}/%2E/file", vec!["d".repeat(200); 21].join("/"));
        let keys = ["odd/", "odd/.", "odd/..", &deep.replace("%2E", ".")];
        let names = ["odd/%", "odd/%2E", "odd/%2E%2E", &deep];
        for (name, key) in names.into_iter().zip(keys) {
            // So long a path is walked step by step.
            let (dir, file) = name.rsplit_once('/').unwrap();
            let enter = dir
                .split('/')
                .map(|part| format!("mkdir -p {part}; cd {part}\n"));
            let run = |script: &str| {
                let script = format!("{}f='{file}'\n{script}", enter.clone().collect::<String>());
                mount.shell(kv, &script).ends(Exit::Success)
            };
            run("echo one > $f; [ $(cat $f) = one ]");
            kv.holds(key, "one\n");
            run("echo two >> $f; touch -d 2001-02-03T04:05:06Z $f");
            kv.holds(key, "one\ntwo\n");
            assert_eq!(kv.field("modified", key), "2001-02-03T04:05:06.000000000Z");
            kv.run(["expire", key, "2h"]).ends(Exit::Success);
            let end = kv.field("expires", key);
            run("dd if=/dev/zero of=$f bs=1M count=20 conv=fsync status=none; mv $f moved");
            let moved = format!("{}/moved", key.rsplit_once('/').unwrap().0);
            assert_eq!(kv.field("size", &moved), (20 << 20).to_string());
            assert_eq!(kv.field("expires", &moved), end);
            run("mv moved $f; set -C; (echo no > $f) 2>/dev/null && exit 1; true");
            assert_eq!(kv.field("expires", key), end);
            run("rm $f; set -C; echo new > $f");
            kv.holds(key, "new\n");
            run("rm $f");
            kv.lacks(key);
        }
    });
}

#[test]
fn a_part_of_a_part_is_a_directory_like_any_other() {
    on_each(ALL, |kv, mount| {
        let long = |len| "n".repeat(len);
        let cut = format!("{}%+", long(253));
        let names = |dir: &str| mount.names(dir);
        // What begins as it does and fits one name is none of its files.
        let mut beside = vec![long(253), long(254), long(255)];
        kv.put(&long(253), "v");
        kv.put(&format!("{}/k", long(254)), "v");
        kv.put(&long(255), "v");
        mount.lacks(&cut);
        kv.put(&format!("{}/k", long(600)), "v");
        kv.put(&long(300), "v");
        mount.shell(kv, &format!("rm -r {cut}")).ends(Exit::Success);
        assert_eq!(names(""), beside);
        // Without anything in it it can be seen, moved and removed.
        fs::create_dir_all(mount.path(format!("{cut}/{cut}/xxx"))).unwrap();
        beside.push(cut.clone());
        beside.sort();
        assert_eq!(
            (names(""), names(&cut)),
            (beside.clone(), vec![cut.clone()])
        );
        fs::remove_dir_all(mount.path(&cut)).unwrap();
        // It is moved with what is in it, to where that has a place.
        kv.put(&long(300), "v");
        // Which directories there are may be as old as a second.
        until("it is seen", || mount.path(&cut).exists());
        fs::rename(mount.path(&cut), mount.path("moved")).unwrap();
        kv.holds(&format!("moved/{}", long(47)), "v");
        kv.holds(&format!("{}/k", long(254)), "v");
        fs::rename(mount.path("moved"), mount.path(&cut)).unwrap();
        kv.holds(&long(300), "v");
        kv.put("short/k", "v");
        until("it is seen", || mount.path("short").exists());
        let refused = fs::rename(
            mount.path("short"),
            mount.path(format!("{}%+", "s".repeat(253))),
        );
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        kv.holds("short/k", "v");
        mount.shell(kv, "rm -r *").ends(Exit::Success);
        kv.run(["ls"]).ends(Exit::Success).prints("");
    });
}

#[test]
fn a_key_and_keys_below_it_are_a_directory_with_its_value() {
    on_each(ALL, |kv, mount| {
        kv.put("a", "self");
        mount.holds("a", "self");
        kv.put("a/b", "below");
        until("it is a directory", || mount.path("a").is_dir());
        mount.holds("a/%value", "self");
        mount.holds("a/b", "below");
        mount.write("a/%value", "changed");
        kv.holds("a", "changed");
        fs::remove_file(mount.path("a/%value")).unwrap();
        kv.lacks("a");
        mount.write("a/%value", "again");
        kv.holds("a", "again");
        fs::remove_file(mount.path("a/b")).unwrap();
        mount.lacks("a/b");
        mount.holds("a/%value", "again");
        fs::remove_dir(mount.path("a")).expect_err("it holds a value");
    });
}

#[test]
fn namespaces_are_the_directories_at_the_top() {
    on_each(ALL, |kv, mount| {
        kv.run(["-n", "one", "put", "k", "v"]).ends(Exit::Success);
        fs::create_dir(mount.point().join("two")).unwrap();
        fs::write(mount.point().join("two/k"), "w").unwrap();
        kv.run(["-n", "two", "get", "k"])
            .ends(Exit::Success)
            .prints("w");
        let names = || crate::harness::names_in(mount.point());
        assert_eq!(names(), ["default", "one", "two"]);
        for bad in [".hidden", "a\nb"] {
            let err = fs::create_dir(mount.point().join(bad)).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{bad:?}");
        }
        fs::write(mount.point().join("file"), "").expect_err("there are only directories");
        fs::remove_dir(mount.point().join("two")).expect_err("it is not empty");
        fs::remove_dir_all(mount.point().join("two")).unwrap();
        assert_eq!(names(), ["default", "one"]);
        // It comes back with its first key.
        kv.run(["-n", "two", "put", "k", "v"]).ends(Exit::Success);
        until("it is shown", || names() == ["default", "one", "two"]);
    });
}

/// There a directory is found by listing all keys, and that is believed for a second.
#[test]
fn a_store_of_many_loose_keys_shows_what_changes() {
    on_each(&[Engine::Tree], |kv, mount| {
        let lines: String = (0..900).map(|n| format!("put many/{n} v\n")).collect();
        kv.feed(["--sync", "off", "batch"], lines.as_bytes())
            .ends(Exit::Success);
        until("all are seen", || mount.names("many").len() == 900);
        for n in 0..20 {
            mount.lacks(&format!("own{n}"));
            fs::create_dir(mount.path(format!("own{n}"))).unwrap();
            mount.write(&format!("own{n}/k"), "v");
            mount.write(&format!("many/own{n}"), "v");
            assert_eq!(mount.names(&format!("own{n}")), ["k"]);
            assert_eq!(mount.names("many").len(), 901);
            fs::rename(mount.path(format!("own{n}")), mount.path("moved")).unwrap();
            mount.lacks(&format!("own{n}"));
            mount.holds("moved/k", "v");
            fs::remove_dir_all(mount.path("moved")).unwrap();
            fs::remove_file(mount.path(format!("many/own{n}"))).unwrap();
            assert_eq!(mount.names("many").len(), 900);
        }
        kv.put("their/k", "v");
        until("it is seen", || mount.path("their").is_dir());
        mount.holds("their/k", "v");
        kv.run(["remove", "their/k"]).ends(Exit::Success);
        until("it is gone", || !mount.path("their").exists());
        // A key becomes a directory, and nobody lists the one above.
        for name in ["one", "two"] {
            kv.put(name, "v");
            mount.holds(name, "v");
            kv.put(&format!("{name}/below"), "v");
            let below = format!("{name}/below");
            until("it is a directory", || mount.path(&below).exists());
        }
    });
}

#[test]
fn litter_never_becomes_a_key() {
    on_each(ALL, |kv, mount| {
        for name in [
            ".k.swp",
            ".DS_Store",
            ".nfs0000000001a2b3c4",
            "dir/._k",
            ".#k",
        ] {
            let path = mount.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "litter").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"litter");
            let there = path.file_name().unwrap().as_bytes();
            let dir = fs::read_dir(path.parent().unwrap()).unwrap();
            let names: Vec<_> = dir.map(|entry| entry.unwrap().file_name()).collect();
            assert!(
                names.iter().any(|name| name.as_bytes() == there),
                "{names:?}"
            );
        }
        kv.run(["ls"]).ends(Exit::Success).prints("");
        fs::rename(mount.path(".k.swp"), mount.path("kept")).unwrap();
        kv.run(["ls"]).ends(Exit::Success).prints("kept\n");
        fs::remove_file(mount.path(".DS_Store")).unwrap();
        mount.lacks(".DS_Store");
        // A number is litter only as long as it is empty and nobody can have meant it.
        let made = fs::File::create_new(mount.path("4913")).unwrap();
        drop(made);
        kv.lacks("4913");
        fs::remove_file(mount.path("4913")).unwrap();
        mount.write("4913", "data");
        kv.holds("4913", "data");
        // A key of such a name is a key.
        kv.put(".x.swp", "mine");
        mount.write(".x.swp", "still mine");
        kv.holds(".x.swp", "still mine");
    });
}

#[test]
fn it_is_told_when_a_key_expires() {
    on_each(ALL, |kv, mount| {
        kv.put("k", "v");
        let path = mount.path("k");
        let get = |name: &str| {
            let mut value = [0; 64];
            let len = rustix::fs::getxattr(&path, name, &mut value).unwrap();
            String::from_utf8(value[..len].to_vec()).unwrap()
        };
        let set = |value: &str| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(&path, "user.kv.expires", value.as_bytes(), flags)
        };
        assert_eq!(get("user.kv.etag"), kv.field("etag", "k"));
        // As `rsync -X` does with each that it finds.
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&path, "user.kv.etag", b"another", flags).unwrap();
        rustix::fs::removexattr(&path, "user.kv.etag").unwrap();
        let names = || {
            let mut names = [0; 64];
            let len = rustix::fs::listxattr(&path, &mut names).unwrap();
            names[..len].to_vec()
        };
        assert_eq!(names(), b"");
        assert_eq!(get("user.kv.etag"), kv.field("etag", "k"));
        assert_eq!(get("user.kv.expires"), "never");
        set("2h").unwrap();
        assert_eq!(names(), b"user.kv.expires\0");
        assert_eq!(get("user.kv.expires"), kv.field("expires", "k"));
        mount.write("k", "written");
        assert_eq!(get("user.kv.expires"), kv.field("expires", "k"));
        set("2040-01-02T03:04:05Z").unwrap();
        assert_eq!(kv.field("expires", "k"), "2040-01-02T03:04:05.000Z");
        set("never").unwrap();
        assert_eq!(kv.field("expires", "k"), "never");
        assert!(set("soon").is_err());
        set("0.1s").unwrap();
        until("it expires", || !path.exists());
        kv.lacks("k");
    });
}

#[test]
fn a_mount_to_read_changes_nothing() {
    if !super::can_mount() {
        return crate::harness::cannot_run("nothing can be mounted here");
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &["--read-only"]);
    let service = format!("http://{}", server.address());
    for option in [&["--read-only"][..], &["--store", &service]] {
        let mount = Mount::of(&kv, option);
        mount.holds("k", "v");
        for done in [
            fs::File::create(mount.path("k")).map(drop),
            fs::write(mount.path("new"), "x"),
            fs::remove_file(mount.path("k")),
            fs::create_dir(mount.path("dir")),
            fs::rename(mount.path("k"), mount.path("l")),
        ] {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        }
        kv.holds("k", "v");
        mount.stop();
    }
}
