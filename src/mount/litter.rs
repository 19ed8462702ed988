//! Files that editors and desktops leave, and that are nobody's data.
//!
//! They are kept in memory, for whoever has the store mounted to see, and never become keys. A key
//! that has such a name all the same stays a key.

/// Tells whether files of this name are kept in memory.
pub(super) fn is_litter(name: &[u8]) -> bool {
    let within = |before: &[u8], behind: &[u8]| {
        let len = before.len() + behind.len();
        name.len() > len && name.starts_with(before) && name.ends_with(behind)
    };
    // vim: .NAME.swp, and .swo, .swn and so on where several edit.
    let is_swap = || {
        let (body, letter) = name.split_at(name.len().saturating_sub(1));
        letter.first().is_some_and(u8::is_ascii_lowercase)
            && body.starts_with(b".")
            && body.ends_with(b".sw")
    };
    let is_nfs = || {
        let digits = name.strip_prefix(b".nfs").unwrap_or_default();
        digits.len() >= 8 && digits.iter().all(u8::is_ascii_hexdigit)
    };
    name == b".DS_Store"
        || within(b"._", b"")
        || within(b".#", b"")
        || within(b".~lock.", b"#")
        || within(b".", b".kate-swp")
        || is_swap()
        || is_nfs()
}

/// Tells whether vim may make a file of this name, and remove it again, to see whether it can: 4913
/// or a number somewhat above it. As it writes nothing into it, such a file becomes a key once
/// something is written.
pub(super) fn is_probe(name: &[u8]) -> bool {
    let number = std::str::from_utf8(name)
        .ok()
        .and_then(|text| text.parse::<u32>().ok());
    number.is_some_and(|number| number >= 4913 && (number - 4913).is_multiple_of(123))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_litter_is_litter() {
        for name in [
            ".a.swp",
            ".a.b.swx",
            ".swp",
            ".DS_Store",
            "._a",
            ".#a",
            ".nfs00000000012ab34c",
            ".~lock.a.odt#",
            ".a.txt.kate-swp",
        ] {
            assert!(is_litter(name.as_bytes()), "{name}");
        }
        for name in [
            "a.swp",
            ".sw",
            ".a.sw",
            ".a.swP",
            ".nfs",
            ".nfsabc",
            "._",
            ".#",
            "a~",
            ".gitignore",
            ".~lock",
            "#a#",
            "4913",
        ] {
            assert!(!is_litter(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn vim_probes_with_numbers() {
        for (name, is) in [
            ("4913", true),
            ("5036", true),
            ("4914", false),
            ("x", false),
        ] {
            assert_eq!(is_probe(name.as_bytes()), is, "{name}");
        }
    }
}
