//! The formats of batches, exports and the bodies of REST, as functions.

mod finding;
mod http_answer;
mod http_frame;
mod http_request;
mod info;
mod json;
mod lines;
mod listed;
mod memo;
mod quote;
mod record;
mod text;
mod time;
mod tsv;
mod units;
mod words;
