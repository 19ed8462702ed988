//! What is in a store after a command has failed.

use std::collections::BTreeMap;

use walkdir::WalkDir;

use crate::harness::{Ran, Sandbox, names_in};

/// What all keys hold: values as `export` prints them, and whether they expire.
pub type Image = BTreeMap<(String, String), (String, bool)>;

/// Reads all that a store holds; otherwise returns with which status that failed.
pub fn image(kv: &Sandbox) -> Result<Image, i32> {
    let ran: Ran = kv.run(["export", "--all"]);
    match ran.status().code() {
        Some(0) => {}
        status => return Err(status.unwrap_or(-1)),
    }
    let text = ran.stdout_text();
    let entries = text.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        let value = match text("namespace").as_str() {
            // A result tells how long it took.
            "memo" => String::new(),
            _ => entry["value"].to_string() + &entry["value_base64"].to_string(),
        };
        let key = (text("namespace"), text("key"));
        (key, (value, !entry["expires"].is_null()))
    });
    Ok(entries.collect())
}

/// Returns what is in a store that nobody needs: drafts, half-made namespaces, packs without a name
/// in MANIFEST.
pub fn litter(kv: &Sandbox) -> Vec<String> {
    let mut left = Vec::new();
    for space in names_in(&kv.store()) {
        let path = kv.store().join(&space);
        if space.starts_with('.') {
            left.push(space);
            continue;
        }
        left.extend(names_in(&path.join("tmp")));
        left.extend(
            names_in(&path)
                .into_iter()
                .filter(|name| name.starts_with('.')),
        );
        let manifest = std::fs::read_to_string(path.join("packs/MANIFEST")).unwrap_or_default();
        let packs = WalkDir::new(path.join("packs")).min_depth(1);
        let packs = packs.into_iter().flatten().filter_map(|entry| {
            let name = entry.file_name().to_str()?.to_owned();
            // What was a directory of spare files holds them until the next collection of garbage.
            let is_known = ["MANIFEST", "1", "2"].contains(&&*name);
            (!is_known && !manifest.contains(&format!("pack {name} "))).then_some(name)
        });
        left.extend(packs);
    }
    left
}
