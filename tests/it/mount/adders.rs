//! Who only adds to a file or has emptied it, beside who changes it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use kv::exit::Exit;

use super::open::close;
use super::{Mount, on_each};
use crate::harness::{Engine, until};

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

fn adds(mount: &Mount) -> File {
    let mut how = OpenOptions::new();
    how.append(true).open(mount.path("log")).unwrap()
}

fn changes(mount: &Mount) -> File {
    let mut how = OpenOptions::new();
    let how = how.read(true).write(true);
    how.open(mount.path("log")).unwrap()
}

#[test]
fn who_only_adds_goes_on_adding_after_what_others_change_of_the_file() {
    on_each(MOST, |kv, mount| {
        let append = |text| drop(kv.run(["append", "log", text]).ends(Exit::Success));
        for is_late in [false, true] {
            kv.put("log", "start ");
            let mut log = adds(mount);
            let part = changes(mount);
            part.write_all_at(b"S", 0).unwrap();
            if is_late {
                append("theirs ");
            }
            let stored = part.sync_all();
            assert_eq!(stored.is_err(), is_late);
            if !is_late {
                append("theirs ");
            }
            let mut value = String::from(if is_late {
                "start theirs "
            } else {
                "Start theirs "
            });
            for text in ["one ", "two ", "three "] {
                log.write_all(text.as_bytes()).unwrap();
                append("theirs ");
                log.sync_all().unwrap();
                value.push_str(&format!("theirs {text}"));
                kv.holds("log", &value);
            }
            // Of what it has opened nothing is there any more.
            let told = part.write_all_at(b"X", 0).and_then(|()| part.sync_all());
            assert!(told.is_err());
            drop(part);
            log.write_all(b"end").unwrap();
            close(log).unwrap();
            kv.holds("log", value + "end");
        }
    });
}

#[test]
fn what_is_added_and_what_others_change_are_each_stored() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "start ");
        let [mut log, part] = [adds(mount), changes(mount)];
        // Neither holds the other up, whoever is first.
        part.write_all_at(b"S", 0).unwrap();
        log.write_all(b"one ").unwrap();
        part.write_all_at(b"T", 1).unwrap();
        kv.run(["append", "log", "theirs "]).ends(Exit::Success);
        log.write_all(b"two ").unwrap();
        close(log).unwrap();
        close(part).unwrap_err();
        kv.holds("log", "Start one theirs two ");
        // A time is of what was added so far, too.
        let mut log = adds(mount);
        log.write_all(b"three ").unwrap();
        mount
            .shell(kv, "touch -d 2001-02-03T04:05:06Z log")
            .ends(Exit::Success);
        assert_eq!(
            kv.field("modified", "log"),
            "2001-02-03T04:05:06.000000000Z"
        );
        kv.run(["append", "log", "theirs "]).ends(Exit::Success);
        log.write_all(b"four").unwrap();
        close(log).unwrap();
        kv.holds("log", "Start one theirs two three theirs four");
        kv.put("log", "Start one theirs two ");
        // As one file where nobody else is.
        let [mut log, part] = [adds(mount), changes(mount)];
        for n in 0..3 {
            log.write_all(b"+").unwrap();
            part.write_all_at(b"-", n).unwrap();
        }
        close(part).unwrap();
        close(log).unwrap();
        kv.holds("log", "---rt one theirs two +++");
    });
}

#[test]
fn who_empties_a_file_empties_it_of_what_others_have_added() {
    on_each(MOST, |kv, mount| {
        for (empties, left) in [
            (": > log", "3\n"),
            ("cp /dev/null log", "3\n"),
            ("echo b > log", "b\n3\n"),
            ("truncate -s 0 log", "3\n"),
            ("sync log; : > log", "3\n"),
        ] {
            let script = format!(
                "echo 0 > log; exec 3>>log; echo 1 >&3; echo 2 >&3; cp log log.1; {empties}
                echo 3 >&3; exec 3>&-; cat log.1"
            );
            let ran = mount.shell(kv, &script).ends(Exit::Success);
            ran.prints("0\n1\n2\n");
            kv.holds("log", left);
        }
        // What comes while who empties it has it open is behind that.
        let script = "echo 0 > log; exec 3>>log 4>log; echo 1 >&3; exec 3>&- 4>&-";
        mount.shell(kv, script).ends(Exit::Success);
        kv.holds("log", "1\n");
    });
}

#[test]
fn who_has_emptied_a_file_and_written_nothing_leaves_what_others_write_there() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "old");
        for name in ["log", "new"] {
            let script = format!(
                "exec 3>{name}; echo theirs > {name}; cat {name}; exec 3>&-; cat {name}
                # What it writes then is a whole, and who empties it for itself has emptied it.
                exec 3>{name}; echo theirs > {name}; echo ours >&3; exec 3>&-; cat {name}
                exec 3>{name}; exec 3>&-; cat {name}"
            );
            let ran = mount.shell(kv, &script).ends(Exit::Success);
            ran.prints("theirs\ntheirs\nours\n");
            kv.holds(name, "");
        }
    });
}

#[test]
fn who_has_emptied_a_file_has_done_so_before_others_change_it() {
    on_each(MOST, |kv, mount| {
        for (script, left) in [
            ("exec 4>log 3>>log; echo a >&3; : > log; exec 3>&-", ""),
            (
                "exec 4>log 3>>log; echo a >&3; sync log; kv append log b; exec 3>&-",
                "a\nb",
            ),
            (
                "exec 4>log 3>>log; kv put log b; echo a >&3; exec 3>&-",
                "ba\n",
            ),
            ("exec 3>>log 4>log; echo a >&3; : > log; exec 3>&-", ""),
            (
                "exec 3>>log 4>log; kv put log b; echo a >&3; exec 3>&-",
                "ba\n",
            ),
            (
                "exec 4>log 3<>log; printf a >&3; exec 3>&-; kv append log b",
                "ab",
            ),
            (
                "exec 3<>log 4>log; kv put log b; printf a >&3; exec 3>&-",
                "b",
            ),
            // Of what another has written since only that goes which was there then.
            (
                "exec 4>log; echo x >&4; exec 3>>log; echo a >&3; : > log; echo b >&3; exec 3>&-",
                "b\n",
            ),
            (
                "exec 4>log; echo x >&4; exec 3>>log; echo a >&3; exec 3>&-",
                "x\na\n",
            ),
        ] {
            kv.put("log", "old");
            let script = format!("{script}; exec 4>&-; kv get log");
            let ran = mount.shell(kv, &script).ends(Exit::Success);
            ran.prints(left);
            kv.holds("log", left);
        }
    });
}

#[test]
fn who_has_emptied_a_file_and_written_nothing_leaves_what_others_have_put_there() {
    on_each(MOST, |kv, mount| {
        const CUT: &str = "python3 -c 'import os, subprocess
f = os.open(\"log\", os.O_WRONLY)
def put(): subprocess.run([\"kv\", \"put\", \"log\", \"new\"])
def cut(): os.ftruncate(f, 0)
";
        for (script, left) in [
            ("exec 4>log; kv append log new", "oldnew"),
            (
                "exec 4>log; kv append log new; touch log; kv has log",
                "oldnew",
            ),
            ("exec 4>log; kv put log new; : >> log", "new"),
            ("exec 4>log; kv put log new; echo x >> log", "newx\n"),
            ("exec 4>log; kv put log new; printf x 1<>log", "xew"),
            ("exec 4>log; kv put log new; test $(cat log) = new", "new"),
            (
                "exec 4>log; kv put log new; test $(stat -c %s log) = 3; sync log",
                "new",
            ),
            ("exec 4>log 3<>log; kv put log new; exec 3>&-", "new"),
            ("rm log; exec 4>log; kv put log new", "new"),
            // It is what was emptied still.
            ("exec 4>log; kv expire log 1h", ""),
            (
                "exec 4>log; kv expire log 1h; cat log; kv expire log 2h",
                "",
            ),
            // It is whole again what it writes then.
            ("exec 4>log; kv put log new; cat log; echo x >&4", "x\n"),
            (&format!("{CUT}put(); cut()'"), ""),
            (&format!("{CUT}cut(); put()'"), "new"),
        ] {
            kv.put("log", "old");
            mount
                .shell(kv, &format!("{{ {script}; }} > $HOME/told; exec 4>&-"))
                .ends(Exit::Success);
            kv.holds("log", left);
            mount.holds("log", left);
        }
        mount
            .shell(kv, "exec 4>log; kv remove log; exec 4>&-")
            .ends(Exit::Success);
        kv.lacks("log");
        mount.lacks("log");
    });
}

#[test]
fn who_empties_a_file_empties_it_for_who_has_it_open_to_change_it() {
    on_each(MOST, |kv, mount| {
        for (script, left) in [
            ("exec 3<>log; : > log; echo new >&3", "new\n"),
            ("exec 3<>log; bash -c \": > log\"; printf n >&3", "n"),
            ("exec 3<>log; exec 4>log; printf a >&3; printf bc >&4", "bc"),
            (
                "exec 3<>log; printf O >&3; exec 4>log; printf a >&3; exec 4>&-",
                "\0a",
            ),
            (
                "exec 3>log 4>>log; printf 3 >&3; exec 5>log; printf 5 >&3",
                "\x005",
            ),
            ("exec 3>>log; printf 3 >&3; exec 5>log; printf 5 >&3", "5"),
            // Where who empties it is killed, it was not, unless others have written to it.
            (
                "exec 3<>log; bash -c \"exec 4>log; /bin/echo Z >&4; kill -9 \\$\\$\"; exec 3>&-",
                "old",
            ),
            (
                "exec 3>>log; bash -c \"exec 4>log; /bin/echo Z >&4; kill -9 \\$\\$\"; printf + >&3",
                "old+",
            ),
            (
                "exec 3<>log; bash -c \"exec 4>log; /bin/echo Z >&4; kill -9 \\$\\$\"; printf new >&3",
                "new",
            ),
        ] {
            kv.put("log", "old");
            let script = format!("bash -c '{script}; exec 3>&- 4>&- 5>&-' 2> $HOME/told");
            mount.shell(kv, &script).ends(Exit::Success);
            kv.holds("log", left);
        }
    });
}

/// Other bytes of the same descriptor are kept.
#[test]
fn what_was_added_to_what_is_written_anew_goes_with_nobody_who_is_killed() {
    on_each(MOST, |kv, mount| {
        for adds in ["", "if os.fork(): os.wait(); os.kill(os.getpid(), 9)"] {
            for (ends, left) in [
                ("os.kill(os.getpid(), 9)", "Afive"),
                (
                    "if os.fork(): os.kill(os.getpid(), 9)
os.close(pipe[1]); os.read(pipe[0], 1); os.write(f, b\"six\")",
                    "Afivesix",
                ),
            ] {
                kv.put("log", "old");
                let script = format!(
                    "python3 -c 'import os
pipe = os.pipe()
f = os.open(\"log\", os.O_WRONLY | os.O_TRUNC); os.write(f, b\"A\")
{adds}
f = os.open(\"log\", os.O_WRONLY | os.O_APPEND); os.write(f, b\"five\")
{ends}' || :"
                );
                mount.shell(kv, &script).ends(Exit::Success);
                until("it is stored", || {
                    kv.run(["get", "log"]).stdout() == left.as_bytes()
                });
            }
        }
    });
}

/// However much it is: it is kept in memory or in a file until then.
#[test]
fn what_is_added_is_behind_what_others_have_made_of_the_key() {
    const LONG: usize = 1_100_000;
    on_each(MOST, |kv, mount| {
        let second = Mount::at(kv, "second");
        let added = |byte| vec![byte; LONG];
        let begin = |mount: &Mount, byte| {
            let mut log = adds(mount);
            log.write_all(&added(byte)).unwrap();
            log
        };
        let holds = |parts: &[&[u8]]| {
            let got = kv.run(["get", "log"]);
            let value = got.stdout();
            assert!(value == parts.concat(), "{} bytes", value.len());
        };
        kv.put("log", "x");
        let log = begin(mount, b'1');
        kv.run(["append", "log", "P"]).ends(Exit::Success);
        close(log).unwrap();
        holds(&[b"xP", &added(b'1')]);

        let changes: [&dyn Fn(); 4] = [
            &|| drop(kv.run(["expire", "log", "1h"]).ends(Exit::Success)),
            &|| drop(second.shell(kv, "touch log").ends(Exit::Success)),
            &|| drop(second.shell(kv, ": > log").ends(Exit::Success)),
            &|| kv.put("log", "another"),
        ];
        for (change, left) in changes.into_iter().zip(["x", "x", "", "another"]) {
            kv.put("log", "x");
            let log = begin(mount, b'1');
            change();
            close(log).unwrap();
            holds(&[left.as_bytes(), &added(b'1')]);
        }

        kv.run(["remove", "log"]).ends(Exit::Success);
        mount.shell(kv, ">> log").ends(Exit::Success);
        let (mut one, two) = (begin(mount, b'1'), begin(&second, b'2'));
        one.sync_all().unwrap();
        one.write_all(&added(b'3')).unwrap();
        close(two).unwrap();
        close(one).unwrap();
        holds(&[&added(b'1'), &added(b'2'), &added(b'3')]);

        kv.put("log", "x");
        let script =
            format!("{{ head -c {LONG} /dev/zero; kv append log P; kill -9 $BASHPID; }} >> log");
        mount
            .shell(kv, &format!("bash -c '{script}' || :"))
            .ends(Exit::Success);
        until("it is stored", || {
            kv.run(["get", "log"]).stdout().len() == 2 + LONG
        });
        holds(&[b"xP", &added(0)]);
        // What its time is over for is gone with it.
        kv.run(["put", "--ttl", "1s", "log", "x"])
            .ends(Exit::Success);
        let log = begin(mount, b'1');
        until("it expires", || !kv.run(["has", "log"]).status().success());
        assert!(close(log).is_err());
        second.stop();
    });
}
