//! Ownership and concurrency: ractor actors, and the plain tasks that move bytes for them.

pub mod announcer;
pub mod dial_back;
pub mod directory;
pub mod serve;
pub mod tracker;
