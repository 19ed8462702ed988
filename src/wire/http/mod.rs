//! What the service and its clients say to each other, beside entries: written once, for both.
//!
//! A request that asks for its answer's end (`end=1`) gets a listing, or the replies of a batch, whose
//! last line says that they are whole: where a connection is cut between two proxies, HTTP alone may
//! not tell.

mod address;
pub mod answer;
pub mod frame;
mod listing;
mod query;
pub mod request;

pub use self::address::Address;
pub use self::query::millis;
