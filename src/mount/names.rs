//! How keys are shown as names, and read back: a bijection between keys and paths.
//!
//! A slash in a key parts directories. What stands between two slashes is the name, byte for byte,
//! unless a name cannot hold it:
//!
//! ```text
//! %         an empty part: the key `a/` is the file `%` in the directory `a`
//! %2E       the part `.`
//! %2E%2E    the part `..`
//! %value    in a directory: the value of the key that the directory is named after
//! …%+       253 bytes of a part of more than 255, which goes on in the directory of this name
//! %25…      a part that would itself be read as one of these, `%25…` too: `%25` is its `%`
//! ```
//!
//! Any other `%` is an ordinary character. So whatever name is made is also the name that is shown.

/// The most bytes that a name can have.
pub(super) const MAX_NAME: usize = 255;
/// The name of the file with the value of the key that its directory is named after.
pub(super) const VALUE: &[u8] = b"%value";

/// Stands at the end of a name that is a part of a part.
const MORE: &[u8] = b"%+";
/// So many bytes of a part stand before [`MORE`].
const CUT: usize = MAX_NAME - MORE.len();
/// Parts that no name can hold, and the names that they have instead.
const SPECIAL: [(&[u8], &[u8]); 3] = [(b"", b"%"), (b".", b"%2E"), (b"..", b"%2E%2E")];

/// Behind the prefix of a directory it makes a key that is shown in that, whatever that is.
pub(super) const INSIDE: &[u8] = b"xxx";

/// The next name on the way from a directory to a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The name.
    pub(super) name: Vec<u8>,
    /// How many bytes of the key lead behind it.
    pub(super) end: usize,
    /// Whether it is the key itself, and not a directory on the way to it.
    pub(super) is_last: bool,
}

/// Finds the next name on the way to a key from the directory of those that begin with its first
/// `at` bytes; `None` where that directory does not lead there.
pub(super) fn step(key: &[u8], at: usize) -> Option<Step> {
    let start = part_start(key, at);
    let slash = memchr::memchr(b'/', &key[at..]).map(|len| at + len);
    let part_end = slash.unwrap_or(key.len());
    if at > start {
        // The directory is a part of a part: it leads only where the part would not fit.
        let is_cut = (at - start).is_multiple_of(CUT) && !fits(&key[at - CUT..part_end]);
        if !is_cut {
            return None;
        }
    }
    let rest = &key[at..part_end];
    if !fits(rest) {
        let name = [&rest[..CUT], MORE].concat();
        let end = at + CUT;
        return Some(Step {
            name,
            end,
            is_last: false,
        });
    }
    Some(Step {
        name: encode(rest),
        end: slash.map_or(key.len(), |slash| slash + 1),
        is_last: slash.is_none(),
    })
}

/// Tells whether a key is shown below the directory of those that begin so: a part of a part leads
/// only to what is too long for one name.
pub(super) fn leads(prefix: &[u8], key: &[u8]) -> bool {
    let is_whole = prefix.is_empty() || prefix.ends_with(b"/");
    key.starts_with(prefix) && (is_whole || step(key, prefix.len()).is_some())
}

/// What a name in a directory may stand for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The key, if it is a file.
    pub(super) key: Option<Vec<u8>>,
    /// What all keys below it begin with, if it is a directory.
    pub(super) prefix: Option<Vec<u8>>,
}

/// Reads a name in the directory of the keys that begin with `prefix`.
pub(super) fn read(prefix: &[u8], name: &[u8]) -> Meaning {
    let at = prefix.len();
    if name == VALUE {
        let key = prefix.strip_suffix(b"/").filter(|key| !key.is_empty());
        return Meaning {
            key: key.map(<[u8]>::to_vec),
            prefix: None,
        };
    }
    if let Some(cut) = name.strip_suffix(MORE)
        && cut.len() == CUT
    {
        return Meaning {
            key: None,
            prefix: Some([prefix, cut].concat()),
        };
    }
    let key = [prefix, &decode(name)].concat();
    let mut below = key.clone();
    below.push(b'/');
    let leads = |key: &[u8]| step(key, at).is_some_and(|step| step.name == name);
    Meaning {
        key: Some(key).filter(|key| !key.is_empty() && leads(key)),
        prefix: Some(below).filter(|below| leads(below)),
    }
}

/// Returns where the part begins that holds the byte at `at`, or would.
fn part_start(key: &[u8], at: usize) -> usize {
    memchr::memrchr(b'/', &key[..at]).map_or(0, |slash| slash + 1)
}

/// Tells whether a part can be shown as one name.
fn fits(part: &[u8]) -> bool {
    match part.len() {
        MAX_NAME => !part.ends_with(MORE) && !is_special_name(part),
        len if len < MAX_NAME => len + 2 <= MAX_NAME || !is_special_name(part),
        _ => false,
    }
}

/// Returns the name of a part that fits.
fn encode(part: &[u8]) -> Vec<u8> {
    if let Some((_, name)) = SPECIAL.iter().find(|(special, _)| *special == part) {
        return name.to_vec();
    }
    if is_special_name(part) {
        return [b"%25", &part[1..]].concat();
    }
    part.to_vec()
}

/// Returns the part that a name stands for.
fn decode(name: &[u8]) -> Vec<u8> {
    if let Some((part, _)) = SPECIAL.iter().find(|(_, special)| *special == name) {
        return part.to_vec();
    }
    if let Some(rest) = name.strip_prefix(b"%25") {
        let part = [b"%", rest].concat();
        if is_special_name(&part) {
            return part;
        }
    }
    name.to_vec()
}

/// Tells whether a name stands for something else than itself.
fn is_special_name(name: &[u8]) -> bool {
    let Some(mut rest) = name.strip_prefix(b"%") else {
        return false;
    };
    while let Some(inner) = rest.strip_prefix(b"25") {
        rest = inner;
    }
    let is_plain = |(_, special): &(&[u8], &[u8])| &special[1..] == rest;
    rest == &VALUE[1..] || SPECIAL.iter().any(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names on the way to a key.
    fn path(key: &[u8]) -> Vec<Vec<u8>> {
        let (mut at, mut names) = (0, Vec::new());
        loop {
            let step = step(key, at).unwrap();
            names.push(step.name);
            if step.is_last {
                return names;
            }
            at = step.end;
        }
    }

    /// Walks back from names to the key.
    fn key(names: &[Vec<u8>]) -> Vec<u8> {
        let mut prefix = Vec::new();
        let (last, dirs) = names.split_last().unwrap();
        for name in dirs {
            prefix = read(&prefix, name).prefix.unwrap();
        }
        read(&prefix, last).key.unwrap()
    }

    #[test]
    fn what_a_name_can_hold_is_shown_as_it_is() {
        for part in ["a", "100%", "%41", "%2f", "%%", "...", "a b\n", "%values"] {
            assert_eq!(path(part.as_bytes()), [part.as_bytes()]);
        }
        assert_eq!(path(b"a/b/\xff"), [&b"a"[..], b"b", b"\xff"]);
    }

    #[test]
    fn what_it_cannot_hold_has_another_name() {
        for (key, names) in [
            ("a/", &["a", "%"][..]),
            ("/", &["%", "%"]),
            ("./..", &["%2E", "%2E%2E"]),
            ("%", &["%25"]),
            ("%25", &["%2525"]),
            ("%2E", &["%252E"]),
            ("%value", &["%25value"]),
        ] {
            let names: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(path(key.as_bytes()), names, "{key}");
        }
    }

    #[test]
    fn every_key_comes_back_and_fits() {
        let long = |n: usize| "x".repeat(n);
        let mut keys = vec![
            "a//b/./..//".to_owned(),
            "%25%2E/%2525/%/%value/%25value".to_owned(),
            format!("{}%+", long(253)),
            format!("{}%+/b", long(253)),
            format!("%{}", "25".repeat(127)),
            format!("%{}/x", "25".repeat(126)),
            format!("%{}value", "25".repeat(125)),
        ];
        for n in [252, 253, 254, 255, 256, 257, 505, 506, 507, 508, 509, 600] {
            keys.extend([
                long(n),
                format!("{}/y", long(n)),
                format!("z/{}..", long(n)),
            ]);
        }
        for text in keys {
            let names = path(text.as_bytes());
            assert_eq!(key(&names), text.as_bytes(), "{text}");
            for name in names {
                let len = name.len();
                assert!((1..=MAX_NAME).contains(&len), "{len} bytes for {text}");
                assert!(name != b"." && name != b"..", "{text}");
            }
        }
    }

    #[test]
    fn a_name_that_is_not_shown_is_none() {
        let long = vec![b'x'; 253];
        // The part would fit, and has its name in the directory above.
        assert!(!leads(&long, &[&long[..], b"/b"].concat()) && !leads(&long, &long));
        assert!(leads(&long, &[&long[..], INSIDE].concat()));
        assert_eq!(read(&long, b"a").key, None);
        assert_eq!(step(&[&long[..], b"/b"].concat(), 253), None);
        assert_eq!(read(b"a/", b"%value").key, Some(b"a".to_vec()));
        assert_eq!(read(b"", b"%value"), Meaning::default());
        assert_eq!(read(b"a/", b"%25value").key, Some(b"a/%value".to_vec()));
        assert_eq!(read(b"a/", b"%25x").key, Some(b"a/%25x".to_vec()));
    }

    #[test]
    fn any_name_is_read_as_what_is_shown_so() {
        let bytes = [b'%', b'2', b'5', b'E', b'.', b'+', b'a'];
        let mut names = vec![Vec::new()];
        for _ in 0..5 {
            let longer: Vec<Vec<u8>> = names
                .iter()
                .flat_map(|name| bytes.iter().map(|byte| [&name[..], &[*byte]].concat()))
                .collect();
            names.extend(longer);
            names.sort();
            names.dedup();
        }
        for name in names
            .iter()
            .filter(|n| !matches!(&n[..], b"" | b"." | b".."))
        {
            let found = key(&[b"d".to_vec(), name.clone()]);
            assert_eq!(path(&found), [b"d".to_vec(), name.clone()]);
        }
    }
}
