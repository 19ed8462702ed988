//! Where a store is, as `--store` and `KV_STORE` say it.

mod http;
mod redis;

use kv::engine::location::*;

fn argument(text: &str) -> Result<Location, BadLocation> {
    Location::try_from(std::ffi::OsString::from(text))
}

fn variable(text: &str) -> Result<Location, BadLocation> {
    Location::from_variable(text.into())
}

#[test]
fn a_word_and_a_colon_name_an_engine() {
    for (text, scheme) in [
        ("sqlite3:x", "sqlite3"),
        ("https+unix:/s", "https+unix"),
        ("a:b", "a"),
        ("redis2://h", "redis2"),
    ] {
        let want = BadLocation::Scheme(scheme.to_owned());
        assert_eq!(argument(text).unwrap_err(), want, "{text}");
    }
    for (text, engine) in [
        ("sqlite:a:b", "sqlite"),
        ("redis://h:6379", "redis"),
        ("http+unix:/s", "http"),
        ("memory:", "memory"),
    ] {
        let location = argument(text).unwrap();
        assert_eq!((location.engine(), &*location.to_string()), (engine, text));
    }
}

#[test]
fn a_directory_is_shown_as_it_was_given() {
    for directory in ["store", "./a:b", "/a:b", "1:2", "a/b:c", "/a/../b/", " "] {
        let location = argument(directory).unwrap();
        assert_eq!(location.to_string(), directory);
        assert_eq!(location.engine(), "tree");
    }
}

#[test]
fn what_only_a_shell_would_have_read_is_refused() {
    for (text, home) in [
        ("~", "~"),
        ("~/kv", "~"),
        ("$HOME", "$HOME"),
        ("$HOME/kv", "$HOME"),
        ("${HOME}/kv", "${HOME}"),
        ("sqlite:~/kv.db", "~"),
        ("sqlite:$HOME/kv.db", "$HOME"),
        ("http+unix:~/kv.sock", "~"),
        ("~user/kv", "~user"),
        ("~user", "~user"),
        ("~+/kv", "~+"),
    ] {
        let want = BadLocation::Home(home.to_owned());
        assert_eq!(variable(text).unwrap_err(), want, "{text}");
    }
    for text in [
        "store\n",
        "store\r",
        "sqlite:a\r\n",
        "http+unix:/s\n",
        "redis://host\r",
    ] {
        assert_eq!(
            variable(text).unwrap_err(),
            BadLocation::LineEnd,
            "{text:?}"
        );
    }
    for directory in [
        "./~/kv",
        "./~user/kv",
        "a~/kv",
        "$HOMES/kv",
        "a\nb",
        "/~/kv",
    ] {
        assert_eq!(variable(directory).unwrap().engine(), "tree");
    }
    assert!(variable("sqlite:./~/kv.db").is_ok());
}

#[test]
fn a_path_is_made_absolute_whatever_the_engine() {
    let here = std::env::current_dir().unwrap();
    let here = here.to_str().unwrap();
    for (scheme, path) in [
        ("", "./a:b"),
        ("sqlite:", "a"),
        ("http+unix:", "s"),
        ("redis+unix:", "s?db=1"),
    ] {
        let mut location = argument(&format!("{scheme}{path}")).unwrap();
        location.make_absolute().unwrap();
        let path = path.trim_start_matches("./");
        assert_eq!(location.to_string(), format!("{scheme}{here}/{path}"));
    }
    for text in ["/a", "sqlite://a", "http://h", "redis://h:1", "memory:"] {
        let mut location = argument(text).unwrap();
        location.make_absolute().unwrap();
        assert_eq!(location.to_string(), text);
    }
}

#[test]
fn a_password_is_not_repeated() {
    for text in [
        "redis://me:secret@host",
        "rediss://:secret@host/1",
        "other://me:secret@host",
    ] {
        let err = argument(text).unwrap_err();
        assert!(!err.to_string().contains("secret"));
    }
    let mut location = variable("redis://me:secret@host").unwrap();
    assert_eq!(location.to_string(), "redis://me:***@host:6379");
    location.add_secret(None).unwrap();
    assert_eq!(format!("{location:?}"), "redis://me:***@host:6379");
}

#[test]
fn a_password_can_come_from_elsewhere() {
    let mut location = argument("redis://me@host").unwrap();
    location.add_secret(Some("secret".to_owned())).unwrap();
    assert_eq!(location.to_string(), "redis://me:***@host:6379");
    let mut service = argument("http://host").unwrap();
    service.add_secret(Some("secret".to_owned())).unwrap();
    assert_eq!(format!("{service} {service:?}"), "http://host http://host");
}
