//! What a check finds, as JSON: one object a line.
//!
//! ```json
//! {"severity":"damage","namespace":"default","path":"…","what":"…","key":"color","repair":"…"}
//! ```
//!
//! `key`, or `key_base64` where it is not UTF-8, is there where it is known, and `repair` where
//! something was done or would be. Bytes of a path that are not UTF-8 are shown as `\xff`.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;

use crate::store::Finding;
use crate::wire::{json, text};

/// Writes a finding as an object on a line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(out: &mut dyn Write, namespace: &str, found: &Finding) -> io::Result<()> {
    out.write_all(b"{")?;
    json::first(out, "severity", found.severity.word())?;
    json::member(out, "namespace", namespace)?;
    let path = match found.path.to_str() {
        Some(path) => path.to_owned(),
        None => text::escape(found.path.as_os_str().as_bytes()),
    };
    json::member(out, "path", &path)?;
    json::member(out, "what", &found.what)?;
    if let Some(key) = &found.key {
        json::key(out, key)?;
    }
    if let Some(repair) = &found.repair {
        json::member(out, "repair", &repair.what)?;
    }
    out.write_all(b"}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::check::{Repair, Severity};

    #[test]
    fn a_line_has_what_is_known() {
        let mut found = Finding {
            severity: Severity::Damage,
            path: "/a \"b\"\n".into(),
            what: "it is missing".to_owned(),
            key: None,
            repair: None,
        };
        let line = |found: &Finding| {
            let mut line = Vec::new();
            write_json(&mut line, "häuser", found).unwrap();
            String::from_utf8(line).unwrap()
        };
        let begin = "{\"severity\":\"damage\",\"namespace\":\"häuser\",\
                     \"path\":\"/a \\\"b\\\"\\n\",\"what\":\"it is missing\"";
        assert_eq!(line(&found), format!("{begin}}}\n"));
        found.key = Some(b"\xff".to_vec());
        found.repair = Some(Repair {
            what: "moved".to_owned(),
            settles: true,
        });
        let more = "\"key_base64\":\"/w==\",\"repair\":\"moved\"";
        assert_eq!(line(&found), format!("{begin},{more}}}\n"));
    }
}
