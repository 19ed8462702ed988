//! Where a store on Redis, Valkey or a cluster of them is.
//!
//! ```text
//! redis[s]://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/DB][?replicas=N][&prefix=WORD]
//! ```

use std::fmt;

/// The port of a host that names none.
pub const DEFAULT_PORT: u16 = 6379;

/// What the keys of a store begin with that names nothing else.
const DEFAULT_PREFIX: &str = "kv";

/// The longest prefix.
const MAX_PREFIX_LEN: usize = 64;

/// Servers, and the part of what they hold that is the store.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisLocation {
    /// Whether to speak TLS.
    pub tls: bool,
    /// The name of the user, where it is not the default one.
    pub user: Option<String>,
    /// The user's password. It is never shown.
    pub password: Option<String>,
    /// Hosts to begin with; of a cluster they lead to the others.
    pub hosts: Vec<(String, u16)>,
    /// The number of the database.
    pub database: u32,
    /// How many replicas must have a write before it is acknowledged; `None` leaves it to what
    /// there is.
    pub replicas: Option<u32>,
    /// What the names of all keys of the store begin with.
    pub prefix: String,
}

impl RedisLocation {
    /// Reads what follows `redis:` or `rediss:`.
    pub(super) fn parse(tls: bool, rest: &str) -> Result<Self, &'static str> {
        let rest = rest
            .strip_prefix("//")
            .ok_or("write it as redis://HOST[:PORT]")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold a slash or an `@`; a host cannot.
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, password) =
            match user_info.map(|text| text.split_once(':').unwrap_or((text, ""))) {
                None => (None, None),
                Some((user, password)) => (decode(user)?, decode(password)?),
            };
        let mut location = Self {
            tls,
            user,
            password,
            hosts: hosts
                .split(',')
                .map(host_and_port)
                .collect::<Result<_, _>>()?,
            database: match database {
                "" => 0,
                text => text.parse().map_err(|_| "the database is a number")?,
            },
            replicas: None,
            prefix: DEFAULT_PREFIX.to_owned(),
        };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            location.set(option)?;
        }
        Ok(location)
    }

    fn set(&mut self, option: &str) -> Result<(), &'static str> {
        match option.split_once('=') {
            Some(("replicas", text)) => {
                let number = text.parse().ok().filter(|number| *number <= 100);
                self.replicas = Some(number.ok_or("`replicas` is a number up to 100")?);
            }
            Some(("prefix", text)) => {
                let is_fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
                if text.is_empty() || text.len() > MAX_PREFIX_LEN || !text.bytes().all(is_fine) {
                    return Err("`prefix` is up to 64 letters, digits, `.`, `_` and `-`");
                }
                text.clone_into(&mut self.prefix);
            }
            _ => return Err("behind `?` there can be `replicas=N` and `prefix=WORD`"),
        }
        Ok(())
    }
}

/// Reads `HOST[:PORT]`; an address of IPv6 stands in brackets.
fn host_and_port(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => (
            host,
            Some(rest.strip_prefix(':').ok_or("a host is malformed")?),
        ),
        Some(None) => return Err("a host is malformed"),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_fine = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    if host.is_empty() || !host.chars().all(is_fine) {
        return Err("it names no host");
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or("a port is a number from 1 to 65535")?,
    };
    Ok((host.to_owned(), port))
}

/// Reads text in which `%2F` stands for `/` (RFC 3986); none where it is empty.
fn decode(text: &str) -> Result<Option<String>, &'static str> {
    const MALFORMED: &str = "`%` in a user or a password begins two hexadecimal digits";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2).ok_or(MALFORMED)?;
        bytes.push(hex::decode(digits).map_err(|_| MALFORMED)?[0]);
        rest = behind;
    }
    let text = String::from_utf8(bytes).map_err(|_| MALFORMED)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The location as it was given, but for the password.
impl fmt::Display for RedisLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss://" } else { "redis://" })?;
        if self.user.is_some() || self.password.is_some() {
            f.write_str(self.user.as_deref().unwrap_or_default())?;
            f.write_str(if self.password.is_some() {
                ":***@"
            } else {
                "@"
            })?;
        }
        for (number, (host, port)) in self.hosts.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "," })?;
            if host.contains(':') {
                write!(f, "[{host}]:{port}")?;
            } else {
                write!(f, "{host}:{port}")?;
            }
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        let replicas = self.replicas.map(|number| format!("replicas={number}"));
        let prefix = (self.prefix != DEFAULT_PREFIX).then(|| format!("prefix={}", self.prefix));
        for (number, option) in replicas.iter().chain(&prefix).enumerate() {
            write!(f, "{}{option}", if number == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// As it is displayed: a password gets into no message and no log.
impl fmt::Debug for RedisLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_as_it_was_given_but_for_the_password() {
        for (given, shown) in [
            ("//h", "redis://h:6379"),
            (
                "//h:7000,[::1]:7001,[::2]/3",
                "redis://h:7000,[::1]:7001,[::2]:6379/3",
            ),
            ("//me@h/?replicas=2", "redis://me@h:6379?replicas=2"),
            (
                "//me:sec/ret@h?prefix=a.b&replicas=0",
                "redis://me:***@h:6379?replicas=0&prefix=a.b",
            ),
            ("//:s%40x@h", "redis://:***@h:6379"),
        ] {
            let location = RedisLocation::parse(false, given).unwrap();
            assert_eq!(location.to_string(), shown);
            assert_eq!(format!("{location:?}"), shown);
        }
        let location = RedisLocation::parse(true, "//:s%40x@h").unwrap();
        assert_eq!(location.password.as_deref(), Some("s@x"));
        assert!(location.to_string().starts_with("rediss://"));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in [
            "h",
            "//",
            "//h:",
            "//h:0",
            "//h:99999",
            "//h,",
            "//h/x",
            "//h?replicas=x",
            "//h?replicas=101",
            "//h?prefix=",
            "//h?prefix=a{b",
            "//h?what=1",
            "//[::1",
            "//a b",
            "//u%4@h",
            "//h:1:2",
        ] {
            assert!(RedisLocation::parse(false, text).is_err(), "{text}");
        }
    }
}
