//! What every engine builds on: names, times, patterns and units, as functions.

mod entry;
mod glob;
mod key;
mod lists;
mod namespace;
mod percent;
mod scan;
mod time;
mod units;
mod upkeep;
