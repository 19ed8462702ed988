//! Where a service is that keeps a store.

use std::ffi::OsString;

use kv::store::location::*;

fn parse(text: &str) -> Result<HttpLocation, BadLocation> {
    match Location::try_from(OsString::from(text))? {
        Location::Http(location) => Ok(location),
        other => panic!("{text}: {other}"),
    }
}

#[test]
fn a_service_is_shown_as_it_was_given() {
    for text in [
        "http://localhost:8080",
        "https://kv.example.org",
        "http://[::1]:8080/a/b",
        "http+unix:/run/kv socket",
        "http+unix:socket",
    ] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
    assert_eq!(parse("http://a/b//").unwrap().base, "/b");
}

#[test]
fn a_token_is_never_shown() {
    let mut location = parse("http://a").unwrap();
    location.token = Some("secret".into());
    assert!(!format!("{location} {location:?}").contains("secret"));
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
        let err = parse(text).unwrap_err().to_string();
        assert!(err.contains(why), "{text}: {err}");
    }
}
