//! What is damaged is an error, and never left out or given away as if it were sound.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use kv::exit::Exit;
use rustix::io::Errno;
use rustix::process::Signal;

use super::Mount;
use super::mounted::can;
use crate::harness::{Engine, Sandbox};

/// Each reads a store on this machine's disk anew, and so sees what is damaged there.
const ENGINES: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

fn is_io<T>(done: &io::Result<T>) -> bool {
    let err = done.as_ref().err();
    err.is_some_and(|err| err.raw_os_error() == Some(Errno::IO.raw_os_error()))
}

/// Runs a test on a mounted store of each engine. What goes wrong is told, and so it says something.
fn on_each(test: impl Fn(&Sandbox, &Mount)) {
    if !can() {
        return;
    }
    for &engine in ENGINES {
        let kv = Sandbox::on(engine);
        let mut mount = Mount::of(&kv, &[]);
        test(&kv, &mount);
        mount.end(Signal::TERM);
    }
}

/// Changes a byte behind the first place where these stand in any of the store's files.
fn damage(kv: &Sandbox, mark: &[u8], behind: usize) {
    let change = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let Some(at) = memchr::memmem::find(&bytes, mark) else {
            return false;
        };
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&[bytes[at + behind] ^ 1], (at + behind) as u64)
            .unwrap();
        true
    };
    fn files(dir: &Path, all: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => files(&path, all),
                false => all.push(path),
            }
        }
    }
    let store = kv.store();
    let mut all = Vec::new();
    if store.is_dir() {
        files(&store, &mut all);
    } else {
        let name = store.file_name().and_then(OsStr::to_str).unwrap();
        files(store.parent().unwrap(), &mut all);
        all.retain(|path| {
            let is = path.file_name().and_then(OsStr::to_str);
            is.is_some_and(|is| is.starts_with(name))
        });
    }
    let changed = all.iter().filter(|path| change(path)).count();
    assert!(changed > 0, "nothing was damaged");
}

#[test]
fn a_large_value_that_is_damaged_is_never_read_to_its_end() {
    on_each(|kv, mount| {
        for (size, at) in [(1 << 20, 300_000), (300_000, 10), (70_000, 69_900)] {
            let mut value: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mark = format!("here {size} are damaged");
            value[at..at + mark.len()].copy_from_slice(mark.as_bytes());
            let name = format!("k{size}");
            kv.feed(["put", &name], &value)
                .ends(kv::exit::Exit::Success);
            damage(kv, mark.as_bytes(), 5);
            // Whatever else was there.
            let wrong = fs::read(mount.path(&name));
            assert!(is_io(&wrong), "{size}: {:?}", wrong.map(|v| v.len()));
            let Ok(mut file) = fs::File::open(mount.path(&name)) else {
                // It was found before it was opened.
                continue;
            };
            let mut end = [0; 10];
            let last = file.read_at(&mut end, size as u64 - 10);
            assert!(is_io(&last), "{size}: {last:?}");
            // It is known by now, and so no part of it is given away.
            let first = file.read(&mut end);
            assert!(is_io(&first), "{size}: {first:?}");
            kv.run(["remove", &name]).ends(kv::exit::Exit::Success);
        }
    });
}

/// Reads a directory to its end or the first error.
fn list(path: &Path) -> (Vec<String>, bool) {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        match entry {
            Ok(entry) => names.push(entry.file_name().into_string().unwrap()),
            err => return (names, is_io(&err)),
        }
    }
    names.sort();
    (names, false)
}

#[test]
fn a_directory_with_a_damaged_entry_shows_the_others_and_fails() {
    if !can() {
        return;
    }
    for engine in [Engine::Tree, Engine::Http] {
        let kv = Sandbox::on(engine);
        for key in ["dir/a", "dir/b", "dir/c", "other/k"] {
            kv.put(key, key);
        }
        let mut mount = Mount::of(&kv, &[]);
        fs::write(kv.file_of(b"dir/b"), "nonsense").unwrap();
        let (names, failed) = list(&mount.path("dir"));
        assert_eq!((names, failed), (vec!["a".into(), "c".into()], true));
        // It is there, so that it can be removed and written anew.
        for (how, left) in [("rm dir/b", None), ("echo new > dir/b", Some("new\n"))] {
            kv.put("dir/b", "b");
            fs::write(kv.file_of(b"dir/b"), "nonsense").unwrap();
            assert_eq!(fs::metadata(mount.path("dir/b")).unwrap().len(), 0);
            assert!(is_io(&fs::read(mount.path("dir/b"))));
            mount.shell(&kv, how).ends(kv::exit::Exit::Success);
            match left {
                Some(left) => kv.holds("dir/b", left),
                None => kv.lacks("dir/b"),
            }
        }
        fs::write(kv.file_of(b"dir/b"), "nonsense").unwrap();
        // Nothing is moved where not all can be.
        let moved = fs::rename(mount.path("dir"), mount.path("new"));
        assert!(is_io(&moved), "{moved:?}");
        kv.holds("dir/a", "dir/a");
        kv.lacks("new/a");
        // Others go on.
        mount.write("dir/new", "new");
        fs::create_dir(mount.path("unheard")).unwrap();
        mount.write("unheard/of", "new");
        kv.holds("unheard/of", "new");
        mount.holds("other/k", "other/k");
        if crate::harness::has_program("rsync") {
            fs::create_dir_all(kv.path("backup")).unwrap();
            fs::write(kv.path("backup/b"), "good").unwrap();
            let script = "rsync -a --delete dir/ ../../backup/ && exit 77; test -e ../../backup/b";
            mount.shell(&kv, script).ends(kv::exit::Exit::Success);
        }
        assert!(mount.end(Signal::TERM).contains("is damaged"));
    }
}

/// What only reading to the end tells is told before anything is moved, too.
#[test]
fn a_directory_with_a_damaged_value_is_not_moved_in_part() {
    on_each(|kv, mount| {
        let mark = b"here it is damaged";
        kv.put("dir/a", "sound");
        kv.feed(["put", "dir/b"], &mark.repeat(20_000))
            .ends(kv::exit::Exit::Success);
        kv.put("dir/c", "sound");
        damage(kv, mark, 3);
        let moved = fs::rename(mount.path("dir"), mount.path("new"));
        assert!(is_io(&moved), "{moved:?}");
        kv.run(["ls"])
            .ends(kv::exit::Exit::Success)
            .prints("dir/a\ndir/b\ndir/c\n");
    });
}

#[test]
fn what_is_no_database_is_not_mounted() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    fs::create_dir(kv.path("empty")).unwrap();
    fs::write(kv.path("junk"), "junk").unwrap();
    let junk = format!("sqlite:{}", kv.path("junk").display());
    let ran = kv.run(["--store", &junk, "mount", "empty"]);
    ran.ends(kv::exit::Exit::Damaged)
        .complains(&["junk", "not a database"]);
}

#[test]
fn a_namespace_that_cannot_be_read_is_not_mounted_where_it_is_named() {
    if !can() {
        return;
    }
    for format in ["kv store 99\n", ""] {
        let kv = Sandbox::new();
        kv.put("k", "v");
        kv.run(["-n", "other", "put", "k", "v"]).ends(Exit::Success);
        fs::write(kv.store().join("default/format"), format).unwrap();
        fs::create_dir(kv.path("mnt")).unwrap();
        let ran = kv.run(["mount", "mnt"]);
        super::mounted::release(&kv.path("mnt"));
        ran.ends(Exit::Damaged);
        kv.run(["-n", "other", "mount", "mnt"]).ends(Exit::Success);
        let found = fs::read(kv.path("mnt/other/k"));
        super::mounted::release(&kv.path("mnt"));
        assert_eq!(found.unwrap(), b"v");
    }
}
