//! Where a store is, as `--store` and `KV_STORE` say it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// A place where a store can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory, for the tree engine.
    Directory(PathBuf),
    /// A file, for the SQLite engine.
    Sqlite(PathBuf),
}

impl Location {
    /// Returns the name of the engine that keeps a store there.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Directory(_) => "tree",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

/// The only way in which a location is shown to anybody: whatever else one comes to hold, a
/// password is `***` here.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

impl TryFrom<OsString> for Location {
    type Error = BadLocation;

    /// Reads a location: `word:…` names an engine, anything else a directory.
    fn try_from(text: OsString) -> Result<Self, BadLocation> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(BadLocation::Empty);
        }
        match scheme(bytes) {
            None => Ok(Self::Directory(text.into())),
            Some("sqlite") => match &bytes["sqlite:".len()..] {
                b"" => Err(BadLocation::NoPath),
                path => Ok(Self::Sqlite(OsStr::from_bytes(path).into())),
            },
            Some(scheme) => Err(BadLocation::Scheme(scheme.to_owned())),
        }
    }
}

/// Returns the word before the colon, if the text begins with one (RFC 3986, section 3.1).
fn scheme(text: &[u8]) -> Option<&str> {
    let colon = text.iter().position(|&b| b == b':')?;
    let word = std::str::from_utf8(&text[..colon]).ok()?;
    let rest_is_fine = |b: u8| b.is_ascii_alphanumeric() || b"+-._".contains(&b);
    let begins = word.starts_with(|c: char| c.is_ascii_alphabetic());
    (begins && word.bytes().all(rest_is_fine)).then_some(word)
}

/// Why text is no location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadLocation {
    /// It is empty.
    Empty,
    /// It names an engine, and no file.
    NoPath,
    /// It begins with `word:`, which names no engine.
    Scheme(String),
}

impl fmt::Display for BadLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a store needs a location"),
            Self::NoPath => f.write_str("`sqlite:` needs the path of a file"),
            // What follows the colon may be a password and is not shown.
            Self::Scheme(scheme) => write!(
                f,
                "no engine is called `{scheme}:`; a directory of that name is `./{scheme}:…`"
            ),
        }
    }
}

impl std::error::Error for BadLocation {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_a_colon_name_an_engine() {
        for (text, scheme) in [
            ("sqlite3:x", "sqlite3"),
            ("http+unix:/s", "http+unix"),
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
    fn a_password_is_not_repeated() {
        let err = Location::try_from(OsString::from("redis://me:secret@host")).unwrap_err();
        assert!(!err.to_string().contains("secret"));
    }
}
