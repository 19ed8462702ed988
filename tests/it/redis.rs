//! The Redis engine: one server, and a cluster of three masters with a replica each.

pub mod servers;

pub mod cases;
mod failover;
mod format;
mod histories;
mod hostile;
mod imports;
mod kinds;
mod late;
mod leases;
pub mod locations;
mod lost_answers;
mod promises;
mod rights;
mod sentinels;
