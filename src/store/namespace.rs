//! Names of namespaces.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most bytes that the name of a namespace can have; what file systems allow for one name.
pub const MAX_NAMESPACE_LEN: usize = 255;

/// The name of a namespace: 1 to [`MAX_NAMESPACE_LEN`] bytes of UTF-8 without `/` and control
/// characters, not beginning with `.`. A clone shares its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `memo`, where the results of programs are remembered.
    pub fn memo() -> Self {
        Self("memo".into())
    }
}

impl Default for Namespace {
    /// Returns `default`, the namespace of those who name none.
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for Namespace {
    type Err = BadNamespace;

    fn from_str(name: &str) -> Result<Self, BadNamespace> {
        Self::try_from(OsString::from(name))
    }
}

impl TryFrom<OsString> for Namespace {
    type Error = BadNamespace;

    fn try_from(name: OsString) -> Result<Self, BadNamespace> {
        let name = name.into_string().map_err(|_| BadNamespace::NotUtf8)?;
        match name.len() {
            0 => return Err(BadNamespace::Empty),
            1..=MAX_NAMESPACE_LEN => {}
            _ => return Err(BadNamespace::TooLong),
        }
        if name.starts_with('.') {
            return Err(BadNamespace::Dot);
        }
        if name.contains(|c: char| c == '/' || c.is_control()) {
            return Err(BadNamespace::Character);
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why text is no name of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNamespace {
    /// It is empty.
    #[error("a namespace needs a name")]
    Empty,
    /// It has more than [`MAX_NAMESPACE_LEN`] bytes.
    #[error("the name of a namespace has at most {MAX_NAMESPACE_LEN} bytes")]
    TooLong,
    /// It begins with a dot; such names are the store's own.
    #[error("the name of a namespace cannot begin with a dot")]
    Dot,
    /// It holds a slash or a control character.
    #[error("the name of a namespace cannot hold `/` or a control character")]
    Character,
    /// It is not UTF-8.
    #[error("the name of a namespace must be UTF-8")]
    NotUtf8,
}
