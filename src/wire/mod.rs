//! The forms in which entries, and what is known of them, leave kv as text: pure functions of bytes.

pub mod info;
pub mod json;
pub mod memo;
pub mod quote;
pub mod text;
pub mod time;
pub mod units;
pub mod words;
