//! What the service answers, beside values, typed: it writes them, and the client reads them.

use std::io::{self, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The header of every answer, and of the requests of a client that knows what it means: which
/// version of this protocol is spoken.
pub const PROTOCOL: &str = "kv-protocol";
/// The version that this program speaks.
pub const VERSION: &str = "1";
/// The header of a refusal: the exit status of the command of the same name.
pub const STATUS: &str = "kv-status";

/// The header of a value that was taken out of the store though its removal may not last: what failed, for people.
pub const FAILED: &str = "kv-failed";

/// The header of what was added to a value: the etag of what it was added to, if that was there.
pub const WAS: &str = "kv-was";

/// What a service says that lets nobody change anything, with the code 403.
pub const READ_ONLY: &str = "this service is read-only";

/// The header of an answer that was not known yet when it was begun: in its body stand empty lines, a
/// [`Head`], and the body that it has.
pub const LATE: &str = "kv-late";

/// The code and the headers of a late answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The code.
    pub code: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
}

/// The body of a refusal, and a line of a listing where something could not be listed: the exit
/// status that the command of the same name would have had, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The exit status.
    pub status: u8,
    /// What is wrong.
    pub error: String,
}

/// A namespace that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub namespace: String,
}

/// More is there than was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Where the next listing begins.
    pub cursor: String,
}

/// The last line of an answer whose end was to be marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How many entries, namespaces or replies are above.
    pub end: u64,
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Entries that were stored.
    pub stored: u64,
    /// Entries that were left as they were.
    pub left: u64,
    /// Entries that were removed.
    pub removed: u64,
}

/// What `op=lock`, `keep`, `free` and `holder` have for a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockCall {
    /// Names the holder: 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name of the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The same, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
    /// Others may hold it too, if they share it.
    #[serde(default)]
    pub shared: bool,
    /// For how long to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// The process of the holder.
    #[serde(default)]
    pub pid: u32,
    /// Its machine.
    #[serde(default)]
    pub host: String,
}

/// A lock was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// It grows with each grant.
    pub token: u64,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// The process.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// Since when: RFC 3339.
    pub since: String,
    /// Whether others may hold it too.
    pub shared: bool,
}

/// Writes an answer as a line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_line(out: &mut dyn Write, answer: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    out.write_all(b"\n")
}

/// Returns an answer as a line.
pub fn line(answer: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::new();
    // Writing to memory cannot fail.
    _ = write_line(&mut line, answer);
    line
}

/// Reads an answer that is a line; `None` where it is none of this kind.
pub fn read<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    // An array would be taken for the members in their order.
    let is_object = line.trim_ascii_start().first() == Some(&b'{');
    serde_json::from_slice(line).ok().filter(|_| is_object)
}
