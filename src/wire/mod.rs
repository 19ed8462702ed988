//! The forms in which entries, and what is known of them, leave kv as text and come back: pure
//! functions of bytes.

pub mod entry;
pub mod finding;
pub mod http;
pub mod info;
pub mod json;
pub mod lines;
pub mod listed;
pub mod memo;
pub mod quote;
pub mod record;
pub mod text;
pub mod time;
pub mod tsv;
pub mod units;
pub mod words;
