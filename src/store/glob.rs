//! Patterns over whole keys.
//!
//! ```text
//! *        any bytes, none too
//! ?        one character; one byte where the key is not UTF-8
//! [a-z]    one of these characters; [!a-z] or [^a-z] one of the others
//! \        quotes the character behind it
//! ```
//!
//! A slash, a newline and a leading dot are characters like any other, and neither case nor locale
//! plays a part. Matching takes at most (pattern × key) steps, whatever the pattern.

/// A pattern that was read and is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<Part>,
    pattern: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Star,
    Any,
    Literal(u32),
    Class {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`BadGlob`] where a bracket is not closed or a backslash quotes nothing.
    pub fn new(pattern: &[u8]) -> Result<Self, BadGlob> {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(unit) = take_unit(&mut rest) {
            parts.push(match char::from_u32(unit) {
                Some('*') if parts.last() == Some(&Part::Star) => continue,
                Some('*') => Part::Star,
                Some('?') => Part::Any,
                Some('[') => read_class(&mut rest)?,
                Some('\\') => Part::Literal(take_unit(&mut rest).ok_or(BadGlob::Backslash)?),
                _ => Part::Literal(unit),
            });
        }
        Ok(Self {
            parts,
            pattern: pattern.to_vec(),
        })
    }

    /// Returns the pattern as it was given.
    pub fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    /// Returns the bytes with which every key begins that matches.
    pub fn literal_prefix(&self) -> Vec<u8> {
        let mut prefix = Vec::new();
        for part in &self.parts {
            let Part::Literal(unit) = part else {
                break;
            };
            match char::from_u32(*unit) {
                Some(c) => prefix.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                // The low byte of a unit that is no character is the byte itself.
                None => prefix.push(unit.to_le_bytes()[0]),
            }
        }
        prefix
    }

    /// Tells whether the whole of `key` matches.
    pub fn matches(&self, key: &[u8]) -> bool {
        let (mut part, mut rest) = (0, key);
        // Where to go on when a part does not match: behind the last star, which takes one unit
        // more. An earlier star need never be tried again, as the last one can take as much.
        let mut retry: Option<(usize, &[u8])> = None;
        loop {
            let mut ahead = rest;
            let fits = match (self.parts.get(part), take_unit(&mut ahead)) {
                (Some(Part::Star), _) => {
                    part += 1;
                    retry = Some((part, rest));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(unit)) => wanted.takes(unit),
                _ => false,
            };
            if fits {
                (part, rest) = (part + 1, ahead);
                continue;
            }
            let Some((behind, from)) = &mut retry else {
                return false;
            };
            if take_unit(from).is_none() {
                return false;
            }
            (part, rest) = (*behind, from);
        }
    }
}

impl Part {
    fn takes(&self, unit: u32) -> bool {
        match self {
            Self::Star | Self::Any => true,
            Self::Literal(literal) => *literal == unit,
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&unit))
                    != *negated
            }
        }
    }
}

/// Takes one character off the front: its code point or, for a byte that is not UTF-8, a number
/// above all code points.
fn take_unit(rest: &mut &[u8]) -> Option<u32> {
    let first = *rest.first()?;
    let (unit, len) = if first.is_ascii() {
        (u32::from(first), 1)
    } else {
        (2..=rest.len().min(4))
            .find_map(|len| {
                let text = std::str::from_utf8(&rest[..len]).ok()?;
                Some((u32::from(text.chars().next()?), len))
            })
            .unwrap_or((0x11_0000 + u32::from(first), 1))
    };
    *rest = &rest[len..];
    Some(unit)
}

/// Reads a class behind its opening bracket; a `]` at once, or behind the `!`, is one of its
/// characters.
fn read_class(rest: &mut &[u8]) -> Result<Part, BadGlob> {
    let negated = matches!(rest.first(), Some(b'!' | b'^'));
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        let low = match take_unit(rest).ok_or(BadGlob::Bracket)? {
            unit if unit == u32::from(']') && !ranges.is_empty() => {
                return Ok(Part::Class { negated, ranges });
            }
            unit if unit == u32::from('\\') => take_unit(rest).ok_or(BadGlob::Bracket)?,
            unit => unit,
        };
        let mut high = low;
        if let [b'-', next, ..] = rest
            && *next != b']'
        {
            *rest = &rest[1..];
            high = take_unit(rest).ok_or(BadGlob::Bracket)?;
            if high == u32::from('\\') {
                high = take_unit(rest).ok_or(BadGlob::Bracket)?;
            }
        }
        ranges.push((low, high));
    }
}

/// Why bytes are no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// A `[` has no `]`.
    #[error("a `[` needs its `]`; write `\\[` for the character itself")]
    Bracket,
    /// A backslash is the last character.
    #[error("a `\\` at the end quotes nothing; write `\\\\` for the character")]
    Backslash,
}
