//! The forms in which entries leave kv as text: pure functions of bytes.

pub mod json;
pub mod memo;
pub mod quote;
pub mod text;
pub mod time;
pub mod words;
