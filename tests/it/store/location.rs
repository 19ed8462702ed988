//! Where a store is, as `--store` and `KV_STORE` say it.

use std::ffi::OsString;

use kv::store::location::*;

#[test]
fn a_word_and_a_colon_name_an_engine() {
    for (text, scheme) in [
        ("sqlite3:x", "sqlite3"),
        ("https+unix:/s", "https+unix"),
        ("a:b", "a"),
    ] {
        let want = Err(BadLocation::Scheme(scheme.to_owned()));
        assert_eq!(Location::try_from(OsString::from(text)), want, "{text}");
    }
    for directory in ["store", "./a:b", "/a:b", "1:2", "a/b:c"] {
        let want = Ok(Location::Directory(directory.into()));
        assert_eq!(Location::try_from(OsString::from(directory)), want);
    }
}

#[test]
fn a_directory_is_shown_as_it_was_given() {
    for directory in ["store", "./a:b", "/a/../b/", " "] {
        let location = Location::try_from(OsString::from(directory)).unwrap();
        assert_eq!(location.to_string(), directory);
        assert_eq!(location.engine(), "tree");
    }
}

#[test]
fn a_file_is_named_behind_the_word_of_its_engine() {
    let location = |text: &str| Location::try_from(OsString::from(text));
    let file = location("sqlite:a:b").unwrap();
    assert_eq!(file, Location::Sqlite("a:b".into()));
    assert_eq!(
        (file.engine(), &*file.to_string()),
        ("sqlite", "sqlite:a:b")
    );
    assert_eq!(location("sqlite:"), Err(BadLocation::NoPath));
}

#[test]
fn what_only_a_shell_would_have_read_is_refused() {
    let location = |text: &str| Location::from_variable(OsString::from(text));
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
        let want = Err(BadLocation::Home(home.to_owned()));
        assert_eq!(location(text), want, "{text}");
    }
    for text in [
        "store\n",
        "store\r",
        "sqlite:a\r\n",
        "http+unix:/s\n",
        "redis://host\r",
    ] {
        assert_eq!(location(text), Err(BadLocation::LineEnd), "{text:?}");
    }
    for directory in [
        "./~/kv",
        "./~user/kv",
        "a~/kv",
        "$HOMES/kv",
        "a\nb",
        "/~/kv",
    ] {
        let want = Ok(Location::Directory(directory.into()));
        assert_eq!(location(directory), want);
    }
    assert!(location("sqlite:./~/kv.db").is_ok());
}

#[test]
fn a_password_is_not_repeated() {
    for text in [
        "redis://me:secret@host",
        "rediss://:secret@host/1",
        "other://me:secret@host",
    ] {
        let err = Location::try_from(OsString::from(text)).unwrap_err();
        assert!(!err.to_string().contains("secret"));
    }
    let mut location = Location::from_variable("redis://me:secret@host".into()).unwrap();
    assert!(!location.to_string().contains("secret"));
    location.add_password(|| unreachable!("it has one"));
}

#[test]
fn a_password_can_come_from_elsewhere() {
    let mut location = Location::try_from(OsString::from("redis://me@host")).unwrap();
    location.add_password(|| Some("secret".to_owned()));
    assert_eq!(location.to_string(), "redis://me:***@host:6379");
}
