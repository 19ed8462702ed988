//! `kv expire`: a new expiry for an old value.

use kv::exit::Exit;

use crate::files::flip_last;
use crate::harness::Sandbox;

#[test]
pub fn gives_an_expiry_and_takes_it_back() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["expire", "k", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let left: u32 = kv.run(["ttl", "k"]).line().parse().unwrap();
    assert!((3_000..=3_600).contains(&left), "{left}");
    kv.run(["expire", "k", "never"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ttl", "k"]).ends(Exit::Success).prints("never\n");
}

#[test]
pub fn keeps_value_and_modified_and_makes_a_new_etag() {
    let kv = Sandbox::new();
    for value in ["v".to_owned(), "large ".repeat(100_000)] {
        kv.feed(["put", "k"], value.as_bytes())
            .ends(Exit::Success)
            .is_silent();
        let before = ["modified", "size", "etag"].map(|name| kv.field(name, "k"));
        kv.run(["expire", "k", "1h"])
            .ends(Exit::Success)
            .is_silent();
        let after = ["modified", "size", "etag"].map(|name| kv.field(name, "k"));
        assert_eq!(before[..2], after[..2]);
        assert_ne!(before[2], after[2]);
        kv.holds("k", &value);
    }
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn a_missing_key_is_silent_and_makes_nothing() {
    let kv = Sandbox::new();
    for expiry in ["1h", "never"] {
        kv.run(["expire", "k", expiry]).ends(Exit::No).is_silent();
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn needs_a_duration_or_the_word_never() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for bad in ["0", "-1", "", "Never", "soon", "1y"] {
        kv.run(["expire", "k", bad])
            .ends(Exit::Usage)
            .prints("")
            .complains(&["DURATION"]);
    }
    kv.run(["expire", "k"])
        .ends(Exit::Usage)
        .complains(&["DURATION"]);
    assert_eq!(kv.field("expires", "k"), "never");
}

#[test]
fn a_damaged_value_is_not_made_sound_by_a_new_header() {
    let kv = Sandbox::new();
    for len in [10, 100_000] {
        kv.put("k", &"v".repeat(len));
        let path = kv.file_of(b"k");
        let bytes = flip_last(&path);
        kv.run(["expire", "k", "1h"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["is damaged"]);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(kv.litter(), [""; 0]);
    }
}
