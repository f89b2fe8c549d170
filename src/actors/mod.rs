//! Ownership and concurrency: each actor owns one piece of state. `handle` is a dispatch table that never awaits
//! the network or the disk; file bytes never enter a mailbox.

pub mod connections;
