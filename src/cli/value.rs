//! Readers of single values.

use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::engine::Location;
use crate::store::key::BadKey;
use crate::store::{Key, Namespace, lists};

pub(super) use crate::store::units::{patience, size, ttl};

pub(super) fn key() -> impl TypedValueParser<Value = Key> {
    OsStringValueParser::new().try_map(Key::try_from)
}

/// Reads the name of a lock, which is made as a key is.
pub(super) fn lock_name() -> impl TypedValueParser<Value = Key> {
    OsStringValueParser::new().try_map(|name| {
        let named = |err: BadKey| err.to_string().replacen("a key", "the name of a lock", 1);
        Key::try_from(name).map_err(named)
    })
}

/// Reads how many there are to be at the most.
pub(super) fn count(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "use a whole number of 0 or more")
}

/// Reads how often something is to be done.
pub(super) fn at_least_one(text: &str) -> Result<u64, &'static str> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or("use a whole number of 1 or more")
}

/// Reads what is to be added.
pub(super) fn addend(text: &str) -> Result<i64, &'static str> {
    text.parse().map_err(|_| "use a whole number of 64 bits")
}

pub(super) fn namespace() -> impl TypedValueParser<Value = Namespace> {
    OsStringValueParser::new().try_map(Namespace::try_from)
}

/// Reads the name of a list: a namespace that is not another's already.
pub(super) fn list() -> impl TypedValueParser<Value = Namespace> {
    OsStringValueParser::new().try_map(|name| {
        let name = Namespace::try_from(name).map_err(|err| err.to_string())?;
        match lists::can_be(&name) {
            true => Ok(name),
            false => Err("the namespaces `default` and `memo` cannot be lists".to_owned()),
        }
    })
}

/// Reads the name of an environment variable.
pub(super) fn variable() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|name| match name.as_encoded_bytes() {
        [] => Err("a variable needs a name"),
        bytes if bytes.contains(&b'=') => Err("the name of a variable cannot hold `=`"),
        _ => Ok(name),
    })
}

pub(super) fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(Location::try_from)
}
