//! `kv has`: an exit status and no word.

use kv::exit::Exit;

use crate::harness::Sandbox;

#[test]
pub fn answers_by_its_status_alone() {
    let kv = Sandbox::new();
    kv.run(["has", "color"]).ends(Exit::No).is_silent();
    kv.put("color", "");
    kv.run(["has", "color"]).ends(Exit::Success).is_silent();
    kv.run(["has", "Color"]).ends(Exit::No).is_silent();
    kv.run(["has", "colo"]).ends(Exit::No).is_silent();
    kv.run(["remove", "color"]).ends(Exit::Success).is_silent();
    kv.run(["has", "color"]).ends(Exit::No).is_silent();
}

#[test]
pub fn takes_one_key() {
    let kv = Sandbox::new();
    kv.run(["has"]).ends(Exit::Usage).complains(&["KEY"]);
    kv.run(["has", "a", "b"]).ends(Exit::Usage).complains(&[]);
}

#[test]
pub fn reads_as_a_condition_in_a_shell() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    kv.shell("sh", "if kv has color && ! kv has shape; then echo so; fi")
        .ends(Exit::Success)
        .prints("so\n")
        .warns("");
}
