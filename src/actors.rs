//! Ownership and concurrency: ractor actors, and the plain tasks that move bytes for them.
//! A mailbox carries decisions, never file bytes.

pub mod access;
pub mod announcer;
pub mod bench;
pub mod connections;
pub mod directory;
pub mod download;
pub mod index;
#[cfg(test)]
mod lab;
pub mod limits;
pub mod neighbours;
pub mod node;
pub mod serve;
pub mod shelf;
pub mod start;
pub mod uploads;
