//! Decisions as plain state machines: `handle(input, now) -> outputs`.
//! No network, disk, clock or global random source: time and randomness are arguments.

pub mod addresses;
pub mod back_off;
pub mod changes;
pub mod choose;
pub mod directory;
pub mod explain;
pub mod flood;
pub mod look;
pub mod merge;
pub mod meter;
pub mod name_index;
pub mod neighbours;
pub mod page;
pub mod patience;
pub mod picker;
pub mod rank;
pub mod shares;
pub mod slots;
pub mod speed;
pub mod spread;
pub mod tally;
pub mod throttle;
pub mod transfer;
pub mod trials;
pub mod vain;
