//! Decisions as plain state machines: `handle(input, now) -> outputs`.
//! No network, disk, clock or global random source: time and randomness are arguments.

pub mod addresses;
pub mod changes;
pub mod directory;
pub mod explain;
pub mod flood;
pub mod limits;
pub mod look;
pub mod neighbours;
pub mod offers;
pub mod patience;
pub mod picker;
pub mod publication;
pub mod transfer;
pub mod trials;
pub mod uploads;
