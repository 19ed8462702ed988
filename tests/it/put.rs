//! `kv put`: conditions, expiry, and what it prints. Where values come from is in `values.rs`.

use kv::exit::Exit;

use crate::harness::Sandbox;

#[test]
pub fn success_is_silent() {
    let kv = Sandbox::new();
    kv.run(["put", "color", "green"])
        .ends(Exit::Success)
        .is_silent();
    kv.holds("color", "green");
}

#[test]
pub fn a_value_is_replaced() {
    let kv = Sandbox::new();
    kv.put("color", "green and a good deal longer");
    kv.put("color", "red");
    kv.holds("color", "red");
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn if_absent_stores_only_the_first_value() {
    let kv = Sandbox::new();
    kv.run(["put", "color", "green", "--if-absent"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["put", "color", "red", "--if-absent"])
        .ends(Exit::No)
        .is_silent();
    kv.holds("color", "green");
}

#[test]
pub fn if_exists_stores_only_over_a_value() {
    let kv = Sandbox::new();
    kv.run(["put", "color", "green", "--if-exists"])
        .ends(Exit::No)
        .is_silent();
    kv.lacks("color");
    kv.put("color", "green");
    kv.run(["put", "color", "red", "--if-exists"])
        .ends(Exit::Success)
        .is_silent();
    kv.holds("color", "red");
}

#[test]
pub fn if_value_compares_every_byte() {
    let kv = Sandbox::new();
    kv.run(["put", "n", "2", "--if-value", "1"])
        .ends(Exit::No)
        .is_silent();
    kv.put("n", "-1");
    for other in ["", "-", "-10", "1\n", "-2", "0"] {
        kv.run(["put", "n", "2", "--if-value", other])
            .ends(Exit::No)
            .is_silent();
    }
    kv.run(["put", "n", "2", "--if-value", "-1"])
        .ends(Exit::Success)
        .is_silent();
    kv.holds("n", "2");
}

#[test]
pub fn if_value_knows_the_empty_value() {
    let kv = Sandbox::new();
    kv.put("n", "");
    kv.run(["put", "n", "1", "--if-value", ""])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["put", "n", "2", "--if-value", ""])
        .ends(Exit::No)
        .is_silent();
    kv.holds("n", "1");
}

#[test]
pub fn if_value_compares_large_values() {
    let kv = Sandbox::new();
    let large = "0123456789".repeat(10_000);
    let nearly = format!("{}x", &large[..large.len() - 1]);
    kv.put("n", &large);
    kv.run(["put", "n", "2", "--if-value", &nearly])
        .ends(Exit::No)
        .is_silent();
    kv.run(["put", "n", "2", "--if-value", &large])
        .ends(Exit::Success)
        .is_silent();
    kv.holds("n", "2");
}

#[test]
pub fn if_etag_stores_only_over_the_entry_that_was_seen() {
    let kv = Sandbox::new();
    kv.run(["put", "n", "1", "--if-etag", "0123456789abcdef"])
        .ends(Exit::No)
        .is_silent();
    kv.put("n", "1");
    let etag = kv.field("etag", "n");
    kv.run(["put", "n", "2", "--if-etag", &etag])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["put", "n", "3", "--if-etag", &etag])
        .ends(Exit::No)
        .is_silent();
    kv.holds("n", "2");
}

#[test]
pub fn an_etag_has_16_digits() {
    let kv = Sandbox::new();
    for bad in [
        "",
        "0",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789abcdeg",
    ] {
        kv.run(["put", "n", "1", "--if-etag", bad])
            .ends(Exit::Usage)
            .complains(&["--if-etag"]);
    }
    kv.lacks("n");
}

#[test]
pub fn print_etag_prints_that_of_the_new_entry() {
    let kv = Sandbox::new();
    let first = kv.run(["put", "n", "1", "--print-etag"]);
    let first = first.ends(Exit::Success).warns("").line();
    assert_eq!(first, kv.field("etag", "n"));
    assert!(first.len() == 16 && first.bytes().all(|b| b"0123456789abcdef".contains(&b)));

    let second = kv.run(["put", "n", "1", "--print-etag"]).line();
    assert_ne!(first, second, "the same value is another entry");
    kv.run(["put", "n", "1", "--print-etag", "--if-absent"])
        .ends(Exit::No)
        .is_silent();
}

#[test]
pub fn a_refused_put_makes_no_store() {
    let kv = Sandbox::new();
    kv.run(["put", "n", "1", "--if-exists"])
        .ends(Exit::No)
        .is_silent();
    assert!(!kv.store().exists());
}

#[test]
pub fn options_that_contradict_each_other_are_refused() {
    let kv = Sandbox::new();
    let etag = "0123456789abcdef";
    for bad in [
        &["--if-absent", "--if-exists"][..],
        &["--if-absent", "--if-value", "x"],
        &["--if-exists", "--if-etag", etag],
        &["--if-value", "x", "--if-etag", etag],
        &["--ttl", "1h", "--keep-ttl"],
        &["--ttl", "1h", "--ttl", "2h"],
        &["--file", "/dev/null"],
        &["more"],
    ] {
        kv.run(["put", "n", "1"].iter().chain(bad))
            .ends(Exit::Usage)
            .prints("")
            .complains(&[]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn an_expiry_is_cleared_by_the_next_put() {
    let kv = Sandbox::new();
    kv.run(["put", "n", "1", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    assert_ne!(kv.field("expires", "n"), "never");
    kv.put("n", "2");
    assert_eq!(kv.field("expires", "n"), "never");
}

#[test]
pub fn keep_ttl_keeps_the_expiry_to_the_millisecond() {
    let kv = Sandbox::new();
    kv.run(["put", "n", "1", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let expires = kv.field("expires", "n");
    kv.run(["put", "n", "2", "--keep-ttl"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(kv.field("expires", "n"), expires);
    kv.holds("n", "2");
}

#[test]
pub fn keep_ttl_of_what_never_expires_or_is_absent_is_never() {
    let kv = Sandbox::new();
    for _ in 0..2 {
        kv.run(["put", "n", "1", "--keep-ttl"])
            .ends(Exit::Success)
            .is_silent();
        assert_eq!(kv.field("expires", "n"), "never");
    }
}

#[test]
pub fn a_mistyped_option_is_never_stored() {
    let kv = Sandbox::new();
    for bad in [
        &["put", "color", "--if-absnet"][..],
        &["put", "color", "green", "--if-absnet"],
        &["put", "color", "-x"],
        &["put", "--colour", "green"],
        &["put", "color", "-1x"],
    ] {
        kv.run(bad)
            .ends(Exit::Usage)
            .prints("")
            .complains(&["unknown argument"]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn a_mistyped_option_is_answered_with_the_right_one() {
    let kv = Sandbox::new();
    kv.run(["put", "color", "--if-absnet"])
        .ends(Exit::Usage)
        .complains(&["--if-absnet", "did you mean `--if-absent`?"]);
    kv.run(["put", "color", "-verbatim"])
        .ends(Exit::Usage)
        .complains(&["behind `--` everything is text"]);
}

#[test]
pub fn a_dash_and_negative_numbers_are_text() {
    let kv = Sandbox::new();
    for text in ["-", "-1", "-0.5", "-1e9"] {
        kv.run(["put", text, text]).ends(Exit::Success).is_silent();
        kv.run(["get", text]).ends(Exit::Success).prints(text);
        kv.run(["has", text]).ends(Exit::Success).is_silent();
        kv.run(["remove", text]).ends(Exit::Success).is_silent();
    }
}

#[test]
pub fn behind_two_dashes_all_is_text() {
    let kv = Sandbox::new();
    for (key, value) in [
        ("--help", "--if-absent"),
        ("-n", "-s"),
        ("--", "--"),
        ("-x", "--"),
    ] {
        kv.run(["put", "--", key, value])
            .ends(Exit::Success)
            .is_silent();
        kv.run(["get", "--", key])
            .ends(Exit::Success)
            .prints(value)
            .warns("");
    }
}
