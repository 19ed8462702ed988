//! Where a service is that keeps a store.

use super::argument;

#[test]
fn a_service_is_shown_as_it_was_given() {
    for text in [
        "http://localhost:8080",
        "https://kv.example.org",
        "http://[::1]:8080/a/b",
        "http+unix:/run/kv socket",
        "http+unix:socket",
    ] {
        assert_eq!(argument(text).unwrap().to_string(), text);
    }
    assert_eq!(argument("http://a/b//").unwrap().to_string(), "http://a/b");
}

#[test]
fn what_is_no_service_is_refused() {
    for (text, why) in [
        ("http:a", "http://HOST"),
        ("http://", "no host"),
        ("http:///v1", "no host"),
        ("http://a:0", "port"),
        ("http://a:65536", "port"),
        ("http://a:+1", "port"),
        ("http://[::1", "malformed"),
        ("http://[::1]8080", "port"),
        ("http://me:secret@a", "KV_TOKEN"),
        ("http://a b", "no host"),
        ("http://a/?x=1", "path"),
        ("http://a#b", "no host"),
        ("http://a/v1", "-n names the namespace"),
        ("http://a/v1/default/", "-n names the namespace"),
        ("http://a/base/v1/default", "-n names the namespace"),
        ("http+unix:", "socket"),
    ] {
        let err = argument(text).unwrap_err().to_string();
        assert!(err.contains(why), "{text}: {err}");
    }
}
