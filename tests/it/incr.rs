//! `kv incr`: adds to a number.

use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::files::flip_last;
use crate::harness::{Ran, Sandbox};

#[track_caller]
fn counts(ran: Ran, want: &str) {
    ran.ends(Exit::Success).prints(want).warns("");
}

#[test]
pub fn prints_the_new_value() {
    let kv = Sandbox::new();
    counts(kv.run(["incr", "hits"]), "1\n");
    counts(kv.run(["incr", "hits"]), "2\n");
    kv.holds("hits", "2");
}

#[test]
pub fn by_says_how_much_and_may_be_negative() {
    let kv = Sandbox::new();
    counts(kv.run(["incr", "n", "--by", "40"]), "40\n");
    counts(kv.run(["incr", "--by", "-50", "n"]), "-10\n");
    counts(kv.run(["incr", "n", "--by=-1"]), "-11\n");
    counts(kv.run(["incr", "n", "--by", "0"]), "-11\n");
    counts(kv.run(["incr", "new", "--by", "0"]), "0\n");
    kv.holds("n", "-11");
    kv.holds("new", "0");
}

#[test]
pub fn by_is_a_number_of_64_bits() {
    let kv = Sandbox::new();
    for bad in ["", "x", "1.5", "9223372036854775808", "0x10", " 1", "--"] {
        kv.run(["incr", "n", "--by", bad])
            .ends(Exit::Usage)
            .prints("")
            .complains(&["--by"]);
    }
    kv.run(["incr"]).ends(Exit::Usage).complains(&["KEY"]);
    kv.run(["incr", "a", "b"])
        .ends(Exit::Usage)
        .complains(&["`b`"]);
    assert!(!kv.store().exists());
}

#[test]
pub fn the_bounds_are_reached_and_not_passed() {
    let kv = Sandbox::new();
    for (bound, before, by) in [
        ("9223372036854775807", "9223372036854775806", "1"),
        ("-9223372036854775808", "-9223372036854775807", "-1"),
    ] {
        kv.put("n", before);
        counts(kv.run(["incr", "n", "--by", by]), &format!("{bound}\n"));
        let etag = kv.field("etag", "n");
        kv.run(["incr", "n", "--by", by])
            .ends(Exit::Failure)
            .prints("")
            .complains(&["`n`", "64 bits"]);
        kv.holds("n", bound);
        assert_eq!(kv.field("etag", "n"), etag, "nothing was written");
    }
    counts(
        kv.run(["incr", "low", "--by", "-9223372036854775808"]),
        "-9223372036854775808\n",
    );
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn what_is_no_number_is_refused_and_stays() {
    let kv = Sandbox::new();
    for bad in [
        "",
        "\n",
        "five",
        "+5",
        " 5",
        "5 ",
        "\t5",
        "5\n\n",
        "5\r\n",
        "\n5",
        "0x10",
        "1e3",
        "1.0",
        "1_000",
        "-",
        "--5",
        "٣",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999999999999999999999",
    ] {
        kv.put("n", bad);
        let etag = kv.field("etag", "n");
        kv.run(["incr", "n", "--ttl", "1h"])
            .ends(Exit::Failure)
            .prints("")
            .complains(&["`n`", "number"]);
        kv.holds("n", bad);
        assert_eq!(kv.field("etag", "n"), etag, "{bad:?}");
        assert_eq!(kv.field("expires", "n"), "never", "{bad:?}");
    }
    for bytes in [&b"5\0"[..], b"\xff", &[b'1'; 1_000_000]] {
        kv.feed(["put", "n"], bytes).ends(Exit::Success).is_silent();
        kv.run(["incr", "n"]).ends(Exit::Failure).prints("");
        kv.holds("n", bytes);
    }
}

#[test]
pub fn one_final_newline_is_passed_over_and_not_kept() {
    let kv = Sandbox::new();
    kv.put("n", "41\n");
    counts(kv.run(["incr", "n"]), "42\n");
    kv.holds("n", "42");
    kv.put("n", "-0007\n");
    counts(kv.run(["incr", "n"]), "-6\n");
    kv.holds("n", "-6");
}

#[test]
pub fn ttl_counts_only_when_it_makes_the_key() {
    let kv = Sandbox::new();
    counts(kv.run(["incr", "n", "--ttl", "1h"]), "1\n");
    let expires = kv.field("expires", "n");
    assert_ne!(expires, "never");
    counts(kv.run(["incr", "n", "--ttl", "9h"]), "2\n");
    counts(kv.run(["incr", "n"]), "3\n");
    assert_eq!(kv.field("expires", "n"), expires);

    counts(kv.run(["incr", "endless"]), "1\n");
    counts(kv.run(["incr", "endless", "--ttl", "1h"]), "2\n");
    assert_eq!(kv.field("expires", "endless"), "never");
}

#[test]
pub fn an_expired_key_counts_from_zero_again() {
    let kv = Sandbox::new();
    kv.run(["put", "n", "100", "--ttl", "1ms"])
        .ends(Exit::Success)
        .is_silent();
    thread::sleep(Duration::from_millis(5));
    counts(kv.run(["incr", "n", "--ttl", "1h"]), "1\n");
    assert_ne!(kv.field("expires", "n"), "never");
}

#[test]
pub fn ttl_cannot_be_nothing() {
    let kv = Sandbox::new();
    for bad in ["0", "-1", "", "soon"] {
        kv.run(["incr", "n", "--ttl", bad])
            .ends(Exit::Usage)
            .prints("")
            .complains(&["--ttl"]);
    }
    assert!(!kv.store().exists());
}

#[test]
fn a_damaged_number_is_not_counted_on() {
    let kv = Sandbox::new();
    kv.put("n", "5");
    let path = kv.file_of(b"n");
    let bytes = flip_last(&path);
    kv.run(["incr", "n"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["is damaged", "objects/"]);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
pub fn what_cannot_be_printed_is_a_failure_and_counted() {
    let kv = Sandbox::new();
    kv.shell("sh", "kv incr n >/dev/full")
        .ends(Exit::Failure)
        .complains(&["standard output"]);
    kv.holds("n", "1");
    kv.shell("sh", "kv incr n >&-").ends(Exit::Failure);
}

#[test]
pub fn counts_in_the_namespace_that_is_named() {
    let kv = Sandbox::new();
    counts(kv.run(["-n", "limits", "incr", "-5"]), "1\n");
    counts(kv.run(["incr", "-5"]), "1\n");
    counts(kv.run(["-n", "limits", "incr", "-5"]), "2\n");
}
