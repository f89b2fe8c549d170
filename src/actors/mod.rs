//! Ownership and concurrency: ractor actors, and the plain tasks that move bytes for them.
//! A mailbox carries decisions, never file bytes.

pub mod announcer;
pub mod answer;
pub mod audience;
pub mod bench;
pub mod buffers;
pub mod circle;
pub mod clocks;
pub mod connections;
pub mod dial_back;
pub mod directory;
pub mod download;
pub mod downloads;
pub mod fetch;
pub mod have;
pub mod index;
pub mod neighbours;
pub mod node;
pub mod partial_source;
pub mod pool;
pub mod reads;
pub mod serve;
pub mod shelf;
pub mod throttle;
pub mod time_of_day;
pub mod tracker;
pub mod upload;
pub mod uploads;
