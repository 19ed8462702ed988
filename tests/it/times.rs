//! Times come back as they were, or are refused.

use kv::exit::Exit;

use crate::harness::Sandbox;

/// Times that are kept, with the way in which they are printed.
const KEPT: [(&str, &str); 9] = [
    ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"),
    (
        "1970-01-01T00:00:00.000000001Z",
        "1970-01-01T00:00:00.000000001Z",
    ),
    ("1999-12-31T23:59:59.9Z", "1999-12-31T23:59:59.900000000Z"),
    (
        "2000-02-29T12:00:00+00:00",
        "2000-02-29T12:00:00.000000000Z",
    ),
    (
        "2026-01-01T00:30:00+01:00",
        "2025-12-31T23:30:00.000000000Z",
    ),
    (
        "2026-12-31T23:30:00.5-01:00",
        "2027-01-01T00:30:00.500000000Z",
    ),
    // The last of a signed number of 64 bits, the one behind it, and the last of 19 digits.
    (
        "2262-04-11T23:47:16.854775807Z",
        "2262-04-11T23:47:16.854775807Z",
    ),
    (
        "2262-04-11T23:47:16.854775808Z",
        "2262-04-11T23:47:16.854775808Z",
    ),
    (
        "2286-11-20T17:46:39.999999999Z",
        "2286-11-20T17:46:39.999999999Z",
    ),
];

fn line(key: usize, name: &str, time: &str) -> String {
    format!("{{\"key\":\"{key:020}\",\"value\":\"v\",\"{name}\":\"{time}\"}}\n")
}

#[track_caller]
fn import(kv: &Sandbox, namespace: &str, lines: &str) {
    kv.feed(["-n", namespace, "import"], lines.as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn a_time_of_modification_comes_back() {
    let kv = Sandbox::new();
    let lines: String = (1..)
        .zip(KEPT)
        .map(|(n, (time, _))| line(n, "modified", time))
        .collect();
    import(&kv, "few", &lines);
    // So many go another way.
    let many: String = (1_001..2_100)
        .map(|n| line(n, "modified", "2001-01-01T00:00:00Z"))
        .collect();
    import(&kv, "many", &(lines + &many));
    let exported = kv.run(["-n", "many", "export"]).ends(Exit::Success);
    import(&kv, "again", &exported.stdout_text());
    let demand = || {
        for namespace in ["few", "many", "again"] {
            for (n, (_, want)) in (1..).zip(KEPT) {
                let key = format!("{n:020}");
                let args = ["-n", namespace, "stat", "--field", "modified", &key];
                kv.run(args).ends(Exit::Success).prints(format!("{want}\n"));
            }
        }
    };
    demand();
    kv.at_home(["gc"]).ends(Exit::Success);
    demand();
    // What gives an entry another expiry leaves its time as it is.
    for n in 1..=KEPT.len() {
        let key = format!("{n:020}");
        kv.run(["-n", "many", "expire", &key, "1d"])
            .ends(Exit::Success);
    }
    demand();
    // Of two the later stays.
    for (n, (time, _)) in (1..).zip(KEPT) {
        let other = line(n, "modified", time).replace("\"v\"", "\"other\"");
        kv.feed(["-n", "few", "import", "--merge"], other.as_bytes())
            .ends(Exit::Success);
    }
    let values = kv.run(["-n", "few", "ls", "--values"]).ends(Exit::Success);
    assert!(
        !values.stdout_text().contains("other"),
        "{}",
        values.report()
    );
}

#[test]
pub fn an_expiry_comes_back() {
    let kv = Sandbox::new();
    let kept = [
        ("2100-01-01T00:00:00.001Z", "2100-01-01T00:00:00.001Z"),
        ("2100-01-01T01:00:00+01:00", "2100-01-01T00:00:00.000Z"),
        ("2600-01-01T00:00:00Z", "2600-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ];
    let lines: String = (1..)
        .zip(kept)
        .map(|(n, (time, _))| line(n, "expires", time))
        .collect();
    import(&kv, "n", &lines);
    for _ in 0..2 {
        for (n, (_, want)) in (1..).zip(kept) {
            let key = format!("{n:020}");
            kv.run(["-n", "n", "stat", "--field", "expires", &key])
                .ends(Exit::Success)
                .prints(format!("{want}\n"));
        }
        kv.at_home(["gc"]).ends(Exit::Success);
    }
}

#[test]
pub fn the_longest_time_to_live_is_told_as_it_is() {
    let kv = Sandbox::new();
    for (ttl, seconds) in [("100000w", 60_480_000_000), ("2555000d", 220_752_000_000)] {
        kv.run(["put", "k", "v", "--ttl", ttl]).ends(Exit::Success);
        let left: i64 = kv.run(["ttl", "k"]).line().parse().unwrap();
        assert!((seconds - 600..=seconds).contains(&left), "{ttl}: {left}");
        kv.run(["expire", "k", ttl]).ends(Exit::Success);
        let left: i64 = kv.run(["ttl", "k"]).line().parse().unwrap();
        assert!((seconds - 600..=seconds).contains(&left), "{ttl}: {left}");
    }
    kv.run(["put", "k", "v", "--ttl", "2555001d"])
        .ends(Exit::Usage)
        .complains(&["7,000 years"]);
}

#[test]
pub fn a_time_that_cannot_be_kept_is_refused() {
    let kv = Sandbox::new();
    for (name, time) in [
        ("modified", "2286-11-20T17:46:40Z"),
        ("modified", "2300-01-01T00:00:00Z"),
        ("modified", "1969-12-31T23:59:59.999999999Z"),
        ("modified", "1970-01-01T00:30:00+01:00"),
        ("expires", "2100-01-01T00:00:00.0001Z"),
        ("expires", "9999-12-31T23:59:59-01:00"),
    ] {
        kv.feed(["import"], line(1, name, time).as_bytes())
            .ends(Exit::Usage)
            .prints("")
            .complains(&["line 1", &format!("`{name}`"), "cannot be kept"]);
    }
    kv.run(["ls"]).ends(Exit::Success).is_silent();
}
