//! `kv edit`: a value in an editor.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, cannot_run, has_program, names_in, until};
use crate::terminal::Terminal;

/// Runs `kv edit ARGS…` with this editor, and temporary files in the sandbox.
fn edit(kv: &Sandbox, args: &[&str], editor: &str) -> Ran {
    fs::create_dir_all(kv.path("tmp")).unwrap();
    let mut command = kv.kv([&["edit"], args].concat());
    Ran::of(command.env("EDITOR", editor).env("TMPDIR", kv.path("tmp")))
}

/// Demands that no file is left of what was edited.
#[track_caller]
fn leaves_nothing(kv: &Sandbox) {
    assert_eq!(names_in(&kv.path("tmp")), [""; 0]);
}

/// Returns the file that a line names, which is in a directory that is private.
#[track_caller]
fn kept(ran: &Ran) -> PathBuf {
    let line = ran.stderr_text();
    let path = Path::new(line.split('`').nth(1).unwrap());
    let mode = path.parent().unwrap().metadata().unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o700, "{line}");
    // An editor that writes another file in its place chooses the mode itself.
    assert_eq!(
        path.metadata().unwrap().permissions().mode() & 0o777,
        0o600,
        "{line}"
    );
    path.to_owned()
}

#[test]
pub fn what_the_editor_leaves_is_stored_and_the_expiry_stays() {
    let kv = Sandbox::new();
    let put = ["put", "color", "light green", "--ttl", "1h"];
    kv.run(put).ends(Exit::Success).is_silent();
    let expires = kv.field("expires", "color");
    let editor = "sed -i 's/light green/blue/'";
    edit(&kv, &["color"], editor)
        .ends(Exit::Success)
        .is_silent();
    kv.holds("color", "blue");
    assert_eq!(kv.field("expires", "color"), expires);
    edit(&kv, &["new"], "printf 'a\\nb\\n' >")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("new", "a\nb");
    leaves_nothing(&kv);
    // VISUAL comes first, and an empty variable is none.
    for (visual, want) in [("printf visual >", "visual"), ("", "editor")] {
        let mut command = kv.kv(["edit", "color"]);
        command
            .env("VISUAL", visual)
            .env("EDITOR", "printf editor >");
        Ran::of(&mut command).ends(Exit::Success).is_silent();
        kv.holds("color", want);
    }
}

#[test]
fn a_newline_that_an_editor_adds_is_stored_where_there_was_one() {
    let kv = Sandbox::new();
    for (old, new) in [("green", "blue"), ("green\n", "blue\n"), ("", "blue")] {
        kv.put("color", old);
        edit(&kv, &["color"], "echo blue >")
            .ends(Exit::Success)
            .is_silent();
        kv.holds("color", new);
    }
}

#[test]
pub fn text_that_stays_as_it_is_stores_nothing() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    let etag = kv.field("etag", "color");
    for editor in ["true", "touch", "echo >>", "cp /proc/self/cwd/same"] {
        fs::write(kv.path("same"), "green").unwrap();
        edit(&kv, &["color"], editor)
            .ends(Exit::Success)
            .is_silent();
        assert_eq!(kv.field("etag", "color"), etag, "{editor}");
    }
    edit(&kv, &["none"], "true").ends(Exit::Success).is_silent();
    kv.lacks("none");
    leaves_nothing(&kv);
}

#[test]
pub fn what_another_changes_meanwhile_is_left_and_the_text_is_kept() {
    let kv = Sandbox::new();
    kv.put("there", "old");
    for key in ["there", "absent"] {
        let editor = format!("{KV} put {key} theirs; printf mine >");
        let ran = edit(&kv, &[key], &editor).ends(Exit::No).prints("");
        let ran = ran.complains(&[
            "not stored, but kept in",
            "another has changed it meanwhile",
            key,
        ]);
        assert_eq!(fs::read_to_string(kept(&ran)).unwrap(), "mine");
        kv.holds(key, "theirs");
    }
    let editor = format!("{KV} remove there; printf mine >");
    edit(&kv, &["there"], &editor).ends(Exit::No).complains(&[]);
    kv.lacks("there");
}

#[test]
fn nothing_is_stored_where_the_editor_fails() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    for editor in ["false", "kill -9 $$; true", "/no/such/editor"] {
        let ran = edit(&kv, &["color"], editor).ends(Exit::Failure);
        assert!(
            ran.stderr_text().contains("the editor ended with"),
            "{}",
            ran.report()
        );
    }
    leaves_nothing(&kv);
    let ran = edit(&kv, &["color"], "f() { printf blue >$1; return 3; }; f").ends(Exit::Failure);
    let ran = ran.complains(&["exit status: 3", "nothing is stored"]);
    assert_eq!(fs::read_to_string(kept(&ran)).unwrap(), "blue");
    // Of a file that is gone there is nothing to keep.
    edit(&kv, &["color"], "rm")
        .ends(Exit::Failure)
        .complains(&["cannot read"]);
    kv.holds("color", "green");
}

#[test]
fn a_store_that_cannot_be_written_leaves_the_text() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    let locks = kv.space().join("locks");
    let editor = format!("rm -r {0}; : >{0}; printf blue >", locks.display());
    let ran = edit(&kv, &["color"], &editor).ends(Exit::Damaged);
    assert_eq!(
        fs::read_to_string(kept(&ran)).unwrap(),
        "blue",
        "{}",
        ran.report()
    );
    kv.holds("color", "green");
}

#[test]
fn bytes_are_edited_as_digits_and_not_as_text() {
    let kv = Sandbox::new();
    for value in [&b"\xff\xfe"[..], b"a\0b"] {
        kv.feed(["put", "k"], value).ends(Exit::Success).is_silent();
        edit(&kv, &["k"], "touch ../opened; true")
            .ends(Exit::Failure)
            .complains(&["no text", "--hex"]);
    }
    assert!(!kv.path("opened").exists());
    let value: Vec<u8> = (0..40).collect();
    kv.feed(["put", "k"], &value)
        .ends(Exit::Success)
        .is_silent();
    edit(&kv, &["k", "--hex"], "sed -i 's/00 01/ff FF\\n/'")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", [&[0xff, 0xff], &value[2..]].concat());
    let ran = edit(&kv, &["k", "--hex"], "echo 0 >").ends(Exit::Failure);
    let ran = ran.complains(&["no pairs of hexadecimal digits"]);
    assert_eq!(fs::read_to_string(kept(&ran)).unwrap(), "0\n");
}

#[test]
fn json_is_known_by_the_name_of_the_file() {
    let kv = Sandbox::new();
    for (value, want) in [
        ("{\"a\": [1]}\n", "value.json"),
        ("[1, 2]", "value.json"),
        ("{a}", "value"),
        ("12", "value"),
    ] {
        kv.put("k", value);
        edit(&kv, &["k"], "f() { echo \"${1##*/}\" >name; }; f")
            .ends(Exit::Success)
            .is_silent();
        assert_eq!(
            fs::read_to_string(kv.path("name")).unwrap().trim(),
            want,
            "{value}"
        );
    }
}

/// A loop of the shell ends at Ctrl-C where its command dies of the signal.
#[test]
fn kv_dies_of_what_the_editor_died_of() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for signal in [2, 3] {
        edit(&kv, &["k"], &format!("kill -{signal} $$; :"))
            .ends(Exit::Signal(signal))
            .prints("")
            .complains(&["cannot edit `k`", "nothing is stored"]);
    }
    kv.holds("k", "v");
    leaves_nothing(&kv);
}

#[test]
fn a_person_edits_in_vi() {
    if !has_program("tmux") || !has_program("vi") {
        return cannot_run("tmux or vi is missing: apt-get install tmux vim");
    }
    let kv = Sandbox::new();
    kv.put("color", "green");
    let mut command = kv.kv(["edit", "color"]);
    command.env("PATH", crate::harness::path_with_kv());
    let terminal = Terminal::run(&command);
    terminal.wait("vi", || terminal.screen().contains("green"));
    terminal.text("cwblue");
    terminal.key("Escape");
    terminal.text(":wq");
    terminal.key("Enter");
    until("it is stored", || {
        kv.run(["get", "color"]).stdout() == b"blue"
    });
}
