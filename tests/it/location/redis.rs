//! Where a store on Redis, Valkey or a cluster of them is.

use super::variable;

#[test]
fn is_shown_as_it_was_given_but_for_the_password() {
    for (given, shown) in [
        ("redis://h", "redis://h:6379"),
        (
            "redis://h:7000,[::1]:7001,[::2]/3",
            "redis://h:7000,[::1]:7001,[::2]:6379/3",
        ),
        ("redis://me@h/?replicas=2", "redis://me@h:6379?replicas=2"),
        (
            "redis://me:sec/ret@h?prefix=a.b&replicas=0",
            "redis://me:***@h:6379?replicas=0&prefix=a.b",
        ),
        ("redis://:s%40x@h", "redis://:***@h:6379"),
        ("valkey://h", "valkey://h:6379"),
        ("valkeys://h/2", "valkeys://h:6379/2"),
        (
            "redis+sentinel://a,b:1/mymaster/3",
            "redis+sentinel://a:26379,b:1/mymaster/3",
        ),
        ("redis+unix:/run/r.sock", "redis+unix:/run/r.sock"),
        (
            "redis+unix:r?user=me&db=3&replicas=1",
            "redis+unix:r?user=me&db=3&replicas=1",
        ),
        (
            "redis://h?eviction=allowed&read=replica",
            "redis://h:6379?read=replica&eviction=allowed",
        ),
    ] {
        let location = variable(given).unwrap();
        assert_eq!(location.to_string(), shown);
        assert_eq!(format!("{location:?}"), shown);
    }
}

#[test]
fn what_is_malformed_is_refused() {
    for text in [
        "redis:h",
        "redis://",
        "redis://h:",
        "redis://h:0",
        "redis://h:99999",
        "redis://h,",
        "redis://h/x",
        "redis://h?replicas=x",
        "redis://h?replicas=101",
        "redis://h?prefix=",
        "redis://h?prefix=a{b",
        "redis://h?what=1",
        "redis://[::1",
        "redis://a b",
        "redis://u%4@h",
        "redis://h:1:2",
        "redis://h?db=3",
        "redis://h?read=master",
        "redis+unix:",
        "redis+sentinel://h",
        "redis+sentinel://h/",
    ] {
        assert!(variable(text).is_err(), "{text}");
    }
}
