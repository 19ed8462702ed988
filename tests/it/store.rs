//! What every engine builds on: names, times, patterns, units and locations, as functions.

mod entry;
mod glob;
mod http;
mod key;
mod lists;
mod location;
mod namespace;
mod percent;
mod redis;
mod scan;
mod time;
mod units;
mod upkeep;
