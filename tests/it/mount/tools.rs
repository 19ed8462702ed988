//! Programs that know files and have never heard of keys.

use std::fs;

use kv::exit::Exit;

use super::on_each;
use crate::harness::{Engine, cannot_run, has_program};

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

/// Tells whether programs are here, and says loudly if not.
fn has(programs: &[&str]) -> bool {
    for program in programs {
        if !has_program(program) {
            cannot_run(&format!("{program} is not installed"));
            return false;
        }
    }
    true
}

#[test]
fn the_shell_and_its_tools_work_on_keys() {
    if !has(&["tar"]) {
        return;
    }
    on_each(MOST, |kv, mount| {
        let script = "
            mkdir src; for n in 1 2 3; do echo line $n > src/$n; done
            echo more >> src/1; echo x > 'src/a b'
            sed -i s/line/LINE/ src/2
            test \"$(kv get src/2)\" = 'LINE 2'
            cp -r src copy; diff -r src copy
            cp -p src/1 copy/1; test copy/1 -ot src/2 -o ! copy/1 -nt src/2
            tar cf - src | (mkdir t; tar xf - -C t)
            diff -r src t/src
            mv t/src moved; rm -r t; diff -r src moved
            test \"$(grep -rl LINE . | sort | tr '\\n' ' ')\" = './copy/2 ./moved/2 ./src/2 '
            head -c 5000000 /dev/urandom > big; cmp big <(kv get big)
            test \"$(tail -c 100 big | cksum)\" = \"$(kv get big | tail -c 100 | cksum)\"
            dd if=big of=part bs=1000 skip=4000 count=10 status=none
            cmp part <(kv get big | tail -c +4000001 | head -c 10000)
            truncate -s 7 part; test \"$(kv stat --field size part)\" = 7
            find . -name 3 -delete; rm -r src copy moved
            test \"$(ls -A)\" = \"$(printf 'big\\npart')\"
        ";
        mount.shell(kv, script).ends(Exit::Success).is_silent();
        kv.run(["ls"]).ends(Exit::Success).prints("big\npart\n");
    });
}

#[test]
fn vim_leaves_the_text_and_nothing_else() {
    if !has(&["vim"]) {
        return;
    }
    on_each(MOST, |kv, mount| {
        kv.put("dir/text", "one\ntwo\n");
        for options in ["", "-c 'set backupcopy=yes'", "-c 'set backupcopy=no'"] {
            let script = format!(
                "vim -u NONE -es -n -c 'set swapfile' {options} -c '%s/$/!/' -c 'wq' dir/text"
            );
            mount.shell(kv, &script).ends(Exit::Success);
        }
        kv.holds("dir/text", "one!!!\ntwo!!!\n");
        kv.run(["ls"]).ends(Exit::Success).prints("dir/text\n");
        assert_eq!(mount.names("dir"), ["text"]);
    });
}

#[test]
fn rsync_finds_nothing_to_do_the_second_time() {
    if !has(&["rsync"]) {
        return;
    }
    on_each(MOST, |kv, mount| {
        let source = kv.path("source");
        fs::create_dir_all(source.join("a/b")).unwrap();
        for n in 0..10 {
            fs::write(source.join(format!("a/{n}")), n.to_string()).unwrap();
        }
        fs::write(source.join("a/b/empty"), "").unwrap();
        let script = format!(
            "cd {}; chmod -R u=rwX,go= source; touch -d '2020-02-03 04:05:06.789' source/a/1
            rsync -aX source/ mnt/default/",
            kv.root().display()
        );
        mount.shell(kv, &script).ends(Exit::Success).is_silent();
        let second = "rsync -aXi ../../source/ ./; rsync -aXic ./ ../../source/";
        mount.shell(kv, second).ends(Exit::Success).is_silent();
        kv.holds("a/7", "7");
        assert_eq!(
            kv.field("modified", "a/1"),
            "2020-02-03T04:05:06.789000000Z"
        );
        kv.run(["ls", "--count"]).ends(Exit::Success).prints("11\n");
    });
}

#[test]
fn git_keeps_a_repository_in_a_store() {
    if !has(&["git"]) {
        return;
    }
    on_each(MOST, |kv, mount| {
        let script = "
            export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
            git init -q -b main r; cd r
            mkdir d; for n in 1 2 3; do echo $n > d/$n; done; chmod +x d/1
            git add .; git commit -qm one; test -z \"$(git status --short)\"
            echo 4 >> d/3; test \"$(git status --short)\" = ' M d/3'
            git commit -qam two; git gc -q; git fsck --strict
            git checkout -q HEAD~1; test \"$(cat d/3)\" = 3; git checkout -q main
            git clone -q . ../clone; cd ../clone; test \"$(tail -n 1 d/3)\" = 4
            test \"$(git log --format=%s | tr '\\n' ' ')\" = 'two one '
            cd ..; rm -rf clone
        ";
        mount.shell(kv, script).ends(Exit::Success).prints("");
        kv.holds("r/d/2", "2\n");
    });
}

#[test]
fn tail_follows_what_others_add() {
    on_each(MOST, |kv, mount| {
        kv.put("log", "one\n");
        let script = "
            timeout 60 tail -n +1 -s 0.1 -f log > ../../out & pid=$!
            until test -s ../../out; do kill -0 $pid; sleep 0.05; done
            kv append log \"two
\"
            until grep -qs two ../../out; do kill -0 $pid; sleep 0.05; done
            echo three >> log
            until grep -qs three ../../out; do kill -0 $pid; sleep 0.05; done
            kill $pid; wait $pid || true
            cat ../../out
        ";
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("one\ntwo\nthree\n");
    });
}

#[test]
fn sqlite_keeps_a_database_in_a_value() {
    if !has(&["sqlite3"]) {
        return;
    }
    on_each(MOST, |kv, mount| {
        let script = r#"
            sqlite3 db 'create table t (n integer primary key, text)'
            for n in 1 2 3; do sqlite3 db "insert into t values ($n, 'row $n')"; done
            sqlite3 db 'begin; insert into t select n + 10, text from t; rollback'
            sqlite3 db 'insert into t select n + 10, text from t; delete from t where n = 2'
            sqlite3 db 'pragma integrity_check; select count(*), max(n) from t'
            ls
        "#;
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("ok\n5|13\ndb\n");
    });
}

#[test]
fn make_makes_nothing_a_second_time() {
    if !has(&["make"]) {
        return;
    }
    on_each(MOST, |kv, mount| {
        let script = r"
            printf 'all: out/c\nout/a out/b: in\n\tmkdir -p out; cp in $@\nout/c: out/a out/b\n\tcat out/a out/b > $@\n' > Makefile
            echo one > in; make -s; cat out/c; make -q all
            touch in; ! make -q all; echo two > in; make -s; cat out/c; make -q all
        ";
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("one\none\ntwo\ntwo\n");
    });
}
