//! What a check finds, as JSON: one object a line.

use kv::store::Finding;
use kv::wire::finding::*;

use kv::store::check::{Repair, Severity};

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
