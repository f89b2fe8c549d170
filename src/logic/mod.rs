//! Decisions as plain state machines: no tokio, quinn, ractor, file system, clock or global random source.
//! Time is a `Duration` since the process's start; randomness is a seed or an argument.

pub mod picker;
pub mod speed;
pub mod throttle;
pub mod transfer;
