//! The Redis engine: one server, and a cluster of three masters with a replica each.

pub mod servers;

pub mod cases;
mod failover;
mod format;
mod imports;
mod leases;
pub mod locations;
mod lost_answers;
