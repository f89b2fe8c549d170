//! Ownership and concurrency: ractor actors, and the plain tasks that move bytes for them.
//! A mailbox carries decisions, never file bytes.

pub mod announcer;
pub mod connections;
pub mod dial_back;
pub mod directory;
pub mod serve;
pub mod tracker;
